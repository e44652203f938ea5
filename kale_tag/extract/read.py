"""The draft of a spec: the Kale tags and settings of a notebook, and what no spec can give."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kale_tag.diagnostics import UserError, pasted
from kale_tag.kale import settings, tags
from kale_tag.kale.checks import why_reserved
from kale_tag.kale.metadata import PATH_KEY, SETTINGS_KEY, member, tags_in
from kale_tag.kale.outline import find_cycle, role_of
from kale_tag.kale.settings import settings_in
from kale_tag.kale.tags import Tag
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places
from kale_tag.spec import template

SECOND = "it is there twice"


@dataclass(frozen=True, slots=True)
class BlockRole:
    """What a block of cells is."""

    kind: str  # one of `tags.SPECIAL`, `step` or `notebook`
    name: str = ""  # of the step or the reference
    path: str = ""  # of the referenced notebook

    @property
    def tag(self) -> Tag:
        """The tag that every cell of the block has."""
        return Tag(self.kind, (self.name,)) if self.name else Tag(self.kind)


@dataclass(frozen=True, slots=True)
class CellBlock:
    """The cells of one role."""

    role: BlockRole
    cells: tuple[int, ...]  # in the order of the notebook
    prev: tuple[str, ...] = ()  # on the first cell
    settings: tuple[Tag, ...] = ()  # on the first cell
    remarks: tuple[str, ...] = ()  # comments for the reader of the spec


@dataclass(frozen=True, slots=True)
class Lost:
    """A tag or setting that the notebook has and no spec can give."""

    cell: int | None  # None for a setting of the notebook
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class SpecDraft:
    """What a spec for one notebook shall contain."""

    notebook: Notebook
    blocks: tuple[CellBlock, ...]  # in the order of their first cells
    tags: Mapping[int, tuple[str, ...]]  # by cell: what the spec gives it, and tags of other tools
    pipeline: Mapping[str, object] | None = None  # as the spec's key, `${` not yet escaped
    lost: tuple[Lost, ...] = ()
    proposed: bool = False  # the notebook has no Kale tags, the blocks are suggestions
    remarks: tuple[str, ...] = ()  # comments on the notebook as a whole
    files: tuple[str, ...] = ()  # local code that travels with the steps

    @property
    def is_empty(self) -> bool:
        """Whether it proposes no step."""
        return self.proposed and all(block.role.kind != "step" for block in self.blocks)


def read_tags(notebook: Notebook) -> SpecDraft:
    """The draft of a notebook that has Kale tags. Raises `UserError` for tags of Kale 0.x."""
    _refuse_legacy(notebook)
    reader = _TagReader(notebook)
    blocks = reader.blocks()
    pipeline, lost_settings = read_settings(notebook)
    return SpecDraft(
        notebook,
        blocks,
        reader.final,
        pipeline,
        (*sorted(reader.lost, key=lambda one: one.cell or 0), *lost_settings),
    )


class _TagReader:
    """Reads cell by cell."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.lost: list[Lost] = []
        self.final: dict[int, tuple[str, ...]] = {}  # the tags that a spec gives each cell
        self.roles: dict[int, BlockRole] = {}
        self.starts: dict[str, int] = {}  # the first cell of each step, by its name
        self.edges: dict[str, set[str]] = {}

    def blocks(self) -> tuple[CellBlock, ...]:
        """The blocks, in the order of their first cells."""
        listed = {
            index: found
            for index in range(len(self.notebook.types))
            for found in (tags_in(self.notebook.metadata_of(index)),)
            if any(map(tags.is_kales, found))
        }
        for index, found in listed.items():
            role = self._role(index, found)
            if role is not None:
                self.roles[index] = role
                self.starts.setdefault(role.name, index)
        made: dict[BlockRole, CellBlock] = {}
        for index, found in listed.items():
            role = self.roles.get(index)
            first = role is not None and role not in made
            kept = [*self._kept(index, found, role, first=first)]
            spelt = [str(tag) for tag in tags.in_order(kept)]
            self.final[index] = (*spelt, *(tag for tag in found if not tags.is_kales(tag)))
            self._note_order(index, found, spelt)
            metadata = self.notebook.metadata_of(index)
            has_path = isinstance(metadata, dict) and PATH_KEY in metadata
            if role is not None and role.kind != "notebook" and has_path:
                why = "Kale reads it on a cell with a `notebook:` tag only"
                self.lost.append(Lost(index, f"`{PATH_KEY}`", why))
            if role is None:
                continue
            if not first:
                made[role] = replace(made[role], cells=(*made[role].cells, index))
                continue
            prev = tuple(tag.parts[0] for tag in kept if tag.kind == "prev")
            given = tuple(tag for tag in kept if tag.kind in tags.SETTING_KINDS)
            made[role] = CellBlock(role, (index,), prev, given)
        return tuple(made.values())

    def _role(self, index: int, found: Sequence[str]) -> BlockRole | None:
        """The role that a rule can give the cell; None where it cannot, which `_kept` explains."""
        role = role_of(found)
        if self.notebook.types[index] != "code" or not role.kind:
            return None
        if role.kind in tags.SPECIAL:
            return BlockRole(role.kind)
        if why_reserved(role.name) or tags.parse(f"{role.kind}:{role.name}") is None:
            return None
        if role.kind == "step":
            return BlockRole("step", role.name)
        path = member(self.notebook.metadata_of(index), PATH_KEY)
        is_path = isinstance(path, str) and path
        return BlockRole("notebook", role.name, str(path)) if is_path else None

    def _kept(
        self, index: int, found: Sequence[str], role: BlockRole | None, *, first: bool
    ) -> Iterator[Tag]:
        """The tags of one cell that a rule can give; the others are recorded as lost.

        *first*: the cell is the first of its role.
        """
        special = next((at for at, text in enumerate(found) if text in tags.SPECIAL), None)
        for at, text in enumerate(found):
            if not tags.is_kales(text):
                continue
            tag = tags.parse(text)
            if self.notebook.types[index] != "code":
                why = "Kale reads code cells only"
            elif role is not None and role.kind in tags.SPECIAL:
                other = f"for Kale, the cell is `{role.kind}`"
                why = "" if at == special else SECOND if text == role.kind else other
            elif tag is None:
                why = "Kale refuses this tag"
            elif tag.kind in {"step", "notebook"}:
                why = self._why_no_role(found, at, tag, role)
            else:
                why = self._why_not(found, at, tag, role, first=first)
            if why:
                self.lost.append(Lost(index, f"`{text}`", why))
            elif tag is not None:
                yield tag

    def _why_no_role(self, found: Sequence[str], at: int, tag: Tag, role: BlockRole | None) -> str:
        """Why a `step:` or `notebook:` tag does not name the role of the cell."""
        name = tag.parts[0]
        if role is not None:
            if tag == role.tag:
                return SECOND if found[at] in found[:at] else ""
            return f"the cell is already {role.kind} `{role.name}`, and Kale refuses two"
        if not name:
            return "a step without a name is the same as no tag"
        return why_reserved(name) or f"the cell has no `{PATH_KEY}`, without which Kale stops"

    def _why_not(
        self, found: Sequence[str], at: int, tag: Tag, role: BlockRole | None, *, first: bool
    ) -> str:
        """Why a rule cannot give the cell the setting or the dependency *tag*."""
        if role is None or role.kind != "step":
            return "the cell is not in a step that a rule could name"
        if not first:
            start = next(one for one, other in self.roles.items() if other == role)
            return f"Kale reads it on the first cell of step `{role.name}` only, cell {start}"
        if _key(found[at]) in map(_key, found[at + 1 :]):
            return SECOND if tag.kind == "prev" else "a later tag of the cell overrides it"
        if tag.kind == "prev":
            return self._why_no_edge(tag.parts[0], role)
        reads_as_group = any(template.groups(":".join(tag.parts)))
        return "in a rule, this is a reference to a group of a pattern" if reads_as_group else ""

    def _why_no_edge(self, name: str, role: BlockRole) -> str:
        """Why step *role* cannot depend on the step *name*; if it can, the edge is added."""
        if name not in self.starts:
            return f"no step is named `{name}`"
        if self.starts[name] > self.starts[role.name]:
            return f"Kale reads from the top, and step `{name}` starts further down"
        edges = {**self.edges, role.name: {*self.edges.get(role.name, ()), name}}
        if find_cycle(edges):
            return "steps would depend on each other in a cycle"
        self.edges = edges
        return ""

    def _note_order(self, index: int, found: Sequence[str], spelt: Sequence[str]) -> None:
        """Record tags that are all kept, but not in the order in which `apply` writes them."""
        kales = [text for text in found if tags.is_kales(text)]
        if sorted(kales) != sorted(spelt):
            return
        foreign = [text for text in found if not tags.is_kales(text)]
        if [*kales, *foreign] != found:
            why = f"Kale's tags go first, since Kale fails on `{foreign[0]}` before them"
            self.lost.append(Lost(index, "the order of the tags", why))
        elif kales != spelt:
            why = "`apply` writes tags in the order of Kale's panel"
            self.lost.append(Lost(index, "the order of the tags", why))


