"""The record of a run, built from the events of the runner."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kale_tag.compiler.read_package import Compiled, PackageTask
from kale_tag.run.local import Event
from kale_tag.run.reuse import Reuse, inputs_of
from kale_tag.run.run_record import RunOutcome, StepOutcome, outputs_of

DISK_FULL = 1_000_000
"""Bytes of free space below which a failure may be due to a full disk."""


@dataclass(slots=True)
class Watch:
    """A run and the present state of its steps."""

    package: Compiled  # that runs
    run: RunOutcome  # its present state
    arguments: Mapping[str, object]  # under their names in the package
    reused: Mapping[str, Reuse]  # by task
    steps: dict[str, StepOutcome] = field(default_factory=dict)  # by task
    problem: str = ""  # the error of KFP's runner, if it stopped
    code: int = 0  # the exit code of its process
    full: bool = False  # whether the disk was full when a step failed
    clock: float = field(default_factory=time.monotonic)  # when the run began

    def __post_init__(self) -> None:
        """No step has started."""
        self.steps = {task.id: StepOutcome(task.id, task.title) for task in self.package.tasks}
        self.run = replace(self.run, steps=tuple(self.steps.values()))

    @property
    def now(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.clock

    def on(self, event: Event) -> StepOutcome | None:
        """Record *event*; the step that ended with it, if one did."""
        match event.kind:
            case "problem":
                self.problem = event.text
            case "closed":
                self.code = event.code
            case "tick":
                pass
            case "start" | "end" | "reused":
                step = self._next(self.steps[event.task], event)
                self.steps[event.task] = step
                self.run = replace(self.run, steps=tuple(self.steps.values()))
                return None if event.kind == "start" else step
        return None

    def close(self, *, interrupted: bool) -> None:
        """Record the end of the run; a step that still runs failed, or was stopped."""
        for name, step in self.steps.items():
            if step.state == "running":
                self.steps[name] = replace(
                    step,
                    state="stopped" if interrupted else "failed",
                    seconds=self.now - step.began,
                    outputs=outputs_of(self.run.folder, self._task(name)),
                )
        self.run = replace(self.run, steps=tuple(self.steps.values()), seconds=self.now)

    def _task(self, name: str) -> PackageTask:
        return next(task for task in self.package.tasks if task.id == name)

    def _next(self, step: StepOutcome, event: Event) -> StepOutcome:
        if event.kind == "start":
            return replace(step, state="running", attempts=step.attempts + 1, began=self.now)
        if event.kind == "reused":
            earlier = self.reused[event.task].step
            return replace(earlier, title=step.title, state="reused", began=self.now, seconds=0.0)
        if event.code:
            self.full = shutil.disk_usage(self.run.folder).free < DISK_FULL
        task = self._task(event.task)
        outputs = outputs_of(self.run.folder, task)
        metrics = next((one.metadata for one in outputs if one.name == task.metrics), {})
        return replace(
            step,
            state="failed" if event.code else "done",
            seconds=event.seconds,
            code=event.code,
            late=event.late and event.code != 0,
            outputs=outputs,
            metrics=dict(metrics),
            given=inputs_of(task, self.arguments, self.steps),
        )
