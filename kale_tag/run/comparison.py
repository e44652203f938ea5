"""`kale-tag run --compare`: the variables of a run and of its plain notebook, compared."""

import ast
import contextlib
import json
import math
import operator
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kale_tag import files
from kale_tag.code.facts import roots
from kale_tag.code.source import run_line
from kale_tag.compiler.read_package import Compiled, PackageTask
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError
from kale_tag.kale.pipeline import Pipeline, SubPipeline
from kale_tag.notebook.read import read_notebook
from kale_tag.run.run_record import ComparedVariable, Difference, RunComparison, RunOutcome, Verdict
from kale_tag.run.snapshot import MARK
from kale_tag.run.this_machine import check_installed

AGAIN = 2
"""How often the notebook runs again if something differs; dice may show the same twice."""

TOLERANCE = 1e-9
"""Relative difference of floats that count as equal: sums over several threads are not exact to the
last digits."""

SHOWN = 60
"""Characters of a value that are shown: those around the first that differs."""

Folders = tuple[str, str]

_SNAPSHOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "snapshot.py")
_CALL = (
    '__import__("runpy").run_path(__import__("os").environ["KALE_TAG_SNAPSHOT"])["snapshot"]'
    '(vars(__import__("sys").modules["__main__"]), {names}, {step!r});'
)


def check_comparable(name: str, pipeline: Pipeline | None) -> None:
    """Raise `UserError` if *name* is not a notebook that can run from top to bottom.

    *pipeline* is compiled from it, or None for a package.
    """
    who = "`--compare` runs the notebook too, and"
    check_installed(who, ("nbclient", "ipykernel"), "compare", "no-nbclient")
    at = Label(Source(name))
    if pipeline is None:
        message = f"{name} is a package, but `--compare` runs the notebook too"
        raise UserError.of("no-notebook", message, at, help="name the notebook instead")
    if not os.path.isfile(name):
        message = "`--compare` cannot run a notebook from standard input"
        raise UserError.of("no-notebook", message, help="name its file")
    inner = next((one for one in pipeline.steps if isinstance(one, SubPipeline)), None)
    if inner is not None:
        message = f"{name} refers to another notebook in the step `{inner.name}`, so it cannot be "
        message += "run from top to bottom"
        hint = f"compare {inner.pipeline.notebook} by itself"
        raise UserError.of("reference", message, at, help=hint)


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
    found = list(_located(found, reached, cells))
    shutil.rmtree(home, ignore_errors=True)
    return RunComparison(name, spent, len(reached.tasks), tuple(found), diagnostics)


def _cells(
    name: str, pipeline: Pipeline, package: Compiled, values: Mapping[str, object]
) -> list[tuple[int, str]]:
    """The code cells of the notebook *name*, each with its number, and the code of snapshots.

    The parameters of a run get their *values* after the last cell that defines one.
    """
    other = (one for one in package.header.parameters if values[one.name] != one.default)
    overrides = "\n".join(f"{one.name} = {values[one.name]!r}" for one in other)
    places = [one.label.source.cell for one in pipeline.parameters if one.label]
    after = max((cell for cell in places if cell is not None), default=-1)
    more: dict[int, list[str]] = {after: [overrides]} if overrides else {}
    for task in package.tasks:
        more.setdefault(_last_cell(task), []).append(_call(task))
    cells = [(-1, code) for code in more.get(-1, ())]
    notebook = read_notebook(files.read(name).data, name)
    for number, kind in enumerate(notebook.types):
        if kind == "code":
            cells.append((number, notebook.source(number)))
        cells += [(number, code) for code in more.get(number, ())]
    return cells


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
        spec["cells"].append(["", "--compare", 1])  # a name of its own: sources go by it
        args[1] = json.dumps(spec, ensure_ascii=False)
        command[3] += f"# %% compare\n{_call(task)}\n"
        container |= {"command": command, "args": args}
        tasks.append(replace(task, executor=container))
    return replace(package, tasks=tuple(tasks))


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
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        ends = (pathlib.Path(log).read_text("utf-8", "replace").strip() for log in logs)
        last, why = (text.rpartition("\n")[2] for text in ends)
        try:
            number, why = json.loads(last)
        except ValueError:
            why = why or "its kernel could not be started"
            raise UserError.of("notebook-failed", f"{name} could not be run: {why}") from None
        message = f"the notebook itself, run from top to bottom, fails: {why}"
        at = Label(Source(name, dict(cells).get(number, ""), number)) if number >= 0 else None
        raise UserError.of("notebook-failed", message, at)


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
        first, second, *others = (_snapshot(folder, task) for folder in (*folders, *again))
        producers = _producers(task)
        dice = not random.isdisjoint(producers.values())
        variables = {variable: name for name, variable in task.variables.items()}
        crossing = _crossing(task)
        for name in compared_names(task):
            ours, theirs, *more = (side.get(name, _NOTHING) for side in (first, second, *others))
            if theirs["short"] == NOT_DEFINED and name not in crossing:
                continue  # the step may define it, and did not; the notebook has an older one
            verdict, path = verdict_of(ours, theirs, folders)
            where = None
            if verdict == "differs":
                runs = zip(more, again, strict=True)
                thrown = producers[name] in random if name in producers else dice
                if thrown or any(
                    verdict_of(ours, other, (notebook, folder))[0] == "differs"
                    for other, folder in runs
                ):
                    verdict = "random"
                    random.add((task.id, variables.get(name, "")))
                else:
                    dice = dice and name not in producers
                    where = difference(name, path, ours, theirs, folders)
            shorts = ours["short"], theirs["short"]
            found.append(ComparedVariable(task.title, name, verdict, *shorts, where))
    return found