def _key(text: str) -> tuple[str, str]:
    """What a tag must not share with another of its cell: kind and name."""
    tag = tags.parse(text)
    return ("", "") if tag is None else (tag.kind, tag.key)


def _refuse_legacy(notebook: Notebook) -> None:
    found = [
        (index, position, tag)
        for index in notebook.code
        for position, tag in enumerate(tags_in(notebook.metadata_of(index)))
        if tags.is_legacy(tag)
    ]
    if not found:
        return
    index, position, tag = found[0]
    cells = len({one for one, _, _ in found})
    more = f", and of {cells - 1} more" if cells > 1 else ""
    raise UserError.of(
        "legacy-tag",
        f"{notebook.name} has tags of Kale 0.x: `{tag}` of cell {index}{more}",
        Places(notebook).tag(index, position),
        help=f"upgrade it first: `{pasted('kale-tag upgrade', [notebook.name])}`",
    )


def read_settings(notebook: Notebook) -> tuple[Mapping[str, object] | None, tuple[Lost, ...]]:
    """`pipeline` for the settings of *notebook*, and what it leaves out; None where it has none."""
    present = settings_in(notebook.metadata)
    if not present:
        metadata = notebook.metadata
        if isinstance(metadata, dict) and metadata.get(SETTINGS_KEY, {}) != {}:
            return None, (Lost(None, f"`{SETTINGS_KEY}`", "it is not an object"),)
        return None, ()
    lost = dict(_lost_settings(present))
    order = dict.fromkeys((*settings.FIELDS, *present))
    found = {key: present[key] for key in order if key in present and key not in lost}
    for key in settings.missing(found, ""):
        if key not in present:
            found[key] = None
        elif found.pop(key, None) is not None:
            lost[key] = "its name is empty, so `apply` writes one"
    experiment = {"id": "new", "name": found.get("experiment_name")}
    if "experiment_name" in found and found.get("experiment") == experiment:
        del found["experiment"]  # it follows
    if isinstance(defaults := found.get("steps_defaults"), list) and defaults:
        found["steps_defaults"] = _structured(defaults) or defaults
    return found, tuple(Lost(None, f"`{key}`", why) for key, why in lost.items())


