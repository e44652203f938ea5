"""Lints of the code of cells: what no step can run."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic
from kale_tag.lint.context import Study


def syntax_error(study: Study) -> Iterator[Diagnostic]:
    """A cell that is not Python, nor the syntax that IPython adds to it."""
    return study.says("syntax-error")


def python_2(study: Study) -> Iterator[Diagnostic]:
    """A cell that is written for Python 2."""
    return study.says("python-2")


def not_python(study: Study) -> Iterator[Diagnostic]:
    """A notebook in another language, and cells that no Python can read."""
    return study.says("not-python")


def unknown_magic(study: Study) -> Iterator[Diagnostic]:
    """A magic of IPython's that a step cannot run."""
    return study.says("unknown-magic")


def cell_magic_not_first(study: Study) -> Iterator[Diagnostic]:
    """A cell magic below the first line of its cell."""
    return study.says("cell-magic-not-first")


def relative_import(study: Study) -> Iterator[Diagnostic]:
    """An import relative to a package, which a notebook has not."""
    return study.says("relative-import")


def local_module(study: Study) -> Iterator[Diagnostic]:
    """An import of a module that stands beside the notebook."""
    return study.says("local-module")


def not_a_parameter(study: Study) -> Iterator[Diagnostic]:
    """A line of a `pipeline-parameters` cell that is not a name and its value."""
    return study.says("not-a-parameter")


def parameter_value(study: Study) -> Iterator[Diagnostic]:
    """A parameter whose value would not arrive as it is written."""
    return study.says("parameter-value")


def none_in_parameter(study: Study) -> Iterator[Diagnostic]:
    """A parameter whose list or dict has a None in it."""
    return study.says("none-in-parameter")


def not_a_metric(study: Study) -> Iterator[Diagnostic]:
    """A line of a `pipeline-metrics` cell that is not `print(NAME)`."""
    return study.says("not-a-metric")


LINTS = (
    syntax_error,
    python_2,
    not_python,
    unknown_magic,
    cell_magic_not_first,
    relative_import,
    local_module,
    not_a_parameter,
    parameter_value,
    none_in_parameter,
    not_a_metric,
)
