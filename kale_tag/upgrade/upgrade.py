"""Tags and settings of Kale 0.x (`block:`, `prev:a;b`, `docker_image`, ...) to those of Kale 2.

Source: the parsers of kubeflow-kale 0.2.2, 0.3.4, 0.4.0, 0.5.1, 0.7.0 and 2.3.0. Whatever has no
equivalent is a warning with its place.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kale_tag.diagnostics import Diagnostic, Label, warning
from kale_tag.kale import tags
from kale_tag.kale.metadata import SETTINGS_KEY, tags_in
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places
from kale_tag.upgrade.settings import OLD, SettingLoss, upgraded_settings

BEFORE_EVERY_STEP = ("parameters", "injected-parameters")
"""Papermill's tags: Kale 0.1 to 0.4 ran their cells before every step, as it does `imports`."""

DATA = ("in", "out")
"""Tags that named the inputs and outputs of a step, in the oldest notebooks."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The tags and settings of a notebook in Kale 2."""

    tags: Mapping[int, list[str]] = field(default_factory=dict)  # of each cell whose tags change
    settings: dict[str, object] | None = None  # None where they stay
    cell_warnings: tuple[tuple[int, Diagnostic], ...] = ()  # what a cell loses
    setting_warnings: tuple[tuple[str, Diagnostic], ...] = ()  # by key: what the settings lose


def upgrade(notebook: Notebook, stem: str, chosen: Mapping[str, str]) -> Upgraded:
    """What changes in *notebook* for Kale 2; nothing in a notebook without Kale tags.

    *stem* is the file name without its suffix, for a pipeline without a name. *chosen* are the
    user's new names for steps.
    """
    metadata = notebook.metadata
    present = metadata.get(SETTINGS_KEY) if isinstance(metadata, dict) else None
    old = present if isinstance(present, dict) else {}
    listed = {
        index: found
        for index, kind in enumerate(notebook.types)
        if kind == "code" and (found := tags_in(notebook.metadata_of(index)))
    }
    texts = [text for found in listed.values() for text in found]
    has_steps = any(text.startswith(("block:", "step:")) for text in texts)
    if not has_steps and present is None:
        return Upgraded()
    places = Places(notebook)
    names = new_names(listed, chosen)
    is_old = any(map(tags.is_legacy, texts)) or not OLD.isdisjoint(old)
    new: dict[int, list[str]] = {}
    warnings = [*collisions(listed, names, chosen, places)]
    for index, before in listed.items():
        after = _tags(before, names, is_old=is_old)
        if after != before:
            new[index] = after
            warnings += ((index, one) for one in _dropped(index, before, after, places))
    settings: dict[str, object] | None = None
    losses: list[SettingLoss] = []
    if present is None or isinstance(present, dict):
        settings, losses = upgraded_settings(old, stem, has_steps=has_steps and is_old)
    if not is_old and not new and settings is None:
        losses = []  # reported when the notebook was upgraded
    return Upgraded(
        new,
        settings,
        tuple(sorted(warnings, key=lambda one: one[0])),
        tuple(
            (
                str(loss.path[0]),
                warning(
                    loss.code,
                    loss.message,
                    places.metadata(None, (SETTINGS_KEY, *loss.path)),
                    help=loss.help,
                ),
            )
            for loss in losses
        ),
    )


def _tags(before: Sequence[str], names: Mapping[str, str], *, is_old: bool) -> list[str]:
    """The tags of one cell, in their order; *is_old*: the notebook is of Kale 0.x."""
    after: list[str] = []
    for text in before:
        kind, colon, rest = text.partition(":")
        if kind in {"block", "step"} and colon:
            after += _step(text, names)
        elif kind == "prev" and rest:
            after += [f"prev:{names.get(name, name)}" for name in names_meant(text)]
        elif kind in DATA and (is_old or colon):
            continue
        else:
            # Kale 2 would stop at these; behind a special tag it does not look at them.
            if text in BEFORE_EVERY_STEP and is_old and not any(t in tags.SPECIAL for t in after):
                after.append("imports")
            after.append(text)
    if after == list(before):
        return after
    others = {text.partition(":")[0] for text in after} & {"prev", *tags.SETTING_KINDS}
    if "step:" in after and not others:
        after.remove("step:")  # the same as no tag: the cell belongs to the block above
    # Two tags may have become one; tags of other tools stay.
    return [
        text for at, text in enumerate(after) if text not in after[:at] or not tags.is_kales(text)
    ]


def _step(text: str, names: Mapping[str, str]) -> list[str]:
    """The tags that `block:...` or `step:...` becomes."""
    special = text.removeprefix("block:")
    if special in tags.SPECIAL:
        return [special]  # as Kale 0.5 to 0.7 read it, and the examples before 0.1 meant it
    return [f"step:{names.get(name, name)}" for name in names_meant(text)] or ["step:"]


def _dropped(
    index: int, before: Sequence[str], after: Sequence[str], places: Places
) -> Iterator[Diagnostic]:
    """Warnings for tags of a cell that are lost or may be unwanted."""
    for position, text in enumerate(before):
        kind = text.partition(":")[0]
        if text in BEFORE_EVERY_STEP and "imports" in after and "imports" not in before:
            yield _papermill_tag(index, text, places.tag(index, position))
        elif kind in DATA and text not in after:
            yield _dropped_tag(index, text, places.tag(index, position))


def _papermill_tag(index: int, text: str, at: Label) -> Diagnostic:
    """A tag of papermill's, whose cell Kale 0.x ran before every step."""
    command = shlex.join(["kale-tag", "apply", "kale:papermill", at.source.name])
    return warning(
        "papermill-tag",
        f"cell {index}: Kale 0.x ran `{text}` before every step, so it is now `imports`",
        at,
        help=f"if these are parameters of the pipeline: {command}",
    )


def _dropped_tag(index: int, text: str, at: Label) -> Diagnostic:
    """A tag `in:` or `out:`, which named the inputs and outputs of a step."""
    command = shlex.join(["kale-tag", "graph", at.source.name])
    return warning(
        "dropped-tag",
        f"cell {index}: Kale 2 has no tag `{text}`; it finds the inputs and outputs itself",
        at,
        help=f"a step above must define the variable; {command} shows which",
    )


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
