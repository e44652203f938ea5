"""The values of variables in a form that two processes can compare.

Steps and notebooks load this program. A value becomes leaves, each under the path that leads to it,
such as `.coef_[0]`. A leaf is

- `float`, compared with tolerance,
- `exact`, a text,
- `array`, many floats, or `values`, many other values: their digest, their file, and their shape,
- `type`, of which only the type can be compared.
"""

import array
import dis
import functools
import hashlib
import itertools
import json
import os
import re
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Above = tuple[int, ...]

LEAVES = 20_000
"""Leaves of one variable; of more, only these are compared."""

MARK = "\x1f"
"""In a path, it precedes a property such as the type, which is not a part of the value."""

TEXT = 2000
"""Characters of a text that are kept; of a longer one also its digest."""

VALUES = 1_000_000
"""Values of one array or list; of more, the first difference is not located."""

LONG = 1000
"""Longer lists of plain values are compared as a whole."""

ARRAY_BYTES = 400_000_000
"""Larger arrays are compared by their digest, without tolerance."""

LISTS = {"IPython.utils.text.SList", "__main__.Lines"}
"""What `x = !command` makes in a notebook and in a step; between steps it is a list."""

COMPARED = {
    "IPython.utils.capture.CapturedIO": ("stdout", "stderr"),
    "__main__.Captured": ("stdout", "stderr"),
    "warnings.WarningMessage": ("category", "message"),
}
"""Of what `%%capture` makes in a notebook and in a step, and of a warning, what is compared."""

OF_IPYTHON = {"In", "Out", "exit", "quit", "open", "display", "get_ipython"}
"""Names that IPython and steps put among the variables, beside those that start with `_`."""

_GENERATED = re.compile(r"\b(view|param|selector|concat|interval|legend)_?\d+(?=\b|_)")
"""Names in charts of Altair, numbered in each process from 1 on."""

_TYPE_ONLY = ("matplotlib.", "threading.", "_thread.", "_io.", "asyncio.", "socket.", "plotly.")


def snapshot(namespace: Mapping[str, Any], names: Iterable[str], step: str) -> None:
    """Write the values of the variables *names* to the folder KALE_TAG_SNAPSHOTS, as STEP.json."""
    folder = os.environ["KALE_TAG_SNAPSHOTS"]
    found = {}
    for name in names:
        if name not in namespace:
            found[name] = {"short": "not defined", "leaves": {"": ["exact", "not defined"]}}
            continue
        writer = Writer(os.path.join(folder, f"{step}.{len(found)}"))
        try:
            writer.add(namespace[name], "", ())
        except Exception as error:  # noqa: BLE001  whatever objects raise when they are inspected
            writer.leaves = {"": ["type", kind_of(namespace[name]), repr(error)]}
        found[name] = {"short": short(namespace[name]), "leaves": writer.leaves}
    path = os.path.join(folder, f"{step}.json")
    with open(f"{path}.new", "w", encoding="utf-8", errors="surrogatepass") as file:
        json.dump(found, file)
    os.replace(f"{path}.new", path)


def short(value: Any) -> str:
    """The value in a few words."""
    own = type(value).__module__ == "__main__"  # inspecting it may have effects
    try:
        shape = None if own else getattr(value, "shape", None)
        if isinstance(shape, tuple) and shape:
            return f"{type(value).__name__} {' x '.join(map(str, shape))}"
        text = " ".join(repr(value).split())
    except Exception:  # noqa: BLE001  see above
        text = kind_of(value)
    if " at 0x" in text:
        text = kind_of(value).removeprefix("builtins.")
        text += f" {value.__qualname__}" if isinstance(value, types.FunctionType) else ""
    return text if len(text) <= 60 else f"{text[:59]}\u2026"


def kind_of(value: Any) -> str:
    """The full name of the type of *value*."""
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def digest(data: bytes | str) -> str:
    """A digest of bytes or text."""
    data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return hashlib.sha256(data).hexdigest()


