"""Three-way merge of the tags and settings of a notebook, by their meaning.

Only tags, `notebook_path` and `kubeflow_notebook` are merged here. Git merges the rest: it gets the
three versions with the merged metadata, in which they no longer differ.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, NamedTuple, TypeGuard

from kale_tag.compare.match import Pair, match_cells
from kale_tag.kale import tags
from kale_tag.kale.metadata import PATH_KEY, SETTINGS_KEY, member, tags_in
from kale_tag.kale.outline import role_of
from kale_tag.notebook.json_value import same
from kale_tag.notebook.model import MISSING, Notebook

Names = Mapping[str, str]
"""The present names of steps, each with the name that a merge uses for it."""

NAMED = ("step", "notebook")


def renames(base: Notebook, side: Notebook, pairs: Iterable[Pair]) -> dict[str, str]:
    """Steps of *base* and their new names in *side*.

    A step is renamed if all its remaining cells have one new name that no step of *base* has, and
    no cell has the old name.
    """
    found: dict[str, set[str]] = {}
    for old, new in pairs:
        if old is not None and new is not None and (name := _step_name(base, old)):
            found.setdefault(name, set()).add(_step_name(side, new))
    before, after = _step_names(base), _step_names(side)
    return {
        old: name
        for old, names in found.items()
        for name in names
        if len(names) == 1 and name and old not in after and name not in before
    }


PerVersion = tuple[Names, Names, Names]
"""Names of steps to others, for base, ours and theirs."""

NO_NAMES: PerVersion = ({}, {}, {})


def to_follow(ours: Mapping[str, str], theirs: Mapping[str, str]) -> PerVersion:
    """The renames that each version must follow: those of the other side, in base those of both.

    Sides do not follow a step that both renamed: if to one name, both left the old one elsewhere
    on purpose; if to two names, the user chooses.
    """
    by_ours = {old: new for old, new in ours.items() if old not in theirs}
    by_theirs = {old: new for old, new in theirs.items() if old not in ours}
    both = {old: new for old, new in ours.items() if theirs.get(old) == new}
    return {**by_ours, **by_theirs, **both}, by_theirs, by_ours


def contested_names(ours: Mapping[str, str], theirs: Mapping[str, str]) -> PerVersion:
    """For each version the old names of steps that both sides renamed differently."""
    contested = {old for old in ours.keys() & theirs.keys() if ours[old] != theirs[old]}
    by_ours, by_theirs = ({side[old]: old for old in contested} for side in (ours, theirs))
    return {}, by_ours, by_theirs


def added_twice(
    base: Notebook, sides: tuple[Notebook, Notebook], pairs: tuple[tuple[Pair, ...], ...]
) -> tuple[str, ...]:
    """Names that both sides gave to new steps in different cells, which would become one step."""
    old = _step_names(base)
    ours, theirs = (
        _cells_of_steps(side, matched) for side, matched in zip(sides, pairs, strict=True)
    )
    return tuple(
        name for name in ours if name not in old and not ours[name] & theirs.get(name, ours[name])
    )


def _cells_of_steps(side: Notebook, pairs: Iterable[Pair]) -> dict[str, set[int | str]]:
    """The cells of each step, by their number in the base, or by their source if new."""
    found: dict[str, set[int | str]] = {}
    for old, new in pairs:
        if new is not None and (name := _step_name(side, new)):
            found.setdefault(name, set()).add(side.source(new) if old is None else old)
    return found


def _step_name(notebook: Notebook, index: int) -> str:
    if notebook.types[index] != "code":
        return ""
    role = role_of(tags_in(notebook.metadata_of(index)))
    return role.name if role.kind in NAMED else ""


def _step_names(notebook: Notebook) -> set[str]:
    """All names of steps, including a second step on a cell, which Kale refuses."""
    cells = (tags_in(notebook.metadata_of(index)) for index in range(len(notebook.types)))
    parts = (tag.partition(":") for listed in cells for tag in listed)
    return {name for kind, _, name in parts if kind in NAMED and name}


class Versions(NamedTuple):
    """A value in the three versions of a merge; `MISSING` where a version has none."""

    base: object  # of the common ancestor
    ours: object  # of the current branch
    theirs: object  # of the other branch


@dataclass(frozen=True, slots=True)
class Conflict:
    """Both sides changed a value differently."""

    what: str  # its name for the user
    versions: Versions  # its three values
    cell: int | None = None  # of ours; None for the settings of the notebook


class Merged(NamedTuple):
    """The merged value for each version, equal in all unless there is a conflict."""

    versions: Versions  # what each version becomes
    conflicts: tuple[Conflict, ...] = ()  # empty where the versions agree


def settled(of: Versions) -> Merged | None:
    """The value on which both sides agree, or that of the only side that changed it."""
    if same(of.ours, of.theirs) or same(of.theirs, of.base):
        return Merged(Versions(of.ours, of.ours, of.ours))
    if same(of.ours, of.base):
        return Merged(Versions(of.theirs, of.theirs, of.theirs))
    return None


def merge_value(what: str, of: Versions) -> Merged:
    """The merge of a value as a whole: each version keeps its own where both changed it."""
    return settled(of) or Merged(of, (Conflict(what, of),))


def merge_mapping(
    of: Versions, merge_entry: Callable[[Any, Versions], Merged], order: Iterable[object] = ()
) -> Merged:
    """The merge of mappings, key by key; an absent mapping counts as empty.

    *order* are the keys of both sides in another order than that of the versions.
    """
    parts = [part if isinstance(part, dict) else {} for part in of]
    made: tuple[dict[object, object], ...] = ({}, {}, {})
    conflicts: list[Conflict] = []
    for key in order or dict.fromkeys(chain(*parts)):
        entry = merge_entry(key, Versions(*(part.get(key, MISSING) for part in parts)))
        conflicts += entry.conflicts
        for version, value in zip(made, entry.versions, strict=True):
            if value is not MISSING:
                version[key] = value
    return Merged(or_missing(of, Versions(*made), agreed=not conflicts), tuple(conflicts))


def or_missing(of: Versions, made: Versions, *, agreed: bool) -> Versions:
    """*made*, without empty containers that their version did not have.

    Where the versions have *agreed* they stay equal.
    """
    gone = [not new and old is MISSING for old, new in zip(of, made, strict=True)]
    if agreed:
        gone = [not made.ours and MISSING in (of.ours, of.theirs)] * 3
    return Versions(*(MISSING if no else new for no, new in zip(gone, made, strict=True)))


def replaced(mapping: Mapping[str, object], key: str, value: object) -> dict[str, object]:
    """*mapping* with *value* under *key*, or without that key where the value is `MISSING`."""
    rest = {name: one for name, one in mapping.items() if name != key}
    return rest if value is MISSING else {**rest, key: value}


Slot = tuple[str, ...]
"""What a tag decides: of tags with one slot a cell has one only."""

ROLE = "the role"
"""What a conflict about `step:`, `imports` and the like is about."""


def merge_tags(of: Versions, names: PerVersion = NO_NAMES) -> Merged:
    """The merge of three lists of tags, each list `MISSING` where there is none.

    A cell has one role, one limit of each kind, and so on; whatever else there is (`prev`, tags of
    other tools) is a set.

    Where both sides changed a list, the tags are in the order of Kale's UI, other tools' tags
    behind them. In *names* are, for each version, steps that both sides renamed differently.
    """
    if found := settled(of):
        return found
    slots = [
        _by_slot(listed if isinstance(listed, list) else [], called)
        for listed, called in zip(of, names, strict=True)
    ]
    order = sorted({**slots[1], **slots[2]}, key=_place)
    merged = merge_mapping(
        Versions(*slots), lambda slot, parts: merge_value(_called(slot), parts), order
    )
    lists = ([*chain(*part.values())] for part in merged.versions if isinstance(part, dict))
    agreed = not merged.conflicts
    return Merged(or_missing(of, Versions(*lists), agreed=agreed), merged.conflicts)


def is_list_of_tags(value: object) -> TypeGuard[list[str]]:
    """Whether *value* is a list of text, as the tags of a cell are."""
    return isinstance(value, list) and all(isinstance(tag, str) for tag in value)


def renamed(listed: object, renames: Mapping[str, str]) -> object:
    """The tags *listed* after *renames* of steps, none twice for it."""
    if not (renames and isinstance(listed, list)):
        return listed
    new = [tags.renamed(text, renames) if isinstance(text, str) else text for text in listed]
    return listed if new == listed else list(dict.fromkeys(new))


def _by_slot(listed: Sequence[str], names: Names) -> dict[Slot, list[str]]:
    slots: dict[Slot, list[str]] = {}
    for text in listed:
        texts = slots.setdefault(_slot(text, names), [])
        if text not in texts:
            texts.append(text)
    return slots


def _slot(text: str, names: Names) -> Slot:
    if text in tags.SPECIAL or text.startswith(("step:", "notebook:", "block:")):
        return ("role",)
    tag = tags.parse(text)
    if tag is None:
        return ("tag", text)
    key = names.get(tag.key, tag.key) if tag.kind == "prev" else tag.key
    return (tag.kind, key) if key else (tag.kind,)


def _place(slot: Slot) -> int:
    """The position of the tags of a slot in a list."""
    kind = slot[0]
    if kind == "role":
        return 0
    if kind == "tag":
        kind = slot[1].partition(":")[0]
        if not tags.is_kales(slot[1]) and not tags.is_legacy(slot[1]):
            kind = ""
    order = [*tags.KINDS]
    return order.index(kind) if kind in order else len(order)


def _called(slot: Slot) -> str:
    match slot:
        case ("role",):
            return ROLE
        case (kind,):
            return f"the {kind}"
        case _:
            return f"`{':'.join(slot)}`"


CELL_KEYS = ("tags", PATH_KEY)
"""The merged keys of a cell's metadata."""


