"""Plans as text for a terminal, as plain values for JSON, and as a unified diff."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import groupby, islice

from kale_tag.diagnostics import count
from kale_tag.kale.metadata import PATH_KEY, member, tags_in
from kale_tag.notebook.model import Notebook, first_line
from kale_tag.plan.desired import settings_changed
from kale_tag.plan.patch import operations
from kale_tag.plan.plan import Plan
from kale_tag.plan.select import Selection, View, near_misses, why_not
from kale_tag.render.shared_changes import SharedChange, in_cell, in_setting
from kale_tag.render.text import Style, setting_as_text, setting_as_value
from kale_tag.spec.model import Change, Rule

CONTEXT = 3
"""Unchanged lines around a change."""

Region = tuple[int, int, int, int]
"""First and last line (exclusive) in the old file, and in the new one."""

_HEADER = re.compile(rb"@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@\n")


def as_text(plan: Plan, notebook: Notebook, style: Style) -> Iterator[str]:
    """A line for each cell that changes: its number, first line, removed and added tags."""
    cells = [change for change in plan.changes if change.holder is not None]
    lines = [first_line(notebook.source(change.holder or 0)) for change in cells]
    width = max(map(len, lines), default=0)
    digits = max((len(str(change.holder)) for change in cells), default=1)
    for change, line in zip(cells, lines, strict=True):
        number = f"cell {str(change.holder).rjust(digits)}"
        marks = "  ".join(_marks(change, style))
        yield f"  {number}  {style.dim(line.ljust(width))}  {marks}"
    for change in plan.changes:
        if change.holder is None:
            for key, old, new in settings_changed(change):
                for line in setting_as_text(key, old, new, style):
                    yield f"  setting  {line}"
            if not any(settings_changed(change)):
                yield "  other metadata of the notebook"


def as_value(plan: Plan, notebook: Notebook) -> dict[str, object]:
    """The plan for JSON: `cells`, `settings`, and `patch`, the same as RFC 6902."""
    return {
        "cells": [
            _cell_value(change, notebook) for change in plan.changes if change.holder is not None
        ],
        "settings": [
            setting_as_value(key, old, new)
            for change in plan.changes
            if change.holder is None
            for key, old, new in settings_changed(change)
        ],
        **({"moved": {str(old): new for old, new in plan.moved.items()}} if plan.moved else {}),
        "patch": operations(plan.changes, notebook),
    }


def shared_changes(plan: Plan) -> Iterator[SharedChange]:
    """The changes of *plan* as other notebooks may have them too."""
    for change in plan.changes:
        if change.holder is not None:
            yield from in_cell(change.before, change.after)
        else:
            for key, old, new in settings_changed(change):
                yield from in_setting(key, old, new)
    for old, new in plan.moved.items():
        yield SharedChange("cell of the patch", (str(old),), (f"cell {new}",))


def moved(plan: Plan, style: Style) -> Iterator[str]:
    """A line for each cell that is not where the patch has it."""
    for old, new in plan.moved.items():
        yield f"  {style.yellow(f'cell {old} of the patch is cell {new} now')}"


def continuing(plan: Plan, notebook: Notebook, style: Style) -> Iterator[str]:
    """A line for each cell that no rule selects, and that continues a step."""
    for index, step in plan.continuing.items():
        line = style.dim(first_line(notebook.source(index)))
        yield f"  cell {index}  {line}  continues `{step}`; no rule selects it"


def explained(plan: Plan, notebook: Notebook, style: Style) -> Iterator[str]:
    """For every rule the cells that it selects, and why it does not select the others."""
    view = View(notebook)
    for found in plan.selections:
        cells = count(len(found.cells), "cell")
        yield f"  {style.bold(found.rule.place)}  {_described(found.rule)}: {cells}"
        for index in found.cells:
            line = style.dim(first_line(view.source(index)))
            yield f"    {style.green('+')} cell {index}  {line}"
        reasons: dict[str, list[int]] = {}
        for index, reason in _reasons(found, view).items():
            reasons.setdefault(reason, []).append(index)
        for index, what in (
            near_misses(found.rule.selector, view).items() if not found.cells else ()
        ):
            line = style.dim(first_line(view.source(index)))
            yield f"    {style.yellow('~')} cell {index}  {line}  matches but for {what}"
        for reason, indices in reasons.items():
            words = reason if len(indices) == 1 else _plural(reason)
            what = "cell" if len(indices) == 1 else "cells"
            yield f"    {style.dim('-')} {what} {_ranges(indices)}  {style.dim(words)}"
    selected = {index for found in plan.selections for index in found.cells}
    others = [index for index in view.code if index not in selected]
    if others:
        what = "cell" if len(others) == 1 else "cells"
        yield f"  {style.bold('no rule')} selects code {what} {_ranges(others)}"


def explained_value(plan: Plan, notebook: Notebook) -> list[dict[str, object]]:
    """The same for JSON: for every rule its place, its cells, and a reason for each other cell."""
    view = View(notebook)
    return [
        {
            "rule": found.rule.place,
            "selects": list(found.cells),
            "not": {str(index): reason for index, reason in _reasons(found, view).items()},
        }
        for found in plan.selections
    ]


def _reasons(found: Selection, view: View) -> dict[int, str]:
    """Why a rule does not select each of the other cells."""
    others = (index for index in range(len(view.types)) if index not in found.cells)
    return {index: why_not(found.rule.selector, view, index) for index in others}


def _marks(change: Change, style: Style) -> Iterator[str]:
    before, after = tags_in(change.before), tags_in(change.after)
    gone = [tag for tag in before if tag not in after]
    come = [tag for tag in after if tag not in before]
    yield from (style.red(f"- {tag}") for tag in gone)
    yield from (style.green(f"+ {tag}") for tag in come)
    if before != after and not gone and not come:
        yield style.yellow(f"~ {', '.join(after)}")
    old, new = member(change.before, PATH_KEY), member(change.after, PATH_KEY)
    if old != new:
        if old is not None:
            yield style.red(f"- {PATH_KEY}: {old}")
        if new is not None:
            yield style.green(f"+ {PATH_KEY}: {new}")
    elif before == after:
        yield "other metadata"


def _cell_value(change: Change, notebook: Notebook) -> dict[str, object]:
    holder = change.holder or 0
    before, after = tags_in(change.before), tags_in(change.after)
    value: dict[str, object] = {
        "cell": holder,
        "id": notebook.id_of(holder),
        "first_line": first_line(notebook.source(holder)),
        "before": before,
        "after": after,
        "added": [tag for tag in after if tag not in before],
        "removed": [tag for tag in before if tag not in after],
        "rules": [rule.place for rule in change.rules],
    }
    if (path := member(change.after, PATH_KEY)) is not None:
        value[PATH_KEY] = path
    return value


def _described(rule: Rule) -> str:
    role = rule.role
    if role is None:
        return "changes settings" if rule.sets_up_steps else "adds and removes tags"
    if role.kind in {"step", "notebook"}:
        return f"{role.kind} {role.value}"
    return role.kind


def _ranges(indices: Sequence[int]) -> str:
    """`0, 3-5, 9`."""
    parts = []
    for _, run in groupby(enumerate(indices), lambda pair: pair[1] - pair[0]):
        numbers = [index for _, index in run]
        parts.append(str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}")
    return ", ".join(parts)


def _plural(reason: str) -> str:
    """`is a markdown cell` as `are markdown cells`, and so on."""
    if reason.startswith("is a "):
        return f"are {reason.removeprefix('is a ')}s"
    verb, _, rest = reason.partition(" ")
    return f"{'have' if verb == 'has' else 'are'} {rest}".replace(" its ", " their ")


def unified_diff(old: Notebook, new: Notebook) -> bytes:
    """The change from *old* to *new*, which differ in metadata only; b"" for none.

    Only regions with metadata are compared: for all lines of a notebook with outputs, difflib needs
    a minute.
    """
    import difflib  # noqa: PLC0415  slow to import, rarely asked for

    before, after = (re.findall(rb"[^\n]*\n|[^\n]+", one.data) for one in (old, new))
    parts: list[bytes] = []
    for start, end, new_start, new_end in _regions(old, new, len(before), len(after)):
        lead = min(CONTEXT, start)
        at, new_at = start - lead, new_start - lead
        hunks = difflib.diff_bytes(
            difflib.unified_diff,
            before[at : end + CONTEXT],
            after[new_at : new_end + CONTEXT],
            n=CONTEXT,
        )
        for line in islice(hunks, 2, None):  # without the names of the files
            parts.append(_HEADER.sub(lambda found: _moved(found, at, new_at), line))  # noqa: B023
            if not line.endswith(b"\n"):
                parts.append(b"\n\\ No newline at end of file\n")
    name = old.name.encode(errors="surrogateescape")
    return b"".join((b"--- a/%s\n+++ b/%s\n" % (name, name), *parts)) if parts else b""


def _moved(header: re.Match[bytes], lines: int, new_lines: int) -> bytes:
    """The *header* of a hunk, moved down by a number of lines in each file."""
    start, new_start = int(header[1]) + lines, int(header[3]) + new_lines
    return b"@@ -%d%s +%d%s @@\n" % (start, header[2] or b"", new_start, header[4] or b"")


def _regions(old: Notebook, new: Notebook, count: int, new_count: int) -> list[Region]:
    """The regions that contain all changes, in their order, far enough apart for a hunk each."""
    found: list[Region] = []
    breaks = [[one.start() for one in re.finditer(b"\n", side.data)] for side in (old, new)]
    holders = [*range(len(old.types)), None]
    spans = [(old.metadata_span(one), new.metadata_span(one)) for one in holders]
    if any(span is None for pair in spans for span in pair):
        return [(0, count, 0, new_count)]  # added or removed metadata changes its key too
    for pair in sorted((one, other) for one, other in spans if one and other):
        start, end, new_start, new_end = (
            bisect_left(ends, offset) + behind
            for ends, span in zip(breaks, pair, strict=True)
            for offset, behind in ((span[0], 0), (span[1], 1))
        )
        (s, e), (t, f) = pair
        if old.data[s:e] == new.data[t:f]:
            continue
        if found and start <= found[-1][1] + 2 * CONTEXT:
            start, new_start = found[-1][0], found.pop()[2]
        found.append((start, end, new_start, new_end))
    return found
