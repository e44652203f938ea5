"""Notebooks to the spec that would make them: from their tags, or, without any, a proposal."""

import json
from collections.abc import Iterator, Sequence

from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error, warning
from kale_tag.extract.choose import BY
from kale_tag.extract.combine import Combined, Member, partition
from kale_tag.extract.draft import Draft, Lost
from kale_tag.extract.propose import propose
from kale_tag.extract.read_tags import has_kale_tags, read_tags
from kale_tag.extract.write_spec import write_spec
from kale_tag.kale import tags
from kale_tag.kale.metadata import PATH_KEY, SETTINGS_KEY, tags_in
from kale_tag.kale.settings import settings_in
from kale_tag.notebook.model import MISSING, Notebook
from kale_tag.notebook.places import Places
from kale_tag.notebook.read import read_notebook
from kale_tag.notebook.splice import ProofError, same, splice
from kale_tag.plan.carry_out import retag
from kale_tag.plan.plan import plan
from kale_tag.spec.change import Target
from kale_tag.spec.model import Spec
from kale_tag.spec.read import read_spec, target_for


def draft(notebook: Notebook) -> Draft:
    """What a spec shall say of *notebook*: its tags, or proposals where it has none of Kale's.

    Raises `UserError` where it has tags of Kale 0.x, or a source that cannot be read, or where it
    has no tags and is not Python.
    """
    if has_kale_tags(notebook):
        return read_tags(notebook)
    if language := notebook.foreign_language:
        raise UserError(
            error(
                "not-python",
                f"{notebook.name} has no Kale tags, and there is no proposal for {language}: Kale "
                "runs Python",
                Label(Source(notebook.name)),
            )
        )
    return propose(notebook)


def share(members: Sequence[Member], by: str = "") -> Iterator[tuple[Combined, str]]:
    """The specs for *members*, one for those that can share it; and what sets it apart.

    Tagged notebooks come first. *by* is what cells are selected by if that selects them: of
    `choose.BY`, "" for what suits: of a tagged notebook what is exact, in a proposal what reads
    well.
    """
    untagged = [member for member in members if member.draft.proposed]
    tagged = [member for member in members if not member.draft.proposed]
    for some, default in ((tagged, "id"), (untagged, "source")):
        preferred = by or default
        order = (preferred, *(key for key in BY if key != preferred))
        for made, why in partition(some, order):
            first = some is untagged and tagged and made.members[0] is untagged[0]
            yield made, "without Kale tags" if first else why


def extract(made: Combined, name: str) -> str:
    """The text of the spec *made*, which will be called *name*.

    Raises `ProofError` where it does not give back what it was made of.
    """
    text = write_spec(made)
    _prove(made, text, name)
    return text


def remarks(draft: Draft) -> Iterator[Diagnostic]:
    """A warning for each tag and setting that the spec of *draft* cannot give."""
    places = Places(draft.notebook)
    name = draft.notebook.name
    ruled = {cell for block in draft.blocks for cell in block.cells}
    for lost in draft.lost:
        goes = lost.cell in ruled and lost.what.startswith("`")
        where = "" if lost.cell is None else f" of cell {lost.cell}"
        yield warning(
            "not-in-spec",
            f"{lost.what}{where} of {name} is not in the spec: {lost.why}",
            _place(places, lost),
            help="a rule selects the cell, so `kale-tag apply` takes it off" if goes else "",
        )


def _place(places: Places, lost: Lost) -> Label:
    bare = lost.what.strip("`")
    if lost.cell is None:
        return places.metadata(None, (SETTINGS_KEY, bare))
    found = tags_in(places.notebook.metadata_of(lost.cell))
    if bare in found:
        return places.tag(lost.cell, found.index(bare))
    return places.metadata(lost.cell, (PATH_KEY if bare == PATH_KEY else "tags",))