class MatchedCell(NamedTuple):
    """One cell, by its number in each of the three versions."""

    base: int  # its number there
    ours: int  # its number there
    theirs: int  # its number there


@dataclass(slots=True)
class Merge:
    """The result of a merge."""

    # For base, ours and theirs: the metadata to splice into it, by cell, None for the notebook.

    wanted: tuple[dict[int | None, object], ...] = field(default_factory=lambda: ({}, {}, {}))
    conflicts: list[Conflict] = field(default_factory=list)  # for the user
    cells: list[MatchedCell] = field(default_factory=list)  # in all versions, without conflict
    twice: tuple[str, ...] = ()  # names that each side gave to a new step of its own


def merge(base: Notebook, ours: Notebook, theirs: Notebook) -> Merge | None:
    """The merge of tags and settings; None where Git alone has the same result.

    That is so if only one side changed any, or both made the same changes.
    """
    pairs = match_cells(base, ours), match_cells(base, theirs)
    if not (_changed(base, ours, pairs[0]) and _changed(base, theirs, pairs[1])):
        return None
    sides = renames(base, ours, pairs[0]), renames(base, theirs, pairs[1])
    follow, names = to_follow(*sides), contested_names(*sides)
    made = Merge(twice=added_twice(base, (ours, theirs), pairs))
    versions = (base, ours, theirs)
    for cell in _in_all(*pairs):
        _merge_cell(made, versions, cell, follow, names)
    for version, of, side in zip((1, 2), (ours, theirs), pairs, strict=True):
        for old, new in side:
            if old is None and new is not None:
                _follow(made.wanted[version], of, new, follow[version])
    _merge_settings(made, versions)
    differs = any(
        not same(version.metadata_of(holder), value)
        for version, wanted in zip(versions[1:], made.wanted[1:], strict=True)
        for holder, value in wanted.items()
    )
    return made if differs or made.conflicts or made.twice else None


