"""Three-way merge of the tags and settings of a notebook, by their meaning.

Only tags, `notebook_path` and `kubeflow_notebook` are merged here. Git merges the rest: it gets the
three versions with the merged metadata, in which they no longer differ.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kale_tag.compare.match import Pair, match_cells
from kale_tag.compare.merge_tags import NO_NAMES, ROLE, is_list_of_tags, merge_tags, renamed
from kale_tag.compare.renames import PerVersion, added_twice, contested_names, renames, to_follow
from kale_tag.compare.three_way import (
    Conflict,
    Merged,
    Versions,
    merge_mapping,
    merge_value,
    replaced,
    settled,
)
from kale_tag.kale.metadata import PATH_KEY, SETTINGS_KEY
from kale_tag.notebook.json_value import same
from kale_tag.notebook.model import MISSING, Notebook

CELL_KEYS = ("tags", PATH_KEY)
"""The merged keys of a cell's metadata."""


class MatchedCell(NamedTuple):
    """One cell, by its number in each of the three versions."""

    base: int
    ours: int
    theirs: int


@dataclass(frozen=True, slots=True)
class CellConflict:
    """A conflict and its place."""

    cell: int | None  # of ours; None for the settings of the notebook
    conflict: Conflict


@dataclass(slots=True)
class Merge:
    """The result of a merge."""

    # For base, ours and theirs: the metadata to splice into it, by cell, None for the notebook.

    wanted: tuple[dict[int | None, object], ...] = field(default_factory=lambda: ({}, {}, {}))
    conflicts: list[CellConflict] = field(default_factory=list)
    cells: list[MatchedCell] = field(default_factory=list)  # in all versions, without conflict
    twice: tuple[str, ...] = ()  # names that each side gave to a new step of its own


def merge(base: Notebook, ours: Notebook, theirs: Notebook) -> Merge | None:
    """The merge of tags and settings; None where Git alone gives the same result.

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
            wanted = made.wanted[1][cell.ours]
            if not all(same(_get(wanted, key), _entry(result, index, key)) for key in CELL_KEYS):
                yield index
    settings = made.wanted[1].get(None)
    found = _entry(result, None, SETTINGS_KEY)
    if settings is not None and not same(_get(settings, SETTINGS_KEY), found):
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
    return _get(notebook.metadata_of(holder), key)


def _get(metadata: object, key: str) -> object:
    return metadata.get(key, MISSING) if isinstance(metadata, dict) else MISSING


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
    tags = merge_tags(Versions(*map(renamed, listed, follow)), names)
    paths = Versions(*(one.get(PATH_KEY, MISSING) for one in mappings))
    if any(conflict.what == ROLE for conflict in tags.conflicts):
        path = Merged(paths)  # the path belongs to the role, which the user chooses
    else:
        path = merge_value(PATH_KEY, paths)
    for wanted, at, mapping, new, where in zip(
        made.wanted, cell, mappings, tags.versions, path.versions, strict=True
    ):
        wanted[at] = replaced(replaced(mapping, "tags", new), PATH_KEY, where)
    conflicts = (*tags.conflicts, *path.conflicts)
    made.conflicts += [CellConflict(cell.ours, conflict) for conflict in conflicts]
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
    made.conflicts += [CellConflict(None, conflict) for conflict in merged.conflicts]


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
        return merge_tags(of, NO_NAMES)
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
