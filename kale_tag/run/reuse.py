"""The folder of a new run, and the outputs of earlier runs that it uses again."""

import datetime as dt
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kale_tag import files
from kale_tag.compiler.read_package import Compiled, FromPipeline, PackageTask
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error
from kale_tag.run.run_record import (
    RunOutcome,
    StepInputs,
    StepOutcome,
    digest_of,
    earlier_runs,
    is_private,
    read_run,
)

HOME = ".kale-tag"
"""The folder for runs without `--keep`, in the current one; Git ignores it."""


@dataclass(frozen=True, slots=True)
class Reuse:
    """A step of an earlier run whose outputs are used again."""

    step: StepOutcome  # as it ended there
    folder: str  # of the earlier run


@dataclass(slots=True)
class RunPlace:
    """The folder of a new run."""

    folder: str  # an absolute path
    earlier: list[RunOutcome]  # runs whose outputs it can use again, the newest first
    home: str = ""  # `HOME`, or "" if the user named a folder
    aside: str = ""  # where a run in *folder* is kept until this one has ended, or ""
    locks: list[int] = field(default_factory=list)  # file descriptors that hold folders

    def open(self, reused: Mapping[str, Reuse]) -> None:
        """Make the folder, with the outputs that are *reused*; an earlier run there goes aside."""
        try:
            if self.aside and os.path.isdir(os.path.join(self.folder, "logs")):
                self._lock()
            if self.aside:
                shutil.rmtree(self.aside, ignore_errors=True)
                os.rename(self.folder, self.aside)
                reused = {task: replace(one, folder=self.aside) for task, one in reused.items()}
            self._make()
            self._lock()
            if self.home:
                files.write(os.path.join(self.home, ".gitignore"), b"*\n")
            lay_ready(self.folder, reused)
        except OSError as exc:
            reason = (exc.strerror or str(exc)).lower()
            message = f"cannot make the folder of the run, {os.path.relpath(self.folder)}: {reason}"
            hint = "name another one: --keep FOLDER"
            raise UserError.of("not-written", message, help=hint) from None

    def _make(self) -> None:
        """Make the folder; two runs in one second get two."""
        wanted, number = self.folder, 2
        while True:
            try:
                os.makedirs(self.folder, exist_ok=not self.home)
                os.chmod(self.folder, 0o700)  # see `is_private`
                break
            except FileExistsError:
                self.folder, number = f"{wanted}-{number}", number + 1
        os.makedirs(os.path.join(self.folder, "logs"), exist_ok=True)

    def _lock(self) -> None:
        """Hold the folder until `close`. Raises `UserError` while another run holds it.

        Its logs are locked: whoever writes a file locks the folder of that file.
        """
        import fcntl  # noqa: PLC0415  Windows has none, and no runs

        self.locks.append(os.open(os.path.join(self.folder, "logs"), os.O_RDONLY))
        try:
            fcntl.flock(self.locks[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"another run is at work in {os.path.relpath(self.folder)}"
            hint = "wait until it has ended, or name another folder: --keep FOLDER"
            raise UserError.of("run-at-work", message, help=hint) from None
        except OSError:  # a file system without locks
            pass

    def close(self) -> None:
        """Let go of the folder, and remove the run that went aside."""
        for lock in self.locks:
            os.close(lock)
        self.locks.clear()
        if self.aside:
            shutil.rmtree(self.aside, ignore_errors=True)


def place_for(keep: str, pipeline: str) -> RunPlace:
    """The place of a run of *pipeline* in the folder *keep* ("": a new one in `HOME`).

    Raises `UserError` if the folder contains something else.
    """
    if not keep:
        home = os.path.abspath(HOME)
        runs = os.path.join(home, "runs", pipeline)
        now = dt.datetime.now().astimezone()
        folder = os.path.join(runs, now.strftime("%Y-%m-%d-%H%M%S"))
        return RunPlace(folder, earlier_runs(runs), home)
    folder = os.path.abspath(keep)
    if not os.path.lexists(folder) or (os.path.isdir(folder) and not os.listdir(folder)):
        return RunPlace(folder, [])
    run = read_run(folder)
    at = Label(Source(keep))
    if run is None:
        what = "contains other files than a run" if os.path.isdir(folder) else "is not a folder"
        hint = "name a folder that is empty or does not exist"
        raise UserError.of("not-a-run-folder", f"{keep} {what}", at, help=hint)
    if run.pipeline != pipeline:
        message = f"{keep} contains a run of another pipeline: `{run.pipeline}`, not `{pipeline}`"
        raise UserError.of("other-run-folder", message, at, help="name another folder")
    return RunPlace(folder, [run] * is_private(folder), aside=f"{folder}.earlier")


def inputs_of(
    task: PackageTask, arguments: Mapping[str, object], done: Mapping[str, StepOutcome]
) -> StepInputs | None:
    """The inputs of *task*; None while a step that produces one is not done.

    *arguments* have the names of the package.
    """
    inputs = {}
    for name, (producer, output) in task.inputs.items():
        outcome = done.get(producer)
        found = outcome and next((one for one in outcome.outputs if one.name == output), None)
        if not found:
            return None
        inputs[name] = found.sha256
    parameters = {
        name: arguments[source.name] if isinstance(source, FromPipeline) else source.value
        for name, source in task.parameters.items()
    }
    code = [task.executor["command"], task.executor["args"], task.executor.get("env", [])]
    digest = hashlib.sha256(json.dumps(code, sort_keys=True).encode()).hexdigest()
    return StepInputs(digest, parameters, inputs)


def reusable(
    package: Compiled, arguments: Mapping[str, object], earlier: Sequence[RunOutcome]
) -> dict[str, Reuse]:
    """The steps that one of the *earlier* runs has done with the same code, parameters and inputs.

    Not the steps that must not be cached, nor those whose artifacts have changed since.
    """
    found: dict[str, Reuse] = {}
    for task in package.tasks if earlier else ():
        given = inputs_of(task, arguments, _steps(found)) if task.cache else None
        for run in earlier if given else ():
            step = _step(run, task.id)
            if step and not _refusal(step, run.folder, given):
                found[task.id] = Reuse(step, run.folder)
                break
    return found


def reused_from(
    package: Compiled,
    arguments: Mapping[str, object],
    run: RunOutcome,
    wanted: Collection[str],
) -> dict[str, Reuse]:
    """The steps *wanted* of the earlier *run*.

    Raises `UserError` with every reason why one of them cannot be used again.
    """
    found: dict[str, Reuse] = {}
    diagnostics: list[Diagnostic] = []
    for task in package.tasks:
        if task.id not in wanted:
            continue
        step = _step(run, task.id)
        given = inputs_of(task, arguments, _steps(found))
        why = _refusal(step, run.folder, given) if step else "it did not succeed"
        if step and not why:
            found[task.id] = Reuse(step, run.folder)
        elif all(producer in found for producer, _ in task.inputs.values()):
            diagnostics.append(
                error(
                    "not-reusable",
                    f"cannot use the outputs of step `{task.title}` in the earlier run: {why}",
                    Label(Source(os.path.relpath(run.folder))),
                    help=f"start at this step: --from {task.unit}",
                )
            )
    if diagnostics:
        raise UserError(*diagnostics)
    return found


def lay_ready(folder: str, reused: Mapping[str, Reuse]) -> None:
    """Link the outputs of *reused* steps to where `step_guard` reads them."""
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
    """The step with that id, if it succeeded."""
    ended = (step for step in run.steps if step.state in {"done", "reused"})
    return next((step for step in ended if step.task == task), None)


def _steps(reused: Mapping[str, Reuse]) -> dict[str, StepOutcome]:
    return {task: one.step for task, one in reused.items()}


def _refusal(step: StepOutcome, folder: str, now: StepInputs | None) -> str:
    """Why the outputs of *step* are not those of the same step with the inputs *now*, or ""."""
    then = step.given
    if now is None or then is None:
        return "it no longer uses the same variables"
    if now.code != then.code:
        return "its code, an environment variable or the name of its notebook has changed since"
    names = sorted(
        name
        for name in {*now.parameters, *then.parameters}
        if now.parameters.get(name) != then.parameters.get(name)
    )
    if names:
        shown = ", ".join(f"`{name}` was {json.dumps(then.parameters.get(name))}" for name in names)
        return f"it ran with other parameters ({shown})"
    return _changed(step, folder) if now == then else "its inputs have changed since"


def _changed(step: StepOutcome, folder: str) -> str:
    """The output of *step* that is not as it was written."""
    for output in step.outputs:
        path = os.path.join(folder, "artifacts", step.task, output.name)
        what = f"`{output.variable or output.name}`"
        if output.size and not os.path.isfile(path):
            return f"the artifact of {what} is missing"
        if output.size and digest_of(path) != output.sha256:
            return f"the artifact of {what} has changed (other sha256)"
    return ""