def _lost_settings(present: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The keys that a spec would be refused for, or cannot give as they are."""
    for key, value in present.items():
        if value is None:
            yield key, "it is null, which Kale treats as absent"
        elif not _can_be_written(value):
            yield key, "it contains null, or a number that YAML cannot express"
    for key, diagnostic in settings.problems(present, called="Kale 2.3"):
        yield key, f"Kale refuses it: {diagnostic.message}"
    if isinstance(present.get("steps_defaults"), dict):
        yield "steps_defaults", "Kale expects a list"


def _can_be_written(value: object, *, in_list: bool = False) -> bool:
    """Whether *value* survives YAML and merging, where null removes a key."""
    match value:
        case dict():
            return all(_can_be_written(one, in_list=in_list) for one in value.values())
        case list():
            return all(_can_be_written(one, in_list=True) for one in value)
        case None:
            return in_list
        case float():
            return math.isfinite(value)
        case _:
            return isinstance(value, str | int)  # not one with more digits than Python takes


def _structured(defaults: Sequence[object]) -> dict[str, dict[str, str]] | None:
    """`steps_defaults` by kinds; None where that would not give the same list of tags."""
    plural = {kind: key for key, kind in tags.DEFAULTS.items()}
    made: dict[str, dict[str, str]] = {}
    for text in defaults:
        tag = tags.parse(str(text))
        if tag is None or tag.kind not in plural or any(template.groups(str(text))):
            return None
        made.setdefault(plural[tag.kind], {})[tag.key] = tag.value
    again = [
        str(tags.tag_of(tags.DEFAULTS[key], name, value))
        for key, entries in made.items()
        for name, value in entries.items()
    ]
    return made if again == list(defaults) else None
