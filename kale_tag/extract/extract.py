"""Specs for notebooks: from their tags, or a proposal where they have none."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, warning
from kale_tag.extract.choose import BY
from kale_tag.extract.combine import Combined, SpecMember, partition
from kale_tag.extract.propose import propose
from kale_tag.extract.read import Lost, SpecDraft, read_tags
from kale_tag.extract.write_spec import write_spec
from kale_tag.kale import names, tags
from kale_tag.kale.checks import has_kale_tags
from kale_tag.kale.metadata import PATH_KEY, SETTINGS_KEY, tags_in
from kale_tag.kale.settings import settings_in
from kale_tag.notebook.json_value import same
from kale_tag.notebook.model import MISSING, Notebook
from kale_tag.notebook.places import Places
from kale_tag.notebook.read import read_notebook
from kale_tag.notebook.splice import ProofError, splice
from kale_tag.plan.apply import apply_spec
from kale_tag.plan.plan import plan
from kale_tag.spec.model import Spec, Target
from kale_tag.spec.read import read_spec, target_for


def draft(notebook: Notebook) -> SpecDraft:
    """The draft of a spec for *notebook*: from its Kale tags, or a proposal where it has none.

    Raises `UserError` for tags of Kale 0.x, a source that cannot be read, and a proposal for a
    language other than Python.
    """
    if has_kale_tags(notebook):
        return read_tags(notebook)
    if language := notebook.foreign_language:
        raise UserError.of(
            "not-python",
            f"{notebook.name} has no Kale tags, and there is no proposal for {language}: Kale "
            "runs Python",
            Label(Source(notebook.name)),
        )
    return propose(notebook)


def share(members: Sequence[SpecMember], by: str = "") -> Iterator[tuple[Combined, str]]:
    """Few specs for *members*; each but the first comes with the reason for another spec.

    Tagged notebooks come first. *by* is the preferred key of `choose.BY`; "" prefers ids for tagged
    notebooks, which are exact, and patterns for proposals, which are easier to read.
    """
    untagged = [*_named_apart([member for member in members if member.draft.proposed])]
    tagged = [member for member in members if not member.draft.proposed]
    for some, default in ((tagged, "id"), (untagged, "source")):
        preferred = by or default
        order = (preferred, *(key for key in BY if key != preferred))
        for made, why in partition(some, order):
            first = some is untagged and tagged and made.members[0] is untagged[0]
            yield made, "without Kale tags" if first else why


def _named_apart(members: Sequence[SpecMember]) -> Iterator[SpecMember]:
    """Proposals, their pipelines named after the files, or folders and files of equal names.

    A folder that is not below the spec has another name in each clone.
    """
    paths = [one.variables for one in members]
    below = all(path["dir"].rpartition("/")[2] == path["parent"] for path in paths)
    found: list[str] = []
    for keys in (("stem",), *([("parent", "stem")] if below else []), ("dir", "stem")):
        found = [names.pipeline_name("-".join(path[key] for key in keys)) for path in paths]
        if len({*found}) == len(found):
            break
    for member, name in zip(members, found, strict=True):
        draft = member.draft
        if name and draft.pipeline is None and not draft.lost:
            draft = replace(draft, pipeline={"pipeline_name": name, "experiment_name": name})
        yield replace(member, draft=draft)


def extract(made: Combined, name: str) -> str:
    """The text of the spec *made*, which will be called *name*.

    Raises `ProofError` where it does not reproduce the tags and settings of its notebooks.
    """
    text = write_spec(made)
    _prove(made, text, name)
    return text


def remarks(draft: SpecDraft) -> Iterator[Diagnostic]:
    """A warning for each tag and setting that no spec can give."""
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
            help="a rule selects the cell, so `kale-tag apply` removes the tag" if goes else "",
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
    """Prove that the spec *text* makes each notebook from one without Kale tags.

    Raises `ProofError`, and `UserError` for a notebook that no spec can be applied to.
    """
    spec = read_spec(Source(name, text), _no_base)
    for number, member in enumerate(made.members):
        entries = spec.notebooks[number : number + 1]
        _prove_one(spec, member, target_for(spec, member.variables, entries))


def _prove_one(spec: Spec, member: SpecMember, target: Target) -> None:
    draft = member.draft
    notebook = draft.notebook
    bare = notebook.data if draft.proposed else stripped(notebook)
    done = apply_spec(spec, bare, notebook.name, target, fast=notebook.fast)
    data = bare if done.data is None else done.data
    after = apply_spec(spec, data, notebook.name, target, fast=notebook.fast).notebook
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
    if not (draft.lost or draft.proposed) and plan(spec, notebook, target).changes:
        raise ProofError(f"the spec would change {notebook.name}, of which it was made")


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


def tagged(draft: SpecDraft) -> Notebook:
    """The notebook of *draft* with the tags that the spec gives, and without settings."""
    notebook = draft.notebook
    wanted: dict[int | None, object] = {}
    for index, found in draft.tags.items():
        metadata = notebook.metadata_of(index)
        bare = metadata if isinstance(metadata, dict) else {}
        wanted[index] = {**bare, "tags": list(found)}
    if isinstance(metadata := notebook.metadata, dict):
        wanted[None] = {key: value for key, value in metadata.items() if key != SETTINGS_KEY}
    return read_notebook(splice(notebook, wanted), notebook.name, fast=notebook.fast)


def _no_base(path: str, _label: Label) -> Source:
    raise ProofError(f"an extracted spec extends {path}")
