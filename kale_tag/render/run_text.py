"""A run as text: the table of its steps, its summary, metrics and comparison; why a step failed."""

import re
import signal
from collections import Counter
from collections.abc import Iterator, Sequence

from kale_tag.compiler.read_package import PackageTask
from kale_tag.diagnostics import Diagnostic, Label, Source, Span, count, error, warning
from kale_tag.render.text import Style
from kale_tag.run.run_record import (
    ComparedVariable,
    Difference,
    RunComparison,
    RunOutcome,
    State,
    StepOutcome,
    Verdict,
)

MARKS: dict[State, tuple[str, str]] = {
    "waiting": ("·", "."),
    "running": ("▸", ">"),
    "done": ("✓", "+"),
    "reused": ("↺", "="),
    "failed": ("✗", "x"),
    "stopped": ("✗", "x"),
}
"""A mark for each state, and one in ASCII."""

WORDS: dict[State, str] = {
    "waiting": "not started",
    "running": "running",
    "done": "done",
    "reused": "from an earlier run",
    "failed": "failed",
    "stopped": "stopped",
}

TAIL = 65_536
"""Bytes of the end of a log that are searched for the reason."""

SHOWN = 40
"""Lines of a traceback that are printed at most."""

_FRAME = re.compile(
    r'File "(?P<name>[^"\n]+), cell (?P<cell>\d+)", line (?P<line>\d+).*(?:\n +(?P<text>\S.*))?'
)
_HEAD = "Traceback (most recent call last):"
_OWN = re.compile(r"(?m)^error: step `[^`]*` (?P<what>.+)$\n?(?:  help: (?P<help>.+)$\n?)?")
"""An error of the runtime itself."""

_EXCEPTION = re.compile(r"^(?:[A-Za-z_][\w.]*)(?:: .*)?$")
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[^\n\t\x20-\x7e\xa0-\U0010ffff]")
_FULL = "No space left on device"
_NOT_LOADED = re.compile(r"AttributeError: module '([\w.]+)' has no attribute '(\w+)'")


def step_line(step: StepOutcome, width: int, style: Style, *, plain: bool, now: float) -> str:
    """One step in one line: mark, name, time, size; *now* is the time since the run began."""
    mark = MARKS[step.state][plain]
    paint = {"done": style.green, "reused": style.green, "running": style.blue}.get(
        step.state, style.dim if step.state == "waiting" else style.red
    )
    parts = [f"{paint(mark)} {step.title.ljust(width)}"]
    if step.state in {"done", "failed"}:
        parts.append(seconds(step.seconds).rjust(8))
    elif step.state == "running":
        parts.append(seconds(now - step.began).rjust(8))
    elif step.state in {"reused", "stopped"}:
        parts.append(f"  {WORDS[step.state]}")
    if step.state == "done" and step.size:
        parts.append(size(step.size).rjust(9))
    if step.attempts > 1:
        parts.append(f"attempt {step.attempts}")
    return "  ".join(parts).rstrip()


def table(run: RunOutcome, style: Style, *, plain: bool, now: float) -> list[str]:
    """All steps, a line each."""
    width = max((len(step.title) for step in run.steps), default=0)
    return [step_line(step, width, style, plain=plain, now=now) for step in run.steps]


def summary(run: RunOutcome) -> str:
    """`7 steps done, 1 failed, in 8.1 s`."""
    number = Counter(step.state for step in run.steps)
    others: tuple[State, ...] = ("reused", "failed", "stopped", "waiting")
    parts = [f"{count(number['done'], 'step')} done"]
    parts += [f"{number[state]} {WORDS[state]}" for state in others if number[state]]
    return f"{', '.join(parts)}, in {seconds(run.seconds)}"


def metrics(run: RunOutcome, style: Style) -> Iterator[str]:
    """The metrics, a line each."""
    found = [
        (step.title, name, value) for step in run.steps for name, value in step.metrics.items()
    ]
    width = max((len(name) for _, name, _ in found), default=0)
    for title, name, value in found:
        shown = f"{value:.6g}" if isinstance(value, float) else str(value)
        yield f"{style.bold(name.ljust(width))}  {shown}  {style.dim(f'({title})')}"


def unforeseen_sharing(run: RunOutcome) -> list[Diagnostic]:
    """Warnings of variables whose common objects the steps found when they saved them."""
    return [
        warning(
            "unforeseen-sharing",
            f"step `{step.title}`: `{output.variable}` {what}",
            help="change both in one step, or keep both in one variable, such as `both = a, b`",
        )
        for step in run.steps
        for output in step.outputs
        if (what := output.metadata.get("sharing"))
    ]


