"""Names of steps in a merge: renames on either side, and a name that both sides added."""

from collections.abc import Iterable, Mapping

from kale_tag.compare.match import Pair
from kale_tag.compare.merge_tags import Names
from kale_tag.kale.metadata import tags_in
from kale_tag.kale.outline import role_of
from kale_tag.notebook.model import Notebook

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
    contested = _contested(ours, theirs)
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


def _contested(ours: Mapping[str, str], theirs: Mapping[str, str]) -> set[str]:
    return {old for old in ours.keys() & theirs.keys() if ours[old] != theirs[old]}


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