def _prove(made: Combined, text: str, name: str) -> None:
    """Proof that the spec *text* makes each notebook what it is, from one without Kale's tags.

    Raises `ProofError`.
    """
    try:
        spec = read_spec(Source(name, text), _no_base)
        for number, member in enumerate(made.members):
            entries = spec.notebooks[number : number + 1]
            _prove_one(spec, member, target_for(spec, member.variables, entries))
    except UserError as exc:
        where = exc.diagnostics[0].labels[:1]
        raise ProofError(f"the spec is refused: {exc} {where}") from exc


def _prove_one(spec: Spec, member: Member, target: Target) -> None:
    draft = member.draft
    notebook = draft.notebook
    bare = notebook.data if draft.proposed else stripped(notebook)
    done = retag(spec, bare, notebook.name, target, fast=notebook.fast)
    data = bare if done.data is None else done.data
    after = retag(spec, data, notebook.name, target, fast=notebook.fast).notebook
    for index in range(len(notebook.types)):
        found = tags_in(notebook.metadata_of(index))
        wanted = list(draft.tags.get(index, found))
        if tags_in(after.metadata_of(index)) != wanted:
            raise ProofError(f"the spec gives cell {index} of {notebook.name} other tags")
        whole = not draft.proposed and not any(lost.cell == index for lost in draft.lost)
        if whole and not same(after.metadata_of(index), notebook.metadata_of(index)):
            raise ProofError(f"the spec gives cell {index} of {notebook.name} other metadata")
    lost = {lost.what.strip("`") for lost in draft.lost if lost.cell is None}
    old, new = settings_in(notebook.metadata), settings_in(after.metadata)
    for key in old.keys() | (set() if draft.proposed else new.keys()):
        if key not in lost and not same(old.get(key, MISSING), new.get(key, MISSING)):
            raise ProofError(f"the spec gives {notebook.name} another `{key}`")
    if draft.lost or draft.proposed:
        return
    if plan(spec, notebook, target).changes:
        raise ProofError(f"the spec would change {notebook.name}, of which it was made")
    if data != notebook.data and _is_nbformats(notebook.data):
        raise ProofError(f"the spec does not give back the bytes of {notebook.name}")


def stripped(notebook: Notebook) -> bytes:
    """*notebook* without Kale's tags and settings, tags of other tools kept."""
    wanted: dict[int | None, object] = {}
    for index in range(len(notebook.types)):
        metadata = notebook.metadata_of(index)
        found = tags_in(metadata)
        if not isinstance(metadata, dict) or not any(map(tags.is_kales, found)):
            continue
        left = [tag for tag in found if not tags.is_kales(tag)]
        bare = {key: value for key, value in metadata.items() if key not in {"tags", PATH_KEY}}
        wanted[index] = {**bare, "tags": left} if left else bare
    metadata = notebook.metadata
    if settings_in(metadata) and isinstance(metadata, dict):
        wanted[None] = {key: value for key, value in metadata.items() if key != SETTINGS_KEY}
    return splice(notebook, wanted)


def tagged(draft: Draft) -> Notebook:
    """The notebook of *draft* with the tags that it shall have, and without settings."""
    notebook = draft.notebook
    wanted: dict[int | None, object] = {}
    for index, found in draft.tags.items():
        metadata = notebook.metadata_of(index)
        bare = metadata if isinstance(metadata, dict) else {}
        wanted[index] = {**bare, "tags": list(found)}
    if isinstance(metadata := notebook.metadata, dict):
        wanted[None] = {key: value for key, value in metadata.items() if key != SETTINGS_KEY}
    return read_notebook(splice(notebook, wanted), notebook.name, fast=notebook.fast)


def _is_nbformats(data: bytes) -> bool:
    """Whether *data* is what nbformat and JupyterLab would write."""
    try:
        value = json.loads(data)
        text = json.dumps(
            value, indent=1, sort_keys=True, ensure_ascii=False, separators=(",", ": ")
        )
        return data == f"{text}\n".encode()
    except ValueError:
        return False


def _no_base(path: str, _label: Label) -> Source:
    raise ProofError(f"an extracted spec extends nothing, and not {path}")
