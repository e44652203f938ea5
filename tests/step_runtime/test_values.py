"""Values between steps: saved by one process and loaded by another, as in a pipeline."""

import json
import sys
from pathlib import Path

import pytest
from step_harness import Ran, run, taken

SHARED = [
    (
        "imports",
        (
            "import collections, datetime, enum, math\nimport numpy as np\nimport pandas as pd\n"
            "from dataclasses import dataclass\n"
            "from sklearn.base import BaseEstimator, TransformerMixin"
        ),
    ),
    (
        "functions",
        """FACTOR = 3
def scale(x): return x * FACTOR
class Acc:
    class Inner: pass
    def __init__(self, v): self.v = v
    def get(self): return scale(self.v)
@dataclass
class Pt:
    x: int = 1
class Tr(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None): return self
    def transform(self, X): return np.asarray(X) * 2
class Color(enum.Enum):
    RED = 1
class Dots(dict):
    __getattr__, __setattr__ = dict.__getitem__, dict.__setitem__
NT = collections.namedtuple("NT", "a b")
class Wrong(Exception):
    def __init__(self, text, more):
        super().__init__(text)
        self.more = more
""",
    ),
]

MAKE = """from sklearn.pipeline import make_pipeline
from sklearn.linear_model import LinearRegression
def closure(n):
    def g(x): return x + n + FACTOR
    return g
class Local(Acc):
    def own(self): return self.get() + 1
def recursive():
    def inner(n): return 1 if n < 2 else n * inner(n - 1)
    return inner
class Sub(Local):
    def get(self): return super().get() + 1
import contextlib, functools
@dataclass
class Place:
    x: int
@contextlib.contextmanager
def opened(): yield FACTOR
"""

