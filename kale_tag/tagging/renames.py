"""Steps that one side of a merge has renamed, so that the other side's tags can follow."""

from collections.abc import Iterable, Mapping

from kale_tag import tags
from kale_tag.notebook import Notebook
from kale_tag.steps import role_of
from kale_tag.tagging.match import Pair
from kale_tag.tagging.merge_tags import Names

NAMED = ("step", "notebook")


def renames(base: Notebook, side: Notebook, pairs: Iterable[Pair]) -> dict[str, str]:
    """Steps of *base* and their new names in *side*.

    A step is renamed if all its cells that are still there have one new name, which no step had
    before, and no cell has the old one.
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


def joined(
    ours: Mapping[str, str], theirs: Mapping[str, str]
) -> tuple[dict[str, str], tuple[Names, Names, Names]]:
    """The renames to follow everywhere, and the names of steps that the sides renamed differently.

    The latter as `merge_tags` takes them: what a version calls such a step, and its old name.
    """
    contested = {old for old in ours.keys() & theirs.keys() if ours[old] != theirs[old]}
    agreed = {old: new for old, new in (*ours.items(), *theirs.items()) if old not in contested}
    names = tuple({side[old]: old for old in contested} for side in (ours, theirs))
    return agreed, ({}, names[0], names[1])


def _step_name(notebook: Notebook, index: int) -> str:
    if notebook.types[index] != "code":
        return ""
    role = role_of(tags.listed(notebook.metadata_of(index)))
    return role.name if role.kind in NAMED else ""


def _step_names(notebook: Notebook) -> set[str]:
    return {_step_name(notebook, index) for index in range(len(notebook.types))} - {""}
