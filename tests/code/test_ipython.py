"""IPython syntax becomes plain Python, line for line."""

import ast
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kale_tag.code.ipython import IDLE_MAGICS, to_python
from kale_tag.code.source import read_code
from kale_tag.diagnostics import Source, UserError


def rewritten(text: str) -> str:
    """A cell as Python."""
    return to_python(Source("nb.ipynb", text, 0))


@pytest.mark.parametrize(
    ("cell", "python"),
    [
        ("%matplotlib inline", "get_ipython().run_line_magic('matplotlib', 'inline')"),
        ("% matplotlib inline", "get_ipython().run_line_magic('matplotlib', 'inline')"),
        ("%precision 3", "pass"),
        ("!ls -l", "get_ipython().system('ls -l')"),
        ("!!ls", "get_ipython().getoutput('ls')"),
        ("x = !ls", "x = get_ipython().getoutput('ls')"),
        ("a, b = %sx ls", "a, b = get_ipython().run_line_magic('sx', 'ls')"),
        ("x: list = !ls", "x: list = get_ipython().getoutput('ls')"),
        ("d['k'] = !ls", "d['k'] = get_ipython().getoutput('ls')"),
        ("if 1:\n\t!ls\n", "if 1:\n\tget_ipython().system('ls')\n"),
        ("!a \\\n  b\nc", "get_ipython().system('a    b')\n\nc"),
        ("x = !a \\\n  b\nc", "x = get_ipython().getoutput('a    b')\n\nc"),
        ("x?", "pass"),
        ("?x.y", "pass"),
        ("x.y[0]??", "pass"),
        ("%time?", "pass"),
        ("for i in x:\n    i?", "for i in x:\n    pass"),
        ("/f a b", "f(a, b)"),
        (",f a b", "f('a', 'b')"),
        (";f a b", "f('a b')"),
        ("x = 1\n;", 'x = 1\n("")'),
        ("if x:\n  ,", 'if x:\n  ("")'),
        ("pip install 'x>1'", "get_ipython().run_line_magic('pip', 'install \\'x>1\\'')"),
        ("cd ..", "get_ipython().run_line_magic('cd', '..')"),
        ("%cd C:\\new\n?", "get_ipython().run_line_magic('cd', 'C:\\\\new')\npass"),
        ("  x = 1\n  !ls", "x = 1\nget_ipython().system('ls')"),
        ("%%time\nx = 1", "get_ipython().begin_cell_magic('time', '')\nx = 1"),
        (
            "\n%%capture out\n!ls",
            "\nout = get_ipython().begin_cell_magic('capture', 'out')\nget_ipython().system('ls')",
        ),
        ("%%capture --no-stderr\nx", "get_ipython().begin_cell_magic('capture', '--no-stderr')\nx"),
        (
            "%%bash\na 'b'\n\tc",
            "get_ipython().run_cell_magic('bash', '', 'a \\'b\\'\\n\\tc\\n')\n\n",
        ),
        ("%%sh --out=o\nls", "o = get_ipython().run_cell_magic('sh', '--out=o', 'ls\\n')\n"),
        (
            "%%writefile f\n\u2028\x00",
            "get_ipython().run_cell_magic('writefile', 'f', '\\u2028\\u0000\\n')\n",
        ),
        ("s = '''\n!ls\n%time\n'''\n!ls", "s = '''\n!ls\n%time\n'''\nget_ipython().system('ls')"),
        ("f'{a[\"b\"]!r:>{w}}'\n!ls", "f'{a[\"b\"]!r:>{w}}'\nget_ipython().system('ls')"),
        (
            "x = (1,\n  # it's\n  y != 2)\n!ls",
            "x = (1,\n  # it's\n  y != 2)\nget_ipython().system('ls')",
        ),
        (
            "x = f\"{y['a']}\" if y else r'\\'\n!ls",
            "x = f\"{y['a']}\" if y else r'\\'\nget_ipython().system('ls')",
        ),
        ("x = 7 \\\n  % 3\n!ls", "x = 7 \\\n  % 3\nget_ipython().system('ls')"),
        ("a = b = !ls", "a = b = get_ipython().getoutput('ls')"),
        ("# why?\n!ls # hi", "# why?\nget_ipython().system('ls # hi')"),
    ],
)
def test_rewriting(cell: str, python: str) -> None:
    """Each of IPython's forms, and what stands around them."""
    assert rewritten(cell) == python
    assert rewritten(cell).count("\n") == cell.count("\n")