# A name: how it is made, what must hold in the next step, the format.
KINDS = {
    "function": ("scale", "o is scale", "pickle"),
    "klass": ("Acc", "o is Acc", "pickle"),
    "nested": ("Acc.Inner", "o is Acc.Inner", "pickle"),
    "instance": ("Acc(2)", "o.get() == 6 and type(o) is Acc", "pickle"),
    "dots": ("Dots(a=1)", "o.a == 1 and type(o) is Dots", "pickle"),
    "record": ("Pt(4)", "o == Pt(4)", "pickle"),
    "member": ("Color.RED", "o is Color.RED", "pickle"),
    "named": ("NT(1, 2)", "o == NT(1, 2) and type(o) is NT", "pickle"),
    "lam": ("lambda x: scale(x) + 1", "o(1) == 4", "cloudpickle"),
    "clos": ("closure(5)", "o(1) == 9", "cloudpickle"),
    "local_class": ("Local(1)", "o.own() == 4 and isinstance(o, Acc)", "cloudpickle"),
    "recursive": ("recursive()", "o(5) == 120", "cloudpickle"),
    "super": ("Sub(4)", "o.get() == 13", "cloudpickle"),
    "made_class": ("Place(3)", "repr(o) == 'Place(x=3)' and o.x == 3", "cloudpickle"),
    "manager": ("opened", "o().__enter__() == 3", "cloudpickle"),
    "sk": (
        "make_pipeline(Tr(), LinearRegression()).fit([[1.], [2.]], [2., 4.])",
        "abs(o.predict([[3.]])[0] - 6) < 1e-6 and type(o[0]) is Tr",
        "pickle",
    ),
    "error": (
        "Wrong('bad', 3)",
        "(type(o), o.more, o.args) == (Wrong, 3, ('bad',))",
        "pickle",
    ),
    "method": ("np.random.rand", "o.__self__ is np.random.rand.__self__", "pickle"),
    "inside": ("{'k': [Acc(1)]}", "type(o['k'][0]) is Acc", "pickle"),
    "module": ("np", "o is np", "pickle"),
    "default": ("collections.defaultdict(lambda: 7)", "o['z'] == 7", "cloudpickle"),
    "when": ("datetime.datetime(2024, 1, 1)", "o.year == 2024", "pickle"),
    "items": ("{(1, 2): {3}}", "o == {(1, 2): {3}}", "pickle"),
    # scalars
    "none": ("None", "o is None", "json"),
    "yes": ("True", "o is True", "json"),
    "whole": ("10**40 + 1", "o == 10**40 + 1", "json"),
    "huge": ("1 << 99999", "o == 1 << 99999", "pickle"),
    "real": ("0.1 + 0.2", "o == 0.1 + 0.2", "json"),
    "minus_zero": ("-0.0", "math.copysign(1, o) == -1", "json"),
    "nan": ("float('nan')", "math.isnan(o)", "json"),
    "inf": ("float('-inf')", "o == float('-inf')", "json"),
    "text": ("'\\x00é\\u2028\\n'", "o == '\\x00é\\u2028\\n'", "json"),
    "half": ("'\\ud800'", "o == '\\ud800'", "json"),
    "halves": ("'\\ud83d' + '\\ude00'", "len(o) == 2", "pickle"),
    # numpy
    "array": ("np.arange(6).reshape(2, 3).T", "o.shape == (3, 2) and o[2, 1] == 5", "npy"),
    "zero_d": ("np.array(1.5)", "type(o) is np.ndarray and o.shape == ()", "npy"),
    "scalar": ("np.float32(1.5)", "type(o) is np.float32 and o == 1.5", "npy"),
    "bool_": ("np.True_", "type(o) is np.bool_ and o", "npy"),
    "big_end": ("np.array([1], '>i2')", "o.dtype == '>i2' and o[0] == 1", "npy"),
    "fixed": (
        "np.broadcast_to(np.ones(1), 3)",
        "o.sum() == 3 and not o.flags.writeable",
        "fixed npy",
    ),
    "dates": ("np.array(['2024-01-01'], 'M8[D]')", "str(o[0]) == '2024-01-01'", "npy"),
    "texts": ("np.array(['a', 'bc'])", "list(o) == ['a', 'bc']", "npy"),
    "objects": ("np.array([1, None], object)", "o[1] is None", "pickle"),
    "fields": ("np.zeros(2, [('a', 'i4')])", "o.dtype.names == ('a',)", "pickle"),
    "masked": ("np.ma.array([1, 2], mask=[0, 1])", "o.mask[1]", "pickle"),
    "np_text": ("np.str_('ab')", "type(o) is np.str_", "pickle"),
    "rng": ("np.random.default_rng(1)", "o.random() < 1", "pickle"),
}
FRAMES = {
    "df": ("pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})", "parquet"),
    "missing": ("pd.DataFrame({'a': [1.5, None], 'b': ['x', None]})", "parquet"),
    "objects": ("pd.DataFrame({'a': ['x', 'y']}, dtype=object)", ""),
    "none_object": ("pd.DataFrame({'a': ['x', None]}, dtype=object)", "pickle"),
    "mixed": ("pd.DataFrame({'a': [1, 'x']})", "pickle"),
    "lists": ("pd.DataFrame({'a': [[1], [2]]})", "pickle"),
    "index": ("pd.DataFrame({'a': [1, 2]}, index=pd.Index([3, 1], name='k'))", "parquet"),
    "filtered": ("pd.DataFrame({'a': range(5)})[lambda d: d.a > 2]", "parquet"),
    "text_index": ("pd.DataFrame({'a': [1, 2]}, index=['x', 'y'])", "parquet"),
    "times": ("pd.DataFrame({'t': pd.date_range('2024', periods=2, tz='UTC')})", "parquet"),
    "freq": ("pd.DataFrame({'a': [1, 2]}, index=pd.date_range('2024', periods=2))", "pickle"),
    "multi": ("pd.DataFrame({'a': [1, 2], 'b': [3, 4]}).set_index(['a', 'b'])", "pickle"),
    "columns": ("pd.DataFrame([[1, 2]], columns=[0, 1])", ""),
    "columns_named": ("pd.DataFrame([[1]], columns=pd.Index(['a'], name='n'))", ""),
    "twice": ("pd.DataFrame([[1, 2]], columns=['a', 'a'])", "pickle"),
    "cat": ("pd.DataFrame({'a': pd.Categorical(['x'], ['x', 'y'])})", "pickle"),
    "nullable": ("pd.DataFrame({'a': pd.array([1, None], 'Int64')})", "parquet"),
    "period": ("pd.DataFrame({'a': pd.period_range('2024', periods=2, freq='M')})", ""),
    "complexes": ("pd.DataFrame({'a': [1j]})", "pickle"),
    "empty": ("pd.DataFrame()", ""),
    "no_rows": ("pd.DataFrame({'a': [1], 'b': ['x']})[:0]", ""),
    "late": ("pd.DataFrame({'a': [None] * 200 + ['x']}, dtype=object)", "pickle"),
    "series": ("pd.Series([1., 2.], name='y', index=[5, 6])", "parquet"),
    "numbered": ("pd.Series([1., 2.], name=6)", "pickle"),
    "unnamed": ("pd.Series([1., 2.])", "pickle"),
    "attrs": ("(lambda d: d.attrs.update(k=1) or d)(pd.DataFrame({'a': [1]}))", "pickle"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A step that hands on one value of each kind."""
    source = MAKE + "".join(f"v_{name} = {kind[0]}\n" for name, kind in KINDS.items())
    source += "".join(f"f_{name} = {kind[0]}\n" for name, kind in FRAMES.items())
    outs = [*(f"v_{name}" for name in KINDS), *(f"f_{name}" for name in FRAMES)]
    ran = run(tmp_path_factory.mktemp("values") / "give", [*SHARED, source], outs=outs)
    assert ran.err == ""
    assert ran.code == 0
    return ran


def test_each_kind_of_value_arrives(made: Ran, tmp_path: Path) -> None:
    """It is equal, of the same type, and classes are the reader's own."""
    checks = "".join(
        f"o = v_{name}\nif not ({kind[1]}): print('{name}', o)\n" for name, kind in KINDS.items()
    )
    ins = taken(made, *(f"v_{name}" for name in KINDS))
    read = run(tmp_path, [*SHARED, checks], ins=ins)
    assert (read.code, read.out, read.err) == (0, "", "")


def test_each_frame_arrives(made: Ran, tmp_path: Path) -> None:
    """Parquet or not, the frame is the very same."""
    checks = "from pandas.testing import assert_frame_equal, assert_series_equal\n"
    exact = "check_exact=True, check_index_type='exact', check_freq=True"
    for name, (source, _) in FRAMES.items():
        checks += f"w, o = {source}, f_{name}\n"
        checks += f"assert type(w) is type(o) and w.attrs == o.attrs, '{name}'\n"
        checks += (
            f"assert_series_equal(w, o, {exact}) if w.ndim == 1 else "
            f"assert_frame_equal(w, o, check_column_type='exact', {exact})\n"
            f"assert [type(i) for i in np.ravel(w)] == [type(i) for i in np.ravel(o)], '{name}'\n"
        )
    ins = taken(made, *(f"f_{name}" for name in FRAMES))
    imports = ("imports", "import numpy as np\nimport pandas as pd")
    read = run(tmp_path, [imports, checks], ins=ins)
    assert (read.code, read.err) == (0, "")


def test_formats(made: Ran) -> None:
    """Each value has the format that suits it, and the metadata say what it is."""
    formats = {name: made.metadata(f"v_{name}")["format"] for name in KINDS}
    assert formats == {name: kind[2] for name, kind in KINDS.items()}
    frames = {name: made.metadata(f"f_{name}")["format"] for name in FRAMES}
    assert {name: kind for name, kind in frames.items() if FRAMES[name][1]} == {
        name: kind[1] for name, kind in FRAMES.items() if kind[1]
    }
    meta = made.metadata("v_sk")
    assert meta["type"] == "sklearn.pipeline.Pipeline"
    assert set(json.loads(meta["versions"])) == {"python", "sklearn", "numpy"}
    assert all(isinstance(value, str) for value in meta.values())


MEMORY = "np.shares_memory(a, b)"
TOGETHER = {
    # Cells that bind a and b, what holds of them in the next step, and whether they share.
    "same": ("a = b = [1]", "a is b", True),
    "held": ("a = [1]\nb = {'k': (a, 2)}", "b['k'][0] is a", True),
    "state": ("a = Acc([1])\nb = {'p': a.v}", "b['p'] is a.v", True),
    "method": ("a = Acc(1)\nb = a.get", "b.__self__ is a", True),
    "keys": ("a = {'x': 1}\nb = a.keys()", "a.update(y=2) or [*b] == ['x', 'y']", True),
    "cells": (
        "a = pd.DataFrame({'x': [1.0]})\nb = a.to_numpy()",
        "np.shares_memory(a['x'], b)",
        True,
    ),
    "frame": ("a = pd.DataFrame({'x': [1]})\nb = [a]", "b[0] is a", True),
    "array": ("a = np.zeros(2)\nb = a", "a is b", True),
    "function": ("a = closure(1)\nb = [a]", "b[0] is a", True),
    "closures": (
        (
            "def make():\n n = 0\n def up():\n  nonlocal n\n  n += 1\n return up, lambda: n\n"
            "a, b = make()"
        ),
        "(a(), a(), b())[2] == 2",
        True,
    ),
    "model": (
        (
            "from sklearn.pipeline import Pipeline\n"
            "from sklearn.linear_model import LinearRegression\n"
            "a = LinearRegression()\nb = Pipeline([('a', a)]).fit([[1.], [2.]], [2., 4.])"
        ),
        "abs(a.coef_[0] - 2) < 1e-6 and b[0] is a",
        True,
    ),
    "view": ("a = np.arange(6.).reshape(2, 3)\nb = a[:, ::-1]", f"{MEMORY} and b[0, 2] == 0", True),
    "type": ("a = np.arange(2.)\nb = a.view('i8')", f"{MEMORY} and b[0] == 0 < b[1]", True),
    "dates": (
        "a = np.array(['2024', '2025'], 'M8[Y]')\nb = a[1:]",
        f"{MEMORY} and b == a[1]",
        True,
    ),
    "objects": (
        "a = np.array([1, [2], '3'], object)\nb = a[1:]",
        f"{MEMORY} and b[0] == [2]",
        True,
    ),
    "read_only": (
        "a = np.arange(2.)\nb = a[:]\nb.flags.writeable = False",
        f"{MEMORY} and a.flags.writeable > b.flags.writeable",
        True,
    ),
    "strips": ("c = np.arange(4.)\na, b = c[::2], c[1::2]", "a[1] + 1 == b[1]", False),
    "column": (  # pandas copies before it writes
        "a = pd.DataFrame({'x': [1, 2]})\nb = [a['x'], a]",
        "b[1] is a and not np.shares_memory(b[0], a['x'])",
        True,
    ),
    "numbers": ("a = b = 7", "a == b", False),
    "texts": ("a = b = 'text'", "a == b", False),
    "nothing": ("a = b = None", "a is b", False),
    "values": ("t = datetime.datetime(2024, 1, 1)\na = [t]\nb = (t, 1)", "a[0] == b[0]", False),
    "index": ("a = pd.DataFrame({'x': [1, 2]})\nb = a[a.x > 1]", "len(b) == 1", False),
    "apart": ("a, b = [1], [1]", "a is not b", False),
}


@pytest.mark.parametrize("name", TOGETHER)
@pytest.mark.slow
def test_what_shares_an_object_goes_on_to(tmp_path: Path, name: str) -> None:
    """Where two outputs share one that may change; else each goes by itself."""
    source, holds, share = TOGETHER[name]
    spec = {"together": [["a", "b"]]}
    cells = [*SHARED, f"{MAKE}{source}\n"]
    gave = run(tmp_path / "give", cells, outs=["a", "b"], spec=spec)
    assert (gave.code, gave.err) == (0, "")
    assert ["together" in gave.metadata(one) for one in "ab"] == [share] * 2
    for names in (["a", "b"], ["a"], ["b"]):
        check = f"print(bool({holds}))" if len(names) == 2 else f"print({names[0]} is not ...)"
        read = run(tmp_path / "".join(names), [*SHARED, check], ins=taken(gave, *names))
        assert (read.code, read.out, read.err) == (0, "True\n", "")


def test_together_in_three(tmp_path: Path) -> None:
    """Two that share with a third share with each other; those beside them do not."""
    spec = {"together": [["a", "b", "c", "d", "e"]]}
    source = "a = [1]\nb = [2]\nc = [a, b]\nd = [4]\ne = [5]\n"
    gave = run(tmp_path / "give", [source], outs=["a", "b", "c", "d", "e"], spec=spec)
    digests = [gave.metadata(one)["sha256"] for one in "abcde"]
    assert digests[0] == digests[1] == digests[2]
    assert len({*digests}) == 3


def test_attributes_beside_their_object(tmp_path: Path) -> None:
    """`vars(x)` is the namespace of x in the next step, too, under each of its names."""
    acc = ("functions", "class Acc: pass")
    source = "a = Acc()\na.rows = [1]\nb = c = vars(a)\nd = {}\n"
    names = ["a", "b", "c", "d"]
    gave = run(tmp_path / "give", [acc, source], outs=names, spec={"together": [names]})
    assert ["together" in gave.metadata(one) for one in names] == [True, True, True, False]
    check = "b['size'] = 2\nprint(vars(a) is b is c, a.size, a.rows, d)"
    read = run(tmp_path, [acc, check], ins=taken(gave, *names))
    assert (read.out, read.err) == ("True 2 [1] {}\n", "")


def test_views_in_one_variable(tmp_path: Path) -> None:
    """They share their memory in the next step too, and what takes no part in that is as before."""
    source = "c = np.arange(3)\na = [c, c[1:]]\nb = [c + 1]\n"
    numpy = ("imports", "import numpy as np")
    gave = run(tmp_path / "give", [numpy, source], outs=["a", "b"])
    assert ["together" in gave.metadata(one) for one in "ab"] == [True, False]
    read = run(tmp_path, [numpy, "a[0][1] = 5\nprint(a[1], b)"], ins=taken(gave, "a", "b"))
    assert (read.out, read.err) == ("[5 2] [array([1, 2, 3])]\n", "")


UNFORESEEN = {
    "inside": ("a = {'k': [1]}\nb = a['k']", "list"),
    "instance": ("b = Acc()\na = [b]", "Acc"),
    "memory": ("a = np.arange(9.)\nb = a[2:]", "ndarray"),
    "element": ("a = [np.arange(3)]\nb = {'x': a[0]}", "ndarray"),
    "closed": ("b = []\na = (lambda rows: lambda: rows)(b)", "list"),
}
"""How `a` and `b` are made, and the object that they share."""

HARMLESS = """import string
import matplotlib.pyplot as plt
from sklearn.linear_model import LinearRegression
a1 = pd.DataFrame({'x': [1, 2]}, index=pd.Index([5, 6], name='k'))
b1 = a1[['x']] + 1
a2 = pd.DataFrame({'x': ['p', 'q'], 'c': pd.Categorical(['u', 'v'])})
b2 = a2['x']
a3 = [math.sqrt, np.log1p, Acc, scale, np, Color.RED, string.Formatter]
b3 = list(a3)
a4 = [(1, 2), 'text', 10**30, np.dtype('i8'), datetime.timezone.utc]
b4 = list(a4)
a5 = [None, ..., pd.NA, pd.NaT, np.nan, NotImplemented]
b5 = list(a5)
a6 = plt.figure()
a6.gca().plot([1])
b6 = plt.figure()
b6.gca().hist([1, 2])
X = np.arange(6.).reshape(3, 2)
a7 = LinearRegression().fit(X, X[:, 0])
b7 = LinearRegression().fit(X, X[:, 1])
a8 = pd.Series([1, 2])
b8 = a8.copy()
"""
"""Variables that share nothing that may change."""


@pytest.mark.parametrize("name", UNFORESEEN)
def test_unforeseen_sharing(tmp_path: Path, name: str) -> None:
    """It is reported, in the log and in the metadata; not where it is said to do no harm."""
    source, kind = UNFORESEEN[name]
    cells = [("imports", "import numpy as np"), ("functions", "class Acc: pass"), source]
    spec = {"together": [["c", "d"]], "changed": ["a"]}
    ran = run(tmp_path / "a", cells, outs=["a", "b"], spec=spec)
    what = f"shares an object with `a` ({kind}); in later steps each has its own"
    assert (ran.code, ran.err) == (0, f"warning: step `train`: `b` {what}\n")
    assert [ran.metadata(one).get("sharing") for one in "ab"] == [None, what]
    for number, harmless in enumerate(({"apart": [["a", "b"]], "changed": ["b"]}, {})):
        ran = run(tmp_path / str(number), cells, outs=["a", "b"], spec=harmless)
        assert (ran.code, ran.err) == (0, "")


def test_no_false_alarm(tmp_path: Path) -> None:
    """What is fixed, of a module, or copied before it is written is not reported."""
    outs = [f"{side}{number}" for number in range(1, 9) for side in "ab"]
    ran = run(tmp_path, [*SHARED, HARMLESS], outs=outs, spec={"changed": outs})
    assert (ran.code, ran.err) == (0, "")


def test_memory_that_no_file_keeps(tmp_path: Path) -> None:
    """Variables that share it are reported, too; a record array keeps it as any other array."""
    cells = [("imports", "import numpy as np"), "b = np.arange(4)\na = np.ma.array(b, copy=False)"]
    ran = run(tmp_path / "a", cells, outs=["a", "b"], spec={"together": [["a", "b"]]})
    what = "shares memory with `b` (MaskedArray and ndarray); in later steps each has its own"
    assert (ran.code, ran.err) == (0, f"warning: step `train`: `a` {what}\n")
    for source, kinds in (
        ("b = np.zeros(2, [('x', 'i8')])\na = b[1]", "ndarray and void"),
        ("b = bytearray(8)\na = np.frombuffer(b)", "bytearray and ndarray"),
    ):
        spec = {"together": [["a", "b"]]}
        ran = run(tmp_path / kinds, [cells[0], source], outs=["a", "b"], spec=spec)
        assert f"`a` shares memory with `b` ({kinds}); in later steps" in ran.err
    cells[1] = "b = np.zeros(2, [('x', 'i8')])\na = b.view(np.recarray)"
    gave = run(tmp_path / "b", cells, outs=["a", "b"], spec={"together": [["a", "b"]]})
    assert (gave.code, gave.err) == (0, "")
    ran = run(tmp_path / "c", [cells[0], "a.x[0] = 5\nprint(b)"], ins=taken(gave, "a", "b"))
    assert (ran.code, ran.out) == (0, "[(5,) (0,)]\n")


def test_much_to_look_at(tmp_path: Path) -> None:
    """The search takes no more memory than there may be, and the log tells of what it leaves."""
    cells = ["a, b = [[] for _ in range(9)], 1\nimport sys"]
    cells.append("sys.getsizeof = lambda one: 1 << 29")
    ran = run(tmp_path, cells, outs=["a", "b"])
    assert ran.code == 0
    assert ran.err.startswith("warning: step `train`: `a` is too large to be searched for objects")


@pytest.mark.parametrize("name", ["v_instance", "v_whole", "v_array", "f_df"])
def test_a_changed_artifact_is_refused(made: Ran, tmp_path: Path, name: str) -> None:
    """Before it is read, whatever its format."""
    artifact = json.loads(json.dumps(made.artifacts[name]))
    file = tmp_path / "changed"
    file.write_bytes(Path(artifact["uri"]).read_bytes() + b" ")
    artifact["uri"] = str(file)
    read = run(tmp_path / "read", ["print('ran')"], ins={name: artifact})
    assert (read.code, read.out) == (1, "")
    assert read.err == (
        f"error: step `train` refuses the artifact of `{name}`: by its sha256, it is not what was "
        "written\n"
    )
    del artifact["metadata"]
    artifact["uri"] = made.artifacts[name]["uri"]
    read = run(tmp_path / "read", ["print('ran')"], ins={name: artifact})
    assert "refuses the artifact" in read.err
    artifact["uri"] = str(tmp_path / "nowhere")
    read = run(tmp_path / "read", ["print('ran')"], ins={name: artifact})
    assert read.err == f"error: step `train` finds no artifact of `{name}` at {tmp_path}/nowhere\n"


def test_a_value_that_cannot_be_loaded(made: Ran, tmp_path: Path) -> None:
    """The message names the variable, its type, and the versions of both sides."""
    artifact = json.loads(json.dumps(made.artifacts["v_instance"]))
    read = run(tmp_path, ["print(1)"], ins={"v_instance": artifact})
    here = ".".join(map(str, sys.version_info[:2]))
    first, wrote, now = read.err.splitlines()
    assert first == (
        "error: step `train` cannot load `v_instance` (__main__.Acc, pickle): AttributeError: "
        "Can't get attribute 'Acc' on <module '__main__'>"
    )
    assert wrote.startswith("  written with {'python': '" + here + "', 'numpy': '")
    assert now == "  read with    {'python': '" + here + "'}"


def test_functions_need_one_python(made: Ran, tmp_path: Path) -> None:
    """The code of a function is not for other Pythons, which would crash on it."""
    artifact = json.loads(json.dumps(made.artifacts["v_lam"]))
    versions = json.loads(artifact["metadata"]["versions"])
    artifact["metadata"]["versions"] = json.dumps({**versions, "python": "3.2"})
    read = run(tmp_path, ["print(1)"], ins={"v_lam": artifact})
    assert "TypeError: functions go to steps of the same version of Python only" in read.err


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    """Each fault is told, with its variable and what to do; the others are saved."""
    cells = [
        (
            "import threading\ngen = (i for i in [1])\nfile = open('/dev/null', 'w')\n"
            "locks = [threading.Lock()]\nfine = 1"
        )
    ]
    made = run(tmp_path, cells, outs=["gen", "file", "locks", "gone", "fine"])
    assert made.code == 1
    advice = "  help: pass on plain data, and make the object where it is needed"
    assert made.err.splitlines() == [
        (
            "error: step `train` cannot pass on `gen` (builtins.generator): TypeError: cannot "
            "pickle 'generator' object"
        ),
        "  help: make it a list, gen = list(gen)",
        (
            "error: step `train` cannot pass on `file` (_io.TextIOWrapper): PicklingError: "
            "Cannot pickle files that are not opened for reading: w"
        ),
        advice,
        (
            "error: step `train` cannot pass on `locks` (builtins.list): TypeError: cannot pickle "
            "'_thread.lock' object"
        ),
        advice,
    ]
    assert made.metadata("gone")["format"] == "unbound"
    assert made.metadata("fine")["format"] == "json"
    assert "make it a list" in made.report


def test_what_is_not_bound_stays_so(tmp_path: Path) -> None:
    """A variable that the step did not bind after all is not there in the next one, either."""
    gave = run(tmp_path / "give", ["if False: maybe = 1"], outs=["maybe"])
    assert (gave.code, gave.err) == (0, "")
    read = run(tmp_path / "read", ["print('maybe' in globals())"], ins=taken(gave, "maybe"))
    assert (read.code, read.out, read.err) == (0, "False\n", "")


def test_without_cloudpickle(tmp_path: Path) -> None:
    """Shared definitions go by name; one of the step's own is refused with a way out."""
    hide = ("imports", "import sys\nsys.modules['cloudpickle'] = sys.modules['joblib'] = None")
    shared = [hide, ("functions", "class Acc:\n    v = 1\n\ndef one(): return 1")]
    cells = [*shared, "import math\nacc, o, m = Acc(), one, math\nclass Own: pass\nown = Own()"]
    made = run(tmp_path / "a", cells, outs=["acc", "o", "m", "own"])
    assert made.code == 1
    assert made.err.splitlines()[0] == (
        "error: step `train` cannot pass on `own` (__main__.Own): TypeError: Own is defined in "
        "this step: define it in a cell tagged `functions`, or add cloudpickle to the packages"
    )
    source = "print(type(acc) is Acc, o is one, m)"
    read = run(tmp_path / "b", [*shared, source], ins=taken(made, "acc", "o", "m"))
    assert read.out.startswith("True True <module 'math'")


DEFINITIONS = {
    # What a step defines or changes of a shared cell, what it gives, and what holds in the next.
    "cache": (
        (
            "import functools\n@functools.lru_cache(maxsize=9)\ndef f(n):\n"
            "    return n if n < 2 else f(n - 1) + f(n - 2)\nf.note = [1]"
        ),
        ["f"],
        "f(11) == 89 and f.note == [1] and f.cache_parameters()['maxsize'] == 9",
    ),
    "property": (
        (
            "import functools\nclass C:\n    x = functools.cached_property(lambda self: 7)\n"
            "    x.__set_name__(None, 'x')\nc = C()"
        ),
        ["c"],
        "c.x == 7",
    ),
    "dispatch": (
        (
            "import functools\n@functools.singledispatch\ndef f(x): return 0\n"
            "@f.register\ndef _(x: int): return x\nf.register(str, len)\nf.note = 1"
        ),
        ["f"],
        "[f(1.), f(5), f('abc'), f.note, f.dispatch(bool)(3)] == [0, 5, 3, 1, 3]",
    ),
    "registrations": ("area.register(int, Acc)", ["area"], "area(5).v == 5 and area(5.) == 0"),
    "source": ("def f(n):\n    return n + 1\n", ["f"], "inspect.getsource(f).endswith('+ 1\\n')"),
    "attributes": (
        "Acc.made = 2\nAcc.get = lambda self: 9\nAcc.seen.append(1)\nscale.calls = 1",
        ["Acc", "scale"],
        (
            "[Acc.made, Acc(1).get(), Acc.seen, scale.calls, type(Acc(1)) is Acc] == "
            "[2, 9, [1], 1, True]"
        ),
    ),
    "descriptors": ("Acc.unit.seen.append(1)", ["Acc"], "vars(Acc)['unit'].seen == [1]"),
    "methods": ("acc = Acc(1)\nget = acc.get", ["get"], "get() == 1"),
    "defaults": ("add(1)", ["add"], "add(2) == [1, 2]"),
    "unchanged": ("acc = Acc(1)", ["Acc", "acc"], "type(acc) is Acc and Acc.seen == []"),
    "hooks": (
        (
            "class Meta(type):\n"
            "    def __new__(mcs, *args, mark, **rest):\n"
            "        return made.append(args[0]) or super().__new__(mcs, *args, **rest)\n"
            "    def __init__(cls, *args, mark, **rest): pass\n"
            "made, known = [], {}\n"
            "class Plugin(metaclass=Meta, mark=1):\n"
            "    def __init_subclass__(cls, *, tag): known[tag] = cls\n"
            "class A(Plugin, mark=2, tag='a'): pass\n"
        ),
        ["A", "Plugin", "known", "made"],
        "[made, [*known], A.__mro__[1] is Plugin] == [['Plugin', 'A'], ['a'], True]",
    ),
}
SHARED_DEFINITIONS = """
import functools, inspect
class Unit:
    def __init__(self): self.seen = []
    def __get__(self, owner, kind): return self
class Acc:
    made, seen, unit = 1, [], Unit()
    def __init__(self, v): self.v = v
    def __setstate__(self, state): vars(self).update(state)
    def get(self): return self.v
def scale(x): return x
def add(x, rows=[]):
    rows.append(x)
    return rows
@functools.singledispatch
def area(x): return 0
"""


@pytest.mark.parametrize("name", DEFINITIONS)
def test_what_definitions_hold_goes_along(tmp_path: Path, name: str) -> None:
    """Caches, registrations, source; what a step changes of a shared class; hooks run once."""
    source, outs, holds = DEFINITIONS[name]
    shared = ("functions", SHARED_DEFINITIONS)
    gave = run(tmp_path / "give", [shared, source], outs=outs)
    assert (gave.code, gave.err) == (0, "")
    cells = [shared, "", f"print({holds})"]  # a cell of another number than that of `source`
    read = run(tmp_path / "read", cells, ins=taken(gave, *outs))
    assert (read.code, read.out, read.err) == (0, "True\n", "")


def test_a_class_of_a_step_is_one_class(tmp_path: Path) -> None:
    """Instances of one class, handed on apart, are of one class again."""
    made = run(tmp_path / "a", ["class Own:\n    pass\nx, y = Own(), Own()"], outs=["x", "y"])
    read = run(tmp_path / "b", ["type(x) is type(y)"], ins=taken(made, "x", "y"))
    assert read.out == "True\n"


def test_a_function_sees_the_variables_of_the_step_that_calls_it(tmp_path: Path) -> None:
    """As in a notebook: those that came along, those that the step sets, and its own functions."""
    make = "n = 1\ndef inner(): return n + m\ndef outer(): return inner() * 10\ng = lambda: n"
    made = run(tmp_path / "a", [f"{make}\nm = 2"], outs=["outer", "inner", "g", "m"])
    use = "n = 7\nprint(outer(), g())\nm = 3\ndef inner(): return -n\nprint(outer(), m)"
    read = run(tmp_path / "b", [use], ins=taken(made, "outer", "inner", "g", "m"))
    assert (read.out, read.err) == ("90 7\n-70 3\n", "")


def test_two_names_of_one_object_are_two_objects_later(tmp_path: Path) -> None:
    """Each variable is a file of its own; inside of one, what is shared stays shared."""
    made = run(tmp_path / "a", ["x = y = []\nz = [x, x]"], outs=["x", "y", "z"])
    read = run(tmp_path / "b", ["x is y, z[0] is z[1]"], ins=taken(made, "x", "y", "z"))
    assert read.out == "(False, True)\n"


def test_names_that_kubeflow_does_not_take(tmp_path: Path) -> None:
    """Variables have other names in the package; those that come in may have another again."""
    names = {"names": {"_x": "v_x"}}
    made = run(tmp_path / "a", ["_x = 1"], outs=["_x"], spec=names)
    assert made.metadata("v_x")["format"] == "json"
    spec = {"names": {"_x": "v_x"}, "in": ["_x"], "in_names": {"_x": "v_x_2"}}
    ins = {"v_x_2": made.artifacts["v_x"]}
    read = run(tmp_path / "b", ["_x += 1\n_x"], ins=ins, outs=["_x"], spec=spec)
    assert (read.out, read.err) == ("2\n", "")
    assert read.metadata("v_x")["format"] == "json"


def test_metrics(tmp_path: Path) -> None:
    """Numbers of every kind; those that JSON does not have are text; all else is a fault."""
    cells = [
        (
            "import numpy as np, decimal\na, b, c = 0.5, np.float32(0.25), np.array(3)\n"
            "d, e, f = True, float('nan'), decimal.Decimal('1.5')\ng, h = [1], np.array([1, 2])\n"
            "i = float('-inf')"
        )
    ]
    metrics = {f"m-{name}": name for name in "abcdefi"}
    made = run(tmp_path / "a", cells, metrics=metrics)
    assert made.metadata("kale_tag_metrics") == {
        "m-a": 0.5,
        "m-b": 0.25,
        "m-c": 3,
        "m-d": True,
        "m-e": "nan",
        "m-f": 1.5,
        "m-i": "-inf",
    }
    assert made.out.splitlines()[:2] == ["metric m-a = 0.5", "metric m-b = 0.25"]
    made = run(tmp_path / "b", cells, metrics={"a": "a", "g": "g", "h": "h", "z": "z"})
    assert made.code == 1
    starts = [line.partition(":")[2].split(":")[0] for line in made.err.splitlines()]
    assert starts == [f" step `train` cannot report `{name}` as a metric" for name in "ghz"]


def test_shared_cells_see_parameters_and_no_artifacts(tmp_path: Path) -> None:
    """As in the notebook: parameters, imports, functions, then what earlier steps made."""
    made = run(tmp_path / "a", ["x = 1"], outs=["x"])
    cells = [
        ("imports", "print(n, 'x' in globals())"),
        ("functions", "def f():\n    return x + n"),
        "f()",
    ]
    read = run(tmp_path / "b", cells, ins=taken(made, "x"), params={"n": ("int", 2)})
    assert read.out == "2 False\n3\n"


def test_figures_are_in_the_report(tmp_path: Path) -> None:
    """What pyplot has drawn in a cell, once, also where the cell fails; figures that are shown."""
    cells = [
        ("imports", "import matplotlib.pyplot as plt\nfrom matplotlib.figure import Figure"),
        "plt.plot([1, 2])\nplt.show()",
        "fig = Figure()\nfig.subplots().plot([1])\nfig",
        "plt.plot([3])\n1 / 0",
    ]
    made = run(tmp_path, cells)
    assert "Warning" not in made.err
    assert made.report.count("data:image/png;base64,iVBOR") == 3


def test_work_in_other_processes(tmp_path: Path) -> None:
    """joblib's processes know the notebook's functions; nothing is left of them."""
    cells = [
        ("imports", "import joblib"),
        ("functions", "def double(x):\n    return 2 * x"),
        (
            "def own(x):\n    return double(x) + 1\n"
            "joblib.Parallel(n_jobs=2)(joblib.delayed(own)(i) for i in range(3))"
        ),
    ]
    made = run(tmp_path, cells)
    assert (made.code, made.out, made.err) == (0, "[1, 3, 5]\n", "")
