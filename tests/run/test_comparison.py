"""Where two values differ, in words: as they are taken down, read back and compared."""

import datetime as dt
import io
import json
import math
import pickle
import random
import sys
from collections import deque
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from IPython.utils.capture import CapturedIO
from IPython.utils.text import SList
from notebooks import from_percent

from kale_tag.cli import main
from kale_tag.diagnostics import UserError
from kale_tag.render.run_text import first_difference
from kale_tag.run import snapshot
from kale_tag.run.comparison import compared_names, difference, verdict_of
from kale_tag.run.this_machine import check_installed


def function(*, lo: int = 0, step: int = 1, more: bool = False) -> Callable[..., int]:
    """A function that has closed over *lo*, has the default *step*, or has *more* code."""
    if more:
        return lambda by=step: lo + by + 1
    return lambda by=step: lo + by


def matrix(kind: str, *, changed: int = 0) -> Any:
    """An array of two rows and three columns."""
    found = np.arange(6).astype(kind).reshape(2, 3)
    if changed:
        found[1, 2] += changed
    return found


def table(**columns: list[Any]) -> Any:
    """A table of two rows."""
    return pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]} | columns)


BOTH = "{} in the notebook, {} in the pipeline"
LONG = list(range(5000))


def held(rate: int) -> Any:
    """A class of a notebook that holds a number."""
    return type("Held", (), {"__module__": "__main__", "rate": rate})


def of_ipython(text: str) -> Any:
    """What `%%capture` keeps."""
    return CapturedIO(StringIO(text), None)


class Captured:
    """What it keeps in a step."""

    stdout, stderr = "a", ""


Captured.__module__, Captured.__qualname__ = "__main__", "Captured"


def endless(first: int) -> list[Any]:
    """A list that contains itself."""
    found: list[Any] = [first]
    found.append(found)
    return found


def structured(last: int) -> Any:
    """An array of records."""
    return np.array([("a", 0), ("b", last)], [("s", "U1"), ("n", "i4")])


def unbound(*, bind: bool) -> Callable[[], int]:
    """A function that closes over a variable that has a value, or none yet."""

    def found() -> int:
        return late

    if bind:
        late = 1
    return found


class Titled(dict[str, int]):
    """A dict with an attribute, as some libraries have."""

    def __init__(self, title: int) -> None:
        self.title = title


def switches(number: int) -> Any:
    """An array of booleans, none of which is the usual number."""
    return np.array([number], "u1").view(bool)


