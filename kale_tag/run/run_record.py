"""What became of a run and of its steps: records that are kept, shown and compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kale_tag.diagnostics import Diagnostic

State = Literal["waiting", "running", "done", "reused", "failed", "stopped"]
"""`waiting` at the end of a run: the step did not start. `stopped`: the run was interrupted."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a step gave: *size* in bytes, *sha256* of its file, and what the step says of it.

    *variable* is "" for the report and the metrics.
    """

    name: str
    variable: str = ""
    size: int = 0
    sha256: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What became of one step.

    *began* and *seconds* are counted in seconds, *began* from the start of the run. *code* is its
    exit code, below 0 the signal that ended it; *late*: it ran out of time. *given* is what it
    worked on: a digest of its code, its parameters, and the digests of its inputs.
    """

    task: str
    title: str
    state: State = "waiting"
    attempts: int = 0
    began: float = 0.0
    seconds: float = 0.0
    code: int = 0
    late: bool = False
    outputs: tuple[Output, ...] = ()
    metrics: Mapping[str, object] = field(default_factory=dict)
    given: "StepInputs | None" = None

    @property
    def size(self) -> int:
        """Bytes of the variables that it gave."""
        return sum(output.size for output in self.outputs if output.variable)


@dataclass(frozen=True, slots=True)
class StepInputs:
    """All that the outputs of a step depend on."""

    code: str
    parameters: Mapping[str, object]
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What became of a run; *started* is an ISO 8601 time, *folder* where everything of it is."""

    pipeline: str
    folder: str
    started: str
    seconds: float = 0.0
    parameters: Mapping[str, object] = field(default_factory=dict)
    steps: tuple[StepOutcome, ...] = ()

    @property
    def state(self) -> State:
        """`done` if every step is done, else what stopped the run."""
        states = {step.state for step in self.steps}
        if "failed" in states:
            return "failed"
        return "stopped" if states & {"stopped", "waiting", "running"} else "done"


Verdict = Literal["same", "rounding", "type", "random", "differs"]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first part of a variable that differs, and what is there; "" if that is not known."""

    place: str
    notebook: str = ""
    pipeline: str = ""


@dataclass(frozen=True, slots=True)
class ComparedVariable:
    """One variable at the end of a step, in the notebook and in the pipeline.

    *first* says where they differ, if it is more than that they do. `rounding`: but for the last
    digits of numbers; `type`: it is of a kind of which no more than the type can be compared;
    `random`: in the notebook alone it is another one at each run.
    """

    step: str
    name: str
    verdict: Verdict
    notebook: str
    pipeline: str
    first: Difference | None = None


@dataclass(frozen=True, slots=True)
class RunComparison:
    """A pipeline beside its *notebook*, which took so many *seconds*: the variables *found*.

    They are those at the end of so many *steps*, all that are done. *faults*: the notebook itself
    stopped.
    """

    notebook: str
    seconds: float
    steps: int
    found: tuple[ComparedVariable, ...]
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def different(self) -> list[ComparedVariable]:
        """The variables that differ, in the order of the steps."""
        return [one for one in self.found if one.verdict == "differs"]
