"""Random notebooks leave the same variables as pipelines, run by the real step programs."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pipelines_of import pipeline_of
from runs import put, run

from kale_tag.compiler.package import package
from kale_tag.compiler.read_package import Compiled, FromPipeline, read_compiled, read_header
from kale_tag.compiler.step_command import EXECUTOR_INPUT, load_runtime
from kale_tag.diagnostics import Source, UserError
from kale_tag.run import snapshot
from kale_tag.run.comparison import compare, compared_names, environment, watched

REAL = load_runtime()

HEAD = """\
# %% tags=imports
import math
from collections import Counter
from dataclasses import dataclass, field
# %% tags=pipeline-parameters
width = 3
ratio = 0.25
label = "ab"
# %% tags=functions
@dataclass
class Point:
    x: int
    tags: list = field(default_factory=list)
    def moved(self, by):
        return Point(self.x + by, [*self.tags, by])
class Tally(Counter):
    seen = 0
    def note(self, what):
        self[what] += 1
        self.last = what
        return self
def grow(values, by):
    values.append(by)
    return len(values)
def scaled(value):
    return value * ratio
"""

START = (
    'n = {n}\nrows = [{n}, 2, 3]\npoint = Point({n})\ntally = Tally(label)\nboth = ([*rows], "é")\n'
    "alias, pair = rows, [rows, point]"
)

STATEMENTS = (
    "n = n + {n}",
    "n, m = {n}, n",
    "rows.append(n)",
    "rows = [v + {n} for v in rows]",
    "rows[0] = {n}",
    "size = grow(rows, {n})",
    "point.x += {n}",
    "point.tags.append(label)",
    "point = point.moved({n})",
    "old = point\nold.x = {n}",
    "tally.note('k{n}')",
    "tally.update(label * {n})",
    "score = scaled(sum(rows))",
    "score = math.sqrt(abs(n)) + width",
    "if n % 2:\n    rows.sort(reverse=True)\nelse:\n    kind = 'even'\n    rows += [{n}]",
    "for v in rows[:{n}]:\n    tally[v] += v",
    "while n > 20:\n    n -= {n} + 1\n    last = n",
    "try:\n    q = width // (n % 3)\nexcept ZeroDivisionError:\n    q = -1",
    "match n % 3:\n    case 0:\n        word = 'none'\n    case rest:\n        word = label * rest",
    "both = (*both, {n})",
    "both[0].append({n})",
    "table = {{v: str(v) for v in rows}}",
    "table = {{'p': point, 'r': rows}}\ntable['p'].x -= 1",
    "def own(v):\n    return v + width + {n}\nn = own(n)",
    "own = lambda v, by={n}: v * by\nn = own(n) % 1000",
    "class Own:\n    kind = '{n}'\nname = Own.kind",
    "text = f'{{n}} {{label!r}} {{width:>{{width}}}}'",
    "big = list(map(float, range(1200)))\nsome = {{*rows, -{n}}}",
    "raw = bytes(rows[:1] * 3) if 0 <= rows[0] < 256 else b''",
    "x = y = None\nz = complex({n}, 1)",
    # objects with several names
    "alias.append({n})",
    "alias = rows",
    "alias = list(alias)",
    "pair = [alias, point]",
    "pair[0].append({n})",
    "pair[1].x += {n}",
    "for one in pair[:1]:\n    one.append({n})",
    "inner = pair[0]\ngrow(inner, {n})",
)


@st.composite
def notebooks(draw: st.DrawFn) -> str:
    """A chain of steps that change what was made, and branches that look at it."""
    text = [HEAD]

    def body(count: int) -> str:
        few = draw(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=count))
        return "\n".join(one.format(n=draw(st.integers(0, 9))) for one in few)

    chain = draw(st.integers(2, 3))
    for number in range(chain):
        first = START.format(n=draw(st.integers(0, 9))) + "\n" if not number else ""
        after = f",prev:s{number - 1}" if number else ""
        text.append(f"# %% tags=step:s{number}{after}\n{first}{body(4)}\n")
    if draw(st.booleans()):  # side by side, neither of them changes what the other sees
        for side in ("left", "right"):
            look = f"{side} = [point.x, len(rows), dict(tally), both[1:]]"
            text.append(f"# %% tags=step:{side},prev:s{chain - 1}\n{look}\n")
        text.append("# %% tags=step:joined,prev:left,prev:right\nsame = left == right\n")
    return "".join(text)


def compiled(percent: str) -> Compiled:
    """The package of a notebook, read back; its steps take their variables down."""
    made = package(pipeline_of(percent), REAL)
    text = json.dumps({"pipeline_spec": made.spec, "platform_spec": made.platform})
    return watched(read_compiled(read_header(Source("nb", text))))


def run_steps(one: Compiled, folder: Path) -> None:
    """Run the command of every step, as KFP's local runner does."""
    environ = {**os.environ, **environment(str(folder / "pipeline")), "KALE_TAG_NO_PIP": "1"}
    defaults = {
        one.header.names[parameter.name]: parameter.default for parameter in one.header.parameters
    }
    metadata: dict[str, dict[str, Any]] = {}
    for task in one.tasks:
        inputs = {
            "parameterValues": {
                name: defaults[source.name] if isinstance(source, FromPipeline) else source.value
                for name, source in task.parameters.items()
            },
            "artifacts": {
                name: {
                    "artifacts": [
                        {
                            "uri": str(folder / producer / output),
                            "metadata": metadata[producer][output],
                        }
                    ]
                }
                for name, (producer, output) in task.inputs.items()
            },
        }
        outputs = {
            "artifacts": {
                name: {"artifacts": [{"name": name, "uri": str(folder / task.id / name)}]}
                for name in task.outputs
            },
            "outputFile": str(folder / task.id / "out.json"),
        }
        given_ = json.dumps({"inputs": inputs, "outputs": outputs})
        words = [*task.executor["command"], *task.executor["args"]]
        words = [given_ if word == EXECUTOR_INPUT else word for word in words]
        words = [sys.executable if word == "python3" else word for word in words]
        words[2] = words[2].replace("python3", sys.executable)
        done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told = json.loads((folder / task.id / "out.json").read_text())["artifacts"]
        metadata[task.id] = {
            name: entry["artifacts"][0].get("metadata", {}) for name, entry in told.items()
        }


