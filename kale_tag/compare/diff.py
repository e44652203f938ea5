"""Tags, settings and steps of two notebooks compared by meaning, wherever the cells are."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kale_tag.compare.match import Pair, match_cells
from kale_tag.kale.metadata import PATH_KEY, SETTINGS_KEY, member, tags_in
from kale_tag.kale.outline import Outline, Step, outline
from kale_tag.notebook.json_value import same
from kale_tag.notebook.model import MISSING, Notebook, first_line


@dataclass(frozen=True, slots=True)
class ComparedCell:
    """The parts of a cell that are compared or shown; without a number it is absent."""

    index: int | None = None  # its number
    id: str | None = None  # None before nbformat 4.5
    tags: tuple[str, ...] = ()  # in their order
    path: object = MISSING  # `notebook_path`
    first_line: str = ""  # of the source, for a reader


@dataclass(frozen=True, slots=True)
class CellChange:
    """A cell whose tags or `notebook_path` differ."""

    before: ComparedCell  # absent where the cell is new
    after: ComparedCell  # absent where the cell is removed

    @property
    def cell(self) -> ComparedCell:
        """The cell after the change, or before it where it is removed."""
        return self.before if self.after.index is None else self.after

    @property
    def removed(self) -> tuple[str, ...]:
        """The removed tags, in their order."""
        return _without(self.before.tags, self.after.tags)

    @property
    def added(self) -> tuple[str, ...]:
        """The added tags, in their order."""
        return _without(self.after.tags, self.before.tags)

    @property
    def reordered(self) -> bool:
        """Whether only the order of the tags differs."""
        return self.before.tags != self.after.tags and not self.removed and not self.added


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One key of `kubeflow_notebook` that differs."""

    key: str  # `kubeflow_notebook` itself where that is not a mapping
    before: object  # `MISSING` where it is absent
    after: object  # the same


@dataclass(frozen=True, slots=True)
class StepChange:
    """A step that is added, removed, renamed or changed."""

    kind: Literal["added", "removed", "renamed", "changed"]  # what happened to it
    before: Step | None  # None where it is added
    after: Step | None  # None where it is removed
    removed: tuple[str, ...] = ()  # dependencies and settings, as tags
    added: tuple[str, ...] = ()  # without a `prev` that only follows a renamed step


@dataclass(frozen=True, slots=True)
class Regrouped:
    """Cells that belong to another block although their own tags are the same."""

    cells: tuple[tuple[int, int], ...]  # numbers before and after
    before: str  # the tag of the block, such as `step:load`; "" where Kale drops the cells
    after: str  # the same


@dataclass(frozen=True, slots=True)
class NotebookDiff:
    """The differences between two versions of a notebook; false where there are none."""

    cells: tuple[CellChange, ...]  # with other tags or paths
    settings: tuple[SettingChange, ...]  # that differ
    steps: tuple[StepChange, ...]  # that differ
    regrouped: tuple[Regrouped, ...]  # in other blocks
    before: Outline  # all steps before
    after: Outline  # all steps after

    def __bool__(self) -> bool:
        return bool(self.cells or self.settings or self.steps or self.regrouped)


EMPTY = Outline((), {})
"""The outline of an absent notebook."""

NOTHING = NotebookDiff((), (), (), (), EMPTY, EMPTY)
"""The difference of two equal notebooks."""


def diff_notebooks(before: Notebook | None, after: Notebook | None) -> NotebookDiff:
    """The differences in tags, settings and steps; None is an absent notebook.

    `match_cells` pairs the cells, so a cell that moved or was edited is no difference. Raises
    `UserError` where a source is neither a text nor a list of texts.
    """
    pairs = _pairs(before, after)
    old, new = (EMPTY if one is None else outline(one) for one in (before, after))
    renamed = _renamed(old, new, {p.old: p.new for p in pairs if p.old is not None})
    changed = list(_cells(before, after, pairs))
    return NotebookDiff(
        tuple(changed),
        tuple(_settings(before, after)),
        tuple(_steps(old, new, renamed)),
        tuple(_regrouped(old, new, renamed, pairs, changed)),
        old,
        new,
    )


def _pairs(before: Notebook | None, after: Notebook | None) -> Sequence[Pair]:
    if before is not None and after is not None:
        return match_cells(before, after)
    if before is not None:
        return [Pair(index, None) for index in range(len(before.types))]
    return [Pair(None, index) for index in range(len(after.types))] if after is not None else []


def _cells(
    before: Notebook | None, after: Notebook | None, pairs: Sequence[Pair]
) -> Iterator[CellChange]:
    for pair in pairs:
        old, new = _cell(before, pair.old), _cell(after, pair.new)
        if old.tags != new.tags or not same(old.path, new.path):
            yield CellChange(_with_line(before, old), _with_line(after, new))


def _cell(notebook: Notebook | None, index: int | None) -> ComparedCell:
    if notebook is None or index is None:
        return ComparedCell()
    metadata = notebook.metadata_of(index)
    path = member(metadata, PATH_KEY, MISSING)
    return ComparedCell(index, notebook.id_of(index), tuple(tags_in(metadata)), path)


