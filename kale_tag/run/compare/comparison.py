"""`kale-tag run --compare`: the variables of a run and of its plain notebook, compared."""

import ast
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kale_tag import files
from kale_tag.compiler.read_package import Compiled, PackageTask
from kale_tag.compiler.step_command import ARGUMENT
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error
from kale_tag.kale.pipeline import Pipeline, SubPipeline
from kale_tag.notebook.read import read_notebook
from kale_tag.run.compare.differences import difference, verdict_of
from kale_tag.run.run_record import ComparedVariable, RunComparison, RunOutcome

AGAIN = 2
"""How often the notebook runs again if something differs; dice may show the same twice."""

_SNAPSHOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "snapshot.py")
_CALL = (
    '__import__("runpy").run_path(__import__("os").environ["KALE_TAG_SNAPSHOT"])["snapshot"]'
    '(vars(__import__("sys").modules["__main__"]), {names}, {step!r});'
)


def check_comparable(name: str, pipeline: Pipeline | None) -> None:
    """Raise `UserError` if *name* is not a notebook that can run from top to bottom.

    *pipeline* is compiled from it, or None for a package.
    """
    check_nbclient()
    at = Label(Source(name))
    if pipeline is None:
        message = f"{name} is a package, but `--compare` runs the notebook too"
        raise UserError(error("no-notebook", message, at, help="name the notebook instead"))
    if not os.path.isfile(name):
        message = "`--compare` cannot run a notebook from standard input"
        raise UserError(error("no-notebook", message, help="name its file"))
    inner = next((one for one in pipeline.steps if isinstance(one, SubPipeline)), None)
    if inner is not None:
        message = f"{name} refers to another notebook in the step `{inner.name}`, so it cannot be "
        message += "run from top to bottom"
        hint = f"compare {inner.pipeline.notebook} by itself"
        raise UserError(error("reference", message, at, help=hint))


def compare_runs(
    name: str, pipeline: Pipeline, package: Compiled, run: RunOutcome, timeout: int
) -> RunComparison:
    """Run the notebook *name*, and compare its variables after each step that is done in *run*.

    FOLDER/compare/pipeline has the snapshots of the steps.
    """
    cells = _cells(name, pipeline, package, run.parameters)
    home = os.path.join(run.folder, "compare")
    work = os.path.abspath(os.path.dirname(name))
    done = {step.task for step in run.steps if step.state == "done"}
    reached = replace(package, tasks=tuple(task for task in package.tasks if task.id in done))
    steps, plain = (os.path.join(home, part) for part in ("pipeline", "notebook"))

    def execute(folder: str) -> tuple[Diagnostic, ...]:
        try:
            run_notebook(cells, name, work, folder, timeout)
        except UserError as exc:
            return exc.diagnostics
        return ()

    started = time.monotonic()
    diagnostics = execute(plain)
    spent = time.monotonic() - started
    if diagnostics:  # it did not reach the end of every step
        kept = (one for one in reached.tasks if os.path.exists(snapshot_of(plain, one)))
        reached = replace(reached, tasks=tuple(kept))
    found = compare(reached, plain, steps)
    others: list[str] = []
    while len(others) < AGAIN and any(one.verdict == "differs" for one in found):
        # A variable that differs between two runs of the notebook is random.
        others.append(os.path.join(home, f"again-{len(others)}"))
        execute(others[-1])
        found = compare(reached, plain, steps, others)
    shutil.rmtree(home, ignore_errors=True)
    return RunComparison(name, spent, len(reached.tasks), tuple(found), diagnostics)


def _cells(
    name: str, pipeline: Pipeline, package: Compiled, values: Mapping[str, object]
) -> list[tuple[int, str]]:
    notebook = read_notebook(files.read(name).data, name)
    sources = [cell.source if cell.cell_type == "code" else None for cell in notebook.cells]
    other = {
        one.name: values[one.name] for one in package.parameters if values[one.name] != one.default
    }
    overrides = "\n".join(f"{variable} = {value!r}" for variable, value in other.items())
    places = [one.label.source.cell for one in pipeline.parameters if one.label]
    after = max((cell for cell in places if cell is not None), default=-1)
    return notebook_cells(sources, package, overrides, after)


def environment(folder: str) -> dict[str, str]:
    """The environment variables that make steps and notebook write snapshots into *folder*."""
    os.makedirs(folder, exist_ok=True)
    return {"KALE_TAG_SNAPSHOT": _SNAPSHOT, "KALE_TAG_SNAPSHOTS": folder}


