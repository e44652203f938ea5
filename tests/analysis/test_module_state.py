"""State that the user's own modules keep: named where a later step would find another value."""

import contextlib
import io
import re
import sys
from pathlib import Path

import pytest
from pipelines_of import pipeline_of

MODULE = """\
import contextlib, contextvars, functools, itertools, random
DEBUG, LIMIT, counter, on = False, 3, 0, False
CONFIG, _cache, items, REGISTERED = {"x": 0}, {}, [], {}
_model = None
class Registry:
    def __init__(self): self.things, self._link = {}, None
    def add(self, name): self.things[name] = 1
    def names(self): return sorted(self.things)
    def link(self):
        if self._link is None: self._link = "linked"
        return self._link
registry = Registry()
class Node:
    next_id = 0
    def __init__(self):
        self.id = Node.next_id
        Node.next_id += 1
def bump():
    global counter
    counter += 1
def count(): return counter
def toggle():
    global on
    on = not on
def is_on(): return on
def register(f):
    REGISTERED[f.__name__] = f
    return f
def named(name):
    def inner(f):
        REGISTERED[name] = f
        return f
    return inner
def registered(): return sorted(REGISTERED)
def compute(k): return k * LIMIT
def get(k):
    if k not in _cache: _cache[k] = compute(k)
    return _cache[k]
def size(): return len(_cache)
def get_model():
    global _model
    if _model is None: _model = Registry()
    return _model
def set_option(k, v): CONFIG[k] = v
def setup(): CONFIG.update(x=5)
def option(k): return CONFIG[k]
def log(text): return "debug " + text if DEBUG else text
def set_debug(value):
    global DEBUG
    DEBUG = value
@contextlib.contextmanager
def debugging():
    global DEBUG
    before, DEBUG = DEBUG, True
    yield
    DEBUG = before
def add_item(x): items.append(x)
def gather(x, into=[]):
    into.append(x)
    return len(into)
@functools.lru_cache
def slow(k): return k
@functools.cache
def rows(k): return [k]
def config(): return CONFIG
seen = []
class Base:
    known = []
    def __init_subclass__(cls): Base.known.append(cls.__name__)
    def see(self): seen.append(1)
class Kept(dict): pass
kept = Kept(a=1)
var = contextvars.ContextVar("var", default=0)
@functools.singledispatch
def process(x): return "any"
class Timer:
    started = 0
    def __enter__(self): Timer.started += 1
    def __exit__(self, *_): pass
class Single:
    one = None
    def __new__(cls):
        if cls.one is None:
            cls.one = super().__new__(cls)
            cls.one.values = []
        return cls.one
    def put(self, x): self.values.append(x)
def inner(): return 1
def outer(): return inner() + 1
ids = itertools.count()
def next_id(): return next(ids)
rank = [3, 1, 2]
def ranked():
    rank.sort()
    return list(rank)
"""
"""A module `helpers` beside the notebook."""


def printed(folder: Path, *cells: str) -> str:
    """What the last cell prints, in a process where `helpers` is new."""
    (folder / "helpers.py").write_text(MODULE)
    out = io.StringIO()
    sys.path.insert(0, str(folder))
    sys.modules.pop("helpers", None)
    try:
        names: dict[str, object] = {}
        for cell in ("import helpers", *cells):
            out.seek(0)
            out.truncate()
            with contextlib.redirect_stdout(out):
                exec(cell, names)
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("helpers", None)
    return out.getvalue()


def lost(*cells: str, first: str = "import helpers") -> set[str]:
    """The variables that warnings name; *cells* are steps, each after the one before."""
    tags = ["step:s0", *(f"step:s{n},prev:s{n - 1}" for n in range(1, len(cells)))]
    text = f"# %% tags=imports\n{first}\n"
    text += "".join(f"# %% tags={tag}\n{cell}\n" for tag, cell in zip(tags, cells, strict=True))
    pipeline = pipeline_of(text, local=("tools",), files={"helpers.py": MODULE})
    found = [one.message for one in pipeline.warnings if one.code == "lost-state"]
    return {match[1] for one in found if (match := re.search(r"(?:sets|changes) `(.+?)`,", one))}


