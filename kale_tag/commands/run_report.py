"""What `kale-tag run` prints while a pipeline runs and at its end, and the page that it writes."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from kale_tag import __version__, files
from kale_tag.commands.shared.report import Report
from kale_tag.diagnostics import UserError, error
from kale_tag.render import run_text
from kale_tag.render.run_page import StepParts, as_page
from kale_tag.render.run_text import TAIL, beyond, clean, failure, last_words
from kale_tag.render.text import Style
from kale_tag.run import local
from kale_tag.run.run_record import RunComparison, RunOutcome, StepOutcome

KEPT = 100_000
"""Bytes of a long log that the page shows from either end."""


@dataclass(slots=True)
class Screen:
    """Shows a run: on a terminal a live table, else a line for each step that ends."""

    style: Style
    folder: str  # of the run
    quiet: bool = False  # nothing is shown
    live: bool = False  # a table
    logs: bool = False  # what the steps print is shown too
    printed: dict[str, int] = field(default_factory=dict)  # task to bytes of its log shown
    table: "_Table | None" = None

    def draw(self, run: RunOutcome, now: float) -> None:
        """Show the present state of *run*, *now* seconds after its start."""
        if self.quiet:
            return
        if self.logs:
            self._print_logs(run)
        if self.live:
            self.table = self.table or _Table()
            lines = run_text.table(run, self.style, plain=_is_ascii(), now=now)
            active = [n for n, step in enumerate(run.steps) if step.state != "waiting"]
            self.table.show(lines, active[-1] if active else 0)

    def ended(self, run: RunOutcome, step: StepOutcome, now: float) -> None:
        """Show that *step* has ended."""
        if self.quiet or self.live:
            return
        if self.logs:
            self._print_logs(run)
        width = max(len(one.title) for one in run.steps)
        print(run_text.step_line(step, width, self.style, plain=_is_ascii(), now=now), flush=True)

    def close(self, run: RunOutcome, now: float) -> None:
        """Show the final state of *run*, and the cursor again."""
        try:
            self.draw(run, now)
        finally:
            if self.table:
                self.table.close(run_text.table(run, self.style, plain=_is_ascii(), now=now))

    def _print_logs(self, run: RunOutcome) -> None:
        """Print what the steps have written to their logs since the last time."""
        for step in run.steps:
            path = os.path.join(self.folder, "logs", f"{step.task}.log")
            if step.state in {"waiting", "reused"} or not os.path.exists(path):
                continue
            at = self.printed.get(step.task, 0)
            with open(path, "rb") as file:
                file.seek(at)
                while data := file.read(1 << 20):
                    sys.stdout.flush()
                    sys.stdout.buffer.write(data)
                    sys.stdout.buffer.flush()
                    at += len(data)
            self.printed[step.task] = at


class _Table:
    """Lines that are drawn in place."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415  on a terminal only
        from rich.live import Live  # noqa: PLC0415  the same

        self.console = Console(highlight=False)
        self.live = Live(console=self.console, auto_refresh=False, redirect_stdout=False)
        self.live.start()

    def show(self, lines: list[str], last: int) -> None:
        """Draw *lines*; if they are too many, those around the line *last*."""
        room = self.console.height - 2
        first = max(0, min(last - room + 2, len(lines) - room))
        self._draw(lines[first : first + room])

    def close(self, lines: list[str]) -> None:
        """Draw all *lines*, which remain, and show the cursor."""
        self.live.vertical_overflow = "visible"
        try:
            self._draw(lines)
        finally:
            self.live.stop()

    def _draw(self, lines: list[str]) -> None:
        from rich.text import Text  # noqa: PLC0415  on a terminal only

        text = Text("\n").join(map(Text.from_ansi, lines))
        text.no_wrap, text.overflow = True, "crop"
        self.live.update(text, refresh=True)


def _is_ascii() -> bool:
    """Whether the terminal cannot show the marks of steps."""
    try:
        "✓▸".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return False