def unexpected(
    made: Merge, ours: Notebook, theirs: Notebook, result: Notebook
) -> Iterator[int | None]:
    """The cells of *result* whose tags differ from the merged ones; None for the settings.

    Only cells whose origin in both sides is certain are checked. There must be no conflicts.
    """
    origin = [
        {pair.new: pair.old for pair in match_cells(side, result) if pair.new is not None}
        for side in (ours, theirs)
    ]
    by_ours = {cell.ours: cell for cell in made.cells}
    for index, old in origin[0].items():
        cell = None if old is None else by_ours.get(old)
        if cell is not None and origin[1].get(index) == cell.theirs:
            sides = (made.wanted[1][cell.ours], result.metadata_of(index))
            if not all(same(*(member(one, key, MISSING) for one in sides)) for key in CELL_KEYS):
                yield index
    settings = made.wanted[1].get(None)
    found = _entry(result, None, SETTINGS_KEY)
    if settings is not None and not same(member(settings, SETTINGS_KEY, MISSING), found):
        yield None


def _changed(base: Notebook, side: Notebook, pairs: tuple[Pair, ...]) -> bool:
    """Whether *side* changed tags or settings, or added cells with tags."""
    if not same(_entry(base, None, SETTINGS_KEY), _entry(side, None, SETTINGS_KEY)):
        return True
    for old, new in pairs:
        if new is None:
            continue
        for key in CELL_KEYS:
            before = MISSING if old is None else _entry(base, old, key)
            if not same(before, _entry(side, new, key)):
                return True
    return False