@pytest.mark.parametrize(
    ("above", "below", "variable"),
    [
        ("helpers.bump()", "print(helpers.count())", "counter"),
        ("helpers.bump()", "print(helpers.counter)", "counter"),
        ("helpers.toggle()", "print(helpers.is_on())", "on"),
        ("helpers.counter += 2", "print(helpers.count())", "counter"),
        ("helpers.DEBUG = True", "print(helpers.log('a'))", "DEBUG"),
        ("helpers.set_debug(True)", "print(helpers.log('a'))", "DEBUG"),
        ("helpers.set_debug(True)", "from helpers import DEBUG\nprint(DEBUG)", "DEBUG"),
        ("setattr(helpers, 'DEBUG', True)", "print(helpers.log('a'))", "DEBUG"),
        ("helpers.DEBUG = True", "print(vars(helpers)['DEBUG'])", "DEBUG"),
        ("helpers.CONFIG['x'] = 1", "print(helpers.option('x'))", "CONFIG['x']"),
        ("helpers.set_option('x', 1)", "print(helpers.CONFIG)", "CONFIG"),
        (
            "helpers.set_option('y', 1)",
            "helpers.set_option('z', 1)\nprint(helpers.CONFIG)",
            "CONFIG",
        ),
        ("helpers.get(1)", "print(helpers.size())", "_cache"),
        ("helpers.get_model().add('a')", "print(helpers.get_model().names())", "_model"),
        ("helpers.registry.add('a')", "print(helpers.registry.names())", "registry"),
        ("helpers.registry.add('a')", "print(helpers.registry.things)", "registry"),
        ("helpers.items.append(3)", "print(helpers.items)", "items"),
        ("from helpers import add_item\nadd_item(3)", "print(helpers.items)", "items"),
        ("add = helpers.add_item\nadd(3)", "print(helpers.items)", "items"),
        ("list(map(helpers.add_item, [1]))", "print(helpers.items)", "items"),
        ("helpers.register(print)", "print(helpers.registered())", "REGISTERED"),
        ("@helpers.register\ndef f(): 1", "print(helpers.registered())", "REGISTERED"),
        ("@helpers.named('a')\ndef f(): 1", "print(helpers.registered())", "REGISTERED"),
        ("helpers.gather(1)", "print(helpers.gather(2))", "gather"),
        ("helpers.Node()", "print(helpers.Node().id)", "Node"),
        ("helpers.next_id()", "print(helpers.next_id())", "ids"),
        ("helpers.inner = lambda: 5", "print(helpers.outer())", "inner"),
        ("helpers.var.set(3)", "print(helpers.var.get())", "var"),
        ("helpers.kept.update(a=4)", "print(helpers.kept)", "kept"),
        ("helpers.process.register(int)(len)", "print(helpers.process.registry.keys())", "process"),
        ("with helpers.Timer(): pass", "print(helpers.Timer.started)", "Timer"),
        ("helpers.Single().put(1)", "print(helpers.Single().values)", "Single"),
        ("helpers.config()['x'] = 7", "print(helpers.option('x'))", "CONFIG"),
        ("first = helpers.rows(1)\nfirst.append(2)", "print(helpers.rows(1))", "rows"),
        ("class B(helpers.Base): pass", "print(helpers.Base.known)", "Base"),
        ("class B(helpers.Base): pass\nB().see()", "print(helpers.seen)", "seen"),
        ("helpers.ranked()", "print(helpers.rank)", "rank"),
        # The same value, in the notebook and in the pipeline.
        ("helpers.bump()", "helpers.bump()", ""),
        ("helpers.items.append(3)", "helpers.items.append(3)", ""),
        ("helpers.set_debug(True)", "helpers.set_debug(True)\nprint(helpers.log('a'))", ""),
        ("helpers.DEBUG = True", "helpers.set_debug(True)\nprint(helpers.log('a'))", ""),
        ("helpers.items.append(3)", "helpers.items = [1]\nprint(helpers.items)", ""),
        ("helpers.CONFIG['x'] = 1", "helpers.CONFIG['x'] = 1\nprint(helpers.option('x'))", ""),
        ("helpers.set_option('x', 1)", "helpers.set_option('x', 1)\nprint(helpers.CONFIG)", ""),
        ("helpers.setup()", "helpers.setup()\nprint(helpers.option('x'))", ""),
        ("print(helpers.compute(1))", "print(helpers.compute(2))", ""),
        ("helpers.get(1)", "print(helpers.get(2), helpers.get(1))", ""),
        ("helpers.get_model()", "print(helpers.get_model().names())", ""),
        ("helpers.registry.link()", "print(helpers.registry.link())", ""),
        ("helpers.Single()", "print(helpers.Single().values)", ""),
        ("helpers.slow(1)", "print(helpers.slow(1))", ""),
        ("with helpers.debugging(): helpers.log('a')", "print(helpers.log('a'))", ""),
        ("helpers.ranked()", "print(helpers.ranked())", ""),
    ],
)
def test_two_steps(above: str, below: str, variable: str, tmp_path: Path) -> None:
    """A warning names the variable where the second step prints something else; only there."""
    differs = printed(tmp_path, above, below) != printed(tmp_path, below)
    assert differs == bool(variable)
    assert lost(above, below) == ({f"helpers.{variable}"} if variable else set())


