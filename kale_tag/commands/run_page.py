"""The page of a run: gathers what its files hold."""

import os

from kale_tag import __version__
from kale_tag.compiler.read_package import Compiled
from kale_tag.render.run_failure import clean, failure, last_words
from kale_tag.render.run_page import StepParts, as_page
from kale_tag.run.run_record import RunComparison, RunOutcome

KEPT = 100_000
"""Bytes of a long log that the page shows from either end."""


def page_of(
    run: RunOutcome, package: Compiled, compared: RunComparison | None, *, full: bool
) -> str:
    """The page of *run*, which has ended, and was *compared*; *full*: the disk is."""
    parts = {}
    for task in package.tasks:
        step = next(one for one in run.steps if one.task == task.id)
        page = (
            _read(os.path.join(run.folder, "artifacts", task.id, task.report))
            if task.report
            else b""
        )
        path = os.path.join(run.folder, "logs", f"{task.id}.log")
        log = _read(path, KEPT)
        failed = step.state == "failed"
        parts[task.id] = StepParts(
            page.decode(errors="replace"),
            clean(log),
            last_words(log) if failed else "",
            failure(step, task, log, os.path.relpath(path), full=full) if failed else None,
        )
    return as_page(run, package.graph, parts, compared, f"kale-tag {__version__}")


def _read(path: str, kept: int = 0) -> bytes:
    """The file *path*; with *kept*, of a long one its two ends."""
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