def run_plain(percent: str, one: Compiled, folder: Path) -> bool:
    """Run the cells in one namespace; whether they do not fail."""
    space: dict[str, Any] = {"__name__": "__main__"}
    tasks = {task.name: task for task in one.tasks}
    os.environ.update(environment(str(folder / "notebook")))
    for cell in percent.split("# %%")[1:]:
        head, _, source = cell.partition("\n")
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                exec(compile(source, "<cell>", "exec"), space)
            except Exception:  # noqa: BLE001  any that the cells can make
                return False
        name = head.partition("step:")[2].partition(",")[0]
        if name:
            snapshot.snapshot(space, compared_names(tasks[name]), tasks[name].id)
    return True


def check(percent: str) -> None:
    """Assert that every variable of every step is the same on both ways."""
    try:
        one = compiled(percent)
    except UserError as exc:
        # Whether a name is there can hang on what a cell finds; that is told, and not run.
        told = {diagnostic.code for diagnostic in exc.diagnostics}
        assume(not told <= {"undefined-name", "deleted-name"})
        raise
    with TemporaryDirectory() as name:
        folder = Path(name)
        if not run_plain(percent, one, folder):
            assume(False)
        run_steps(one, folder)
        found = compare(one, str(folder / "notebook"), str(folder / "pipeline"))
        assert found
        assert [one for one in found if one.verdict != "same"] == [], percent


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(notebooks())
def test_pipelines_do_what_notebooks_do(percent: str) -> None:
    """All variables are the same."""
    check(percent)


@pytest.mark.slow
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(notebooks())
def test_pipelines_do_what_notebooks_do_at_length(percent: str) -> None:
    """The same, with 200 notebooks."""
    check(percent)


@pytest.mark.slow
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(percent=notebooks())
def test_with_the_real_runner(tmp_path: Path, percent: str) -> None:
    """And a few of them as users run them, against the notebook in a kernel."""
    try:
        compiled(percent)
    except UserError:
        assume(False)
    with TemporaryDirectory(dir=tmp_path) as name:
        path = put(Path(name), percent)
        done = run(Path(name), path.name, "--compare")
        assume("notebook-failed" not in done.err and "step-failed" not in done.err)
        assert done.code == 0, done.out + done.err + percent
