"""A package on KFP's own local runner, in a process of its own: its events, and their record.

`step_guard.py` starts every step, and reports when it starts and ends. It keeps output and code
from the runner, which stops at bytes that are not UTF-8, and changes `python3` in code.
"""

import contextlib
import copy
import itertools
import json
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kale_tag.compiler.package_text import to_yaml
from kale_tag.compiler.read_package import Compiled, PackageTask, creates_claim
from kale_tag.compiler.step_command import EXECUTOR_INPUT
from kale_tag.diagnostics import UserError
from kale_tag.kale.outline import in_order
from kale_tag.run.reuse import Reuse, inputs_of
from kale_tag.run.run_record import RunOutcome, StepOutcome, outputs_of

TICK = 0.1
"""Seconds after which a `tick` is reported if nothing else is."""

PATIENCE = 10.0
"""Seconds that all processes have to end after an interruption."""

NO_KFP = 2
"""The exit code of the host where kfp cannot be imported."""

DISK_FULL = 1_000_000
"""Bytes of free space below which a failure may be due to a full disk."""

_HERE = os.path.dirname(os.path.abspath(__file__))
_MARK = b"\036kale-tag "
_GUARD = "import os;p=os.environ['KALE_TAG_GUARD'];exec(compile(open(p).read(),p,'exec'))"