def watched(package: Compiled) -> Compiled:
    """The same package, but every step takes a snapshot of its variables at its end."""
    tasks = []
    for task in package.tasks:
        container: dict[str, Any] = dict(task.executor)
        command, args = list(container["command"]), list(container["args"])
        spec = json.loads(args[1])
        spec["cells"].append(["", _last_cell(task), 1])
        args[1] = json.dumps(spec, ensure_ascii=False)
        text = f"# %% compare\n{_call(task)}\n"
        last = args[-1] if len(args) > 3 else command[3]  # RUNTIME SPEC INPUT CELLS...
        if len((last + text).encode()) > ARGUMENT:
            args.append(text)
        elif len(args) > 3:
            args[-1] += text
        else:
            command[3] += text
        container |= {"command": command, "args": args}
        tasks.append(replace(task, executor=container))
    return replace(package, tasks=tuple(tasks))


def notebook_cells(
    sources: Sequence[str | None], package: Compiled, overrides: str, after: int
) -> list[tuple[int, str]]:
    """The code cells of the plain notebook, each with its number, and the code of snapshots.

    *sources* are those of all cells, None for cells without code. *overrides* is Python to run
    after the cell *after*.
    """
    calls: dict[int, list[str]] = {}
    for task in package.tasks:
        calls.setdefault(_last_cell(task), []).append(_call(task))
    cells = [(-1, overrides)] if after < 0 and overrides else []
    for number, source in enumerate(sources):
        if source is not None:
            cells.append((number, source))
        if number == after and overrides:
            cells.append((number, overrides))
        cells += [(number, call) for call in calls.get(number, ())]
    return cells


def check_nbclient() -> None:
    """Raise `UserError` if no notebook can be run."""
    from importlib.util import find_spec  # noqa: PLC0415  for comparisons only

    missing = [name for name in ("nbclient", "ipykernel") if find_spec(name) is None]
    if missing:
        raise UserError(
            error(
                "no-nbclient",
                f"`--compare` runs the notebook too, and needs {' and '.join(missing)}, not "
                "installed here",
                help=f"{sys.executable} -m pip install 'kale-tag[compare]'",
            )
        )


def run_notebook(
    cells: Iterable[tuple[int, str]], name: str, work: str, folder: str, seconds: int
) -> None:
    """Run *cells* in a kernel of this Python, in the folder *work*; snapshots go to *folder*.

    Raises `UserError` with the place if the notebook *name* fails.
    """
    environ = {"PYTHONHASHSEED": "0", **os.environ, **environment(folder)}  # as in steps
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        environ[variable] = os.path.join(folder, variable.lower())
        os.makedirs(environ[variable], exist_ok=True)
    cells = list(cells)
    path = os.path.join(folder, "cells.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(cells, file)
    host = os.path.join(os.path.dirname(_SNAPSHOT), "notebook_host.py")
    # Files, not pipes, which processes that the cells leave running would hold open.
    logs = [os.path.join(folder, f"notebook.{stream}") for stream in ("out", "err")]
    with open(logs[0], "wb") as out, open(logs[1], "wb") as err:
        process = subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-P", host, path, folder, str(seconds)],
            stdout=out,
            stderr=err,
            stdin=subprocess.DEVNULL,
            cwd=work,
            env=environ,
            start_new_session=True,
        )
        try:
            process.wait()
        finally:
            _end_session(process.pid)
            process.wait()
    if process.returncode:
        out_text, err_text = (pathlib.Path(log).read_text("utf-8", "replace") for log in logs)
        raise UserError(_notebook_diagnostic(out_text, err_text, name, dict(cells)))