def _located(
    found: Iterable[ComparedVariable], package: Compiled, cells: Sequence[tuple[int, str]]
) -> Iterator[ComparedVariable]:
    """*found*, with the cell that set each variable last before it differs for the first time."""
    every = {code.cell for task in package.tasks for code in task.cells}
    ends = {task.title: _last_cell(task) for task in package.tasks}
    setters: dict[str, list[int]] = {}
    for number, source in cells:
        with contextlib.suppress(SyntaxError):
            for name in _changed(ast.parse(source), calls=number not in every):
                setters.setdefault(name, []).append(number)
    seen: set[str] = set()
    for one in found:
        before = [cell for cell in setters.get(one.name, ()) if cell <= ends[one.step]]
        if one.verdict == "differs" and one.name not in seen and before:
            yield replace(one, cell=before[-1], left_out=before[-1] not in every)
        else:
            yield one
        if one.verdict == "differs":
            seen.add(one.name)


def _changed(tree: ast.AST, *, calls: bool) -> Iterator[str]:
    """The variables that code binds or stores into, or has methods called of (*calls*)."""
    for node in ast.walk(tree):
        match node:
            case ast.Name() | ast.Attribute() | ast.Subscript() if not isinstance(
                node.ctx, ast.Load
            ):
                yield from roots(node)
            case ast.Call(func=ast.Attribute(value=owner)) if calls:
                yield from roots(owner)
            case _:
                pass


def compared_names(task: PackageTask) -> list[str]:
    """The variables of *task*: parameters, inputs, outputs, and those that its cells define."""
    names = _crossing(task)
    for code in task.cells:
        if code.kind == "step":
            names += _bound(ast.parse(code.python))
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]


def _crossing(task: PackageTask) -> list[str]:
    """The variables that must be defined at the end of *task*."""
    spec = task.spec
    names = [*spec.get("params", ()), *spec.get("in", ()), *spec.get("out", ())]
    return [*names, *spec.get("metrics", {}).values()]


def _producers(task: PackageTask) -> dict[str, tuple[str, str]]:
    """The producer and output of each variable that *task* uses."""
    spec = task.spec
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
        elif (found := run_line(node)) is not None and found[1]:
            yield from _bound(ast.parse(found[1]))
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
    return all(isinstance(one, ast.Import | ast.ImportFrom) for one in ast.parse(python).body)


def snapshot_of(folder: str, task: PackageTask) -> str:
    """The file in *folder* with the variables at the end of *task*."""
    return os.path.join(folder, f"{task.id}.json")


def _snapshot(folder: str, task: PackageTask) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    with (
        contextlib.suppress(FileNotFoundError),
        open(snapshot_of(folder, task), encoding="utf-8") as file,
    ):
        found = json.load(file)
    return found


# The differences of two sets of leaves, as `snapshot.py` writes them.


def verdict_of(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], folders: Folders
) -> tuple[Verdict, str]:
    """The verdict on two variables, and the path of the first leaf that differs."""
    left, right = ours["leaves"], theirs["leaves"]
    worst: Verdict = "same"
    for path in dict.fromkeys((*left, *right)):
        one, other = left.get(path), right.get(path)
        if one is None or other is None or one[0] != other[0]:
            return "differs", path
        if one[0] == "type":
            worst = "type"
        if one[:2] == other[:2]:
            continue
        if not _close(one, other, folders):
            return "differs", path
        worst = "rounding" if worst == "same" else worst
    return worst, ""


