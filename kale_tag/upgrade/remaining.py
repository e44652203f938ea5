"""Problems that an upgrade leaves for the user: errors of `check`, and code that Kale 2.3 refuses.

Source: `kale/processors/nbprocessor.py` and `kale/common/astutils.py` of Kale 2.3.0.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from kale_tag.diagnostics import Diagnostic, warning
from kale_tag.kale.checks import lint
from kale_tag.kale.code import error_line, ipython_line, parsed, wrong_type
from kale_tag.kale.outline import outline
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places, in_files

_METRIC = re.compile(r"print\([a-z](?:[_a-z0-9]{0,62}[a-z0-9])?\)")


def left_to_fix(notebook: Notebook) -> Iterator[Diagnostic]:
    """A warning for each part of *notebook* that Kale 2.3 refuses or gets wrong."""
    found = outline(notebook)
    places = Places(notebook)
    for diagnostic in lint(notebook):
        if diagnostic.severity != "warning":
            located = in_files(diagnostic, {notebook.name: places})
            is_note = diagnostic.severity == "note"
            yield located if is_note else replace(located, severity="warning")
    checks = dict.fromkeys((index for step in found.steps for index in step.cells), _syntax)
    for kind, check in _SHARED.items():
        checks |= dict.fromkeys(found.shared.get(kind, ()), check)
    for index in sorted(checks) if found.steps else ():
        yield from checks[index](notebook, index, places)


def _syntax(notebook: Notebook, index: int, places: Places) -> Iterator[Diagnostic]:
    """The first line that is not Python, in a cell that Kale parses."""
    source = notebook.source(index)
    line = error_line(source)
    if line is not None and ipython_line(source) is None:
        yield warning(
            "syntax-error",
            f"cell {index}: Kale 2.3 refuses code that is not valid in Python 3",
            places.cell(index, line),
            help="correct it, or tag the cell `skip`",
        )


def _parameters(notebook: Notebook, index: int, places: Places) -> Iterator[Diagnostic]:
    """Statements in `pipeline-parameters` that are not `name = constant`."""
    import ast  # noqa: PLC0415  slow to import, needed for upgrades only

    source = notebook.source(index)
    if error_line(source) is not None:
        yield from _syntax(notebook, index, places)
        return
    for statement in parsed(source).body:
        if wrong_type(statement):
            continue  # `kale-parameter`
        match statement:
            case ast.Assign(
                targets=[ast.Name()], value=ast.Constant(value=str() | int() | float())
            ):
                continue
            case _:
                yield warning(
                    "not-a-parameter",
                    f"cell {index}: `pipeline-parameters` takes `name = constant` only, the "
                    "constant a text, True, False, or a number that is not negative; Kale 2.3 "
                    "stops at anything else",
                    places.cell(index, statement.lineno - 1),
                    help="move the line into the step that needs it",
                )


def _metrics(notebook: Notebook, index: int, places: Places) -> Iterator[Diagnostic]:
    """Lines in `pipeline-metrics` that are not `print(name)`."""
    others = [
        places.cell(index, line)
        for line, text in enumerate(notebook.source(index).splitlines())
        if text.strip() and not _METRIC.fullmatch(text)
    ]
    if others:
        yield warning(
            "not-a-metric",
            f"cell {index}: `pipeline-metrics` takes lines `print(name)` only, the name in lower "
            "case; Kale 2.3 stops at anything else",
            others[0],
            also=others[1:],
            help=f"move the line{'s' * (len(others) > 1)} into the last step",
        )


_SHARED = {
    "imports": _syntax,
    "functions": _syntax,
    "pipeline-parameters": _parameters,
    "pipeline-metrics": _metrics,
}
