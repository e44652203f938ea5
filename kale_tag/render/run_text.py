"""A run as text: the table of its steps, its summary, metrics and comparison."""

from collections import Counter
from collections.abc import Iterator, Sequence

from kale_tag.diagnostics import count
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
