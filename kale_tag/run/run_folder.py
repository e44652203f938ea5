"""The folder of a run: what every step gave, and what a later run can take from it.

    run.json  package.yaml  report.html  logs/STEP.log  artifacts/STEP/NAME  kfp.log

While the pipeline runs the artifacts are in work/, as KFP's runner lays them out.
"""

import contextlib
import dataclasses
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kale_tag.compiler.read_package import Compiled, Constant, FromPipeline, PackageTask
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error
from kale_tag.run.run_record import Output, RunOutcome, StepInputs, StepOutcome

RECORD = "run.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Reuse:
    """Outputs of an earlier run that a step need not make again."""

    step: StepOutcome
    folder: str


def read_run(folder: str) -> RunOutcome | None:
    """The run that *folder* holds; None if there is none that can be read."""
    try:
        with open(os.path.join(folder, RECORD), encoding="utf-8") as file:
            value = json.load(file)
        return _run_of(value, folder) if value["version"] == VERSION else None
    except (OSError, ValueError, KeyError, TypeError):
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
    """The runs in *folder*, the newest first."""
    paths = glob.glob(os.path.join(glob.escape(folder), "*", RECORD))
    runs = [run for path in paths if (run := read_run(os.path.dirname(path))) is not None]
    return sorted(runs, key=lambda run: run.started, reverse=True)


def work_of(folder: str, task: str) -> str:
    """The folder into which KFP's runner lets *task* write, "" before there is one."""
    found = glob.glob(os.path.join(glob.escape(folder), "work", "*", task))
    return found[0] if found else ""


def outputs_of(folder: str, task: PackageTask) -> tuple[Output, ...]:
    """What *task* gave, once it has ended. What it could not write to the end is taken away."""
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
    """Lay the artifacts of a run that has ended out as they stay."""
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


def given_of(
    task: PackageTask, arguments: Mapping[str, object], done: Mapping[str, StepOutcome]
) -> StepInputs | None:
    """What the outputs of *task* depend on; None while a step that gives it something is not done.

    *arguments* have the names of the package.
    """
    inputs = {}
    for name, (producer, output) in task.inputs.items():
        outcome = done.get(producer)
        found = outcome and next((one for one in outcome.outputs if one.name == output), None)
        if not found:
            return None
        inputs[name] = found.sha256
    parameters = {name: _value(source, arguments) for name, source in task.parameters.items()}
    code = [task.executor["command"], task.executor["args"], task.executor.get("env", [])]
    digest = hashlib.sha256(json.dumps(code, sort_keys=True).encode()).hexdigest()
    return StepInputs(digest, parameters, inputs)


def reusable(
    package: Compiled, arguments: Mapping[str, object], earlier: Sequence[RunOutcome]
) -> dict[str, Reuse]:
    """The steps that one of the *earlier* runs has done with the same code, values and inputs.

    A step that may not be cached, or whose outputs were changed since, is not among them.
    """
    found: dict[str, Reuse] = {}
    done: dict[str, StepOutcome] = {}
    for task in package.tasks:
        given = given_of(task, arguments, done) if task.cache else None
        if given is None:
            continue
        for run in earlier:
            step = _step(run, task.id)
            if step is None or step.given != given or next(_changed(step, run.folder), None):
                continue
            found[task.id] = Reuse(step, run.folder)
            done[task.id] = step
            break
    return found


def taken(
    package: Compiled,
    arguments: Mapping[str, object],
    run: RunOutcome,
    wanted: Collection[str],
) -> dict[str, Reuse]:
    """The outputs of the tasks *wanted* from *run*.

    Raises `UserError` with every reason why one of them cannot be taken.
    """
    found: dict[str, Reuse] = {}
    done: dict[str, StepOutcome] = {}
    diagnostics: list[Diagnostic] = []
    for task in package.tasks:
        if task.id not in wanted:
            continue
        step = _step(run, task.id)
        why = ""
        if step is None:
            why = "it did not end well there"
        else:
            given = given_of(task, arguments, done)
            why = next(_changed(step, run.folder), "") or _difference(given, step.given)
        if step is not None and not why:
            found[task.id] = Reuse(step, run.folder)
            done[task.id] = step
        elif all(producer in done for producer, _ in task.inputs.values()):
            diagnostics.append(
                error(
                    "not-reusable",
                    f"what the step `{task.title}` gave in the earlier run cannot be used: {why}",
                    Label(Source(os.path.relpath(run.folder))),
                    help=f"start there: --from {task.unit}",
                )
            )
    if diagnostics:
        raise UserError(*diagnostics)
    return found


def lay_ready(folder: str, reused: Mapping[str, Reuse]) -> None:
    """Put the outputs of *reused* steps where `step_guard` finds them."""
    for task, reuse in reused.items():
        place = os.path.join(folder, "earlier", task)
        os.makedirs(place)
        for output in reuse.step.outputs:
            source = os.path.join(reuse.folder, "artifacts", task, output.name)
            if not os.path.exists(source):
                continue
            target = os.path.join(place, output.name)
            try:
                os.link(source, target)
            except OSError:  # another file system, or one without links
                shutil.copy2(source, target)
        metadata = {output.name: output.metadata for output in reuse.step.outputs}
        with open(os.path.join(place, "outputs.json"), "w", encoding="utf-8") as file:
            json.dump(metadata, file)
        log = os.path.join(reuse.folder, "logs", f"{task}.log")
        if os.path.exists(log):
            shutil.copy2(log, os.path.join(folder, "logs", f"{task}.log"))


def _step(run: RunOutcome, task: str) -> StepOutcome | None:
    """The step of that id, if it ended well."""
    ended = (step for step in run.steps if step.state in {"done", "reused"})
    return next((step for step in ended if step.task == task), None)


def _changed(step: StepOutcome, folder: str) -> Iterator[str]:
    """What of the outputs of *step* is not as it was written."""
    for output in step.outputs:
        path = os.path.join(folder, "artifacts", step.task, output.name)
        what = f"`{output.variable or output.name}`"
        if output.size and not os.path.isfile(path):
            yield f"the artifact of {what} is gone"
        elif output.size and digest_of(path) != output.sha256:
            yield f"by its sha256, the artifact of {what} is not what was written"


def _difference(now: StepInputs | None, then: StepInputs | None) -> str:
    if now is None or then is None:
        return "it does not take the same variables any more"
    if now.code != then.code:
        return "its code has changed since"
    names = sorted(
        name
        for name in {*now.parameters, *then.parameters}
        if now.parameters.get(name) != then.parameters.get(name)
    )
    if names:
        shown = ", ".join(f"`{name}` was {json.dumps(then.parameters.get(name))}" for name in names)
        return f"it ran with other parameters ({shown})"
    return "" if now == then else "its inputs have changed since"


def _value(source: FromPipeline | Constant, arguments: Mapping[str, object]) -> object:
    return arguments[source.name] if isinstance(source, FromPipeline) else source.value


def _run_of(value: dict[str, Any], folder: str) -> RunOutcome:
    steps = []
    for one in value["steps"]:
        outputs = tuple(Output(**output) for output in one["outputs"])
        given = one["given"] and StepInputs(**one["given"])
        steps.append(StepOutcome(**{**one, "outputs": outputs, "given": given}))
    return RunOutcome(
        value["pipeline"],
        folder,
        value["started"],
        value["seconds"],
        value["parameters"],
        tuple(steps),
    )
