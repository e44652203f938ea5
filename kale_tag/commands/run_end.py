"""The end of a run: what is wrong, where things are, and the exit code."""

import os
import sys
from collections.abc import Callable

from kale_tag import files
from kale_tag.commands.run_compare import show
from kale_tag.commands.run_page import page_of
from kale_tag.commands.run_screen import Watch
from kale_tag.commands.shared.report import Report
from kale_tag.diagnostics import UserError, error
from kale_tag.render import run_text
from kale_tag.render.run_failure import TAIL, beyond, failure
from kale_tag.run import local
from kale_tag.run.run_record import RunComparison, RunOutcome, StepOutcome


def finish(  # noqa: PLR0913  what there is to say
    watch: Watch,
    told: Report,
    compare: Callable[[], RunComparison] | None,
    *,
    report: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Say how the run of *watch* ended, write its page, and *compare* it; the exit code."""
    _write_pages(watch, told, report, None)
    if not quiet:
        _summary(watch.run, told)
    if watch.code == local.NO_KFP:
        raise UserError(local.no_kfp(_last_line(os.path.join(watch.run.folder, "kfp.log"))))
    compared = compare() if compare else None
    if compared:
        _write_pages(watch, told, report, compared)
        if not quiet:
            show(compared, len(watch.run.steps), told.style, verbose=verbose)
    failed = [step for step in watch.run.steps if step.state == "failed"]
    for step in failed:
        _step_failed(watch, step, told, words=not quiet and not verbose)
    if watch.code and not failed:
        _runner_failed(watch, told)
    done = watch.run.state == "done"
    if compared and compared.diagnostics:
        told.tell(compared.diagnostics)
        return 2 if done else 1
    return 0 if done and not (compared and compared.different) else 1


def _write_pages(watch: Watch, told: Report, report: str, compared: RunComparison | None) -> None:
    """Write the page into the folder of the run, and as *report*."""
    page = page_of(watch.run, watch.package, compared, full=watch.full).encode(errors="replace")
    for path in dict.fromkeys((os.path.join(watch.run.folder, "report.html"), report)):
        if path:
            _put(path, page, told)


def _summary(run: RunOutcome, told: Report) -> None:
    """Print how many steps are done, the metrics, and where things are."""
    print(run_text.summary(run))
    for line in run_text.metrics(run, told.style):
        print(f"  {line}")
    here = os.path.relpath(run.folder)
    for what, name in (("artifacts", "artifacts"), ("logs", "logs"), ("report", "report.html")):
        if os.path.exists(os.path.join(run.folder, name)):
            print(f"{what.ljust(9)}  {os.path.join(here, name)}")


def _step_failed(watch: Watch, step: StepOutcome, told: Report, *, words: bool) -> None:
    """Say why, and where in the notebook."""
    path = os.path.join(watch.run.folder, "logs", f"{step.task}.log")
    task = next(one for one in watch.package.tasks if one.id == step.task)
    tail = log_tail(path)
    diagnostic = failure(step, task, tail, os.path.relpath(path), full=watch.full)
    if words and not step.late and (more := beyond(tail, diagnostic)):
        sys.stdout.flush()
        print(f"{more}\n", file=sys.stderr)
    told.tell([diagnostic])


def _put(path: str, page: bytes, told: Report) -> None:
    """Write the page; that it cannot be written does not make a run fail."""
    try:
        files.write(path, page)
    except UserError as exc:
        told.tell(exc.diagnostics)


def log_tail(path: str) -> bytes:
    """The end of the log *path*, b"" if there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - TAIL))
            return file.read()
    except OSError:
        return b""


def _last_line(path: str) -> str:
    return log_tail(path).decode(errors="replace").strip().rpartition("\n")[2]


def _runner_failed(watch: Watch, told: Report) -> None:
    """Say that KFP's runner stopped, and no step did."""
    log = os.path.relpath(os.path.join(watch.run.folder, "kfp.log"))
    why = watch.diagnostic or _last_line(log) or f"exit code {watch.code}"
    message = f"KFP's local runner stopped before the pipeline was done: {why}"
    told.tell([error("runner-failed", message, notes=[f"what it said: {log}"])])
