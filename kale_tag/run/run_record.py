"""The outcome of a run and of its steps, and the folder that keeps it.

    run.json  package.yaml  report.html  logs/STEP.log  artifacts/STEP/NAME  kfp.log

While the pipeline runs, the artifacts are in work/, where KFP's runner puts them.
"""

import contextlib
import dataclasses
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kale_tag.compiler.read_package import PackageTask
from kale_tag.diagnostics import Diagnostic

RECORD = "run.json"
VERSION = 1

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
    state: State = "waiting"  # at present, or in the end
    attempts: int = 0  # how often it started
    began: float = 0.0  # seconds after the start of the run
    seconds: float = 0.0  # how long it ran
    code: int = 0  # exit code; below 0 the signal that ended it
    late: bool = False  # whether it exceeded its time limit
    outputs: tuple[Output, ...] = ()  # that it wrote
    metrics: Mapping[str, object] = field(default_factory=dict)  # by name
    given: "StepInputs | None" = None  # all that it used, once it is done

    @property
    def size(self) -> int:
        """Bytes of the variables that it produced."""
        return sum(output.size for output in self.outputs if output.variable)


@dataclass(frozen=True, slots=True)
class StepInputs:
    """All that the outputs of a step depend on."""

    code: str  # digest of its command and environment
    parameters: Mapping[str, object]  # by name
    inputs: Mapping[str, str]  # input to the digest of its artifact


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The outcome of a run."""

    pipeline: str  # its name
    folder: str  # with all its files
    started: str  # ISO 8601
    seconds: float = 0.0  # how long it ran
    parameters: Mapping[str, object] = field(default_factory=dict)  # by variable
    steps: tuple[StepOutcome, ...] = ()  # in the order of the notebook

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

    place: str  # such as `at rows[3]`
    notebook: str = ""  # its value in the notebook, or "" if it is not known
    pipeline: str = ""  # its value in the pipeline


@dataclass(frozen=True, slots=True)
class ComparedVariable:
    """One variable at the end of a step, in the notebook and in the pipeline."""

    step: str  # its title
    name: str  # of the variable
    verdict: Verdict  # how its two values compare
    notebook: str  # the value in the notebook, shortened
    pipeline: str  # the value in the pipeline, shortened
    first: Difference | None = None  # where they differ, if it is a part of them
    cell: int | None = None  # the cell that set it last, if this is its first difference
    left_out: bool = False  # no step runs that cell


@dataclass(frozen=True, slots=True)
class RunComparison:
    """The variables of a pipeline compared with those of its notebook."""

    notebook: str  # its path
    seconds: float  # how long the notebook ran
    steps: int  # the number of steps compared: all that are done
    found: tuple[ComparedVariable, ...]  # in the order of the steps
    diagnostics: tuple[Diagnostic, ...] = ()  # why the notebook stopped, if it did

    @property
    def different(self) -> list[ComparedVariable]:
        """The variables that differ, in the order of the steps."""
        return [one for one in self.found if one.verdict == "differs"]


def read_run(folder: str) -> RunOutcome | None:
    """The run in *folder*, or None if there is none that can be read."""
    import msgspec  # noqa: PLC0415  where records are read only

    try:
        with open(os.path.join(folder, RECORD), encoding="utf-8") as file:
            value = json.load(file)
        if value["version"] != VERSION:
            return None
        return msgspec.convert({**value, "folder": folder}, RunOutcome)
    except (OSError, ValueError, KeyError, TypeError, msgspec.ValidationError):
        return None


def write_run(run: RunOutcome) -> None:
    """Write the record of *run* into its folder."""
    value = {"version": VERSION, "state": run.state, **dataclasses.asdict(run)}
    del value["folder"]
    path = os.path.join(run.folder, RECORD)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
    os.replace(f"{path}.new", path)


def earlier_runs(folder: str) -> list[RunOutcome]:
    """The runs in *folder* that only the user can have written, the newest first."""
    paths = map(os.path.dirname, glob.glob(os.path.join(glob.escape(folder), "*", RECORD)))
    runs = [run for path in paths if is_private(path) and (run := read_run(path)) is not None]
    return sorted(runs, key=lambda run: run.started, reverse=True)


def is_private(folder: str) -> bool:
    """Whether nobody but the user can write to *folder*, which nobody else can then read.

    Outputs are pickles: whoever writes them runs code in the steps that load them.
    """
    status = os.stat(folder)
    if not hasattr(os, "geteuid"):
        return True
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        return False
    os.chmod(folder, 0o700)
    return True


def work_of(folder: str, task: str) -> str:
    """The folder in which KFP's runner lets *task* write, "" before it exists."""
    found = glob.glob(os.path.join(glob.escape(folder), "work", "*", task))
    return found[0] if found else ""


def outputs_of(folder: str, task: PackageTask) -> tuple[Output, ...]:
    """The outputs of *task*, once it has ended. An incomplete file is removed."""
    work = work_of(folder, task.id)
    metadata: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
        with open(os.path.join(work, "executor_output.json"), encoding="utf-8") as file:
            given = json.load(file)["artifacts"]
        metadata = {name: one["artifacts"][0].get("metadata", {}) for name, one in given.items()}
    found = []
    for name in task.outputs:
        path = os.path.join(work, name)
        own = metadata.get(name, {})
        if name in task.variables and "sha256" not in own:
            with contextlib.suppress(OSError):
                os.remove(path)
            continue
        size = os.path.getsize(path) if work and os.path.isfile(path) else 0
        digest = own.get("sha256") or (digest_of(path) if size else "")
        if size or digest or own:
            found.append(Output(name, task.variables.get(name, ""), size, str(digest), own))
    return tuple(found)


def keep_artifacts(folder: str) -> None:
    """Move the artifacts of a run that has ended to their final folder."""
    for path in glob.glob(os.path.join(glob.escape(folder), "work", "*", "")):
        with contextlib.suppress(OSError):
            os.rename(path, os.path.join(folder, "artifacts"))
    for name in ("work", "earlier"):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    for path in glob.glob(
        os.path.join(glob.escape(folder), "artifacts", "*", "executor_output.json")
    ):
        os.remove(path)


def digest_of(path: str) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
