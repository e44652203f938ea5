"""What of the shared cells each step runs can be run: nothing is left out that the rest needs."""

from pipelines_of import pipeline_of

from kale_tag.kale.pipeline import Step


def _run(step: Step) -> dict[str, object]:
    names: dict[str, object] = {}
    for code in step.code:
        exec(code.python, names)
    return names


def test_a_default_that_is_a_function_of_another_step() -> None:
    """A function that no step uses stays, so what its definition needs stays with it."""
    pipeline = pipeline_of(
        "# %% tags=functions\n"
        "import math, json as other\n"
        "def one(s):\n    return s\n"
        "def driver(f=one, *, at: one = None) -> one:\n    return f(1)\n"
        "class Base:\n    pass\n"
        "class Unused(Base):\n    held = one\n"
        "def two(s):\n    return s\n"
        "# %% tags=step:a\nfirst = one(1), Base()\n"
        "# %% tags=step:b\nsecond = two(2)\n"
    )
    a, b = pipeline.steps
    assert isinstance(a, Step)
    assert isinstance(b, Step)
    shared = Step("shared", pipeline.shared)
    for step, name in ((a, "first"), (b, "second")):
        assert name in _run(Step("all", (*shared.code, *step.code)))


def test_what_a_shared_definition_needs_comes_first() -> None:
    """A default or a base class that a step makes: the step that uses it loads it first."""
    pipeline = pipeline_of(
        "# %% tags=step:a\nlimit, Row = 3, dict\n"
        "# %% tags=functions\n"
        "def cut(rows, to=limit):\n    return rows[:to]\n"
        "class Table(Row):\n    pass\n"
        "# %% tags=step:b,prev:a\nfew = cut([1, 2, 3, 4])\n"
        "# %% tags=step:c,prev:b\ntable = Table(few=few)\n"
    )
    a, b, c = (step for step in pipeline.steps if isinstance(step, Step))

    assert (a.ins, b.ins) == ({}, {"Row": "a", "limit": "a"})
    assert [one.kind for one in b.code if "def cut" in one.python] == ["step"]
    assert not any("def cut" in code.python for code in a.code)
    assert "Row" in c.ins


def test_a_class_comes_along_with_its_instance() -> None:
    """A file of variables that share an object may hold an instance that the step does not name."""
    pipeline = pipeline_of(
        "# %% tags=functions\n"
        "class Box:\n    def __init__(self, v):\n        self.v = v\n"
        "# %% tags=step:one\nrows, box = [1, 2], Box([5])\n"
        "# %% tags=step:two,prev:one\nbox.v = rows\nrows.append(0)\n"
        "# %% tags=step:four,prev:two\nmore = rows + [3]\n"
        "# %% tags=step:three,prev:two\nrows.append(3)\nsome = box.v\n"
    )
    two, four = (step for step in pipeline.steps if step.name in {"two", "four"})
    assert isinstance(two, Step)
    assert isinstance(four, Step)

    assert two.together == (("box", "rows"),)
    assert four.ins == {"rows": "two"}
    assert "Box" in _run(Step("four", (*pipeline.shared, *four.code[:-1])))


def test_which_steps_pass_definitions() -> None:
    """Those that take or pass on what may hold a function or class; instances go by its name."""
    pipeline = pipeline_of(
        "# %% tags=functions\n"
        "import functools\nimport pandas as pd\n"
        "class Box:\n    pass\n"
        "def twice(x):\n    return 2 * x\n"
        "# %% tags=step:data\n"
        "def rows_of(n):\n    return [one for one in range(n)]\n"
        "rows, box = rows_of(3), Box()\n"
        "# %% tags=step:value,prev:data\nbox.rows = [twice(one) for one in rows]\n"
        "# %% tags=step:held,prev:value\nsteps = {'double': [twice]}\nprint(box.rows)\n"
        "# %% tags=step:own,prev:held\nrun = functools.partial(lambda x: x + 1, 2)\n"
        "# %% tags=step:taken,prev:own\nprint(steps['double'][0](3), run())\ntotal = sum(rows)\n"
        "# %% tags=step:option,prev:taken\n"
        "pd.set_option('display.float_format', lambda x: f'{x:.1f}')\n"
        "frame = pd.DataFrame({'x': [total]})\n"
        "# %% tags=step:end,prev:option\nprint(frame)\n"
    )
    steps = [step for step in pipeline.steps if isinstance(step, Step)]
    found = [step.name for step in steps if step.definitions]
    assert found == ["held", "own", "taken", "option", "end"]


def test_unknown_code_may_pass_definitions() -> None:
    """What `exec` binds is not known."""
    text = (
        "# %% tags=step:a\nx = 1\nexec(open('code.py').read())\n# %% tags=step:b,prev:a\nprint(x)\n"
    )
    for step in pipeline_of(text).steps:
        assert isinstance(step, Step)
        assert step.definitions
