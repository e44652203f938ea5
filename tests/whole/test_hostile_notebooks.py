"""Cells that are meant to hurt: each compiles to what it means, or is refused with its place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from notebooks import cell, notebook, to_bytes
from pipelines_of import build_pipeline, line_of

from kale_tag.diagnostics import UserError
from kale_tag.kale.pipeline import Pipeline, Step
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.read import read_notebook


def built(*cells: tuple[str, str]) -> Pipeline:
    """The pipeline of cells, each given by its tags and its source."""
    made = [cell(source, metadata={"tags": tags.split()}) for tags, source in cells]
    value = read_notebook(to_bytes(notebook(made)), "nb.ipynb")
    return build_pipeline(value, CompileOptions(), lambda *_: pytest.fail("no reference"))


CODE = [
    "x = '''a\"\"\"b'''",
    'x = """a\'\'\'b"""',
    "x = '\\\\ \\n'",
    "x = f'{1:{2}} {{a}}'",
    "x = '{{workflow.name}} {{$}} {{=1}}'",
    "x = '\N{PILE OF POO} \u2028 \x0c \x85'",
    "\tx = 1\n\ty = 2",
    "x = 1\r\ny = 2\rz = 3",
    "x = 1  # \N{RIGHT-TO-LEFT OVERRIDE}",
    "x = '" + "a" * 200_000 + "'",
    "x = [\n" + "1,\n" * 20_000 + "]",
    "x = (" + "(" * 90 + "1" + ")" * 91,
    "if a if (a := 1) else 0:\n    x = a\n" + "elif a:\n    x = 2\n" * 400 + "else:\n    x = 3",
    "x = '\\d'\nassert (1, 'always')\n1 is 1",
    "x = 1\nglobal y\ny = 2",
    "",
    "# only a remark",
]


@pytest.mark.parametrize("source", CODE, ids=range(len(CODE)))
def test_hostile_code_is_code(source: str) -> None:
    """It goes through as it is, line for line."""
    pipeline = built(("step:a", source), ("step:b prev:a", "print('b')"))
    step = pipeline.steps[0]
    assert isinstance(step, Step)
    (code,) = step.code

    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert code.source.split("\n") == lines
    assert len(code.python.split("\n")) == len(lines)


REFUSED = [
    ("x = 1\0", "not-python", "\0"),
    ("x = 1 +\n", "syntax-error", None),
    ("x = " + "-" * 9000 + "1", "not-python", None),
    ("x = y" + ".a()" * 5000, "not-python", None),
    ("return 1", "syntax-error", "return 1"),
    ("def f(a, a): pass", "syntax-error", None),
    ("print 'x'", "python-2", "print 'x'"),
    ("x = '\N{PILE OF POO}'; print(undefined)", "undefined-name", "undefined"),
    ("x = 1\r\nprint(undefined)", "undefined-name", "undefined"),
    ("\tx = 1\n\tprint(undefined)", "undefined-name", None),
]


@pytest.mark.parametrize(("source", "code", "marked"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_code_is_refused(source: str, code: str, marked: str | None) -> None:
    """With the cell, and where it can be said the very place in it."""
    with pytest.raises(UserError) as refused:
        built(("step:a", "y = 1"), ("step:b", source))

    diagnostic = refused.value.diagnostics[0]
    label = diagnostic.labels[0]
    assert diagnostic.code == code
    assert label.source.cell == 1
    if marked is not None:
        assert label.span is not None
        assert label.source.text[label.span.start : label.span.end] == marked


def test_half_a_character() -> None:
    """A lone surrogate, which JSON can hold and Python cannot read."""
    data = to_bytes(notebook([cell("x = 1", metadata={"tags": ["step:a"]})]))
    value = read_notebook(data.replace(b"x = 1", b"x = '\\ud800'"), "nb.ipynb")
    with pytest.raises(UserError, match="half a character"):
        build_pipeline(value, CompileOptions(), lambda *_: pytest.fail("no reference"))


def test_many_cells_and_steps() -> None:
    """A thousand cells in a step, and five hundred steps: the work grows with their number."""
    cells = [("step:a" if not n else "", f"x{n} = x{n - 1} if {n} else 0") for n in range(1, 1000)]
    pipeline = built(("step:a", "x0 = 1"), *cells)
    assert len(pipeline.steps) == 1

    def calls(count: int) -> int:
        """How many functions are called for so many steps: unlike time, the same in every run."""
        steps = [(f"step:s{n} prev:s{n - 1}", f"x.append(f())\ny{n} = x") for n in range(1, count)]
        number = 0

        def on(_frame: object, event: str, _argument: object) -> None:
            nonlocal number
            number += event in {"call", "c_call"}

        sys.setprofile(on)
        try:
            made = built(("step:s0", "x = [1]\ndef f():\n    return x"), *steps)
        finally:
            sys.setprofile(None)
        assert line_of(made.steps[-1]).startswith(
            f"after s0 s{count - 2}; takes f<s0 x<s{count - 2}"
        )
        return number

    calls(10)
    assert calls(500) < 12 * calls(50)


_PROGRAM = """
import sys
sys.path.insert(0, {tests!r} + "/helpers")
from pathlib import Path
from cases import BLOCK
from pipelines_of import build_pipeline, in_words
for path in sorted(Path({tests!r}, "pipelines").glob("*.md")):
    for block in BLOCK.finditer(path.read_text("utf-8")):
        if block["info"] == "python" and "notebook:" not in block["body"]:
            print(in_words(block["body"]))
"""


def test_the_same_under_every_hash_seed() -> None:
    """Nothing depends on the order in which Python happens to keep a set."""
    tests = Path(__file__).parent.parent
    printed = set()
    for seed in ("0", "1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM.format(tests=str(tests))],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(tests.parent)},
            capture_output=True,
            check=True,
        )
        printed.add(done.stdout)
    assert len(printed) == 1
