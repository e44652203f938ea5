"""What Kale's compiler refuses in the code of cells, and `kale-tag compile` accepts.

Source: `kale/processors/nbprocessor.py` and `kale/common/astutils.py` of Kale 2.3.0.
"""

import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kale_tag.diagnostics import Diagnostic, count, listed
from kale_tag.kale.view import SHOWN, TaggedNotebook
from kale_tag.notebook.places import line_label
from kale_tag.rules.registry import found

if TYPE_CHECKING:
    import ast

PARSED = ("imports", "functions", "pipeline-parameters")
"""Shared cells that Kale parses as Python, besides those of steps."""

_IPYTHON = re.compile(r"\s*(?:[%!?]|\w+\s*=\s*[%!]\w)|.*\?\s*$")
DONE = "nothing to do if kale-tag compiles the notebook"


def ipython_syntax(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Lines of IPython in the cells of steps, imports, functions and parameters."""
    cells = {cell for step in nb.outline.steps for cell in step.cells}
    cells.update(cell for kind in PARSED for cell in nb.outline.shared.get(kind, ()))
    lines = {
        cell: line
        for cell in sorted(cells)
        if (line := ipython_line(nb.notebook.source(cell))) is not None
    }
    if not lines:
        return
    labels = [line_label(nb.notebook, cell, line) for cell, line in lines.items()]
    first = next(iter(lines))
    text = nb.notebook.source(first).splitlines()[lines[first]].strip()
    others = f" and in {count(len(lines) - 1, 'more cell')}" * bool(labels[1:])
    yield found(
        "ipython-syntax",
        f"Kale stops at `{text}`{others}: IPython, which only `kale-tag compile` takes",
        labels[0],
        also=labels[1:SHOWN],
        help=f"move such lines into a cell tagged `skip`, or write them in Python; {DONE}",
    )


def parameter_type(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Parameters that are constants, but none that Kale takes."""
    wrong = []
    for cell in nb.outline.shared.get("pipeline-parameters", ()):
        source = nb.notebook.source(cell)
        if error_line(source) is None:
            body = parsed(source).body
            wrong += [(cell, one.lineno - 1, name) for one in body if (name := wrong_type(one))]
    if wrong:
        labels = [line_label(nb.notebook, cell, line) for cell, line, _ in wrong]
        yield found(
            "kale-parameter",
            f"Kale stops at {listed(dict.fromkeys(name for _, _, name in wrong))}: as parameters "
            "it takes texts, True, False, and numbers that are not negative",
            labels[0],
            also=labels[1:SHOWN],
            help=f"`kale-tag compile` takes lists, mappings, None and negative numbers too; {DONE}",
        )


CODE_CHECKS = (ipython_syntax, parameter_type)


def ipython_line(source: str) -> int | None:
    """The 0-based line at which Kale stops in *source*, if that is one of IPython."""
    lines = source.splitlines()
    if not any(map(_IPYTHON.match, lines)):
        return None
    line = error_line(source)
    return line if line is not None and _IPYTHON.match([*lines, ""][line]) else None


def error_line(source: str) -> int | None:
    """The 0-based line of the first syntax error in *source*; None if there is none."""
    try:
        parsed(source)
    except SyntaxError as exc:
        return min(max((exc.lineno or 1) - 1, 0), len(source.splitlines()))
    except (ValueError, RecursionError, MemoryError):  # a NUL; nested too deeply
        return 0
    return None


def parsed(source: str) -> "ast.Module":
    """The statements of *source*. Raises what `ast.parse` raises."""
    import ast  # noqa: PLC0415  slow to import, needed for odd lines and parameters only

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an escape in a text that a later Python will not take
        return ast.parse(source)


def wrong_type(statement: "ast.stmt") -> str:
    """The name that *statement* gives a constant that Kale does not take; "" if it is another."""
    import ast  # noqa: PLC0415  see above

    match statement:
        case ast.Assign(targets=[ast.Name()], value=ast.Constant(value=str() | int() | float())):
            return ""
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ):
            try:
                ast.literal_eval(value)
            except (ValueError, TypeError, MemoryError, RecursionError):
                return ""
            return str(name)
        case _:
            return ""
