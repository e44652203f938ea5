"""Differences between notebooks, as text for a terminal and as JSON.

`docs/how-to/review.md` has the shape of the JSON document.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kale_tag.compare.diff import (
    NOTHING,
    CellChange,
    ComparedCell,
    NotebookDiff,
    Regrouped,
    StepChange,
)
from kale_tag.diagnostics import Diagnostic
from kale_tag.kale.metadata import PATH_KEY
from kale_tag.kale.outline import Step
from kale_tag.notebook.json_value import same
from kale_tag.notebook.model import MISSING
from kale_tag.render import diagnostics, shared_changes
from kale_tag.render.shared_changes import FEW, SharedChange, in_cell, in_setting
from kale_tag.render.text import (
    Style,
    as_written,
    json_text,
    one_line,
    setting_as_text,
    setting_as_value,
)

Names = tuple[str, str]
"""The two revisions, files or folders that are compared."""


@dataclass(slots=True)
class ComparedNotebook:
    """One notebook on both sides."""

    before: str | None  # its path; None where it is absent
    after: str | None  # the same of the other side
    paired: bool = False  # the user compares two notebooks, so that neither was renamed
    diff: NotebookDiff | None = None  # None where they are equal or cannot be compared
    diagnostics: tuple[Diagnostic, ...] = ()  # why they cannot be compared

    @property
    def name(self) -> str:
        """The present path of the notebook."""
        return self.after or self.before or ""

    @property
    def change(self) -> str:
        """What happened to the notebook as a file."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "deleted"
        return "modified" if self.paired or self.before == self.after else "renamed"


def summary(names: Names, done: Sequence[ComparedNotebook]) -> str:
    """`1 differs, 2 unchanged, 0 failed (main, HEAD)`."""
    differ, unchanged, failed = counts(done)
    verb = "differs" if differ == 1 else "differ"
    sides = f"({one_line(names[0])}, {one_line(names[1])})"
    return f"{differ} {verb}, {unchanged} unchanged, {failed} failed {sides}"


def counts(done: Sequence[ComparedNotebook]) -> tuple[int, int, int]:
    """How many differ, are unchanged, and could not be compared."""
    failed = sum(bool(one.diagnostics) for one in done)
    differ = sum(bool(one.diff) for one in done)
    return differ, len(done) - differ - failed, failed


def title(one: ComparedNotebook, quote: Callable[[str], str] = one_line, arrow: str = "->") -> str:
    """The name of the notebook, and whether it was added, deleted or renamed."""
    if one.before is not None and one.before != one.name:
        return f"{quote(one.before)} {arrow} {quote(one.name)}"
    return quote(one.name) + remark(one)


def remark(one: ComparedNotebook) -> str:
    """What follows the name of a notebook if the file has changed."""
    return {"added": " (new)", "deleted": " (deleted)", "renamed": " (renamed)"}.get(one.change, "")


def as_text(one: ComparedNotebook, style: Style, *, verbose: bool) -> Iterator[str]:
    """A line for each cell, setting and step that differs."""
    if not one.diff:
        if verbose and not one.diagnostics:
            yield style.dim(f"{title(one)}: nothing differs")
        return
    yield style.bold(title(one))
    yield from _cells_as_text(one, one.diff.cells, style)
    for setting in one.diff.settings:
        for line in setting_as_text(setting.key, setting.before, setting.after, style):
            yield f"  setting  {line}"
    for step in one.diff.steps:
        yield f"  step  {_step_as_text(step, style)}"
    for group in one.diff.regrouped:
        yield f"  {cells_named(group)}  {style.yellow(f'~ {block(group.after)}')}" + style.dim(
            f", before {block(group.before)}"
        )


def all_as_text(done: Sequence[ComparedNotebook], style: Style, *, verbose: bool) -> Iterator[str]:
    """What differs in each notebook, or in many of them equal differences once."""
    modified = [one for one in done if one.diff and one.change == "modified"]
    together = len(modified) > FEW and not verbose
    for one in done:
        if not together or one not in modified:
            yield from as_text(one, style, verbose=verbose)
    if together:
        yield from shared_changes.as_text(changes_of(modified), style)


def changes_of(done: Sequence[ComparedNotebook]) -> Iterator[tuple[str, SharedChange]]:
    """The changes of cells and settings, and of the steps of other cells, each by its notebook."""
    for one in done:
        diff = one.diff or NOTHING
        for cell in diff.cells:
            yield from (
                (one.name, found) for found in in_cell(*map(_metadata, (cell.before, cell.after)))
            )
        for setting in diff.settings:
            found = in_setting(setting.key, setting.before, setting.after)
            yield from ((one.name, change) for change in found)
        for group in diff.regrouped:
            yield (
                one.name,
                SharedChange("other cells", (block(group.before),), (block(group.after),)),
            )


def _metadata(cell: ComparedCell) -> dict[str, object]:
    path = {} if cell.path is MISSING else {PATH_KEY: cell.path}
    return {"tags": list(cell.tags), **path}


