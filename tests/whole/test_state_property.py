"""Random programs over seeds, options and the environment do in a pipeline what they do at home.

Each step starts with the state of a fresh process, and gets that of others as files of the runtime.
"""

import collections
import logging
import os
import pickle
import random
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from notebooks import from_percent
from runs import put, run

from kale_tag import data_file
from kale_tag.compiler.build import build
from kale_tag.kale.pipeline import Pipeline, Step
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.read import read_notebook

Values = dict[str, dict[str, Any]]

IMPORTS = """\
import decimal, logging, os, random, sys, warnings
from random import choice
import numpy as np
import pandas as pd
"""
FUNCTIONS = """\
def drawn(): return random.random()
def thrown(f=np.random.rand): return f()
def seeded(k):
    random.seed(k)
    np.random.seed(k)
def setting(k): os.environ["KEY1"] = str(k)
"""
SETTING = [
    "random.seed({k})",
    "np.random.seed({k})",
    "seeded({k})",
    "if {k} > 4: random.seed({k})",
    "[np.random.seed({k}) for _ in range({k} % 2)]",
    "os.environ['KEY1'] = 'v{k}'",
    "os.environ['KEY2'] = os.environ.get('KEY1', '') + '{k}'",
    "os.environ.pop('KEY1', None)",
    "if {k} > 4: os.environ.update(KEY2='u{k}')",
    "setting({k})",
    "np.seterr(over=['ignore', 'warn', 'raise'][{k} % 3])",
    "np.set_printoptions(precision={k} + 1)",
    "pd.set_option('display.precision', {k})",
    "pd.options.display.float_format = '{{:.{k}f}}'.format",
    "decimal.getcontext().prec = {k} + 1",
    "warnings.filterwarnings(['error', 'ignore'][{k} % 2], 'm{k}')",
    "logging.getLogger('lib').setLevel({k} + 1)",
    "sys.setrecursionlimit(1000 + {k})",
]
USING = [
    "{v} = random.random()",
    "{v} = choice(range(10**9))",
    "{v} = drawn()",
    "{v} = float(np.random.rand())",
    "{v} = thrown()",
    "{v} = [random.gauss(0, 1) for _ in range({k} % 3)]",
    "{v} = list(map(random.randrange, [10**9] * {k}))",
    "{v} = pd.Series(range(9999)).sample(2).tolist()",
    "if {k} > 4: {v} = np.random.normal()",
    "{v} = os.environ.get('KEY1')",
    "{v} = 'KEY2' in os.environ and os.environ['KEY2']",
    "{v} = np.geterr()['over']",
    "{v} = str(np.array([1 / 3]))",
    "{v} = str(pd.Series([1 / 3]))",
    "{v} = str(decimal.Decimal(1) / 3)",
    "{v} = [one[0] for one in warnings.filters if one[1] and 'm' in str(one[1])]",
    "{v} = logging.getLogger('lib').level",
    "{v} = sys.getrecursionlimit()",
    "{v} = {k}",
]

_RUNTIME: dict[str, Any] = {
    "make_pickler": lambda: pickle.Pickler,
    "in_words": repr,
    "StepError": ValueError,
}
exec(data_file("step_runtime/process_state.py"), _RUNTIME)
KEPT = [
    name for name in _RUNTIME["STATES"] if not name.startswith(("torch", "sklearn", "matplotlib"))
]


class Machine:
    """What a process has when it starts."""

    def __init__(self) -> None:
        """Look at this one."""
        exec(IMPORTS + "np.random.seed()", {})
        self.states = {name: _RUNTIME["now"](name) for name in KEPT}
        self.filters = warnings.filters[:]
        self.environment = dict(os.environ)

    def restart(self) -> None:
        """Another process: generators are seeded by chance."""
        _RUNTIME["WAITING"].update(self.states)
        for name in KEPT:
            _RUNTIME["restore"](name)
        warnings.filters[:] = self.filters  # type: ignore[index]
        logging.getLogger("lib").setLevel(0)
        for key in os.environ.keys() - self.environment.keys():
            del os.environ[key]
        random.seed()
        np.random.seed()  # noqa: NPY002  the one that is shared