PAIRS: list[tuple[object, object, str]] = [
    (1, 2, ""),
    (1, True, ""),
    (1, 1.0, ""),
    ("a", b"a", ""),
    ([1, 2], [1], ""),
    ([1, 2], (1, 2), ""),
    ([[1], 2], [[], 2], "at x[0]: " + BOTH.format("list of 1", "list of 0")),
    (LONG, LONG[1:], ""),
    (LONG, LONG[:-1], "at x: " + BOTH.format("list of 5000", "list of 4999")),
    ([1, [2.0]], [1, [3.0]], "at x[1][0]: " + BOTH.format("2.0", "3.0")),
    ({"k": [1]}, {"k": [None]}, "at x['k'][0]: " + BOTH.format("1", "None")),
    ({"k": 1}, {"l": 1}, "at x['k']: " + BOTH.format("1", "not there")),
    ("a" * 90 + "b" + "c" * 90, "a" * 90 + "d" + "c" * 90, "at x: …" + "a" * 30 + "b"),
    (LONG, [*LONG[:-1], 0], "at x[4999]: " + BOTH.format("4999", "0")),
    ([*map(float, LONG)], [1.5, *map(float, LONG[1:])], "at x[0]: " + BOTH.format("0.0", "1.5")),
    (matrix("f8"), matrix("f8", changed=1), "at x[1, 2]: " + BOTH.format("5.0", "6.0")),
    (matrix("i4"), matrix("i4", changed=1), "at x[1, 2]: " + BOTH.format("5", "6")),
    (matrix("c8"), matrix("c8", changed=1), "at x[1, 2]: " + BOTH.format("5.0", "6.0")),
    (matrix("U1"), matrix("U2"), "at x: " + BOTH.format("array <U1 (2, 3)", "array <U2 (2, 3)")),
    (np.array(1.0), np.array(2.0), "at x: " + BOTH.format("1.0", "2.0")),
    (np.float32(1), np.float64(1), "at x, its dtype: " + BOTH.format("float32", "float64")),
    (np.array([1, "a"], object), np.array([1, "b"], object), "at x[1]: "),
    (table(), table(a=[1.0, 3.0]), "at x['a'].iloc[1]: " + BOTH.format("2.0", "3.0")),
    (table(), table(b=["x", "z"]), "at x['b'].iloc[1]: " + BOTH.format("'y'", "'z'")),
    (table(), table(a=[1, 2]), "at x['a'], its dtype: " + BOTH.format("float64", "int64")),
    (table(), table(c=[1, 2]), ""),
    (table(), table().set_index(pd.Index([0, 7])), "at x.index[1]: "),
    (table()["a"], table()["a"].rename("n"), "at x: "),
    (function(), function(lo=1), "at x, where `lo`: " + BOTH.format("0", "1")),
    (function(), function(step=2), "at x.__defaults__[0]: " + BOTH.format("1", "2")),
    (function(), function(more=True), "in the code of x"),
    (SimpleNamespace(a=1), SimpleNamespace(a=2), "at x.a: " + BOTH.format("1", "2")),
    (SimpleNamespace(a=1), SimpleNamespace(b=1), "at x.a: " + BOTH.format("1", "not there")),
    (held(1), held(2), "at x.rate: " + BOTH.format("1", "2")),
    (of_ipython("b"), Captured(), "at x['stdout']: " + BOTH.format("'b'", "'a'")),
    (dt.date(2024, 1, 1), dt.date(2025, 1, 1), "at x, argument 0 of what makes it: "),
    (1 + 2j, 1 + 3j, "at x.imag: " + BOTH.format("2.0", "3.0")),
    (endless(0), endless(1), "at x[0]: " + BOTH.format("0", "1")),
    (endless(0), [0, [1]], "at x[1]: " + BOTH.format("itself, 1 levels above", "not there")),
    (math, json, "at x: " + BOTH.format("module math", "module json")),
    (..., NotImplemented, ""),
    (structured(1), structured(2), "at x['n'][1]: " + BOTH.format("1", "2")),
    (pd.Timestamp(2024, 1, 1), pd.Timestamp(2025, 1, 1), "at x, argument 0 of what makes it: "),
    (unbound(bind=True), unbound(bind=False), "at x, where `late`: " + BOTH.format("1", "empty")),
    (random.Random(1), random.Random(2), "at x, its state[1]"),
    (deque([1, 2]), deque([1, 3]), "at x[1]: " + BOTH.format("2", "3")),
    (Titled(1), Titled(2), "at x.title: " + BOTH.format("1", "2")),
    (switches(1), switches(2), "in x"),
]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[object, object], str]:
    """What is said of two values of a variable `x` that differ."""

    def says(one: object, other: object) -> str:
        sides, folders = [], []
        for name, value in (("notebook", one), ("pipeline", other)):
            folder = tmp_path / name
            folder.mkdir()
            monkeypatch.setenv("KALE_TAG_SNAPSHOTS", str(folder))
            snapshot.snapshot({"x": value}, ["x"], "step")
            sides.append(json.loads((folder / "step.json").read_text("utf-8"))["x"])
            folders.append(str(folder))
        both = (folders[0], folders[1])
        verdict, path = verdict_of(sides[0], sides[1], both)
        assert verdict == "differs"
        found = difference("x", path, sides[0], sides[1], both)
        return first_difference(found) if found else ""

    return says


def seeded(*, restored: bool = False) -> np.random.RandomState:
    """A generator that starts at 1, by its seed or because that state was *restored*."""
    found = np.random.RandomState(None if restored else 1)
    if restored:
        found.set_state(seeded().get_state())
    return found


class Key:
    """Has no representation of its own, so that tells where it is in memory."""

    def __init__(self, number: int) -> None:
        self.number = number


def asked_for_degrees() -> Any:
    """A graph that has cached its `degree`."""
    graph = nx.path_graph(3)
    assert graph.degree
    return graph