def finish(  # noqa: PLR0913  the options of the command
    watch: local.Watch,
    diagnostics: Report,
    compare: Callable[[], RunComparison] | None,
    *,
    report: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Print the outcome of a run, write its page and as the file *report* too; the exit code."""
    _write_pages(watch, diagnostics, report, None)
    if not quiet:
        _print_summary(watch.run, diagnostics.style)
    if watch.code == local.NO_KFP:
        raise UserError(local.no_kfp(_last_line(os.path.join(watch.run.folder, "kfp.log"))))
    compared = compare() if compare else None
    if compared:
        _write_pages(watch, diagnostics, report, compared)
        if not quiet:
            _print_comparison(compared, len(watch.run.steps), diagnostics.style, verbose=verbose)
    failed = [step for step in watch.run.steps if step.state == "failed"]
    for step in failed:
        _report_step(watch, step, diagnostics, words=not quiet and not verbose)
    if watch.code and not failed:
        _report_runner(watch, diagnostics)
    done = watch.run.state == "done"
    if compared and compared.diagnostics:
        diagnostics.show(compared.diagnostics)
        return 2 if done else 1
    return 0 if done and not (compared and compared.different) else 1


def page_of(watch: local.Watch, compared: RunComparison | None) -> str:
    """The page of a run that has ended."""
    run, parts = watch.run, {}
    for task in watch.package.tasks:
        step = next(one for one in run.steps if one.task == task.id)
        page = b""
        if report := task.spec.get("report"):
            page = _read(os.path.join(run.folder, "artifacts", task.id, report))
        path = os.path.join(run.folder, "logs", f"{task.id}.log")
        log = _read(path, KEPT)
        failed = step.state == "failed"
        parts[task.id] = StepParts(
            page.decode(errors="replace"),
            clean(log),
            last_words(log) if failed else "",
            failure(step, task, log, os.path.relpath(path), full=watch.full) if failed else None,
        )
    return as_page(run, watch.package.graph, parts, compared, f"kale-tag {__version__}")


def _write_pages(
    watch: local.Watch, diagnostics: Report, report: str, compared: RunComparison | None
) -> None:
    page = page_of(watch, compared).encode(errors="replace")
    for path in dict.fromkeys((os.path.join(watch.run.folder, "report.html"), report)):
        try:
            if path:
                files.write(path, page)
        except UserError as exc:  # a run does not fail because its page cannot be written
            diagnostics.show(exc.diagnostics)


def _print_summary(run: RunOutcome, style: Style) -> None:
    print(run_text.summary(run))
    for line in run_text.metrics(run, style):
        print(f"  {line}")
    here = os.path.relpath(run.folder)
    for what, name in (("artifacts", "artifacts"), ("logs", "logs"), ("report", "report.html")):
        if os.path.exists(os.path.join(run.folder, name)):
            print(f"{what.ljust(9)}  {os.path.join(here, name)}")


def _print_comparison(
    comparison: RunComparison, steps: int, style: Style, *, verbose: bool
) -> None:
    """Print what differs in a pipeline of so many *steps*; with *verbose*, every variable."""
    print(f"\n{style.bold(comparison.notebook)}, {run_text.what_was_compared(comparison, steps)}")
    print(run_text.compared(comparison))
    shown = comparison.found if verbose else comparison.different
    for line in run_text.differences(shown, style):
        print(f"  {line}")
    if not verbose and (remarks := ", ".join(run_text.remarks(comparison))):
        print(style.dim(f"  {remarks} (--verbose names them)"))


def _report_step(
    watch: local.Watch, step: StepOutcome, diagnostics: Report, *, words: bool
) -> None:
    """Report why a step failed, and where in the notebook; its last *words* too."""
    path = os.path.join(watch.run.folder, "logs", f"{step.task}.log")
    task = next(one for one in watch.package.tasks if one.id == step.task)
    tail = _tail(path)
    diagnostic = failure(step, task, tail, os.path.relpath(path), full=watch.full)
    if words and not step.late and (more := beyond(tail, diagnostic)):
        sys.stdout.flush()
        print(f"{more}\n", file=sys.stderr)
    diagnostics.show([diagnostic])


def _report_runner(watch: local.Watch, diagnostics: Report) -> None:
    """Report that KFP's runner stopped, though no step failed."""
    log = os.path.relpath(os.path.join(watch.run.folder, "kfp.log"))
    why = watch.problem or _last_line(log) or f"exit code {watch.code}"
    message = f"KFP's local runner stopped before the pipeline was done: {why}"
    diagnostics.show([error("runner-failed", message, notes=[f"its log: {log}"])])


def _last_line(path: str) -> str:
    return _tail(path).decode(errors="replace").strip().rpartition("\n")[2]


def _tail(path: str) -> bytes:
    """The end of the file *path*, b"" if there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - TAIL))
            return file.read()
    except OSError:
        return b""


def _read(path: str, kept: int = 0) -> bytes:
    """The file *path*; with *kept*, that many bytes of each end."""
    try:
        with open(path, "rb") as file:
            size = os.path.getsize(path)
            if not kept or size <= 2 * kept:
                return file.read()
            head = file.read(kept)
            file.seek(size - kept)
            return head + f"\n[... {size - 2 * kept:,} bytes ...]\n".encode() + file.read()
    except OSError:
        return b""
