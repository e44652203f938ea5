"""Random programs over objects that share parts compute in a pipeline what the notebook computes.

Each step has a namespace of its own, and what it gets of others came through a pickle: one for each
class of variables. What differs without a word is an error of the analysis.
"""

import collections
import functools
import importlib
import io
import marshal
import pickle
import re
import types
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from notebooks import from_percent
from programs import LackingError, Program, limited

from kale_tag.compiler.build import build
from kale_tag.diagnostics import UserError
from kale_tag.kale.pipeline import Pipeline, Step
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.read import read_notebook

TEXT = (Path(__file__).parent / "same_values.md").read_text("utf-8")
CASES = dict(re.findall(r"^## ([^\n]*)\n\n```python\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL))
"""Notebooks that share in ways which the random programs do not have."""

ATOMS = (int, float, str, bytes, bool, complex, type(None), range)
REPORTS = {"missed-change", "possible-change", "undefined-name", "deleted-name"}
Space = dict[str, Any]


# Files


def resolve(space: Mapping[str, Any], qualname: str) -> Any:
    """What the shared cells have under a name."""
    first, *rest = qualname.split(".")
    found = space.get(first)
    for part in rest:
        found = getattr(found, part, None)
    return found


class Files:
    """The pickles of one step: what the shared cells define goes by name, all else by value."""

    space: Space  # of the step that runs

    @classmethod
    def is_shared(cls, value: object) -> bool:
        """Whether the shared cells define it."""
        if not isinstance(value, types.FunctionType | type):
            return False
        return resolve(cls.space["__shared__"], value.__qualname__) is value


def by_name(qualname: str) -> Any:
    """What the shared cells of this step have under a name."""
    return resolve(Files.space["__shared__"], qualname)


def make_function(code: bytes, name: str, cells: tuple[Any, ...]) -> types.FunctionType:
    """A function that sees the names of this step."""
    return types.FunctionType(marshal.loads(code), Files.space, name, None, cells)


def make_cell() -> Any:
    """An empty variable of a closure."""
    return types.CellType()


def fill_cell(cell: Any, state: tuple[Any, ...]) -> None:
    """A variable of a closure gets its value."""
    cell.cell_contents = state[0]


def fill_function(function: Any, state: tuple[Any, ...]) -> None:
    """A function gets its defaults and attributes."""
    function.__defaults__, function.__kwdefaults__, attributes, function.__qualname__ = state
    function.__dict__.update(attributes)


def make_view(base: Any, offset: int, shape: Any, strides: Any, dtype: Any) -> Any:
    """An array that looks at the memory of another."""
    data = np.frombuffer(base, np.uint8) if isinstance(base, bytes) else base.reshape(-1)
    return np.ndarray(shape, dtype, data.view(np.uint8), offset, strides)


class Pickler(pickle.Pickler):
    """Keeps what variables of one file share."""

    def reducer_override(self, value: Any) -> Any:  # noqa: PLR0911  one for each kind
        """How to make *value* again."""
        if isinstance(value, types.ModuleType):
            return importlib.import_module, (value.__name__,)
        if Files.is_shared(value):
            return by_name, (value.__qualname__,)
        if isinstance(value, types.CellType):
            with suppress(ValueError):
                return make_cell, (), (value.cell_contents,), None, None, fill_cell
            return make_cell, ()
        if isinstance(value, types.FunctionType) and value.__globals__ is Files.space:
            made = marshal.dumps(value.__code__), value.__name__, value.__closure__ or ()
            state = value.__defaults__, value.__kwdefaults__, value.__dict__, value.__qualname__
            return make_function, made, state, None, None, fill_function
        base: Any = getattr(value, "base", None)
        if type(value).__name__ == "ndarray" and type(base).__name__ == "ndarray":
            while type(base.base).__name__ == "ndarray":
                base = base.base
            if base.flags.c_contiguous and base.flags.owndata:
                offset = value.__array_interface__["data"][0] - base.__array_interface__["data"][0]
                return make_view, (base, offset, value.shape, value.strides, value.dtype)
        return NotImplemented


def state_of(value: Any) -> Any:
    """The data of a class or function of the shared cells, which goes along by its name."""
    if isinstance(value, type):
        plain = (
            types.FunctionType,
            property,
            staticmethod,
            classmethod,
            types.GetSetDescriptorType,
        )
        own = vars(value).items()
        return {k: x for k, x in own if not k.startswith("__") and not isinstance(x, plain)}
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    return value.__defaults__, value.__kwdefaults__, cells, dict(value.__dict__)


def save(names: Iterable[str]) -> bytes:
    """One file with variables of the step."""
    values = {name: Files.space[name] for name in sorted(names) if name in Files.space}
    states = {name: state_of(one) for name, one in values.items() if Files.is_shared(one)}
    out = io.BytesIO()
    Pickler(out, 5).dump((values, states))
    return out.getvalue()


def load(data: bytes, names: Iterable[str]) -> None:
    """The step takes variables out of a file."""
    values, states = pickle.loads(data)
    for name in names:
        if name not in values:
            Files.space.pop(name, None)
            continue
        value = Files.space[name] = values[name]
        if name not in states:
            continue
        if isinstance(value, type):
            for key, one in states[name].items():
                setattr(value, key, one)
        else:
            value.__defaults__, value.__kwdefaults__, cells, attributes = states[name]
            for cell, one in zip(value.__closure__ or (), cells, strict=True):
                cell.cell_contents = one
            value.__dict__.update(attributes)


# Values that can be compared


def canonical(value: Any, path: tuple[int, ...] = ()) -> Any:  # noqa: C901, PLR0911  see above
    """*value* as nested tuples, which are equal if the values are."""
    if isinstance(value, ATOMS):
        return type(value).__name__, re.sub("0x[0-9a-f]+", "", repr(value))
    if id(value) in path:
        return "cycle", len(path) - path.index(id(value))
    path = (*path, id(value))

    def inner(values: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(canonical(one, path) for one in values)

    name = type(value).__name__
    if isinstance(value, type | types.ModuleType):
        return "named", value.__name__
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return name, value.__qualname__, inner(value.__defaults__ or ()), inner(cells)
    if isinstance(value, types.MethodType | types.BuiltinFunctionType):
        return name, value.__name__, canonical(value.__self__, path)
    if isinstance(value, dict):
        return name, tuple((canonical(k, path), canonical(x, path)) for k, x in value.items())
    if isinstance(value, list | tuple | collections.deque):
        return name, inner(value)
    if isinstance(value, set | frozenset):
        return name, tuple(sorted(map(repr, inner(value))))
    if isinstance(value, functools.partial):
        return name, inner([value.func, value.args, value.keywords])
    if hasattr(value, "tolist") or hasattr(value, "to_dict"):
        return name, repr(value)
    if hasattr(value, "__next__"):
        with suppress(TypeError):
            return name, inner(value.__reduce__()[1])
        return name, "not to be seen"
    with suppress(TypeError):
        return name, tuple((k, canonical(x, path)) for k, x in vars(value).items())
    return name, ""


# Runs


def started(code: str) -> Space:
    """A namespace in which the shared cells ran."""
    space: Space = {"__name__": "__main__"}
    exec(compile(code, "<shared>", "exec"), space)
    space["__shared__"] = dict(space)
    Files.space = space
    return space


def seen(space: Space) -> dict[str, Any]:
    """The variables of a step when it ends."""
    names = [name for name in sorted(space) if re.fullmatch(r"[vg]\d|[A-Z]+", name)]
    return {name: canonical(space[name]) for name in names}


def in_notebook(program: Program, shared: str) -> dict[str, dict[str, Any]]:
    """What each step leaves in the notebook."""
    space = started(shared)
    found = {}
    for name, code in program.steps.items():
        exec(compile(code, name, "exec"), space)
        found[name] = seen(space)
    return found


def in_pipeline(program: Program, shared: str, pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    """What each step leaves in the pipeline."""
    files: dict[tuple[str, str], tuple[frozenset[str], bytes]] = {}
    found = {}
    for step in pipeline.steps:
        assert isinstance(step, Step)
        space = started(shared)
        loads: dict[tuple[str, frozenset[str]], list[str]] = {}
        for name, producer in step.ins.items():
            loads.setdefault((producer, files[producer, name][0]), []).append(name)
        for (producer, _), names in loads.items():
            load(files[producer, names[0]][1], names)
        code = program.steps[step.name]
        exec(compile(code, step.name, "exec"), space)
        found[step.name] = seen(space)
        groups = [frozenset(one) for one in step.together]
        apart = set(step.outs) - frozenset().union(*groups)
        for group in (*groups, *(frozenset([name]) for name in apart)):
            data = save(group)
            files |= {(step.name, name): (group, data) for name in group}
    return found


def in_one_file(program: Program, shared: str) -> dict[str, dict[str, Any]]:
    """What each step of a chain leaves if it hands all that there is to the next, in one file."""
    found: dict[str, dict[str, Any]] = {}
    data = b""
    for name, code in program.steps.items():
        space = started(shared)
        if data:
            load(data, pickle.loads(data)[0])
        exec(compile(code, name, "exec"), space)
        found[name] = seen(space)
        modules = types.ModuleType
        data = save(x for x, one in space.items() if x[:2] != "__" and type(one) is not modules)
    return found


def same(
    got: Mapping[str, Mapping[str, Any]],
    wanted: Mapping[str, Mapping[str, Any]],
    shown: Mapping[str, Iterable[str]],
) -> bool:
    """Whether the variables that each step uses, binds or has are those of the notebook."""
    return all(
        got.get(step, {}).get(name) == wanted[step].get(name)
        for step, names in shown.items()
        for name in {*names, *got.get(step, {})} & wanted[step].keys()
        if name in names or re.fullmatch(r"[vg]\d", name)
    )


def verdict(seed: int) -> tuple[str, str]:  # noqa: C901, PLR0911  one for each end
    """How a program fares, and its text."""
    try:
        program = Program(seed)
    except (MemoryError, TimeoutError, RecursionError, LackingError):
        return "not grown", ""
    shared = program.percent.partition("# %% tags=step")[0]
    try:
        wanted = limited(lambda: in_notebook(program, shared))
        again = limited(lambda: in_notebook(program, shared))
    except (TimeoutError, RecursionError):
        return "not grown", ""
    if wanted != again:
        return "not grown", ""
    notebook = read_notebook(from_percent(program.percent), "nb.ipynb")
    try:
        built = build(notebook, CompileOptions(), no_other, but=REPORTS)
    except UserError:
        return "refused", program.percent
    reported = any(one.code in REPORTS for one in built.flow.diagnostics)
    reported |= any(read.sure for sought in built.flow.free.values() for _, read in sought)
    try:
        got = limited(lambda: in_pipeline(program, shared, built.pipeline))
    except TimeoutError:
        return "not grown", ""
    except (pickle.PicklingError, TypeError, ValueError) as exc:
        if re.search("pickle|unpicklable|empty|marshal", str(exc)):
            return "cannot be saved", program.percent
        got = {}
    except Exception:  # noqa: BLE001  any that the cells can make
        got = {}
    shown = {one.name: one.events.uses.keys() | one.bound for one in built.flow.units}
    if same(got, wanted, shown):
        return ("reported, equal" if reported else "equal"), program.percent
    if reported:
        return "reported", program.percent
    if all(len(prev) < 2 for prev in program.prev.values()):
        with suppress(Exception):
            if not same(limited(lambda: in_one_file(program, shared)), wanted, shown):
                return "no file keeps it", program.percent
    return "silent", program.percent


def no_other(path: str, _: object) -> Any:
    """There is no other notebook."""
    raise AssertionError(path)


def check(seeds: Iterable[int]) -> None:
    """None differs without a word; most of what is not reported is equal."""
    found: collections.Counter[str] = collections.Counter()
    for seed in seeds:
        kind, text = verdict(seed)
        found[kind] += 1
        assert kind != "silent", f"seed {seed}\n{text.partition('# %% tags=step')[2]}"
    quiet = found["equal"] + found["no file keeps it"]
    assert found["equal"] >= 0.95 * quiet, found
    assert found["reported"] > found["reported, equal"], found
    assert quiet > sum(found.values()) / 3, found


@pytest.mark.filterwarnings("ignore:Pickle, copy, and deepcopy support will be removed")
@pytest.mark.parametrize("title", CASES)
def test_same_values_of(title: str) -> None:
    """Nothing is reported, and the last step sees what it sees in the notebook."""
    percent = CASES[title]
    shared, *parts = re.split(r"^(?=# %% tags=step:)", percent, flags=re.MULTILINE)
    program: Any = types.SimpleNamespace(
        steps={part[len("# %% tags=step:")]: part for part in parts}
    )
    built = build(read_notebook(from_percent(percent), "nb.ipynb"), CompileOptions(), no_other)
    assert built.flow.diagnostics == []
    wanted = in_notebook(program, shared)["c"]["v0"]
    assert in_pipeline(program, shared, built.pipeline)["c"]["v0"] == wanted


def test_few_programs() -> None:
    """Thirty programs."""
    check(range(30))


@pytest.mark.slow
def test_many_programs() -> None:
    """A thousand."""
    check(range(30, 1030))