def compare(
    package: Compiled, notebook: str, pipeline: str, again: Sequence[str] = ()
) -> list[ComparedVariable]:
    """Every variable in the snapshots of the folders *notebook* and *pipeline*.

    *again* are folders of more runs of the notebook. A variable that differs between them is
    random, and so are those that a step computes from it, unless it uses another that differs: dice
    may show the same twice.
    """
    found: list[ComparedVariable] = []
    folders = notebook, pipeline
    random: set[tuple[str, str]] = set()
    for task in package.tasks:
        sides = [_read(folder, task) for folder in folders]
        others = [(folder, _read(folder, task)) for folder in again]
        producers = _producers(task)
        dice = not random.isdisjoint(producers.values())
        variables = {variable: name for name, variable in task.variables.items()}
        crossing = _crossing(task)
        for name in compared_names(task):
            ours, theirs = (side.get(name, _NOTHING) for side in sides)
            if theirs["short"] == NOT_DEFINED and name not in crossing:
                continue  # the step may define it, and did not; the notebook has an older one
            verdict, path = verdict_of(ours, theirs, folders)
            if verdict == "differs":
                thrown = producers[name] in random if name in producers else dice
                if thrown or _changes(ours, name, notebook, others):
                    verdict = "random"
                    random.add((task.id, variables.get(name, "")))
                dice = dice and not (name in producers and verdict == "differs")
            first = None
            if verdict == "differs":
                first = difference(name, path, ours, theirs, folders)
            shorts = ours["short"], theirs["short"]
            found.append(ComparedVariable(task.title, name, verdict, *shorts, first))
    return found


def compared_names(task: PackageTask) -> list[str]:
    """The variables of *task*: parameters, inputs, outputs, and those that its cells define."""
    names = _crossing(task)
    for code in task.cells:
        if code.kind == "step":
            with contextlib.suppress(SyntaxError):
                names += _bound(ast.parse(code.python))
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]


def _crossing(task: PackageTask) -> list[str]:
    """The variables that must be defined at the end of *task*."""
    spec = json.loads(task.executor["args"][1])
    names = [*spec.get("params", ()), *spec.get("in", ()), *spec.get("out", ())]
    return [*names, *spec.get("metrics", {}).values()]


def _producers(task: PackageTask) -> dict[str, tuple[str, str]]:
    """The producer and output of each variable that *task* uses."""
    spec = json.loads(task.executor["args"][1])
    names = {**spec.get("names", {}), **spec.get("in_names", {})}
    return {name: task.inputs[names.get(name, name)] for name in spec.get("in", ())}


NOT_DEFINED = "not defined"
_NOTHING: dict[str, Any] = {"short": "not run", "leaves": {"": ["exact", "not run"]}}
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_OWN_NAMES = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _bound(tree: ast.AST) -> Iterator[str]:
    """The variables that code defines, other than imports, functions and classes."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest
        if not isinstance(node, _SCOPES + _OWN_NAMES):
            yield from _bound(node)


def _call(task: PackageTask) -> str:
    return _CALL.format(names=compared_names(task), step=task.id)


def _last_cell(task: PackageTask) -> int:
    """The last cell of the step itself; imports of other cells may follow it."""
    own = [code for code in task.cells if code.kind == "step"]
    real = [code.cell for code in own if not _imports_only(code.python)]
    return max(real or [code.cell for code in own], default=0)


def _imports_only(python: str) -> bool:
    try:
        body = ast.parse(python).body
    except SyntaxError:
        return False
    return all(isinstance(one, ast.Import | ast.ImportFrom) for one in body)


def snapshot_of(folder: str, task: PackageTask) -> str:
    """The file in *folder* with the variables at the end of *task*."""
    return os.path.join(folder, f"{task.id}.json")


def _read(folder: str, task: PackageTask) -> dict[str, dict[str, Any]]:
    try:
        with open(snapshot_of(folder, task), encoding="utf-8") as file:
            found: dict[str, dict[str, Any]] = json.load(file)
            return found
    except FileNotFoundError:
        return {}


def _changes(
    ours: Mapping[str, Any],
    name: str,
    notebook: str,
    others: Iterable[tuple[str, Mapping[str, Mapping[str, Any]]]],
) -> bool:
    """Whether a variable differs when the notebook runs again."""
    return any(
        verdict_of(ours, other.get(name, _NOTHING), (notebook, folder))[0] == "differs"
        for folder, other in others
    )


def _notebook_diagnostic(out: str, err: str, name: str, cells: Mapping[int, str]) -> Diagnostic:
    last = out.strip().rpartition("\n")[2]
    try:
        number, why = json.loads(last)
    except ValueError:
        why = err.strip().rpartition("\n")[2] or "its kernel could not be started"
        return error("notebook-failed", f"{name} could not be run: {why}")
    message = f"the notebook itself, run from top to bottom, fails: {why}"
    at = Label(Source(name, cells.get(number, ""), number)) if number >= 0 else None
    return error("notebook-failed", message, at)


def _end_session(leader: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(leader, signal.SIGKILL)
