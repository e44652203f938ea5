"""What differs between notebooks, as Markdown for a pull request.

All text of users stands in code spans, in `<code>` of HTML, or in Mermaid labels, each escaped:
none of it becomes a heading, a table cell, a mention or a tag.
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kale_tag.diagnostics import count
from kale_tag.notebook import MISSING
from kale_tag.render.diff import (
    Compared,
    Names,
    as_written,
    block,
    cells_named,
    counts,
    numbers,
    path_changes,
)
from kale_tag.render.diff_graph import graph_after, graph_before
from kale_tag.render.faults import one_line
from kale_tag.tagging.diff import CellChange, NotebookDiff, SettingChange, StepChange

LIMIT = 65_536
"""What GitHub takes as one comment, in characters; counted here as UTF-16 does, to be safe."""

FOLD = 3
"""More notebooks than these are folded."""

ROWS = 150
LINES = 60
WIDTH = 160
"""How many notebooks, lines of one notebook, and characters of one text are shown."""

_RESERVE = 1_000  # for the note about what is left out


@dataclass(frozen=True, slots=True)
class _Section:
    """The part on one notebook, in falling length: with graphs, without, and what it takes."""

    name: str
    full: str
    short: str


def as_markdown(names: Names, done: Sequence[Compared]) -> str:
    """Headline, table, and a part for each notebook that differs, below `LIMIT` in all.

    What does not fit is named at the end.
    """
    differ, _, failed = counts(done)
    head = f"### Tags, settings and steps: {code(names[0])} → {code(names[1])}\n\n"
    if not differ and not failed:
        return f"{head}Nothing differs.\n"
    parts = [head, *_failures(done, failed), *_table(done)]
    found = [one for one in done if one.diff]
    sections = [_section(one, one.diff, fold=len(found) > FOLD) for one in found if one.diff]
    left = LIMIT - _RESERVE - sum(map(_size, parts))
    without_graphs, without_all = [], []
    for section in sections:
        if _size(section.full) <= left:
            text = section.full
        elif _size(section.short) <= left:
            text = section.short
            without_graphs.append(section.name)
        else:
            without_all.append(section.name)
            continue
        parts.append(text)
        left -= _size(text)
    return "".join([*parts, *_left_out(without_graphs, without_all)])


def code(text: str, *, in_table: bool = False) -> str:
    """*text* as a code span, in which nothing of it means anything; one line, cut to `WIDTH`."""
    shown = one_line(text[: WIDTH + 1])
    shown = shown if len(shown) <= WIDTH else f"{shown[: WIDTH - 1]}…"
    if in_table and "|" in shown:  # which ends a cell of a table in a code span, too
        entities = (one if one.isalnum() or one in " /" else f"&#{ord(one)};" for one in shown)
        return f"<code>{''.join(entities)}</code>"
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    edge = " " if not shown or shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{edge}{shown}{edge}{fence}"


def _failures(done: Sequence[Compared], failed: int) -> Iterator[str]:
    faults = [fault for one in done for fault in one.diagnostics]
    if faults:
        yield f"**{count(failed, 'notebook')} could not be read:**\n\n"
        yield from (f"- {code(fault.message)}\n" for fault in faults[:20])
        if len(faults) > 20:
            yield f"- and {len(faults) - 20} more\n"
        yield "\n"


def _table(done: Sequence[Compared]) -> Iterator[str]:
    differ = [(one, one.diff) for one in done if one.diff]
    if not differ:
        return
    yield "| notebook | cells | settings | steps |\n|---|---|---|---|\n"
    for one, diff in differ[:ROWS]:
        name = code(one.name, in_table=True) + _word(one)
        numbers_of = [str(n) if n else "" for n in (len(diff.cells), len(diff.settings))]
        yield f"| {name} | {' | '.join(numbers_of)} | {_steps_counted(diff)} |\n"
    if len(differ) > ROWS:
        yield f"\nand {count(len(differ) - ROWS, 'more notebook')}\n"
    yield "\n"


def _word(one: Compared) -> str:
    return {"added": " (new)", "deleted": " (deleted)", "renamed": " (renamed)"}.get(one.change, "")


def _steps_counted(diff: NotebookDiff) -> str:
    kinds = [step.kind for step in diff.steps]
    words = {"added": "new", "removed": "removed", "renamed": "renamed", "changed": "changed"}
    parts = [f"{kinds.count(kind)} {word}" for kind, word in words.items() if kind in kinds]
    if diff.regrouped:
        parts.append("other cells")
    return ", ".join(parts)


def _section(one: Compared, diff: NotebookDiff, *, fold: bool) -> _Section:
    title = code(one.name)
    if one.change in {"added", "deleted"}:
        title += " (new)" if one.change == "added" else " (deleted)"
    elif one.before is not None and one.before != one.name:
        title = f"{code(one.before)} → {title}"
    lines = [*_lines(diff)]
    more = len(lines) - LINES
    if more > 0:
        lines = [*lines[:LINES], f"- and {count(more, 'more line')}"]
    listed = "\n".join(lines)
    graphs = "".join(_graphs(diff))
    if not fold:
        start = f"#### {title}\n\n{listed}\n\n"
        return _Section(one.name, start + graphs, start)
    shown = html.escape(one_line(one.name))
    start = f"<details><summary><code>{shown}</code>{_word(one)}</summary>\n\n{listed}\n\n"
    end = "</details>\n\n"
    return _Section(one.name, start + graphs + end, start + end)


def _lines(diff: NotebookDiff) -> Iterator[str]:
    yield from map(_step_line, diff.steps)
    for group in diff.regrouped:
        cells = cells_named(group).replace("->", "→")
        yield f"- {cells}: now {_block(group.after)}, before {_block(group.before)}"
    yield from map(_setting_line, diff.settings)
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


def _setting_line(setting: SettingChange) -> str:
    before, after = setting.before, setting.after
    key = f"- setting {code(setting.key)}"
    if after is MISSING:
        return f"{key} **removed**: {_value(before)}"
    if before is MISSING:
        return f"{key} **new**: {_value(after)}"
    return f"{key}: {_value(before)} → {_value(after)}"


def _cell_line(change: CellChange) -> str:
    before, after = numbers(change)
    if before is None:
        place = f"{after} (new)"
    elif after is None:
        place = f"{before} (gone)"
    else:
        place = str(before) if before == after else f"{before} → {after}"
    line = change.cell.first_line
    shown = f" {code(line)}" if line else ""
    if change.reordered and change.after is not None:
        return f"- cell {place}{shown}: order {', '.join(map(code, change.after.tags))}"
    gone, come = path_changes(change)
    return f"- cell {place}{shown}: {_marks((*change.removed, *gone), (*change.added, *come))}"


def _marks(gone: Sequence[str], come: Sequence[str]) -> str:
    removed = [f"- {code(text)}" for text in gone]
    return ", ".join([*removed, *(f"+ {code(text)}" for text in come)])


def _value(value: object) -> str:
    return code(as_written(value))


def _graphs(diff: NotebookDiff) -> Iterator[str]:
    """Both graphs where steps differ; that of a side without steps would be empty."""
    if not diff.steps:
        return
    for title, steps, graph in (
        ("Before", diff.before.steps, graph_before),
        ("After", diff.after.steps, graph_after),
    ):
        if steps:
            drawn = graph(diff)
            yield f"**{title}**\n\n"
            yield (
                f"```mermaid\n{drawn}```\n\n"
                if drawn
                else f"{len(steps)} steps, too many to draw\n\n"
            )


def _left_out(without_graphs: Sequence[str], without_all: Sequence[str]) -> Iterator[str]:
    if not without_graphs and not without_all:
        return
    parts = []
    if without_graphs:
        parts.append(f"the graphs of {_named(without_graphs)}")
    if without_all:
        parts.append(f"everything but the table for {_named(without_all)}")
    yield (
        f"**Left out**, because a comment on GitHub has {LIMIT:,} characters at most: "
        f"{'; '.join(parts)}. `kale-tag diff` without `--format markdown` shows all.\n"
    )


def _named(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{len(names)} notebooks"
    return ", ".join(code(name[:60]) for name in names)


def _size(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2
