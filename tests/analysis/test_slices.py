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