class Program:
    """Steps in a random graph, and what shared cells set, some of them below steps."""

    def __init__(self, seed: int) -> None:
        """Write it."""
        self.dice = random.Random(seed)
        self.count = 0
        self.shared = [IMPORTS, FUNCTIONS + self.some(SETTING, 0.3)]
        self.steps: dict[str, str] = {}
        text = f"# %% tags=imports\n{self.shared[0]}\n# %% tags=functions\n{self.shared[1]}\n"
        self.order: list[str] = ["", ""]
        for number in range(self.dice.randint(3, 6)):
            name = f"s{number}"
            prev = [one for one in self.steps if self.dice.random() < 0.6]
            tags = ",".join([f"step:{name}", *(f"prev:{one}" for one in prev)])
            lines = self.some(SETTING, 0.9) + self.some(USING, 1.5)
            code = "\n".join(self.dice.sample(lines.split("\n")[:-1], lines.count("\n")))
            self.steps[name] = code or "pass"
            text += f"# %% tags={tags}\n{self.steps[name]}\n"
            self.order.append(name)
            if self.dice.random() < 0.06:
                self.shared.append(self.some(SETTING, 1.5) or "pass\n")
                self.order.append("")
                text += f"# %% tags=functions\n{self.shared[-1]}\n"
        self.text = text

    def some(self, statements: list[str], mean: float) -> str:
        """Some statements, one a line."""
        found = ""
        while self.dice.random() < mean / (mean + 1):
            self.count += 1
            one = self.dice.choice(statements)
            found += one.format(v=f"v{self.count}", k=self.dice.randint(1, 9)) + "\n"
        return found

    def in_notebook(self, machine: Machine) -> Values:
        """The variables that each step binds."""
        machine.restart()
        space: dict[str, Any] = {}
        shared = iter(self.shared)
        found = {}
        for name in self.order:
            code = self.steps[name] if name else next(shared)
            before = dict(space)
            exec(code, space)
            found[name] = {key: one for key, one in space.items() if key not in before}
        return {name: found[name] for name in self.steps}

    def in_pipeline(self, machine: Machine, pipeline: Pipeline) -> Values:
        """The same, with a process for each step."""
        files: dict[tuple[str, str], str] = {}
        found = {}
        for step in pipeline.steps:
            assert isinstance(step, Step)
            machine.restart()
            space: dict[str, Any] = {}
            for code in self.shared:
                exec(code, space)
            states = {name: one for name, one in step.ins.items() if name.startswith("state:")}
            spec = {"in": list(states), "out": step.states, "renewed": step.renewed}
            _RUNTIME["WAITING"].clear()
            _RUNTIME["SPEC"] = {"states": spec}
            _RUNTIME["load"] = lambda kind, taken=states: files[taken[kind], kind]
            _RUNTIME["take_states"]()
            before = dict(space)
            exec(self.steps[step.name], space)
            found[step.name] = {key: one for key, one in space.items() if key not in before}
            kept: dict[str, str] = {}
            _RUNTIME["NS"] = kept
            _RUNTIME["save"] = lambda kind, step=step, kept=kept: files.update(
                {(step.name, kind): kept[kind]}
            )
            _RUNTIME["save_states"](_RUNTIME["keep_states"]())
        return found


def verdict(seed: int, machine: Machine) -> tuple[str, str]:
    """How a program fares, and its text."""
    program = Program(seed)
    notebook = read_notebook(from_percent(program.text), "nb.ipynb")
    built = build(notebook, CompileOptions(), no_other)
    wanted, again = program.in_notebook(machine), program.in_notebook(machine)
    got = program.in_pipeline(machine, built.pipeline)
    differ = {
        name
        for step, values in wanted.items()
        for name, one in values.items()
        if one == again[step][name] != got[step][name]  # the rest is not seeded
    }
    codes = {one.code for one in built.pipeline.warnings}
    reported = codes & {"lost-state", "late-shared-cell"}
    kind = ("reported" if reported else "silent") if differ else "equal"
    if reported and not differ:
        kind = "reported, equal"
    carried = [one for step in built.pipeline.steps for one in step.ins]
    return kind if carried else f"{kind}, nothing carried", f"{program.text}\ndiffer: {differ}"


def no_other(path: str, _: object) -> Any:
    """There is no other notebook."""
    raise AssertionError(path)


def check(seeds: Iterable[int]) -> None:
    """None differs without a word."""
    found: collections.Counter[str] = collections.Counter()
    machine = Machine()
    try:
        for seed in seeds:
            kind, text = verdict(seed, machine)
            found[kind.partition(", nothing")[0]] += 1
            assert "silent" not in kind, f"seed {seed}\n{text.partition('# %% tags=step')[2]}"
    finally:
        machine.restart()
    assert found["equal"] > sum(found.values()) / 3, found
    assert found["reported"] > found["reported, equal"], found


def test_few_programs() -> None:
    """Sixty programs."""
    check(range(60))


@pytest.mark.slow
def test_many_programs() -> None:
    """A thousand."""
    check(range(60, 1060))


@pytest.mark.slow
def test_run(tmp_path: Path) -> None:
    """A chain, as the command runs it."""
    steps = [
        "random.seed(1)\nos.environ['PLACE'] = 'here'\nx = random.random()",
        "y = random.random(), os.environ['PLACE'], x",
        "z = random.random(), y",
        "print(z)",
    ]
    text = "# %% tags=imports\nimport os, random\n"
    for number, code in enumerate(steps):
        prev = f",prev:s{number - 1}" if number else ""
        text += f"# %% tags=step:s{number}{prev}\n{code}\n"
    put(tmp_path, text)
    ran = run(tmp_path, "nb.ipynb", "--compare")
    assert "none differs" in ran.out, ran.out + ran.err