class Writer:
    """Collects the leaves of one variable; files for arrays begin with *prefix*."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.leaves: dict[str, list[str]] = {}

    def leaf(self, path: str, *words: str) -> None:
        """Add a leaf; a path that is there already gets a mark."""
        while path in self.leaves:
            path += "'"
        self.leaves[path] = list(words)

    def exact(self, path: str, text: str) -> None:
        """Add text that must be the same."""
        self.leaf(path, "exact", text if len(text) <= TEXT else f"{text[:TEXT]}... {digest(text)}")

    def add(self, value: Any, path: str, above: Above) -> None:
        """Add *value* at *path*; *above* are the ids of the objects that contain it."""
        if len(self.leaves) >= LEAVES:
            self.leaves.setdefault(" and so on", ["exact", "more"])
            return
        kind = kind_of(value)
        if value is None or isinstance(value, (bool, int, str, bytes, bytearray)):
            self.exact(path, f"{kind} {value!r}")
        elif type(value) is float:
            self.leaf(path, "float", value.hex())
        elif isinstance(value, complex):
            self.add(value.real, f"{path}.real", above)
            self.add(value.imag, f"{path}.imag", above)
        elif id(value) in above:
            self.exact(path, f"itself, {len(above) - above.index(id(value))} levels above")
        elif isinstance(value, types.ModuleType):
            self.exact(path, f"module {value.__name__}")
        elif isinstance(value, type):
            self.exact(path, f"class {value.__module__}.{value.__qualname__}")
            self.held(value, path, (*above, id(value)))
        elif kind.startswith(_TYPE_ONLY) or isinstance(
            value, (types.GeneratorType, types.CoroutineType)
        ):
            self.leaf(path, "type", kind)
        else:
            plain = _plain(value, kind)
            self.inside(plain, kind_of(plain), path, (*above, id(value)))

    def inside(self, value: Any, kind: str, path: str, above: Above) -> None:
        """Add the contents of a container or another object."""
        if isinstance(value, types.FunctionType):
            self.function(value, path, above)
        elif kind == "numpy.ndarray":
            self.array(value, path, above)
        elif hasattr(value, "dtype") and kind.startswith("numpy."):
            self.exact(f"{path}{MARK}dtype", str(value.dtype))
            self.add(value.item(), path, above)
        elif kind.startswith("pandas.") and self.pandas(value, path, above):
            pass
        elif kind.startswith("torch.") and hasattr(value, "detach"):
            self.exact(f"{path}{MARK}dtype", str(value.dtype))
            self.array(value.detach().cpu().numpy(), path, above)
        elif isinstance(value, (list, tuple)) and type(value).__reduce_ex__ is object.__reduce_ex__:
            self.exact(f"{path}{MARK}type", f"{kind} of {len(value)}")
            self.items(value, path, above)
        elif isinstance(value, (set, frozenset)):
            self.exact(f"{path}{MARK}type", f"{kind} of {len(value)}")
            self.items(sorted(value, key=self.order), path, above)
        elif type(value) is dict:
            self.exact(f"{path}{MARK}type", f"{kind} of {len(value)}")
            self.entries(value, path, above)
        else:
            self.reduced(value, kind, path, above)

    def order(self, value: Any) -> tuple[str, str]:
        """By what the elements of a set are sorted, in each process alike."""
        text = repr(value)
        if " at 0x" in text:
            inside = Writer(f"{self.prefix}.element")
            inside.add(value, "", ())
            text = json.dumps(inside.leaves)
        return kind_of(value), text

    def entries(self, values: Mapping[Any, Any], path: str, above: Above) -> None:
        """Add the entries of a dict."""
        for number, (key, entry) in enumerate(values.items()):
            text = repr(key)
            if " at 0x" in text:
                text = f"key {number}"
                self.add(key, f"{path}, {text}", above)
            self.add(entry, f"{path}[{text}]", above)

    def items(self, values: Any, path: str, above: Above) -> None:
        """Add the items of a list."""
        if len(values) > LONG:
            kinds = {type(one) for one in values}
            if kinds == {float}:
                self.floats(array.array("d", values).tobytes(), path, (len(values),))
                return
            if kinds <= {int, str, bool, type(None), bytes}:
                self.values(digest(repr(values)), values, path, (len(values),))
                return
        for number, one in enumerate(values):
            self.add(one, f"{path}[{number}]", above)

    def array(self, value: Any, path: str, above: Above) -> None:
        """Add an array of NumPy."""
        self.exact(f"{path}{MARK}type", f"array {value.dtype} {value.shape}")
        kind = value.dtype.kind
        if kind in "fc":
            wide = value.astype("c16" if kind == "c" else "f8", copy=False)
            self.floats(wide.tobytes(), path, value.shape)
        elif kind in "biuSUmM":
            self.values(digest(value.tobytes()), value.ravel(), path, value.shape)
        elif value.dtype.names:
            for name in value.dtype.names:
                self.array(value[name], f"{path}[{name!r}]", above)
        else:
            self.items(value.ravel().tolist(), path, above)

    def floats(self, data: bytes, path: str, shape: Sequence[int]) -> None:
        """An array of doubles."""
        file = ""
        if len(data) <= ARRAY_BYTES:
            file = f"{self.prefix}.{len(self.leaves)}.f8"
            with open(file, "wb") as out:
                out.write(data)
        self.leaf(path, "array", digest(data), os.path.basename(file), " ".join(map(str, shape)))

    def values(self, sha256: str, values: Any, path: str, shape: Sequence[int]) -> None:
        """Many other values, as a list, a tuple or an array of one dimension."""
        file = ""
        if len(values) <= VALUES:
            file = f"{self.prefix}.{len(self.leaves)}.json"
            plain = values.tolist() if hasattr(values, "tolist") else values
            with open(file, "w", encoding="utf-8") as out:
                json.dump([repr(one) for one in plain], out)
        self.leaf(path, "values", sha256, os.path.basename(file), " ".join(map(str, shape)))

    def pandas(self, value: Any, path: str, above: Above) -> bool:
        """Add a DataFrame, a Series or an index; False if it is none."""
        axes = getattr(value, "ndim", 0)
        if axes == 2 and hasattr(value, "columns"):
            self.exact(f"{path}{MARK}type", f"{kind_of(value)} {value.shape}")
            self.add(value.columns, f"{path}.columns", above)
            self.add(value.index, f"{path}.index", above)
            for number, name in enumerate(value.columns):
                self.column(value.iloc[:, number], f"{path}[{name!r}]", above)
            return True
        if axes == 1 and hasattr(value, "to_numpy"):
            self.exact(
                f"{path}{MARK}type", f"{kind_of(value)} {len(value)} {getattr(value, 'name', '')!r}"
            )
            if hasattr(value, "index"):
                self.add(value.index, f"{path}.index", above)
            self.column(value, path, above)
            return True
        return False

    def column(self, value: Any, path: str, above: Above) -> None:
        """Add the values of a column of pandas."""
        self.exact(f"{path}{MARK}dtype", str(value.dtype))
        plain = value.to_numpy()
        path += ".iloc" if hasattr(value, "iloc") else ""
        if plain.dtype.kind == "O":
            self.items(plain.tolist(), path, above)
        else:
            self.array(plain, path, above)

    def function(self, value: Any, path: str, above: Above) -> None:
        """Add a function: its code, its defaults, its closure."""
        self.exact(
            f"{path}{MARK}code",
            f"function {value.__qualname__} {digest(code_text(value.__code__))}",
        )
        self.add(value.__defaults__, f"{path}.__defaults__", above)
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            inner = f"{path}, where `{name}`"
            try:
                self.add(cell.cell_contents, inner, above)
            except ValueError:
                self.exact(inner, "empty")
        self.held(value, path, above)

    def held(self, value: Any, path: str, above: Above) -> None:
        """Add the data that a function or class of the notebook holds as attributes."""
        if value.__module__ == "__main__":
            for name, one in list(vars(value).items()):
                if not name.startswith("_") and not hasattr(type(one), "__get__"):
                    self.add(one, f"{path}.{name}", above)

    def reduced(self, value: Any, kind: str, path: str, above: Above) -> None:
        """Add any other object, by what pickle would save of it."""
        try:
            made = value.__reduce_ex__(4)
        except Exception:  # noqa: BLE001  it cannot be pickled
            self.leaf(path, "type", kind)
            return
        self.exact(f"{path}{MARK}type", kind)
        if isinstance(made, str):
            self.exact(path, made)
            return
        _, arguments, state, items, pairs = (*made, None, None, None)[:5]
        new = getattr(made[0], "__name__", "") in ("__newobj__", "__newobj_ex__", "_reconstructor")
        for number, one in enumerate(arguments[1:] if new else arguments):
            self.add(one, f"{path}, argument {number} of what makes it", above)
        parts = state if _is_slots(state) else (_restored(made, kind),)
        for part in parts:
            if isinstance(part, dict):
                for name, one in _uncached(value, kind, part):
                    self.add(
                        one,
                        f"{path}.{name}" if isinstance(name, str) else f"{path}[{name!r}]",
                        above,
                    )
            elif part is not None:
                self.add(part, f"{path}, its state", above)
        for number, one in enumerate(itertools.islice(items or (), LEAVES)):
            self.add(one, f"{path}[{number}]", above)
        for name, one in itertools.islice(pairs or (), LEAVES):
            self.add(one, f"{path}[{name!r}]", above)


def _plain(value: Any, kind: str) -> Any:
    """*value* without what IPython, a step or a library makes in each process for itself."""
    if kind in LISTS:
        return [*value]
    if kind in COMPARED:
        return {name: getattr(value, name) for name in COMPARED[kind]}
    if kind.startswith("altair.") and hasattr(value, "to_json"):
        return json.loads(_GENERATED.sub(r"\1", value.to_json(validate=False)))
    if kind == "numpy.random.mtrand.RandomState":
        return value.get_state(legacy=False)  # not what it was seeded with
    if type(value) is dict and "__builtins__" in value:  # `dict(globals())`
        own = [name for name in value if not (name in OF_IPYTHON or str(name).startswith("_"))]
        return {name: value[name] for name in own}
    return value


def _uncached(value: Any, kind: str, state: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    """The items of *state*, without what a library computes again when it is asked."""
    if kind.startswith("__main__."):
        return [*state.items()]
    cached = functools.cached_property
    return [
        (name, one)
        for name, one in state.items()
        if not (isinstance(name, str) and isinstance(getattr(type(value), name, None), cached))
    ]


def _is_slots(state: Any) -> bool:
    return isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict)


def _restored(made: Any, kind: str) -> Any:
    """The state that an object gets back; as a mapping, a Bunch of scikit-learn gets none."""
    make, arguments, state, _, pairs = (*made, None, None, None)[:5]
    if pairs is None or not state or kind.startswith("__main__."):
        return state
    value = make(*arguments)
    if not hasattr(value, "__setstate__"):
        return state
    value.__setstate__(state)
    return vars(value)


def code_text(code: types.CodeType) -> str:
    """The parts of a code object that do not depend on its place, nor on the rest of its cell."""
    constants = [
        code_text(one) if isinstance(one, types.CodeType) else f"{type(one).__name__} {one!r}"
        for one in code.co_consts
    ]
    # Python calls methods of modules imported in the same cell in another way.
    steps = [
        (one.opname.replace("LOAD_METHOD", "LOAD_ATTR"), _argument(one))
        for one in dis.get_instructions(code)
        if one.opname not in {"PUSH_NULL", "PRECALL", "NOP", "CACHE"}
    ]
    return repr((code.co_name, steps, constants, code.co_names, code.co_varnames))


def _argument(one: dis.Instruction) -> object:
    """The argument of an instruction, unless it depends on the length of others."""
    if one.opcode in dis.hasjrel or one.opcode in dis.hasjabs:
        return None
    return one.argval if isinstance(one.argval, str) and one.opcode not in dis.hasconst else one.arg
