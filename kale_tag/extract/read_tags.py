"""The Kale tags of a notebook's cells, as blocks that a spec can say, and those that it cannot."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kale_tag.diagnostics import UserError, error
from kale_tag.extract.draft import Block, Draft, Lost, Role
from kale_tag.extract.read_settings import read_settings
from kale_tag.kale import tags
from kale_tag.kale.metadata import PATH_KEY, tags_in
from kale_tag.kale.outline import role_of
from kale_tag.kale.tags import Tag
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places
from kale_tag.spec import template

SECOND = "it is there twice"


def has_kale_tags(notebook: Notebook) -> bool:
    """Whether any code cell has a tag of Kale's, of 2.x or 0.x."""
    return any(
        tags.is_kales(tag) or tags.is_legacy(tag)
        for index, kind in enumerate(notebook.types)
        if kind == "code"
        for tag in tags_in(notebook.metadata_of(index))
    )


def read_tags(notebook: Notebook) -> Draft:
    """The draft of a notebook that has Kale tags. Raises `UserError` for tags of Kale 0.x."""
    _refuse_legacy(notebook)
    reader = _Reader(notebook)
    blocks = reader.blocks()
    pipeline, lost_settings = read_settings(notebook)
    return Draft(
        notebook,
        blocks,
        reader.final,
        pipeline,
        (*sorted(reader.lost, key=lambda one: one.cell or 0), *lost_settings),
    )


