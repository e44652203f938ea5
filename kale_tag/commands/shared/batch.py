"""The loop that commands share: notebook by notebook, a bad one never stops the rest."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from kale_tag import files
from kale_tag.commands.shared.targets import STDIN, Targets, Task
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, guarded
from kale_tag.notebook.json_value import same
from kale_tag.notebook.model import Notebook, first_line
from kale_tag.notebook.read import read_notebook
from kale_tag.plan.apply import Applied, Choose, apply_spec
from kale_tag.plan.patch import as_text, operations, prove_patch
from kale_tag.plan.plan import PlanError
from kale_tag.plan.select import STOPPED, View, cells_of, place
from kale_tag.render.plan import shared_changes, unified_diff
from kale_tag.render.shared_changes import SharedChange
from kale_tag.spec.model import Change, Rule, Selector, Spec, Target

if TYPE_CHECKING:
    from rich.progress import Progress

    from kale_tag.compare.diff import NotebookDiff
    from kale_tag.plan.read_patch import Patch

REGEX_SECONDS = 5.0
"""Seconds by the clock after which a pattern is stopped, and used no more in the same run."""

BAR_SECONDS = 0.7
"""Work that takes longer gets a progress bar on a terminal."""

# msgspec takes as long to import as it saves on some 8 MB or 150 notebooks.
FAST_BYTES = 8_000_000
FAST_COUNT = 150


Result = TypeVar("Result")


@dataclass(slots=True)
class Outcome:
    """The result of the work on one notebook."""

    name: str  # the path as the user gave it
    changed: bool = False
    cells: set[int] = field(default_factory=set)  # the cells that change
    settings: bool = False  # whether the settings of the pipeline change
    continuing: int = 0  # cells that no rule selects, and that continue a step
    text: str = ""  # the plan for people
    shared: list[SharedChange] = field(default_factory=list)  # what other notebooks may have too
    diff: bytes = b""  # a unified diff, if wanted
    compared: "NotebookDiff | None" = None  # the difference by meaning, if wanted
    patch: str = ""  # a JSON Patch, if wanted
    value: list[dict[str, object]] = field(default_factory=list)  # the plans as JSON
    diagnostics: tuple[Diagnostic, ...] = ()
    failed: bool = False
    staged: files.Staged | None = None  # the new content, not yet in place
    output: bytes | None = None  # the new content of a notebook from standard input


Show = Callable[[Outcome, Applied], None]
"""Puts into the outcome what a command prints of one plan."""


@dataclass(frozen=True, slots=True)
class Work:
    """What to do with each notebook."""

    show: Show
    diff: bool = False  # make a unified diff
    compare: bool = False  # compare tags, settings and steps
    patch: bool = False  # make a JSON Patch
    undo: bool = False  # revert patches
    reanchor: bool = False  # find cells that patches name where they are now
    explain: bool = False  # show what rules select also if a spec cannot be applied
    choose: Choose | None = None  # asks which changes to make
    write: bool = False
    stage_only: bool = False  # write beside the notebook, for the caller to put in place
    jobs: int = 1  # processes
    quiet: bool = False


def run(targets: Targets, how: Work) -> Iterator[Outcome]:
    """The outcome of each task, in order, as soon as it is known."""
    work = _Tagger(how, targets.stdin, is_worth_msgspec(targets.tasks), watch())
    return each(work.on, targets.tasks, jobs=how.jobs, quiet=how.quiet)


def each(
    on: Callable[[Task], Result], tasks: Sequence[Task], *, jobs: int, quiet: bool
) -> Iterator[Result]:
    """What *on* makes of each task, in order, as soon as it is known; *jobs* at once."""
    results: Iterable[Result]
    if jobs > 1 and len(tasks) > 1 and hasattr(os, "fork"):
        results = _in_processes(on, tasks, jobs)
    else:
        results = map(on, tasks)
    with _stopping():
        yield from _with_bar(results, len(tasks), quiet=quiet)


def watch() -> Callable[[], AbstractContextManager[object]]:
    """What to enter while patterns run, so that none of them runs forever; for one run."""
    STOPPED.clear()
    return _Watch if _can_watch() else nullcontext


@dataclass(frozen=True, slots=True)
class _Tagger:
    how: Work
    stdin: bytes
    fast: bool
    watch: Callable[[], AbstractContextManager[object]]

    def on(self, task: Task) -> Outcome:
        outcome = Outcome(task.name)
        with guarded(task.name) as wrong:
            self._retag(task, outcome)
        outcome.diagnostics += (*wrong,)
        outcome.failed = bool(wrong)
        return outcome

    def _retag(self, task: Task, outcome: Outcome) -> None:
        file = None if task.name == STDIN else files.read(task.name)
        old = self.stdin if file is None else file.data
        data = old
        rules: dict[int | None, tuple[Rule, ...]] = {}
        steps: list[tuple[Spec, Target] | Patch] = [*task.steps, *task.patches]
        for step in steps:
            done = self._step(step, data, outcome)
            outcome.diagnostics += done.plan.warnings
            for change in done.plan.changes:
                rules[change.holder] = (*rules.get(change.holder, ()), *change.rules)
            self.how.show(outcome, done)
            outcome.continuing += len(done.plan.continuing)
            outcome.shared += shared_changes(done.plan)
            data = data if done.data is None else done.data
        outcome.cells = {holder for holder in rules if holder is not None}
        outcome.settings = None in rules
        outcome.changed = data != old
        if outcome.changed and (self.how.diff or self.how.patch or self.how.compare):
            before, after = (read_notebook(one, task.name, fast=self.fast) for one in (old, data))
            if self.how.diff:
                outcome.diff = unified_diff(before, after)
            if self.how.compare:
                from kale_tag.compare.diff import diff_notebooks  # noqa: PLC0415  seldom asked for

                outcome.compared = diff_notebooks(before, after)
            if self.how.patch:
                outcome.patch = _patch(before, after, rules)
        if file is None:
            outcome.output = data
        elif outcome.changed and self.how.write:
            outcome.diagnostics += (*files.warnings(file),)
            staged = files.stage(file, data)
            if self.how.stage_only:
                outcome.staged = staged
            else:
                staged.commit()

    def _step(self, step: "tuple[Spec, Target] | Patch", data: bytes, outcome: Outcome) -> Applied:
        how, name = self.how, outcome.name
        if isinstance(step, tuple):
            spec, target = step
            try:
                return apply_spec(
                    spec, data, name, target, fast=self.fast, watch=self.watch, choose=how.choose
                )
            except PlanError as exc:
                if how.explain:
                    made = replace(exc.plan, changes=())
                    how.show(outcome, Applied(spec.source.name, exc.notebook, made, None))
                raise UserError(*_with_head(exc)) from None
        from kale_tag.plan.apply_patch import apply_patch_to  # noqa: PLC0415  for patches only

        return apply_patch_to(
            step,
            data,
            name,
            fast=self.fast,
            undo=how.undo,
            reanchor=how.reanchor,
            choose=how.choose,
        )


def _with_head(refused: PlanError) -> Iterator[Diagnostic]:
    """The errors; those of a rule without a cell with the cell that it selected in Git's HEAD."""
    places = {
        place(one.rule.selector): one.rule.selector
        for one in refused.plan.selections
        if not one.cells
    }
    old = None
    for diagnostic in refused.diagnostics:
        selector = places.get(diagnostic.labels[0]) if diagnostic.code == "no-match" else None
        old = old or (_at_head(refused.notebook) if selector else None)
        note = _selected_before(selector, old, refused.notebook) if selector and old else ""
        yield replace(diagnostic, notes=(*diagnostic.notes, note)) if note else diagnostic


