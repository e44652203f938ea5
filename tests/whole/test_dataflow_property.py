"""Steps that have only the variables the dataflow gives them do what the notebook does."""

import copy
import re
import types
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipelines_of import pipeline_of

from kale_tag.diagnostics import UserError
from kale_tag.kale.pipeline import Pipeline, Step

WATCHED = ("x", "y", "z", "l", "m", "d", "base")

STATEMENTS = (
    "x = {n}",
    "y = x + {n}",
    "x, y = y, x",
    "z = [x, y][{n} % 2]",
    "x += {n}",
    "l = [x]",
    "l += [{n}]",
    "l.append(y)",
    "l[0:0] = [{n}]",
    "m = l + [y]",
    "m.sort()",
    "d = {{'k': x}}",
    "d['k'] = y",
    "d.update(j=[*l])",
    "x = d.get('k', 0)",
    "del x",
    "z = sum(l)",
    "z = max(v for v in [y, *l])",
    "[x := v for v in l]",
    "t = l\nt.append({n})",
    "for t in [l, m]:\n    t.append({n})",
    "for i in range({n} % 3):\n    y = i",
    "if x % 2:\n    y = {n}",
    "if y % 2:\n    l = [y]\nelse:\n    l = [{n}, x]",
    "while y > 9:\n    y -= 5\n    z = y",
    "try:\n    y = 1 // (x % 2)\nexcept ZeroDivisionError as e:\n    z = {n}",
    "match x % 3:\n    case 0:\n        y = {n}\n    case z:\n        pass",
    "with open('/dev/null') as t:\n    y = {n}",
    "def f(a=x):\n    return a + y",
    "def f():\n    return len(l) + y",
    "f = lambda: x * 2",
    "g = f",
    "def g():\n    return f() + 1",
    "def g():\n    def inner():\n        return z\n    return inner()",
    "g = lambda: [v + x for v in l][0]",
    "x = f()",
    "y = g()",
    "z = list(map(lambda v: v + y, l))[0]",
    "def h(v):\n    v.append({n})",
    "h(l)",
    "h(v=m)",
    "def s():\n    global x\n    x = y + 1",
    "def s():\n    l.append(x)",
    "s()",
    "x: int",
    "base.append({n})",
    "base = [{n}]",
    "add(l, x)",
    "y = look()",
    "x = twice()",
    "sum = lambda v: {n}",
    "print(x, y)",
    "x = p + {n}",
    "p = {n}",
    "y = params()",
)

HEAD = """\
# %% tags=imports
import math
# %% tags=functions
base = [0]
def add(to, what):
    to.append(what)
def look():
    return x + len(base)
def twice():
    return look() * 2
def params():
    return p
# %% tags=pipeline-parameters
p = 3
"""


@st.composite
def notebooks(draw: st.DrawFn) -> str:
    """A notebook of a few steps, each of which may follow any of those above it."""
    text = [HEAD]
    count = draw(st.integers(2, 5))
    for number in range(count):
        earlier = range(number)
        prev = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=2)) if number else []
        if number and draw(st.integers(0, 3)):
            prev = prev or [number - 1]
        tags = ",".join([f"step:s{number}", *(f"prev:s{one}" for one in sorted(prev))])
        few = draw(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=4))
        if not number:
            few = ["x = 1\ny = 2\nz = 3\nl = [4]\nm = [5]\nd = {{'k': 6}}", *few]
        lines = [one.format(n=draw(st.integers(0, 9))) for one in few]
        text.append(f"# %% tags={tags}\n" + "\n".join(lines) + "\n")
    return "".join(text)


def moved(value: Any, home: dict[str, Any]) -> Any:
    """A value as it arrives in another step, where functions see that step's globals."""
    if isinstance(value, types.FunctionType):
        defaults = copy.deepcopy(value.__defaults__)
        return types.FunctionType(value.__code__, home, value.__name__, defaults, value.__closure__)
    return copy.deepcopy(value)