class _Reader:
    """Reads cell by cell; *final* is what each cell with Kale tags can be given by a spec."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.lost: list[Lost] = []
        self.final: dict[int, tuple[str, ...]] = {}
        self.roles: dict[int, Role] = {}
        self.edges: dict[str, set[str]] = {}

    def blocks(self) -> tuple[Block, ...]:
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
        self.names = {role.name for role in self.roles.values() if role.name}
        made: dict[Role, Block] = {}
        for index, found in listed.items():
            role = self.roles.get(index)
            first = role is not None and role not in made
            kept = [*self._kept(index, found, role, first=first)]
            spelt = [str(tag) for tag in tags.in_order(kept)]
            self.final[index] = (*spelt, *(tag for tag in found if not tags.is_kales(tag)))
            self._look_at_order(index, found, spelt)
            if role is not None and role.kind != "notebook" and self._has_path(index):
                why = "Kale reads it on a cell with a `notebook:` tag only"
                self.lost.append(Lost(index, f"`{PATH_KEY}`", why))
            if role is None:
                continue
            if not first:
                made[role] = replace(made[role], cells=(*made[role].cells, index))
                continue
            prev = tuple(tag.parts[0] for tag in kept if tag.kind == "prev")
            settings = tuple(tag for tag in kept if tag.kind in tags.SETTING_KINDS)
            made[role] = Block(role, (index,), prev, settings)
        return tuple(made.values())

    def _role(self, index: int, found: Sequence[str]) -> Role | None:
        """The role that a rule can give the cell; why it cannot is noted with the tags."""
        role = role_of(found)
        if self.notebook.types[index] != "code" or not role.kind:
            return None
        if role.kind in tags.SPECIAL:
            return Role(role.kind)
        if role.name in tags.SPECIAL or tags.parse(f"{role.kind}:{role.name}") is None:
            return None
        if role.kind == "step":
            return Role("step", role.name)
        path = self._path(index)
        return Role("notebook", role.name, path) if path else None

    def _path(self, index: int) -> str:
        metadata = self.notebook.metadata_of(index)
        path = metadata.get(PATH_KEY) if isinstance(metadata, dict) else None
        return path if isinstance(path, str) else ""

    def _kept(
        self, index: int, found: Sequence[str], role: Role | None, *, first: bool
    ) -> Iterator[Tag]:
        """The tags of one cell that a rule can give; the others are noted as lost.

        *first* says that the cell is the first of its role.
        """
        for at, text in enumerate(found):
            if not tags.is_kales(text):
                continue
            tag = tags.parse(text)
            if self.notebook.types[index] != "code":
                why = "Kale looks at code cells only"
            elif role is not None and role.kind in tags.SPECIAL:
                why = self._why_not_special(found, at, role)
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

    def _has_path(self, index: int) -> bool:
        metadata = self.notebook.metadata_of(index)
        return isinstance(metadata, dict) and PATH_KEY in metadata

    def _why_not_special(self, found: Sequence[str], at: int, role: Role) -> str:
        """Why a tag goes from a cell that Kale takes for what its first special tag says."""
        if at == next(place for place, text in enumerate(found) if text in tags.SPECIAL):
            return ""
        return SECOND if found[at] == role.kind else f"Kale takes the cell as `{role.kind}`"

    def _why_no_role(self, found: Sequence[str], at: int, tag: Tag, role: Role | None) -> str:
        """Why a `step:` or `notebook:` tag does not say what the cell is."""
        name = tag.parts[0]
        if role is not None:
            if tag == role.tag:
                return SECOND if found[at] in found[:at] else ""
            return f"the cell is {role.kind} `{role.name}` already, and Kale refuses two"
        if not name:
            return "without a name it says no more than no tag at all"
        if name in tags.SPECIAL:
            return f"Kale takes a step of that name for the tag `{name}`"
        return f"the cell has no `{PATH_KEY}`, without which Kale stops"

    def _why_not(
        self, found: Sequence[str], at: int, tag: Tag, role: Role | None, *, first: bool
    ) -> str:
        """Why a rule cannot give the cell the setting, or the edge, that *tag* spells."""
        if role is None or role.kind != "step":
            return "the cell is no step that a rule could name"
        if not first:
            start = next(one for one, other in self.roles.items() if other == role)
            return f"Kale reads it on the first cell of step `{role.name}` only, cell {start}"
        if _key(found[at]) in map(_key, found[at + 1 :]):
            return SECOND if tag.kind == "prev" else "a later tag of the cell overrides it"
        if tag.kind == "prev":
            return self._why_no_edge(tag.parts[0], role)
        reads_as_group = any(template.groups(":".join(tag.parts)))
        return "in a rule, this stands for a group of a pattern" if reads_as_group else ""

    def _why_no_edge(self, name: str, role: Role) -> str:
        """Why step *role* cannot wait for the step *name*; if it can, it does from now on."""
        if name not in self.names:
            return f"no step is named `{name}`"
        if name == role.name or role.name in self._depends_on(name):
            return "steps would wait for each other in a circle"
        self.edges.setdefault(role.name, set()).add(name)
        return ""

    def _depends_on(self, name: str) -> set[str]:
        seen: set[str] = set()
        left = [name]
        while left:
            for one in self.edges.get(left.pop(), ()):
                if one not in seen:
                    seen.add(one)
                    left.append(one)
        return seen

    def _look_at_order(self, index: int, found: Sequence[str], spelt: Sequence[str]) -> None:
        """Note tags that are all kept, but in another order than `apply` writes them."""
        kales = [text for text in found if tags.is_kales(text)]
        if sorted(kales) != sorted(spelt):
            return
        foreign = [text for text in found if not tags.is_kales(text)]
        if [*kales, *foreign] != found:
            why = f"Kale's tags go first, since Kale fails on `{foreign[0]}` before them"
            self.lost.append(Lost(index, "the order of the tags", why))
        elif kales != spelt:
            why = "where they are written anew, they stand in the order of Kale's panel"
            self.lost.append(Lost(index, "the order of the tags", why))


def _key(text: str) -> tuple[str, str]:
    """What a tag must not share with another of its cell: kind and name."""
    tag = tags.parse(text)
    return ("", "") if tag is None else (tag.kind, tag.key)


def _refuse_legacy(notebook: Notebook) -> None:
    found = [
        (index, position, tag)
        for index, kind in enumerate(notebook.types)
        if kind == "code"
        for position, tag in enumerate(tags_in(notebook.metadata_of(index)))
        if tags.is_legacy(tag)
    ]
    if not found:
        return
    index, position, tag = found[0]
    cells = len({one for one, _, _ in found})
    more = f", and of {cells - 1} more" if cells > 1 else ""
    raise UserError(
        error(
            "legacy-tag",
            f"{notebook.name} is tagged in the language of Kale 0.x: `{tag}` of cell {index}{more}",
            Places(notebook).tag(index, position),
            help=f"bring it to Kale 2 first, by `kale-tag upgrade {notebook.name}`",
        )
    )
