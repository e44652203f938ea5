"""What is shown while a pipeline runs, and the record that is made of it on the way."""

import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kale_tag.compiler.read_package import Compiled, PackageTask
from kale_tag.render.run_text import step_line, table
from kale_tag.render.style import Style
from kale_tag.run.local import Event
from kale_tag.run.run_folder import Reuse, given_of, outputs_of
from kale_tag.run.run_record import RunOutcome, StepOutcome

DISK_FULL = 1_000_000
"""Bytes; with less room than that, what failed may have failed for want of it."""


@dataclass(slots=True)
class Watch:
    """The steps of a run and their state, as the events tell it.

    *arguments* have the names of the package. *fault* is what KFP's runner said when it stopped,
    *code* how its process ended; *full*: the disk was, when a step failed.
    """

    package: Compiled
    run: RunOutcome
    arguments: Mapping[str, object]
    reused: Mapping[str, Reuse]
    screen: "Screen"
    steps: dict[str, StepOutcome] = field(default_factory=dict)
    diagnostic: str = ""
    code: int = 0
    full: bool = False
    clock: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """All steps wait."""
        for task in self.package.tasks:
            self.steps[task.id] = StepOutcome(task.id, task.title)
        self.run = replace(self.run, steps=tuple(self.steps.values()))

    @property
    def now(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.clock

    def on(self, event: Event) -> None:
        """Take in what happened, and show it."""
        if event.kind == "fault":
            self.diagnostic = event.text
        elif event.kind == "closed":
            self.code = event.code
        elif event.kind != "tick":
            step = self.steps[event.task]
            self.steps[event.task] = self._next(step, event, self._task(event.task))
            self.run = replace(self.run, steps=tuple(self.steps.values()))
            if event.kind != "start":
                self.screen.ended(self.run, self.steps[event.task], self.now)
        self.screen.draw(self.run, self.now)

    def close(self, *, interrupted: bool) -> RunOutcome:
        """The run as it is in the end; a step that still runs failed, or was stopped."""
        state = "stopped" if interrupted else "failed"
        for name, step in self.steps.items():
            if step.state == "running":
                self.steps[name] = replace(
                    step,
                    state=state,  # type: ignore[arg-type]
                    seconds=self.now - step.began,
                    outputs=outputs_of(self.run.folder, self._task(name)),
                )
        self.run = replace(self.run, steps=tuple(self.steps.values()), seconds=self.now)
        self.screen.close(self.run, self.now)
        return self.run

    def _task(self, name: str) -> PackageTask:
        return next(task for task in self.package.tasks if task.id == name)

    def _next(self, step: StepOutcome, event: Event, task: PackageTask) -> StepOutcome:
        if event.kind == "start":
            return replace(step, state="running", attempts=step.attempts + 1, began=self.now)
        if event.kind == "reused":
            earlier = self.reused[event.task].step
            return replace(earlier, title=step.title, state="reused", began=self.now, seconds=0.0)
        if event.code:
            self.full = shutil.disk_usage(self.run.folder).free < DISK_FULL
        outputs = outputs_of(self.run.folder, task)
        given = next((one.metadata for one in outputs if one.name == task.metrics), {})
        return replace(
            step,
            state="failed" if event.code else "done",
            seconds=event.seconds,
            code=event.code,
            late=event.late and event.code != 0,
            outputs=outputs,
            metrics=dict(given),
            given=given_of(task, self.arguments, self.steps),
        )


@dataclass(slots=True)
class Screen:
    """Where it is shown: a table that is drawn again and again, or a line for each step that ends.

    With *logs* also what the steps print. *quiet*: nothing.
    """

    style: Style
    folder: str
    quiet: bool = False
    live: bool = False
    logs: bool = False
    drawn: int = 0
    told: dict[str, int] = field(default_factory=dict)

    @property
    def _plain(self) -> bool:
        try:
            "✓▸".encode(sys.stdout.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return True
        return False

    def draw(self, run: RunOutcome, now: float) -> None:
        """Show how things are."""
        if self.logs and not self.quiet:
            self._tell(run)
        if not self.live or self.quiet:
            return
        size = shutil.get_terminal_size()
        lines = table(run, self.style, plain=self._plain, now=now)
        if len(lines) > size.lines - 2:
            # What has ended long ago has scrolled away; what is to come can wait.
            active = [n for n, step in enumerate(run.steps) if step.state != "waiting"]
            last = active[-1] if active else 0
            first = max(0, last - (size.lines - 4))
            lines = lines[first : first + size.lines - 3]
        back = f"\033[{self.drawn}A" if self.drawn else ""
        # No line may break in two: then there would be more of them than were counted.
        text = "".join(f"\033[2K\033[?7l{line}\033[?7h\n" for line in lines)
        gone = "\033[J" if len(lines) < self.drawn else ""
        sys.stdout.write(f"{back}{text}{gone}")
        sys.stdout.flush()
        self.drawn = len(lines)

    def ended(self, run: RunOutcome, step: StepOutcome, now: float) -> None:
        """A step has ended."""
        if self.quiet or self.live:
            return
        if self.logs:
            self._tell(run)
        width = max(len(one.title) for one in run.steps)
        print(step_line(step, width, self.style, plain=self._plain, now=now), flush=True)

    def close(self, run: RunOutcome, now: float) -> None:
        """Show how it ended."""
        self.draw(run, now)
        if self.live and not self.quiet:
            left = len(run.steps) > self.drawn
            lines = table(run, self.style, plain=self._plain, now=now)
            sys.stdout.write("".join(f"{line}\n" for line in lines) if left else "")
            sys.stdout.flush()

    def _tell(self, run: RunOutcome) -> None:
        """Pass on what the steps have printed since the last time."""
        for step in run.steps:
            path = os.path.join(self.folder, "logs", f"{step.task}.log")
            if step.state in {"waiting", "reused"} or not os.path.exists(path):
                continue
            at = self.told.get(step.task, 0)
            with open(path, "rb") as file:
                file.seek(at)
                while data := file.read(1 << 20):
                    sys.stdout.flush()
                    sys.stdout.buffer.write(data)
                    sys.stdout.buffer.flush()
                    at += len(data)
            self.told[step.task] = at