REMARKS: dict[Verdict, str] = {
    "rounding": "equal but for rounding",
    "type": "compared by type only",
    "random": "random: different each time the notebook runs",
}


def compared(comparison: RunComparison) -> str:
    """`2 of 7 variables differ, first in the step ...`, or `7 variables: none differs`."""
    total, different = len(comparison.found), comparison.different
    if not different:
        return f"{count(total, 'variable')}: none differs"
    verb = "differs" if len(different) == 1 else "differ"
    return (
        f"{len(different)} of {count(total, 'variable')} {verb}, first in the step "
        f"`{different[0].step}`"
    )


def what_was_compared(comparison: RunComparison, steps: int) -> str:
    """What was compared, of a pipeline of so many *steps*."""
    done = comparison.steps
    what = "the pipeline" if done == steps else f"the {count(done, 'step')} done"
    return f"run from top to bottom in {seconds(comparison.seconds)}, compared with {what}"


def remarks(comparison: RunComparison) -> Iterator[str]:
    """The numbers of variables that were compared in a limited way."""
    for verdict, words in REMARKS.items():
        if number := sum(one.verdict == verdict for one in comparison.found):
            yield f"{number} {words}"


def differences(found: Sequence[ComparedVariable], style: Style) -> Iterator[str]:
    """A line for each variable that was compared; more for one that differs."""
    steps = max((len(one.step) for one in found), default=0)
    names = max((len(one.name) for one in found), default=0)
    for one in found:
        where = f"{one.step.ljust(steps)}  {one.name.ljust(names)}"
        if one.verdict != "differs":
            mark = style.green("=") if one.verdict in {"same", "rounding"} else style.yellow("~")
            remark = style.dim(f"  ({REMARKS[one.verdict]})") if one.verdict in REMARKS else ""
            yield f"{mark} {where}  {one.notebook}{remark}"
            continue
        first, *others = _sides(one)
        yield f"{style.red('!')} {where}  {first}"
        for line in others:
            yield f"  {' ' * len(where)}  {line}"


def _sides(one: ComparedVariable) -> Iterator[str]:
    """The values of a variable in the notebook and in the pipeline, and the first difference."""
    if one.notebook == one.pipeline:
        yield one.notebook
    else:
        yield f"notebook  {one.notebook}"
        yield f"pipeline  {one.pipeline}"
    if one.first:
        yield first_difference(one.first)
    if one.left_out:
        yield f"cell {one.cell}, which no step runs, changes it"
    elif one.cell is not None:
        yield f"cell {one.cell} sets it"


def first_difference(part: Difference) -> str:
    """`at rows[3]: 1.0 in the notebook, 2.0 in the pipeline`."""
    if not part.notebook:
        return part.place
    return f"{part.place}: {part.notebook} in the notebook, {part.pipeline} in the pipeline"


def seconds(number: float) -> str:
    """A time for people."""
    if number < 100:
        return f"{number:.1f} s"
    minutes, rest = divmod(round(number), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def size(number: int) -> str:
    """A number of bytes for people."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


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
        own = [*_OWN.finditer(words)]
        return (words[: own[-1].start()] + words[own[-1].end() :] if own else words).rstrip("\n")
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
        _, frame, rest = words.rpartition('\n  File "')  # the message may have several lines
        raised = [line for line in rest.split("\n")[1:] if frame and line[:1].strip()]
        last = raised[0] if raised else words.split("\n")[-1].strip()
        own = [*_OWN.finditer(words)]
        last = last if len(last) < 300 else f"{last[:297]}..."
        why = last if _EXCEPTION.match(last) else f"exit code {step.code}"
        message = f"step `{step.title}` " + (own[-1]["what"] if own else f"failed: {why}")
        hint = (own[-1]["help"] or "") if own else ""
        if found := _NOT_LOADED.fullmatch(why):
            path = ".".join(found.groups())
            hint = f"if another cell imports `{path}`, add `import {path}` to this step"
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
        if frame["text"] and "get_ipython()." in lines[line - 1]:
            lines[line - 1] = frame["text"]  # the magic as its user wrote it
        text = lines[line - 1]
        indent = len(text) - len(text.lstrip())
        source = Source(task.notebook, "\n".join(lines), cell)
        return Label(source, Span(start + indent, start + len(text.rstrip())))
    return None


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