@pytest.mark.parametrize(
    ("first", "above", "below", "variable"),
    [
        ("from helpers import *", "bump()", "print(count())", "helpers.counter"),
        ("import helpers as h", "h.bump()", "print(h.count())", "helpers.counter"),
        ("from helpers import items", "items.append(1)", "print(items)", "helpers.items"),
        ("from helpers import DEBUG, set_debug", "set_debug(True)", "print(DEBUG)", ""),
        (
            "import helpers\nhelpers.set_option('x', 1)",
            "helpers.set_option('x', 2)",
            "print(helpers.option('x'))",
            "helpers.CONFIG",
        ),
        ("import helpers\nhelpers.setup()", "a = 1", "print(helpers.option('x'))", ""),
        ("import tools", "tools.DEBUG = True", "print(tools.run())", "tools.DEBUG"),
        ("import numpy as np", "np.load = len", "print(np.zeros(2))", ""),
    ],
)
def test_imports(first: str, above: str, below: str, variable: str) -> None:
    """A module is the same under every name; of one whose code is not known, any call counts."""
    assert lost(above, below, first=first) == ({variable} if variable else set())


PACKAGE = {
    "lib/__init__.py": "from .core import STATE, put\nfrom . import other\n",
    "lib/core.py": "STATE = {}\ndef put(k):\n    STATE[k] = 1\n",
    "lib/other.py": "from .core import STATE\nfrom . import core\n"
    "def look(): return dict(STATE)\ndef again(): return core.STATE\n",
}


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("lib.put(1)", "print(lib.other.look())"),
        ("lib.put(1)", "print(lib.other.again())"),
        ("lib.STATE[1] = 2", "print(lib.other.look())"),
        ("lib.core.put(1)", "print(lib.STATE)"),
    ],
)
def test_packages(above: str, below: str) -> None:
    """Modules of a package that import from each other share one variable."""
    text = f"# %% tags=imports\nimport lib\n# %% tags=step:a\n{above}\n"
    text += f"# %% tags=step:b,prev:a\n{below}\n"
    messages = [one.message for one in pipeline_of(text, files=PACKAGE).warnings]
    assert [one for one in messages if "`lib.core.STATE" in one]


def test_a_seed_in_a_module() -> None:
    """What a function of a module sets of the process goes on like what a cell sets."""
    text = (
        "# %% tags=imports\nimport random\nimport seeds\n"
        "# %% tags=step:a\nseeds.seed()\n# %% tags=step:b,prev:a\nprint(random.random())\n"
    )
    pipeline = pipeline_of(text, files={"seeds.py": "import random\ndef seed(): random.seed(3)"})
    assert [step.ins for step in pipeline.steps][1] == {"state:random": "a"}
