"""A run as text: the table of its steps, and the lines that say the same one by one."""

from collections.abc import Iterator, Sequence

from kale_tag.pipeline.outcome import Compared, RunOutcome, State, StepOutcome, Verdict
from kale_tag.render.style import Style

MARKS: dict[State, tuple[str, str]] = {
    "waiting": ("·", "."),
    "running": ("▸", ">"),
    "done": ("✓", "+"),
    "reused": ("↺", "="),
    "failed": ("✗", "x"),
    "stopped": ("✗", "x"),
}
"""A mark for each state, and one for terminals that know ASCII alone."""

WORDS: dict[State, str] = {"reused": "from an earlier run", "stopped": "stopped"}


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
    elif step.state in WORDS:
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
    """`7 steps done in 8.1 s`, with what was not."""
    count = {state: sum(step.state == state for step in run.steps) for state in MARKS}
    parts = [f"{count['done']} step{'s' * (count['done'] != 1)} done"]
    for state, words in (
        ("reused", "from an earlier run"),
        ("failed", "failed"),
        ("stopped", "stopped"),
        ("waiting", "not started"),
    ):
        if count[state]:  # type: ignore[index]
            parts.append(f"{count[state]} {words}")  # type: ignore[index]
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
    "rounding": "but for rounding",
    "type": "compared by its type alone",
    "random": "the notebook alone gives another one each time",
}


def comparison(found: Sequence[Compared], style: Style) -> Iterator[str]:
    """Each variable that was compared, a line; two for one that differs."""
    steps = max((len(one.step) for one in found), default=0)
    names = max((len(one.name) for one in found), default=0)
    for one in found:
        where = f"{one.step.ljust(steps)}  {one.name.ljust(names)}"
        if one.verdict != "differs":
            mark = style.green("=") if one.verdict in {"same", "rounding"} else style.yellow("~")
            remark = style.dim(f"  ({REMARKS[one.verdict]})") if one.verdict in REMARKS else ""
            yield f"{mark} {where}  {one.notebook}{remark}"
            continue
        part = f" at {one.name}{one.at}" if one.at else ""
        yield f"{style.red('!')} {where}  notebook  {one.notebook}"
        yield f"  {' ' * len(where)}  pipeline  {one.pipeline}{style.dim(part)}"


def seconds(number: float) -> str:
    """A time as people say it."""
    if number < 100:
        return f"{number:.1f} s"
    minutes, rest = divmod(round(number), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def size(number: int) -> str:
    """A number of bytes as people say it."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