def _at_head(notebook: Notebook) -> Notebook | None:
    """The notebook in Git's HEAD; None if it is not there."""
    from kale_tag.git.revisions import GitError, run  # noqa: PLC0415  after an error only

    folder, name = os.path.split(os.path.abspath(notebook.name))
    if notebook.name == STDIN or not files.repository(folder):
        return None
    try:
        return read_notebook(run(["show", f"HEAD:./{name}"], folder), notebook.name)
    except (GitError, UserError):
        return None


def _selected_before(selector: Selector, old: Notebook, new: Notebook) -> str:
    """Which cell *selector* selects in *old*, and what became of it."""
    from kale_tag.compare.match import match_cells  # noqa: PLC0415  after an error only

    with watch()():
        cells = cells_of(selector, View(old))
    if not cells:
        return ""
    now = next((pair.new for pair in match_cells(old, new) if pair.old == cells[0]), None)
    line = f"Git's HEAD has the cell: cell {cells[0]}, `{first_line(old.source(cells[0]))}`"
    if now is None:
        return f"{line}; it is gone"
    return f"{line}; it is cell {now} now, `{first_line(new.source(now))}`"


def _patch(before: Notebook, after: Notebook, rules: Mapping[int | None, tuple[Rule, ...]]) -> str:
    """The text of the proven patch from *before* to *after*, which differ where *rules* say."""
    both = (
        Change(holder, before.metadata_of(holder), after.metadata_of(holder), by)
        for holder, by in sorted(rules.items(), key=lambda item: (item[0] is None, item[0] or 0))
    )
    changes = [change for change in both if not same(change.before, change.after)]
    found = operations(changes, before, name_below(before.name))
    prove_patch(found, before, after)
    return as_text(found)