def as_json(names: Names, done: Sequence[ComparedNotebook]) -> str:
    """All differences as one JSON document."""
    differ, unchanged, failed = counts(done)
    document = {
        "before": names[0],
        "after": names[1],
        "notebooks": [_as_value(one) for one in done],
        "diagnostics": [
            diagnostics.as_value(diagnostic) for one in done for diagnostic in one.diagnostics
        ],
        "summary": {"differ": differ, "unchanged": unchanged, "failed": failed},
    }
    return json_text(document)


def cells_named(group: Regrouped) -> str:
    """`cells 4, 5 -> 6`: the cells, with their new number where they moved."""
    parts = [str(was) if was == now else f"{was} -> {now}" for was, now in group.cells]
    return f"cell{'s' if len(parts) > 1 else ''} {', '.join(parts)}"


def block(name: str) -> str:
    """The block of a cell, for a reader."""
    return f"in {name}" if name else "in no block"


def path_changes(change: CellChange) -> tuple[list[str], list[str]]:
    """`notebook_path: x` removed and added."""
    before, after = change.before.path, change.after.path
    if same(before, after):
        return [], []
    return _path_lines(before), _path_lines(after)


def _path_lines(path: object) -> list[str]:
    if path is MISSING:
        return []
    return [f"{PATH_KEY}: {path if isinstance(path, str) else as_written(path)}"]


def _cells_as_text(
    one: ComparedNotebook, cells: Sequence[CellChange], style: Style
) -> Iterator[str]:
    whole = one.change in {"added", "deleted"}
    places = [f"cell {place(change, whole=whole)}" for change in cells]
    lines = [one_line(change.cell.first_line) for change in cells]
    width, line_width = (max(map(len, some), default=0) for some in (places, lines))
    for where, line, change in zip(places, lines, cells, strict=True):
        gone, come = path_changes(change)
        removed = [f"- {tag}" for tag in (*change.removed, *gone)]
        added = [f"+ {tag}" for tag in (*change.added, *come)]
        marks = _marks(removed, added, style)
        if change.reordered:
            marks = style.yellow(one_line(f"~ {', '.join(change.after.tags)}"))
        yield f"  {where.ljust(width)}  {style.dim(line.ljust(line_width))}  {marks}"


def place(change: CellChange, *, whole: bool = False) -> str:
    """The number of the cell before and after; *whole*: the notebook was added or deleted."""
    before, after = change.before.index, change.after.index
    if before is None:
        return f"{after}" + ("" if whole else " (new)")
    if after is None:
        return f"{before}" + ("" if whole else " (gone)")
    return f"{before}" + ("" if before == after else f" -> {after}")


def _step_as_text(step: StepChange, style: Style) -> str:
    details = _marks(
        [f"- {tag}" for tag in step.removed], [f"+ {tag}" for tag in step.added], style
    )
    before, after = (one.name if one is not None else "" for one in (step.before, step.after))
    if step.kind == "removed":
        return style.red(one_line(f"- {before}"))
    if step.kind == "added":
        name = style.green(one_line(f"+ {after}"))
    elif step.kind == "renamed":
        name = style.yellow(one_line(f"{before} -> {after}"))
    else:
        name = one_line(after)
    return f"{name}  {details}" if details else name


def _marks(gone: Sequence[str], come: Sequence[str], style: Style) -> str:
    removed = (style.red(one_line(text)) for text in gone)
    return "  ".join([*removed, *(style.green(one_line(text)) for text in come)])


def _as_value(one: ComparedNotebook) -> dict[str, object]:
    found = one.diff or NOTHING
    return {
        "before": one.before,
        "after": one.after,
        "change": one.change,
        "differs": bool(found),
        "failed": bool(one.diagnostics),
        "cells": [_cell_value(change) for change in found.cells],
        "settings": [
            setting_as_value(setting.key, setting.before, setting.after)
            for setting in found.settings
        ],
        "steps": [
            {
                "change": step.kind,
                "before": _step_value(step.before),
                "after": _step_value(step.after),
                "removed": list(step.removed),
                "added": list(step.added),
            }
            for step in found.steps
        ],
        "regrouped": [
            {
                "cells": [{"before": was, "after": now} for was, now in group.cells],
                "before": group.before,
                "after": group.after,
            }
            for group in found.regrouped
        ],
    }


def _cell_value(change: CellChange) -> dict[str, object]:
    before, after = change.before, change.after
    value: dict[str, object] = {
        "before": before.index,
        "after": after.index,
        "id": change.cell.id,
        "first_line": change.cell.first_line,
        "removed": list(change.removed),
        "added": list(change.added),
        "tags_before": list(before.tags),
        "tags_after": list(after.tags),
    }
    if any(path_changes(change)):
        sides = {"before": before.path, "after": after.path}
        value[PATH_KEY] = {side: path for side, path in sides.items() if path is not MISSING}
    return value


def _step_value(step: Step | None) -> dict[str, object] | None:
    if step is None:
        return None
    return {
        "name": step.name,
        "cells": list(step.cells),
        "prev": list(step.prev),
        "settings": [str(tag) for tag in step.settings],
        **({} if step.notebook is None else {"notebook": step.notebook}),
    }