def run(code: str, space: dict[str, Any]) -> str:
    """Runs code; the kind of error that stopped it, or nothing."""
    try:
        exec(compile(code, "<cell>", "exec"), space)
    except Exception as exc:  # noqa: BLE001  any that the cells can make
        return type(exc).__name__
    return ""


def compare(pipeline: Pipeline) -> Iterator[tuple[str, str]]:  # noqa: C901  one run of two
    """Runs the pipeline and, for each step, the notebook up to it; yields what differs."""
    steps = [step for step in pipeline.steps if isinstance(step, Step)]
    code = {step.name: "\n".join(one.python for one in step.code) for step in steps}
    own = {s.name: "\n".join(c.python for c in s.code if c.kind == "step") for s in steps}
    shared = "\n".join(one.python for one in pipeline.shared)
    parts = {s.name: [c.python for c in s.code if c.kind != "step"] for s in steps}
    first = {s.name: min(c.cell for c in s.code if c.kind == "step") for s in steps}
    spaces: dict[str, dict[str, Any]] = {}
    before: dict[str, set[str]] = {}
    seen: dict[str, dict[str, Any]] = {}

    def kept(step: str, space: dict[str, Any]) -> dict[str, Any]:
        names = [name for name in WATCHED if re.search(rf"\b{name}\b", own[step])]
        return {name: copy.deepcopy(space[name]) for name in names if name in space}

    silent = {"print": lambda *_: None}
    whole = {
        one.cell: one.source for one in (*pipeline.shared, *(c for s in steps for c in s.code))
    }
    assert code
    everything = "\n".join(source for cell, source in sorted(whole.items()) if cell < 2)
    for step in steps:
        ancestors = {one for prev in step.prev for one in before[prev]} | set(step.prev)
        before[step.name] = ancestors
        reference: dict[str, Any] = {"p": 3, **silent}
        diagnostic = run(everything, reference)
        for name in sorted(ancestors, key=first.__getitem__):
            diagnostic = diagnostic or run(own[name], reference)
            # Of steps side by side one may see in a notebook what the other does, as one of them
            # stands below; there is nothing to compare with then.
            diagnostic = diagnostic or ("" if seen.get(name) == kept(name, reference) else "mixed")
        if diagnostic or any(prev not in spaces for prev in ancestors):
            continue  # what a step would find after that is nowhere said
        diagnostic = run(own[step.name], reference)
        seen[step.name] = kept(step.name, reference)
        space: dict[str, Any] = {**silent}
        space |= {name: 3 for name in step.parameters if name == "p"}
        assert not run("\n".join([shared, *parts[step.name]]), space)
        for name, producer in step.ins.items():
            if name not in spaces[producer]:
                yield step.name, f"`{producer}` does not have `{name}`"
            else:
                space[name] = moved(spaces[producer][name], space)
        got = run(own[step.name], space)
        if got != diagnostic:
            yield step.name, f"{got or 'no error'} instead of {diagnostic or 'none'}"
        if got:
            continue
        spaces[step.name] = space
        for name in WATCHED:
            known = name in step.outs or re.search(rf"\b{name}\b", own[step.name])
            if known and name in space and space[name] != reference.get(name):
                yield step.name, f"{name} is {space[name]} instead of {reference.get(name)}"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(notebooks())
def test_steps_do_what_the_notebook_does(percent: str) -> None:
    """Each step sees and leaves the values that the cells before it and its own make."""
    try:
        pipeline = pipeline_of(percent)
    except UserError as exc:
        codes = {one.code for one in exc.diagnostics if one.severity == "error"}
        assert codes <= {"undefined-name", "missed-change", "deleted-name"}, percent
        return
    if any(one.code == "possible-change" for one in pipeline.warnings):
        return  # that values may differ is reported
    assert list(compare(pipeline)) == [], percent


@pytest.mark.slow
@settings(max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(notebooks())
def test_steps_do_what_the_notebook_does_at_length(percent: str) -> None:
    """The same, with many notebooks."""
    test_steps_do_what_the_notebook_does.hypothesis.inner_test(percent)  # type: ignore[attr-defined]
