"""Three-way merge of values and mappings, the base of every merge of tags and settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from kale_tag.notebook.json_value import same
from kale_tag.notebook.model import MISSING


class Versions(NamedTuple):
    """A value in the three versions of a merge; `MISSING` where a version has none."""

    base: object
    ours: object
    theirs: object


@dataclass(frozen=True, slots=True)
class Conflict:
    """Both sides changed a value differently."""

    what: str  # its name for the user
    versions: Versions


class Merged(NamedTuple):
    """The merged value for each version, equal in all unless there is a conflict."""

    versions: Versions
    conflicts: tuple[Conflict, ...] = ()


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


def merge_mapping(of: Versions, merge_entry: Callable[[str, Versions], Merged]) -> Merged:
    """The merge of mappings, key by key; an absent mapping counts as empty."""
    parts = [part if isinstance(part, dict) else {} for part in of]
    made: tuple[dict[str, object], ...] = ({}, {}, {})
    conflicts: list[Conflict] = []
    for key in dict.fromkeys(key for part in parts for key in part):
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
