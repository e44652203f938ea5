"""All findings in a pipeline: the diagnostics of compiling it, and those of the lints."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic
from kale_tag.lint import order, outputs, resources, state, variables
from kale_tag.lint.context import Compilation

LINTS = (
    *variables.LINTS,
    *outputs.LINTS,
    *order.LINTS,
    *state.LINTS,
    *resources.LINTS,
)


def lint(compilation: Compilation) -> Iterator[Diagnostic]:
    """The errors and warnings for the pipeline, each once."""
    yield from dict.fromkeys(compilation.diagnostics)
    for check in LINTS:
        yield from check(compilation)