def _entry(notebook: Notebook, holder: int | None, key: str) -> object:
    return member(notebook.metadata_of(holder), key, MISSING)


def _in_all(ours: tuple[Pair, ...], theirs: tuple[Pair, ...]) -> Iterator[MatchedCell]:
    others = {pair.old: pair.new for pair in theirs}
    for old, new in ours:
        other = others.get(old)
        if old is not None and new is not None and other is not None:
            yield MatchedCell(old, new, other)


def _merge_cell(
    made: Merge,
    versions: tuple[Notebook, ...],
    cell: MatchedCell,
    follow: PerVersion,
    names: PerVersion,
) -> None:
    metadata = [version.metadata_of(at) for version, at in zip(versions, cell, strict=True)]
    if not all(isinstance(one, dict) for one in metadata):
        return  # Git merges it, as any other value
    mappings = [one for one in metadata if isinstance(one, dict)]
    listed = Versions(*(one.get("tags", MISSING) for one in mappings))
    if not all(one is MISSING or is_list_of_tags(one) for one in listed):
        return
    merged = merge_tags(Versions(*map(renamed, listed, follow)), names)
    paths = Versions(*(one.get(PATH_KEY, MISSING) for one in mappings))
    if any(conflict.what == ROLE for conflict in merged.conflicts):
        path = Merged(paths)  # the path belongs to the role, which the user chooses
    else:
        path = merge_value(PATH_KEY, paths)
    for wanted, at, mapping, new, where in zip(
        made.wanted, cell, mappings, merged.versions, path.versions, strict=True
    ):
        wanted[at] = replaced(replaced(mapping, "tags", new), PATH_KEY, where)
    conflicts = (*merged.conflicts, *path.conflicts)
    made.conflicts += [replace(conflict, cell=cell.ours) for conflict in conflicts]
    if not conflicts:
        made.cells.append(cell)


def _follow(
    wanted: dict[int | None, object], side: Notebook, index: int, follow: Mapping[str, str]
) -> None:
    """Apply the renames of one side to the tags of a cell that the other side added."""
    metadata = side.metadata_of(index)
    if isinstance(metadata, dict) and is_list_of_tags(metadata.get("tags")):
        new = renamed(metadata["tags"], follow)
        if new is not metadata["tags"]:
            wanted[index] = {**metadata, "tags": new}


def _merge_settings(made: Merge, versions: tuple[Notebook, ...]) -> None:
    metadata = [version.metadata for version in versions]
    if not all(isinstance(one, dict) for one in metadata):
        return
    mappings = [one for one in metadata if isinstance(one, dict)]
    merged = _merge_entry(
        SETTINGS_KEY, Versions(*(one.get(SETTINGS_KEY, MISSING) for one in mappings))
    )
    for wanted, mapping, value in zip(made.wanted, mappings, merged.versions, strict=True):
        wanted[None] = replaced(mapping, SETTINGS_KEY, value)
    made.conflicts += merged.conflicts


def _merge_entry(what: str, of: Versions) -> Merged:
    if found := settled(of):
        return found
    if all(part is MISSING or isinstance(part, dict) for part in of):
        return merge_mapping(
            of,
            lambda key, parts: _merge_entry(
                key if what == SETTINGS_KEY else f"{what}.{key}", parts
            ),
        )
    if what == "steps_defaults" and all(part is MISSING or is_list_of_tags(part) for part in of):
        return merge_tags(of)
    return (_merge_volumes(of) if what == "volumes" else None) or merge_value(what, of)


def _merge_volumes(of: Versions) -> Merged | None:
    """The merge of lists of volumes by mount point; None for other values."""
    keyed = Versions(*map(_by_mount_point, of))
    if None in keyed:
        return None
    merged = merge_mapping(
        keyed, lambda key, parts: merge_value(f"volumes, mounted at {key}", parts)
    )
    lists = ([*part.values()] if isinstance(part, dict) else part for part in merged.versions)
    return Merged(Versions(*lists), merged.conflicts)


def _by_mount_point(volumes: object) -> object:
    """*volumes* by mount point, None where that is not unique; `MISSING` as it is."""
    if not isinstance(volumes, list):
        return volumes if volumes is MISSING else None
    places = [one.get("mount_point") if isinstance(one, dict) else None for one in volumes]
    unique = all(isinstance(one, str) for one in places) and len({*places}) == len(places)
    return dict(zip(places, volumes, strict=True)) if unique else None
