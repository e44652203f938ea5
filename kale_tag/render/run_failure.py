"""Why a step failed, by its exit code and the end of its log."""

import re
import signal

from kale_tag.compiler.read_package import PackageTask
from kale_tag.diagnostics import Diagnostic, Label, Source, Span, error
from kale_tag.render.run_text import seconds
from kale_tag.run.run_record import StepOutcome

TAIL = 65_536
"""Bytes of the end of a log that are searched for the reason."""

SHOWN = 40
"""Lines of a traceback that are printed at most."""

_FRAME = re.compile(r'File "(?P<name>[^"\n]+), cell (?P<cell>\d+)", line (?P<line>\d+)')
_HEAD = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"^(?:[A-Za-z_][\w.]*)(?:: .*)?$")
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[^\n\t\x20-\x7e\xa0-\U0010ffff]")
_FULL = "No space left on device"


def clean(data: bytes) -> str:
    """The output of a step as text, without control characters."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return _CONTROL.sub("", "\n".join(lines))


def last_words(tail: bytes) -> str:
    """The last traceback in the end of a log, or its last lines."""
    text = clean(tail).rstrip("\n")
    start = text.rfind(_HEAD)
    # A chain of exceptions is shown as a whole.
    while start > 0 and "exception" in text[max(0, start - 120) : start]:
        start = text.rfind(_HEAD, 0, start)
    lines = (text[start:] if start >= 0 else text).split("\n")
    if start < 0:
        lines = lines[-12:]
    if len(lines) > SHOWN:
        lines = [*lines[: SHOWN // 2], "[...]", *lines[-SHOWN // 2 :]]
    return "\n".join(line[:500] for line in lines)


def beyond(tail: bytes, diagnostic: Diagnostic) -> str:
    """The end of a log, unless *diagnostic* already contains all of it.

    That is a traceback with more than one place, an exception of several lines, or the last lines.
    """
    words = last_words(tail)
    if not words.startswith(_HEAD):
        return re.sub(r"(?m)^error: step `[^`]*` .+\n?", "", words).rstrip("\n")
    first, *others = words[len(_HEAD) + 1 :].split("\n")
    text = [line for line in others if not line.startswith("    ")]  # the line of the place itself
    complete = (
        diagnostic.labels
        and _FRAME.search(first)
        and len(text) == 1
        and text[0] in diagnostic.message
    )
    return "" if complete else words


def failure(
    step: StepOutcome, task: PackageTask, tail: bytes, log: str, *, full: bool
) -> Diagnostic:
    """The error of *step*; *log* is the path of its log, *full*: the disk is full."""
    words = last_words(tail)
    notes = [f"the whole log: {log}"]
    hint = ""
    if step.late:
        message = f"step `{step.title}` was stopped after {seconds(step.seconds)}, its time limit"
        hint = "raise the limit: --timeout SECONDS, or `timeout` of the step in the spec"
    elif step.code < 0:
        name = _signal(-step.code)
        message = f"step `{step.title}` was killed by the signal {name}"
        if name == "SIGKILL":
            hint = "unless somebody sent it, this machine ran out of memory"
    else:
        last = words.split("\n")[-1].strip()
        own = re.findall(r"(?m)^error: step `[^`]*` (.+)$", words)  # the message of the runtime
        why = last if _EXCEPTION.match(last) and len(last) < 300 else f"exit code {step.code}"
        message = f"step `{step.title}` " + (own[-1] if own else f"failed: {why}")
    if full or _FULL in words:
        notes.append("the disk of the run folder is full")
        hint = hint or "free some space, or use another folder: --keep FOLDER"
    code = "step-timeout" if step.late else "step-failed"
    return error(code, message, None if step.late else _place(words, task), notes=notes, help=hint)


def _place(words: str, task: PackageTask) -> Label | None:
    """The innermost line of the notebook in a traceback."""
    for frame in reversed(list(_FRAME.finditer(words))):
        cell, line = int(frame["cell"]), int(frame["line"])
        code = next((one for one in task.cells if one.cell == cell), None)
        lines = code.python.split("\n") if code else []
        if code is None or not 0 < line <= len(lines):
            continue
        start = sum(len(one) + 1 for one in lines[: line - 1])
        text = lines[line - 1]
        indent = len(text) - len(text.lstrip())
        source = Source(task.notebook, code.python, cell)
        return Label(source, Span(start + indent, start + len(text.rstrip())))
    return None


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