@pytest.mark.parametrize(
    ("cell", "code", "marked"),
    [
        ("%matplotlb inline", "unknown-magic", "%matplotlb"),
        ("x = %nothing 1", "unknown-magic", "%nothing"),
        ("%%R\nx <- 1", "unknown-magic", "%%R"),
        ("\n%%sql select\n1", "unknown-magic", "%%sql"),
        ("x = 1\n%%time\ny", "cell-magic-not-first", "%%time"),
        ("if 1:\n    %%bash\n", "cell-magic-not-first", "%%bash"),
    ],
)
def test_what_a_step_cannot_run(cell: str, code: str, marked: str) -> None:
    """Is refused, with its place."""
    with pytest.raises(UserError) as refused:
        rewritten(cell)

    (diagnostic,) = refused.value.diagnostics
    (label,) = diagnostic.labels
    assert diagnostic.code == code
    assert label.span is not None
    assert cell[label.span.start : label.span.end] == marked


@given(st.text(alphabet="x1='\"\\{}()[]!%?# \n\tf,:", max_size=60))
def test_what_is_python_stays(cell: str) -> None:
    """A cell that parses is left alone; any other is read with as many lines, or refused."""
    try:
        ast.parse(cell)
    except (SyntaxError, ValueError):
        pass
    else:
        assert read_code("nb.ipynb", 0, cell).code.python == cell
        return
    try:
        python = rewritten(cell)
    except UserError:
        return
    assert python.count("\n") == cell.count("\n")


STATEMENTS = [
    "x = 1",
    "s = '!ls'",
    's = """\n%time\n!x\n"""',
    "f = f'{x!r} {{%d}} {s[0:1]}'",
    "y = [1,\n  2 % 3,\n]  # it's",
    "z = x \\\n    % 3",
    "if x:\n    y = r'\\'",
    "def g(a, *, b={}):\n    '''doc?'''\n    return a != b",
]


@given(st.lists(st.sampled_from([*STATEMENTS, "!ls {x}", "%time x", "x?"]), max_size=8))
def test_code_around_magics_is_not_touched(parts: list[str]) -> None:
    """Between magics every statement stays, wherever quotes and brackets stand in it."""
    magics = {
        "!ls {x}": "get_ipython().system('ls {x}')",
        "%time x": "get_ipython().run_line_magic('time', 'x')",
        "x?": "pass",
    }
    assert rewritten("\n".join(parts)) == "\n".join(magics.get(one, one) for one in parts)


_TRANSFORM = """
import json, sys
from IPython.core.inputtransformer2 import TransformerManager
transform = TransformerManager().transform_cell
print(json.dumps([transform(cell) for cell in json.load(sys.stdin)]))
"""


def _plain(code: str) -> str | None:
    """Code without what may differ: layout, help, magics of the front end."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return None

    class Plain(ast.NodeTransformer):
        def visit_Expr(self, node: ast.Expr) -> Any:
            text = ast.unparse(node)
            found = re.match(r"get_ipython\(\)\.run_line_magic\('(\w+)'", text)
            if found and (found[1] in IDLE_MAGICS or found[1].startswith("pinfo")):
                return ast.Pass()
            return node

    return re.sub(r"\s+", "", ast.unparse(Plain().visit(tree)))


@pytest.mark.slow
def test_ipython_itself(kale: Path, corpus: Path) -> None:
    """On every cell of the corpus without a cell magic IPython's own transformation is the same."""
    cells = []
    for path in sorted(corpus.glob("*.ipynb")):
        try:
            value = json.loads(path.read_text("utf-8"))
        except ValueError:
            continue
        sources = [cell["source"] for cell in value.get("cells", []) if cell["cell_type"] == "code"]
        texts = [text if isinstance(text, str) else "".join(text) for text in sources]
        cells += [
            text for text in texts if re.search(r"^\s*[!%?]|\?$|=\s*[!%]", text, re.MULTILINE)
        ]
    cells = [text for text in cells if "%%" not in text]
    done = subprocess.run(
        [kale, "-c", _TRANSFORM],
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        check=True,
    )
    compared = 0
    for cell, theirs in zip(cells, json.loads(done.stdout), strict=True):
        try:
            ours = read_code("nb.ipynb", 0, cell).code.python
        except UserError:
            continue
        compared += 1
        assert _plain(ours) == _plain(theirs), cell
    assert compared > 200