def _with_line(notebook: Notebook | None, cell: ComparedCell) -> ComparedCell:
    # Decoding a source is slow, so only those of changed cells are.
    if notebook is None or cell.index is None:
        return cell
    return replace(cell, first_line=first_line(notebook.source(cell.index)))


def _without(some: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """*some* without *others*; each of *others* removes one equal tag."""
    left = Counter(others)
    found = []
    for tag in some:
        if left[tag]:
            left[tag] -= 1
        else:
            found.append(tag)
    return tuple(found)


def _settings(before: Notebook | None, after: Notebook | None) -> Iterator[SettingChange]:
    # None where they are absent or null.
    old, new = (
        member(notebook.metadata, SETTINGS_KEY) if notebook is not None else None
        for notebook in (before, after)
    )
    if not (isinstance(old, Mapping | None) and isinstance(new, Mapping | None)):
        if not same(old, new):
            old, new = (MISSING if one is None else one for one in (old, new))
            yield SettingChange(SETTINGS_KEY, old, new)
        return
    old, new = old or {}, new or {}
    for key in sorted(old.keys() | new.keys()):
        if not same(old.get(key, MISSING), new.get(key, MISSING)):
            yield SettingChange(key, old.get(key, MISSING), new.get(key, MISSING))


def _renamed(old: Outline, new: Outline, pairs: Mapping[int, int | None]) -> dict[str, str]:
    """Old name to new name of each renamed step.

    Two steps are the same if their first cells are, else if most of their cells are. A step whose
    name exists on both sides is not renamed, whatever its cells.
    """
    names = {step.name for step in old.steps}, {step.name for step in new.steps}
    gone = [step for step in old.steps if step.name not in names[1]]
    come = [step for step in new.steps if step.name not in names[0]]
    first = {step.cells[0]: step.name for step in come}
    found = {
        step.name: first[index]
        for step in gone
        if (index := pairs.get(step.cells[0])) is not None and index in first
    }
    for step in gone:
        cells = {pairs.get(index) for index in step.cells}
        for other in come:
            most = 2 * len(cells.intersection(other.cells)) > max(len(step.cells), len(other.cells))
            if most and step.name not in found and other.name not in found.values():
                found[step.name] = other.name
    return found


def _steps(old: Outline, new: Outline, renamed: Mapping[str, str]) -> Iterator[StepChange]:
    origin = {new_name: old_name for old_name, new_name in renamed.items()}
    for step in new.steps:
        before = old.step(origin.get(step.name, step.name))
        gone = _without(_as_tags(before), _as_tags(step))
        come = _without(_as_tags(step), _as_tags(before))
        # `prev:old` to `prev:new` only follows a rename.
        followed = {f"prev:{a}": f"prev:{b}" for a, b in renamed.items()}
        followed = {a: b for a, b in followed.items() if a in gone and b in come}
        gone = tuple(tag for tag in gone if tag not in followed)
        come = tuple(tag for tag in come if tag not in followed.values())
        if before is None:
            yield StepChange("added", None, step, gone, come)
        elif before.name != step.name:
            yield StepChange("renamed", before, step, gone, come)
        elif gone or come:
            yield StepChange("changed", before, step, gone, come)
    for step in old.steps:
        if step.name not in renamed and new.step(step.name) is None:
            yield StepChange("removed", step, None, tuple(_as_tags(step)), ())


def _as_tags(step: Step | None) -> list[str]:
    """The dependencies and settings of a step as tags, and the path of a reference."""
    if step is None:
        return []
    reference = [] if step.notebook is None else [f"{PATH_KEY}: {step.notebook}"]
    return [*reference, *(f"prev:{name}" for name in step.prev), *map(str, step.settings)]


def _regrouped(
    old: Outline,
    new: Outline,
    renamed: Mapping[str, str],
    pairs: Sequence[Pair],
    changed: Sequence[CellChange],
) -> Iterator[Regrouped]:
    before, after = _blocks(old), _blocks(new)
    names = {_block(step): new.step(renamed.get(step.name, step.name)) for step in old.steps}
    same_block = {block: _block(step) for block, step in names.items() if step is not None}
    reported = {one.after.index for one in changed}
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for pair in pairs:
        if pair.old is None or pair.new is None or pair.new in reported:
            continue
        was, now = before.get(pair.old), after.get(pair.new)
        if was is None or now is None or same_block.get(was, was) == now:
            continue
        found.setdefault((was, now), []).append((pair.old, pair.new))
    for (was, now), cells in found.items():
        yield Regrouped(tuple(cells), was, now)


def _blocks(outline: Outline) -> dict[int, str]:
    """The block of each code cell; see `Regrouped`."""
    found = dict.fromkeys(outline.dropped, "")
    for kind, cells in outline.shared.items():
        found.update(dict.fromkeys(cells, kind))
    for step in outline.steps:
        found.update(dict.fromkeys(step.cells, _block(step)))
    return found


def _block(step: Step) -> str:
    return f"{'step' if step.notebook is None else 'notebook'}:{step.name}"
