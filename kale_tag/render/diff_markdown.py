"""Differences between notebooks, as Markdown for a pull request, with graphs before and after.

All text of users is in code spans, in `<code>` of HTML, or in Mermaid labels, each escaped:
none of it becomes a heading, a table cell, a mention or a tag.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from kale_tag.compare.diff import CellChange, NotebookDiff, StepChange
from kale_tag.diagnostics import count
from kale_tag.graph.graph import MAX_CHARACTERS, MAX_EDGES, Arrow, Node, Stroke, flowchart
from kale_tag.kale.outline import Outline
from kale_tag.notebook.model import MISSING
from kale_tag.render import shared_changes
from kale_tag.render.diff import (
    ComparedNotebook,
    Names,
    block,
    cells_named,
    changes_of,
    counts,
    path_changes,
    place,
    remark,
    title,
)
from kale_tag.render.shared_changes import FEW, Paint
from kale_tag.render.text import as_written, differences, one_line

LIMIT = 65_536
"""Most characters of a comment on GitHub; we count bytes of UTF-8, to be safe."""

LINES, WIDTH, REASON, NAMES = 60, 160, 400, 10
"""How many lines of one notebook, characters of one text and of a message, and names of notebooks
with the same changes are shown."""

_RESERVE = 1_000  # for the note about what is left out

# Fill and text are both set, so that labels can be read on light and dark pages; frames differ, and
# each mark is in the label too, for readers who see no colours.
CLASSES = {
    "added": "fill:#dafbe1,stroke:#1a7f37,color:#1f2328,stroke-width:3px",
    "removed": "fill:#ffebe9,stroke:#cf222e,color:#1f2328,stroke-dasharray:6 4",
    "changed": "fill:#fff8c5,stroke:#9a6700,color:#1f2328,stroke-width:2px",
    "missing": "fill:#ffffff,stroke:#6e7781,color:#1f2328,stroke-dasharray:2 2",
}

Side = Literal["before", "after"]

Marks = Mapping[str, tuple[str, str]]
"""The class and the mark of each step that differs, by name."""


def title_of(names: Names) -> str:
    """The headline of a comparison of two revisions, files or folders."""
    return f"Tags, settings and steps: {_side(names[0])} → {_side(names[1])}"


def as_markdown(title: str, done: Sequence[ComparedNotebook], limit: int = LIMIT) -> str:
    """Headline, table, and a part for each notebook that differs, *limit* bytes in all.

    In many notebooks, equal changes and graphs are shown once. What does not fit is named at the
    end.
    """
    differ, _, failed = counts(done)
    head = f"### {title}\n\n"
    if not differ and not failed:
        return f"{head}Nothing differs.\n"
    parts = [head, *_failures(done, failed, limit // 8)]
    found = _equal_once(done)
    if differ > FEW:
        parts += _changes(done, limit // 8)
    parts += _table(found, limit // 3)
    left = limit - _RESERVE - sum(map(_size, parts))
    without_graphs, without_all = [], []
    drawn: dict[str, str] = {}
    for one, diff, others in found:
        start, graphs, end = _section(one, diff, others, fold=differ > FEW)
        if graphs and (known := drawn.setdefault(graphs, one.name)) != one.name:
            graphs = f"The graphs are those of {code(known)}.\n\n"
        if _size(start + graphs + end) > left:
            if _size(start + end) > left:
                without_all.append(one.name)
                continue
            without_graphs.append(one.name)
            graphs = ""
        parts += (start, graphs, end)
        left -= _size(start + graphs + end)
    return "".join([*parts, *_left_out(without_graphs, without_all, limit)])


def code(text: str, *, in_table: bool = False, width: int = WIDTH) -> str:
    """*text* as a code span, without markup; one line, cut to *width*."""
    shown = one_line(text[: width + 1])
    shown = shown if len(shown) <= width else f"{shown[: width - 1]}…"
    if in_table and "|" in shown:  # which ends a cell of a table in a code span, too
        entities = (one if one.isalnum() or one in " /" else f"&#{ord(one)};" for one in shown)
        return f"<code>{''.join(entities)}</code>"
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    edge = " " if not shown or shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{edge}{shown}{edge}{fence}"


def _side(name: str) -> str:
    """What is compared: a revision, file or folder, or the merge base of two revisions."""
    base = re.fullmatch(r"the merge base of (\S+) and (\S+)", name)
    return f"the merge base of {code(base[1])} and {code(base[2])}" if base else code(name)


def _failures(done: Sequence[ComparedNotebook], failed: int, room: int) -> Iterator[str]:
    diagnostics = [diagnostic for one in done for diagnostic in one.diagnostics]
    if diagnostics:
        yield f"**{count(failed, 'notebook')} could not be read:**\n\n"
        lines = [f"- {code(one.message, width=REASON)}\n" for one in diagnostics]
        yield from _fitting(lines, room, lambda more: f"- and {more} more\n")
        yield "\n"


def _equal_once(
    done: Sequence[ComparedNotebook],
) -> list[tuple[ComparedNotebook, NotebookDiff, list[str]]]:
    """Each notebook that differs, with the names of those below that differ in the same way."""
    found: dict[object, tuple[ComparedNotebook, NotebookDiff, list[str]]] = {}
    for one in done:
        if one.diff:
            key = one.name
            if one.change == "modified":
                key = "".join([*_lines(one.diff), "\n", *_graphs(one.diff)])
            first = found.setdefault(key, (one, one.diff, []))
            if first[0] is not one:
                first[2].append(one.name)
    return [*found.values()]


def _changes(done: Sequence[ComparedNotebook], room: int) -> Iterator[str]:
    """The changes of notebooks that are on both sides, equal ones once."""
    both = [one for one in done if one.change == "modified"]
    changes = shared_changes.lines(changes_of(both), Paint(code, code, code))
    # A sign that is not escaped would begin a list in the item, and not be seen.
    escaped = ((re.sub("^([-+]) ", r"\\\1 ", text), where) for text, where in changes)
    lines = [f"- {text}, {where}\n" for text, where in escaped]
    yield from _fitting(lines, room, lambda more: f"- and {count(more, 'more change')}\n")
    yield "\n"


def _table(
    found: Sequence[tuple[ComparedNotebook, NotebookDiff, list[str]]], room: int
) -> Iterator[str]:
    if not found:
        return
    yield "| notebook | cells | settings | steps |\n|---|---|---|---|\n"
    rows = [_row(*one) for one in found]
    left = [1 + len(others) for _, _, others in found]
    yield from _fitting(
        rows, room, lambda more: f"\nand {count(sum(left[-more:]), 'more notebook')}\n"
    )
    yield "\n"


def _and_others(others: Sequence[str]) -> str:
    return f" and {count(len(others), 'other')}" if others else ""


def _row(one: ComparedNotebook, diff: NotebookDiff, others: Sequence[str]) -> str:
    name = code(one.name, in_table=True) + remark(one) + _and_others(others)
    numbers_of = [str(n) if n else "" for n in (len(diff.cells), len(diff.settings))]
    return f"| {name} | {' | '.join(numbers_of)} | {_steps_counted(diff)} |\n"


def _fitting(lines: Sequence[str], room: int, rest: Callable[[int], str]) -> Iterator[str]:
    """The first *lines* that fit into *room* bytes, and the *rest* of so many."""
    for number, line in enumerate(lines):
        room -= _size(line)
        if room < 0:
            yield rest(len(lines) - number)
            return
        yield line


def _steps_counted(diff: NotebookDiff) -> str:
    kinds = [step.kind for step in diff.steps]
    words = {"added": "new", "removed": "removed", "renamed": "renamed", "changed": "changed"}
    parts = [f"{kinds.count(kind)} {word}" for kind, word in words.items() if kind in kinds]
    if diff.regrouped:
        parts.append("other cells")
    return ", ".join(parts)


def _section(
    one: ComparedNotebook, diff: NotebookDiff, others: Sequence[str], *, fold: bool
) -> tuple[str, str, str]:
    """The part on one notebook: its start, its graphs, which may be left out, and its end."""
    lines = [*_lines(diff)]
    more = len(lines) - LINES
    if more > 0:
        lines = [*lines[:LINES], f"- and {count(more, 'more line')}"]
    listed = "\n".join(lines)
    if others:
        rest = f", and {len(others) - NAMES} more" if others[NAMES:] else ""
        listed = f"The same in {', '.join(map(code, others[:NAMES]))}{rest}.\n\n{listed}"
    graphs = "".join(_graphs(diff))
    if not fold:
        return f"#### {title(one, code, '→')}{_and_others(others)}\n\n{listed}\n\n", graphs, ""
    shown = html.escape(one_line(one.name))
    name = f"<code>{shown}</code>{remark(one)}{_and_others(others)}"
    summary = f"<details><summary>{name}</summary>\n\n"
    return f"{summary}{listed}\n\n", graphs, "</details>\n\n"


def _lines(diff: NotebookDiff) -> Iterator[str]:
    yield from map(_step_line, diff.steps)
    for group in diff.regrouped:
        cells = cells_named(group).replace("->", "→")
        yield f"- {cells}: now {_block(group.after)}, before {_block(group.before)}"
    for setting in diff.settings:
        for found in differences(setting.key, setting.before, setting.after):
            yield _setting_line(*found)
    yield from map(_cell_line, diff.cells)


def _block(name: str) -> str:
    return code(name) if name else block(name)


def _step_line(step: StepChange) -> str:
    before, after = step.before, step.after
    marks = _marks(step.removed, step.added)
    if after is None:
        return f"- step {code(before.name if before else '')} **removed**"
    name = code(after.name)
    if before is None:
        return f"- step {name} **new**" + (f": {', '.join(map(code, step.added))}" * bool(marks))
    if step.kind == "renamed":
        return f"- step {code(before.name)} **renamed** to {name}" + (f": {marks}" * bool(marks))
    return f"- step {name} **changed**: {marks}"


def _setting_line(path: str, before: object, after: object) -> str:
    key = f"- setting {code(path)}"
    if after is MISSING:
        return f"{key} **removed**: {_value(before)}"
    if before is MISSING:
        return f"{key} **new**: {_value(after)}"
    return f"{key}: {_value(before)} → {_value(after)}"


def _cell_line(change: CellChange) -> str:
    line = change.cell.first_line
    head = f"- cell {place(change)}".replace("->", "→") + (f" {code(line)}" if line else "")
    if change.reordered:
        return f"{head}: order {', '.join(map(code, change.after.tags))}"
    gone, come = path_changes(change)
    return f"{head}: {_marks((*change.removed, *gone), (*change.added, *come))}"


def _marks(gone: Sequence[str], come: Sequence[str]) -> str:
    removed = [f"- {code(text)}" for text in gone]
    return ", ".join([*removed, *(f"+ {code(text)}" for text in come)])


def _value(value: object) -> str:
    return code(as_written(value))


def _graphs(diff: NotebookDiff) -> Iterator[str]:
    """Both graphs where steps differ; one where its marks suffice, or a side has no steps."""
    if not diff.steps:
        return
    same = same_arrows(diff)
    sides: tuple[Side, ...] = ("after",) if same else ("before", "after")
    for side in sides:
        if steps := (diff.before if side == "before" else diff.after).steps:
            yield f"**{side.capitalize()}**{', the arrows as before' if same else ''}\n\n"
            drawn = graph_of(diff, side)
            yield (
                f"```mermaid\n{drawn}```\n\n"
                if drawn
                else f"{len(steps)} steps, too many to draw\n\n"
            )


def _left_out(
    without_graphs: Sequence[str], without_all: Sequence[str], limit: int
) -> Iterator[str]:
    if not without_graphs and not without_all:
        return
    parts = []
    if without_graphs:
        parts.append(f"the graphs of {_named(without_graphs)}")
    if without_all:
        parts.append(f"everything but the table for {_named(without_all)}")
    why = f"with `--limit {limit}`"
    if limit == LIMIT:
        why = f"because a comment on GitHub has {LIMIT:,} characters at most"
    yield (
        f"**Left out**, {why}: {'; '.join(parts)}. A higher `--limit` shows more, "
        "the command without `--format markdown` all.\n"
    )


def _named(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{len(names)} notebooks"
    return ", ".join(code(name[:60]) for name in names)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def graph_of(diff: NotebookDiff, side: Side) -> str | None:
    """The pipeline of one side; None if Mermaid would not draw it.

    Before, what was removed is dashed; after, new arrows are thick.
    """
    before = side == "before"
    marks: dict[str, tuple[str, str]] = {}
    names = {}
    for change in diff.steps:
        own, other = (change.before, change.after) if before else (change.after, change.before)
        if own is None:
            continue
        marks[own.name] = (change.kind, "new" if change.kind == "added" else change.kind)
        if change.kind == "renamed" and other is not None:
            names[own.name] = other.name
            marks[own.name] = ("changed", f"{'now' if before else 'was'} {other.name}")
    outlines = (diff.before, diff.after) if before else (diff.after, diff.before)
    mark: tuple[str, Stroke] = ("removed", "dotted") if before else ("new", "thick")
    arrows = _arrows(*outlines, names, mark)
    text = flowchart([*_nodes(outlines[0], marks, arrows)], arrows, classes=CLASSES)
    return text if len(arrows) <= MAX_EDGES and len(text) <= MAX_CHARACTERS else None


def same_arrows(diff: NotebookDiff) -> bool:
    """Whether the same steps depend on each other, apart from their names and settings."""
    if any(change.before is None or change.after is None for change in diff.steps):
        return False
    names = {one.before.name: one.after.name for one in diff.steps if one.before and one.after}
    before = {(names.get(one, one), names.get(two, two)) for one, two in _edges(diff.before)}
    return before == set(_edges(diff.after))


def _arrows(
    own: Outline, other: Outline, names: Mapping[str, str], mark: tuple[str, Stroke]
) -> list[Arrow]:
    """The arrows of *own*; those that *other*, where steps are called *names*, lacks are marked."""
    there = set(_edges(other))
    return [
        Arrow(start, end)
        if (names.get(start, start), names.get(end, end)) in there
        else Arrow(start, end, *mark)
        for start, end in _edges(own)
    ]


def _edges(outline: Outline) -> list[tuple[str, str]]:
    """For each `prev` the step that it names and the step that has it."""
    return [(name, step.name) for step in outline.steps for name in step.prev]


def _nodes(outline: Outline, marks: Marks, arrows: Sequence[Arrow]) -> Iterator[Node]:
    for step in outline.steps:
        css, remark = marks.get(step.name, ("", ""))
        label = f"{step.name}\n({remark})" if remark else step.name
        yield Node(step.name, label, "box" if step.notebook is None else "subroutine", css)
    names = {step.name for step in outline.steps}
    for name in dict.fromkeys(arrow.start for arrow in arrows if arrow.start not in names):
        yield Node(name, f"{name}\n(no such step)", "hexagon", "missing")