def difference(
    name: str, path: str, ours: Mapping[str, Any], theirs: Mapping[str, Any], folders: Folders
) -> Difference | None:
    """The place of the leaf *path* in the variable *name*, and its two values.

    None if they are those of the variable as a whole.
    """
    one, other = (side["leaves"].get(path) for side in (ours, theirs))
    place, _, word = path.partition(MARK)
    word = word.rstrip("'")
    shorts = ours["short"], theirs["short"]
    if word == "code":
        return Difference(f"in the code of {name}{place}")
    if one and other and one[0] == other[0] and one[0] in {"array", "values"}:
        found = _inside(one, other, folders) if one[2] and other[2] else None
        if found is None:
            return Difference(f"in {name}{place}")
        index, *values = found
        place += index
    else:
        values = [_value(leaf) if not word else _text(leaf) for leaf in (one, other)]
        shown = tuple(values) == shorts or (word == "type" and shorts[0] != shorts[1])
        if shown and not place:
            return None
    what = f", its {word}" if word not in {"", "type"} else ""
    return Difference(f"at {name}{place}{what}", *_clipped(*values))


def _close(one: Sequence[str], other: Sequence[str], folders: Folders) -> bool:
    """Whether two unequal leaves differ by rounding only."""
    if one[0] == "float":
        return _near(float.fromhex(one[1]), float.fromhex(other[1]))
    if one[0] != "array" or not one[2] or not other[2]:
        return False
    ours, theirs = _both(one, other, folders)
    return len(ours) == len(theirs) and all(map(_near, ours, theirs))


def _near(one: float, other: float) -> bool:
    both_nan = one != one and other != other  # noqa: PLR0124  NaN alone is not itself
    return both_nan or math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-12)


def _both(one: Sequence[str], other: Sequence[str], folders: Folders) -> list[Sequence[Any]]:
    """The values of two leaves, read from their files."""
    return [_read(*pair) for pair in zip((one, other), folders, strict=True)]


def _read(leaf: Sequence[str], folder: str) -> Sequence[Any]:
    with open(os.path.join(folder, leaf[2]), "rb") as file:
        if leaf[0] == "array":
            return array("d", file.read())
        found: list[str] = json.load(file)
        return found


def _inside(
    one: Sequence[str], other: Sequence[str], folders: Folders
) -> tuple[str, str, str] | None:
    """The index of the first value that differs, and that value on both sides."""
    ours, theirs = _both(one, other, folders)
    same = _near if one[0] == "array" else operator.eq
    pairs = enumerate(zip(ours, theirs, strict=False))
    found = next(((number, pair) for number, pair in pairs if not same(*pair)), None)
    if found is None:
        return None
    shape = [int(size) for size in one[3].split()]
    rest = found[0] // (len(ours) // math.prod(shape))  # a complex number is two
    index: list[str] = []
    for size in reversed(shape):
        rest, last = divmod(rest, size)
        index.insert(0, str(last))
    left, right = map(str, found[1])
    return f"[{', '.join(index)}]" * bool(index), left, right


def _value(leaf: Sequence[str] | None) -> str:
    """A leaf as Python writes it, without the name of a built-in type."""
    text = _text(leaf)
    plain = leaf is not None and leaf[0] == "exact" and leaf[1] != text
    return text.partition(" ")[2] if plain else text


def _text(leaf: Sequence[str] | None) -> str:
    if leaf is None:
        return "not there"
    return str(float.fromhex(leaf[1])) if leaf[0] == "float" else leaf[1].removeprefix("builtins.")


def _clipped(left: str, right: str) -> tuple[str, str]:
    """Two texts cut to the part around the first character that differs."""
    if max(len(left), len(right)) <= SHOWN:
        return left, right
    pairs = enumerate(zip(left, right, strict=False))
    first = next((number for number, (one, other) in pairs if one != other), 0)
    start = max(0, first - SHOWN // 2)
    return _cut(left, start), _cut(right, start)


def _cut(text: str, start: int) -> str:
    end = start + SHOWN
    return f"{'…' * (start > 0)}{text[start:end]}{'…' * (end < len(text))}"