@dataclass(frozen=True, slots=True)
class LocalRun:
    """A package, and how to run it."""

    package: Compiled  # to run
    folder: str  # of the run, an absolute path
    work: str  # the folder in which the steps run
    arguments: Mapping[str, object]  # under their names in the package
    limits: Mapping[str, float] = field(default_factory=dict)  # task to seconds
    reused: Collection[str] = ()  # the tasks whose outputs are in FOLDER/earlier
    install: bool = False  # whether steps install their packages
    environ: Mapping[str, str] = field(default_factory=dict)  # more environment variables


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a run."""

    kind: Literal["start", "end", "reused", "problem", "tick", "closed"]  # `closed` is the last
    task: str = ""  # that starts, ends or is reused
    code: int = 0  # the exit code of the task, or of the runner
    seconds: float = 0.0  # how long the task ran
    late: bool = False  # whether it exceeded its time limit
    text: str = ""  # of a problem: an error of the runner


def check_machine() -> None:
    """Raise `UserError` where no pipeline can run."""
    if os.name != "posix":
        hint = "use the Windows Subsystem for Linux"
        raise UserError.of("no-shell", "steps need a POSIX shell, which Windows lacks", help=hint)


def execute(run: LocalRun) -> Generator[Event]:
    """Run the pipeline. The end of this iterator ends all processes, however it comes."""
    os.makedirs(os.path.join(run.folder, "logs"), exist_ok=True)
    package = os.path.join(run.folder, "local.yaml")
    arguments = os.path.join(run.folder, "arguments.json")
    commands = os.path.join(run.folder, "commands")
    _write_commands(run, commands)
    with open(package, "w", encoding="utf-8") as file:
        file.write(_guarded(run))
    with open(arguments, "w", encoding="utf-8") as file:
        json.dump({name: one for name, one in run.arguments.items() if one is not None}, file)
    host = os.path.join(_HERE, "local_host.py")
    process = subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, "-P", "-u", host, package, arguments, os.path.join(run.folder, "work")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=run.work,
        env=_environment(run),
        start_new_session=True,
    )
    try:
        yield from _events(process, os.path.join(run.folder, "kfp.log"))
    finally:
        _end(process)
        os.remove(package)
        os.remove(arguments)
        shutil.rmtree(commands)


def _environment(run: LocalRun) -> dict[str, str]:
    own = {"KALE_TAG_RUN": run.folder, "KALE_TAG_GUARD": os.path.join(_HERE, "step_guard.py")}
    environ = {**os.environ, **run.environ, **own, "KALE_TAG_NO_PIP": "1"}
    if run.install:
        del environ["KALE_TAG_NO_PIP"]
    return environ


def _guarded(run: LocalRun) -> str:
    """The package as YAML for KFP's runner, with the guard in place of every step.

    The runner replaces `python3` by its own Python, and requires the last word of the command.
    """
    executors = {}
    for task in run.package.tasks:
        limit = "reuse" if task.id in run.reused else f"{run.limits.get(task.id, 0.0):g}"
        words = ["python3", "-I", "-S", "-c", _GUARD, task.id, limit, "kfp.dsl.executor_main"]
        container = {**task.executor, "command": words, "args": [EXECUTOR_INPUT]}
        executors[f"exec-{task.id}"] = {"container": container}
    spec = _without_claims(_without_null(run.package.header.spec, run.arguments))
    components = {
        name: {**one, "dag": _one_by_one(one["dag"])} if "dag" in one else one
        for name, one in spec["components"].items()
    }
    root = {**spec["root"], "dag": _one_by_one(spec["root"]["dag"])}
    changed = {"components": components, "deploymentSpec": {"executors": executors}, "root": root}
    return to_yaml([{**spec, **changed}], {})


def _without_null(spec: Mapping[str, Any], arguments: Mapping[str, object]) -> Mapping[str, Any]:
    """*spec* without the parameters that are None in *arguments*, which the runner cannot pass."""
    null = {name for name, value in arguments.items() if value is None}
    if not null:
        return spec
    spec = json.loads(json.dumps(spec))
    for name in null:
        del spec["root"]["inputDefinitions"]["parameters"][name]
    todo = [(spec["root"], null)]
    while todo:
        component, null = todo.pop()
        for task in component.get("dag", {}).get("tasks", {}).values():
            inner = spec["components"][task["componentRef"]["name"]]
            given = task.get("inputs", {}).get("parameters", {})
            gone = {key for key, one in given.items() if one.get("componentInputParameter") in null}
            for key in gone:
                del inner["inputDefinitions"]["parameters"][key], given[key]
                if "dag" in inner:  # without a parameter it would lose its artifacts: see FILLER
                    inner["inputDefinitions"]["parameters"][key] = {"parameterType": "STRING"}
                    given[key] = {"runtimeValue": {"constant": "None"}}
            todo.append((inner, gone))
    return spec


def _without_claims(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """*spec* without the tasks that create claims, for which a machine has no Kubernetes."""
    dag = spec["root"]["dag"]
    kept = {
        key: copy.deepcopy(task)
        for key, task in dag["tasks"].items()
        if not creates_claim(task, spec)
    }
    for task in kept.values():
        task["dependentTasks"] = [one for one in task.get("dependentTasks", ()) if one in kept]
        given = task.get("inputs", {}).get("parameters", {})
        for name, source in given.items():
            if "taskOutputParameter" in source:
                given[name] = {"runtimeValue": {"constant": "None"}}
    return {**spec, "root": {**spec["root"], "dag": {**dag, "tasks": kept}}}


def _one_by_one(dag: Mapping[str, Any]) -> dict[str, Any]:
    """The same tasks, each depending on the one before it in the notebook.

    The order in which the runner takes independent tasks differs between runs.
    """
    tasks = dag["tasks"]
    before = {name: set(task.get("dependentTasks", ())) for name, task in tasks.items()}
    for previous, name in itertools.pairwise(in_order(before)):
        before[name].add(previous)
    chained = {
        name: {**task, "dependentTasks": sorted(before[name])} for name, task in tasks.items()
    }
    return {**dag, "tasks": chained}


def _write_commands(run: LocalRun, folder: str) -> None:
    """Write the command of every step to the file that the guard reads."""
    os.makedirs(folder, exist_ok=True)
    for task in run.package.tasks:
        words: list[str] = [*task.executor["command"], *task.executor["args"]]
        words[2] = words[2].replace("python3", shlex.quote(sys.executable))  # the script
        with open(os.path.join(folder, task.id), "wb") as file:
            file.writelines(os.fsencode(f"{word}\0") for word in words)


def _events(process: "subprocess.Popen[bytes]", log: str) -> Iterator[Event]:
    assert process.stdout is not None
    rest = b""
    with selectors.DefaultSelector() as selector, open(log, "wb", buffering=0) as noise:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(TICK):
                yield Event("tick")
                continue
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                _, mark, words = line.partition(_MARK)
                if mark:
                    yield _event(words.decode(errors="replace"))
                else:
                    with contextlib.suppress(OSError):  # the disk is full: the steps report it
                        noise.write(line + b"\n")
    yield Event("closed", code=process.wait())


def _event(text: str) -> Event:
    kind, _, rest = text.partition(" ")
    match kind:
        case "start":
            return Event("start", rest.split()[0])
        case "end":
            task, code, seconds, late = rest.split()
            return Event("end", task, int(code), float(seconds), late == "late")
        case "reused":
            return Event("reused", rest)
        case _:
            return Event("problem", text=rest)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Let the host end its processes and itself; kill it if it does not."""
    assert process.stdin is not None
    assert process.stdout is not None
    until = time.monotonic() + PATIENCE
    try:
        process.stdin.close()
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()


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
        self._keep()

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
                step = self.steps[event.task] = self._next(self.steps[event.task], event)
                self._keep()
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
        self._keep(seconds=self.now)

    def _keep(self, seconds: float = 0.0) -> None:
        self.run = replace(self.run, steps=tuple(self.steps.values()), seconds=seconds)

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