def name_below(notebook: str) -> str:
    """The path of *notebook* as a patch names it, with `/` between.

    It leads from the root of the repository, or from the current folder if there is none. Raises
    `UserError` if it is elsewhere: such a path is of no use to others.
    """
    root = files.repository(os.getcwd())
    path = os.path.relpath(os.path.abspath(notebook), root or os.curdir)
    if path.split(os.sep)[0] == os.pardir or os.path.isabs(path):
        raise UserError.of(
            "outside-folder",
            f"{notebook} is outside {'this repository' if root else 'the current folder'}, so "
            "a patch cannot name it",
            Label(Source(notebook)),
            help=f"run kale-tag in {'its repository' if root else 'a folder above it'}",
        )
    return path.replace(os.sep, "/")


def is_worth_msgspec(tasks: Sequence[Task]) -> bool:
    """Whether *tasks* are enough work to be worth the import of the fast engine."""
    if len(tasks) >= FAST_COUNT or "msgspec" in sys.modules:
        return True
    total = 0
    for task in tasks:
        try:
            total += os.stat(task.name).st_size
        except (OSError, ValueError):
            continue
    return total >= FAST_BYTES


@contextmanager
def _stopping() -> Iterator[None]:
    """Let the alarm of `_Watch` raise TimeoutError; only where the system can do that."""
    if not _can_watch():
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


class _Watch:
    """Raises TimeoutError when what is done in it takes too long."""

    def __enter__(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, REGEX_SECONDS)

    def __exit__(self, *_error: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _can_watch() -> bool:
    main = threading.current_thread() is threading.main_thread()
    return main and hasattr(signal, "setitimer")


def _in_processes(
    on: Callable[[Task], Result], tasks: Sequence[Task], jobs: int
) -> Iterator[Result]:
    # Forked: a process that has to import and read everything again loses more than it brings.
    import multiprocessing  # noqa: PLC0415  slow to import, seldom asked for

    global _inherited  # noqa: PLW0603  what the forked processes start with
    _inherited = (on, tasks, os.getpid())
    size = max(1, min(64, len(tasks) // (jobs * 4)))
    try:
        # No signal reaches a worker before it knows what to do with it, nor a thread of the pool.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        pool = multiprocessing.get_context("fork").Pool(min(jobs, len(tasks)), _start_worker)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        with pool:
            yield from pool.imap(_one_inherited, range(len(tasks)), chunksize=size)
            pool.close()
            pool.join()
    finally:
        _inherited = None


_inherited: tuple[Callable[[Task], Any], Sequence[Task], int] | None = None

_ENDING = {
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
}


def _start_worker() -> None:
    """Leave it to the parent to be interrupted; it then sends SIGTERM, after which to clean up."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        files.discard_pending()
        raise SystemExit

    for number in _ENDING:
        signal.signal(number, stop if number == signal.SIGTERM else signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _one_inherited(index: int) -> Any:  # noqa: ANN401  what the work gives
    assert _inherited is not None
    on, tasks, parent = _inherited
    if os.getppid() != parent:  # it was killed
        raise SystemExit
    return on(tasks[index])


def _with_bar(outcomes: Iterable[Result], total: int, *, quiet: bool) -> Iterator[Result]:
    """*outcomes*, with a bar on the terminal if the work takes long.

    The bar is removed while the caller has an outcome, and may print about it.
    """
    if quiet or not sys.stderr.isatty():
        yield from outcomes
        return
    drawn, bar = time.monotonic() + BAR_SECONDS, None
    try:
        for done, outcome in enumerate(outcomes, 1):
            if bar is not None:
                bar.stop()
            yield outcome
            if time.monotonic() > drawn:  # ten times a second at most
                bar = bar or _bar(total)
                bar.update(bar.task_ids[0], completed=done)
                bar.start()
                drawn = time.monotonic() + 0.1
    finally:
        if bar is not None:
            bar.stop()


def _bar(total: int) -> "Progress":
    from rich import progress  # noqa: PLC0415  for long work on a terminal only
    from rich.console import Console  # noqa: PLC0415  see above

    bar = progress.Progress(
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("notebooks"),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.add_task("", total=total)
    return bar