def test_what_each_process_makes_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no difference: what IPython and pickle do to a value that is the same."""
    from sklearn.utils import Bunch  # type: ignore[import-untyped]  # noqa: PLC0415  takes seconds

    same: list[tuple[object, object]] = [
        (of_ipython("a"), Captured()),
        (SList(["a", "b"]), ["a", "b"]),
        (Bunch(a=1), pickle.loads(pickle.dumps(Bunch(a=1)))),  # without what is no item
        (nx.path_graph(3), asked_for_degrees()),
        (seeded(), seeded(restored=True)),
        ({Key(1), Key(2)}, {Key(2), Key(1)}),
        ({Key(1): [Key(2)]}, {Key(1): [Key(2)]}),
        ({"__builtins__": 1, "x": 2, "In": [""], "_i": ""}, {"__builtins__": 1, "x": 2}),
    ]
    monkeypatch.setenv("KALE_TAG_SNAPSHOTS", str(tmp_path))
    for one, other in same:
        snapshot.snapshot({"x": one, "y": other}, ["x", "y"], "step")
        left, right = json.loads((tmp_path / "step.json").read_text("utf-8")).values()
        assert verdict_of(left, right, (str(tmp_path), str(tmp_path))) == ("same", ""), one


@pytest.mark.parametrize(("one", "other", "words"), PAIRS)
def test_where(
    said: Callable[[object, object], str], one: object, other: object, words: str
) -> None:
    """The place as Python would name it, and the values there; nothing of how it is taken down."""
    text = said(one, other)
    assert text.startswith(words)
    assert bool(text) == bool(words)
    assert text.isprintable()
    assert "builtins." not in text


def test_too_many(said: Callable[[object, object], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is too large to keep, it is said that it differs, not where."""
    monkeypatch.setattr(snapshot, "VALUES", 5)
    assert said(matrix("i4"), matrix("i4", changed=1)) == "in x"


def code_of(source: str, *before: str) -> str:
    """The code of `f`, defined in a cell of *source* behind the cells *before*."""
    names: dict[str, Any] = {}
    for cell in (*before, source):
        exec(cell, names)
    return snapshot.code_text(names["f"].__code__)


def test_code_is_compared_by_what_it_does() -> None:
    """Not by its cell, where Python calls methods of what is imported in another way."""
    body = "def f(x, y):\n    for one in x:\n        if one > y:\n            return M.sqrt(one)\n"
    assert code_of(f"import math as M\n{body}") == code_of(body, "import math as M")
    assert code_of(body) != code_of(body.replace(">", "<"))
    assert code_of(body) != code_of(body.replace("sqrt", "cos"))
    assert code_of("def f(a, b): return a + b") != code_of("def f(a, b): return a - b")


class Broken:
    """Raises whatever is asked of it."""

    def __reduce_ex__(self, _: object) -> str:
        raise ValueError

    def __repr__(self) -> str:
        raise ValueError


class BrokenList(list[int]):
    """Raises when its items are looked at."""

    def __iter__(self) -> Any:
        raise ValueError("no items")


def verdict(one: object, other: object, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The verdict on two values of a variable."""
    monkeypatch.setenv("KALE_TAG_SNAPSHOTS", str(folder))
    snapshot.snapshot({"x": one, "y": other}, ["x", "y"], "step")
    left, right = json.loads((folder / "step.json").read_text("utf-8")).values()
    return verdict_of(left, right, (str(folder), str(folder)))[0]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Broken(), Broken(), "type"),
        (BrokenList([1]), BrokenList([2]), "type"),
        ((n for n in [1]), (n for n in [2]), "type"),
        (0.1 + 0.2, 0.3, "rounding"),
        (np.array([0.1 + 0.2]), np.array([0.3]), "rounding"),
        (math.nan, math.nan, "same"),
    ],
)
def test_not_compared_exactly(
    one: object, other: object, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be looked into is compared by its type, and floats with tolerance."""
    assert verdict(one, other, tmp_path, monkeypatch) == expected


def test_too_many_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a value with very many parts, the first are compared."""
    monkeypatch.setattr(snapshot, "LEAVES", 5)
    many = [[n] for n in range(10)]
    assert verdict(many, [*many[:9], [0]], tmp_path, monkeypatch) == "same"
    assert verdict(many, [[7], *many[1:]], tmp_path, monkeypatch) == "differs"


def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A notebook without a file cannot be compared."""
    data = from_percent("# %% tags=step:load\nx = 1\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(["run", "-", "--compare"]) == 2
    assert "cannot run a notebook from standard input" in capsys.readouterr().err


def test_what_is_not_installed() -> None:
    """The packages that are missing are named, with the extra that brings them."""
    check_installed("it", ["json", "__main__"], "compare", "no-nbclient")
    with pytest.raises(UserError, match="it needs no_such_a and no_such_b, not installed here"):
        check_installed("it", ["no_such_a", "json", "no_such_b"], "compare", "no-nbclient")


def test_names_that_are_compared() -> None:
    """Those that a step binds in whatever way, but not those of its own functions."""
    python = (
        "match x:\n    case [a, *b]: pass\n    case {'k': c, **d}: pass\n    case e: pass\n"
        "def f():\n    inner = 1\nfor g, h in []: i = [j for j in g]\n_k = 1\n"
    )
    task: Any = SimpleNamespace(spec={}, cells=[SimpleNamespace(kind="step", python=python)])
    assert sorted(compared_names(task)) == [*"abcdeghi"]
