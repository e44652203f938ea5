"""Tags, settings and steps of two notebooks compared by meaning: what the cells say, not where."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kale_tag.compare.match import Pair, match_cells
from kale_tag.kale.metadata import PATH_KEY, SETTINGS_KEY, tags_in
from kale_tag.kale.outline import Outline, Step, outline
from kale_tag.notebook.model import MISSING, Notebook, first_line
from kale_tag.notebook.splice import same


@dataclass(frozen=True, slots=True)
class Cell:
    """What is compared of one cell; *path* is `notebook_path`, `MISSING` where there is none."""

    index: int
    id: str | None
    first_line: str
    tags: tuple[str, ...]
    path: object = MISSING


@dataclass(frozen=True, slots=True)
class CellChange:
    """A cell whose tags or `notebook_path` differ; None on the side where it is not there."""

    before: Cell | None
    after: Cell | None

    @property
    def cell(self) -> Cell:
        """The cell as it is now, or was where it is gone."""
        found = self.after or self.before
        assert found is not None
        return found

    @property
    def removed(self) -> tuple[str, ...]:
        """The tags that go, in their order."""
        return _less(_tags(self.before), _tags(self.after))

    @property
    def added(self) -> tuple[str, ...]:
        """The tags that come, in their order."""
        return _less(_tags(self.after), _tags(self.before))

    @property
    def reordered(self) -> bool:
        """Whether the same tags stand in another order."""
        before, after = _tags(self.before), _tags(self.after)
        return before != after and not self.removed and not self.added


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One key of `kubeflow_notebook` that differs, `MISSING` on the side where it is not there.

    Where `kubeflow_notebook` is no mapping, it is *key* and the value as a whole.
    """

    key: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class StepChange:
    """A step that came, went, has another name, or runs in another way.

    *prev* and *settings* are what goes and what comes, as tags. A `prev` that only follows a
    renamed step is not among them.
    """

    kind: Literal["added", "removed", "renamed", "changed"]
    before: Step | None
    after: Step | None
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Regrouped:
    """Cells that belong to another block although their own tags are the same.

    *cells* are numbers before and after; *before* and *after* are the tag that names the block,
    such as `step:load` or `imports`, or "" where Kale leaves the cells out.
    """

    cells: tuple[tuple[int, int], ...]
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class NotebookDiff:
    """What differs between two versions of a notebook; false where nothing does."""

    cells: tuple[CellChange, ...]
    settings: tuple[SettingChange, ...]
    steps: tuple[StepChange, ...]
    regrouped: tuple[Regrouped, ...]
    before: Outline
    after: Outline

    def __bool__(self) -> bool:
        return bool(self.cells or self.settings or self.steps or self.regrouped)


EMPTY = Outline((), {})
"""The outline of a notebook that is not there."""


def diff_notebooks(before: Notebook | None, after: Notebook | None) -> NotebookDiff:
    """What differs in tags, settings and steps; None stands for a notebook that is not there.

    Cells are found again by `match_cells`, so that one that moved, or whose source was edited, is
    no change. Raises `UserError` where a source that is needed is neither text nor lines.
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
        if _tags(old) != _tags(new) or not same(_path(old), _path(new)):
            yield CellChange(_with_line(before, old), _with_line(after, new))


def _cell(notebook: Notebook | None, index: int | None) -> Cell | None:
    if notebook is None or index is None:
        return None
    metadata = notebook.metadata_of(index)
    path = metadata.get(PATH_KEY, MISSING) if isinstance(metadata, dict) else MISSING
    return Cell(index, notebook.id_of(index), "", tuple(tags_in(metadata)), path)


def _with_line(notebook: Notebook | None, cell: Cell | None) -> Cell | None:
    # Decoding a source costs more than all else: only those that are shown.
    if notebook is None or cell is None:
        return None
    return Cell(cell.index, cell.id, first_line(notebook.source(cell.index)), cell.tags, cell.path)


def _tags(cell: Cell | None) -> tuple[str, ...]:
    return cell.tags if cell is not None else ()


def _path(cell: Cell | None) -> object:
    return cell.path if cell is not None else MISSING


def _less(some: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """*some* without *others*, one for one: of two equal tags one may stay."""
    left = Counter(others)
    found = []
    for tag in some:
        if left[tag]:
            left[tag] -= 1
        else:
            found.append(tag)
    return tuple(found)


def _settings(before: Notebook | None, after: Notebook | None) -> Iterator[SettingChange]:
    old, new = (_settings_of(notebook) for notebook in (before, after))
    if not (isinstance(old, Mapping | None) and isinstance(new, Mapping | None)):
        if not same(old, new):
            old, new = (MISSING if one is None else one for one in (old, new))
            yield SettingChange(SETTINGS_KEY, old, new)
        return
    old, new = old or {}, new or {}
    for key in sorted(old.keys() | new.keys()):
        if not same(old.get(key, MISSING), new.get(key, MISSING)):
            yield SettingChange(key, old.get(key, MISSING), new.get(key, MISSING))


def _settings_of(notebook: Notebook | None) -> object:
    """The settings, or what stands in their place; None where there are none, or null."""
    metadata = notebook.metadata if notebook is not None else None
    return metadata.get(SETTINGS_KEY) if isinstance(metadata, dict) else None


def _renamed(old: Outline, new: Outline, pairs: Mapping[int, int | None]) -> dict[str, str]:
    """Old name to new name of each step that is there under another name.

    It is the same step if its first cell is, which carries its tags; else if most of the cells that
    both have are the same. One whose name is there on both sides keeps it, whatever its cells.
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
        if before is None:
            yield StepChange("added", None, step, (), tuple(_as_tags(step)))
            continue
        gone = _less(_as_tags(before), _as_tags(step))
        come = _less(_as_tags(step), _as_tags(before))
        # `prev:old` to `prev:new` is no news where a step was renamed so.
        followed = {f"prev:{a}": f"prev:{b}" for a, b in renamed.items()}
        followed = {a: b for a, b in followed.items() if a in gone and b in come}
        gone = tuple(tag for tag in gone if tag not in followed)
        come = tuple(tag for tag in come if tag not in followed.values())
        if before.name != step.name:
            yield StepChange("renamed", before, step, gone, come)
        elif gone or come:
            yield StepChange("changed", before, step, gone, come)
    for step in old.steps:
        if step.name not in renamed and new.step(step.name) is None:
            yield StepChange("removed", step, None, tuple(_as_tags(step)), ())


def _as_tags(step: Step) -> list[str]:
    """What a step waits for and how it runs; a reference is told by the path it refers to."""
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
    told = {one.after.index for one in changed if one.after is not None}
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for pair in pairs:
        if pair.old is None or pair.new is None or pair.new in told:
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
