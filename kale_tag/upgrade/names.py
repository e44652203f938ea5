"""New names for steps of Kale 0.x whose names Kale 2 refuses."""

import re
from collections.abc import Iterator, Mapping, Sequence

from kale_tag.diagnostics import Diagnostic, Label, warning
from kale_tag.kale import tags
from kale_tag.notebook.places import Places

Listed = Mapping[int, Sequence[str]]
"""The tags of each code cell that has some."""


def names_meant(text: str) -> list[str]:
    """The steps that a tag names: one, or in the oldest notebooks several (`prev:a;b`, `prev:a:b`).

    Source: the parsers of Kale 0.2 and 0.3, and the examples that came before them.
    """
    _, _, rest = text.partition(":")
    return [name for part in re.split("[;:]", rest) if (name := part.strip())]


def new_names(listed: Listed, chosen: Mapping[str, str]) -> dict[str, str]:
    """The new name of each step whose name Kale 2 refuses; *chosen* by the user for some.

    No two steps get the same name.
    """
    taken = {name for name in (*_steps(listed), *_dependencies(listed)) if _is_valid(name)}
    steps = [*_steps(listed)]
    made: dict[str, str] = {}
    for old in dict.fromkeys(steps):
        if not _is_valid(old):
            made[old] = _free(_wanted(old, chosen), taken)
            taken.add(made[old])
    for old in _dependencies(listed):  # a typo for an existing step, perhaps
        if not _is_valid(old) and old not in made:
            made[old] = _wanted(old, chosen)
    return made


def collisions(
    listed: Listed, made: Mapping[str, str], chosen: Mapping[str, str], places: Places
) -> Iterator[tuple[int, Diagnostic]]:
    """A cell and a warning for each step whose new name another step has."""
    where: dict[str, tuple[int, int]] = {}
    for index, position, name in _named(listed, "block", "step"):
        where.setdefault(name, (index, position))
    owners = {made.get(name, name): name for name in where}
    for old, new in made.items():
        wanted = _wanted(old, chosen)
        other = owners.get(wanted)
        if old not in where or other is None or new == wanted:
            continue
        index, _ = where[old]
        at = (places.tag(*where[old]), places.tag(*where[other]).with_text(f"`{other}`"))
        yield index, _name_collision(index, old, new, at, (wanted, where[other][0]))


def _name_collision(
    index: int, old: str, new: str, at: Sequence[Label], other: tuple[str, int]
) -> Diagnostic:
    """Two steps whose new names would be the same."""
    wanted, cell = other
    return warning(
        "name-collision",
        f"cell {index}: step `{old}` is `{new}` now, since `{wanted}` is the step of cell {cell}",
        at[0],
        also=at[1:],
        help=f"`rename: {{{old}: NAME}}` in a spec with `legacy: upgrade` gives it another",
    )


def _is_valid(name: str) -> bool:
    return re.fullmatch(tags.NAME, name) is not None


def _wanted(name: str, chosen: Mapping[str, str]) -> str:
    """The new name for *name*, if no other step has it."""
    return chosen.get(name) or _corrected(name)


def _corrected(name: str) -> str:
    better = tags.valid_name(name)
    # Kubeflow Pipelines requires a letter first.
    better = better if better[:1].isalpha() else f"step{better}"
    return f"{better}_step" if better in tags.SPECIAL else better


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _steps(listed: Listed) -> Iterator[str]:
    return (name for _, _, name in _named(listed, "block", "step", "notebook"))


def _dependencies(listed: Listed) -> Iterator[str]:
    return (name for _, _, name in _named(listed, "prev"))


def _named(listed: Listed, *kinds: str) -> Iterator[tuple[int, int, str]]:
    """Cell, position of the tag and name, for each name in tags of these kinds."""
    for index, texts in listed.items():
        for position, text in enumerate(texts):
            if text.partition(":")[0] in kinds:
                yield from ((index, position, name) for name in names_meant(text))
