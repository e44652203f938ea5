"""The outcome of a run and of its steps, as it is kept in `run.json`, shown and compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kale_tag.diagnostics import Diagnostic

State = Literal["waiting", "running", "done", "reused", "failed", "stopped"]
"""`waiting` at the end of a run: the step did not start. `stopped`: the run was interrupted."""


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a step."""

    name: str  # in the package
    variable: str = ""  # of the notebook; "" for the report and the metrics
    size: int = 0  # bytes
    sha256: str = ""  # of its file
    metadata: Mapping[str, object] = field(default_factory=dict)  # of the artifact


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """The outcome of one step."""

    task: str  # its id in the package
    title: str  # as people read it
    state: State = "waiting"
    attempts: int = 0
    began: float = 0.0  # seconds after the start of the run
    seconds: float = 0.0  # how long it ran
    code: int = 0  # exit code; below 0 the signal that ended it
    late: bool = False  # whether it exceeded its time limit
    outputs: tuple[Output, ...] = ()
    metrics: Mapping[str, object] = field(default_factory=dict)
    given: "StepInputs | None" = None

    @property
    def size(self) -> int:
        """Bytes of the variables that it produced."""
        return sum(output.size for output in self.outputs if output.variable)


@dataclass(frozen=True, slots=True)
class StepInputs:
    """All that the outputs of a step depend on."""

    code: str  # digest of its command and environment
    parameters: Mapping[str, object]
    inputs: Mapping[str, str]  # input to the digest of its artifact


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The outcome of a run."""

    pipeline: str  # its name
    folder: str  # with all its files
    started: str  # ISO 8601
    seconds: float = 0.0  # how long it ran
    parameters: Mapping[str, object] = field(default_factory=dict)
    steps: tuple[StepOutcome, ...] = ()

    @property
    def state(self) -> State:
        """`done` if every step is done, else `failed` or `stopped`."""
        states = {step.state for step in self.steps}
        if "failed" in states:
            return "failed"
        return "stopped" if states & {"stopped", "waiting", "running"} else "done"


Verdict = Literal["same", "rounding", "type", "random", "differs"]
"""`rounding`: equal but for the last digits of numbers. `type`: of a type that cannot be compared
further. `random`: different each time the notebook alone runs."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first part of a variable that differs."""

    place: str
    notebook: str = ""  # its value there, or "" if it is not known
    pipeline: str = ""


@dataclass(frozen=True, slots=True)
class ComparedVariable:
    """One variable at the end of a step, in the notebook and in the pipeline."""

    step: str
    name: str
    verdict: Verdict
    notebook: str  # the value, shortened
    pipeline: str
    first: Difference | None = None  # where they differ, if it is a part of them


@dataclass(frozen=True, slots=True)
class RunComparison:
    """The variables of a pipeline compared with those of its notebook."""

    notebook: str
    seconds: float  # how long the notebook ran
    steps: int  # the number of steps compared: all that are done
    found: tuple[ComparedVariable, ...]
    diagnostics: tuple[Diagnostic, ...] = ()  # why the notebook stopped, if it did

    @property
    def different(self) -> list[ComparedVariable]:
        """The variables that differ, in the order of the steps."""
        return [one for one in self.found if one.verdict == "differs"]
