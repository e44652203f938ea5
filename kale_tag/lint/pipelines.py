"""All findings in a pipeline: the diagnostics of compiling it, and those of the lints."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kale_tag.diagnostics import Diagnostic, Label
from kale_tag.lint import order, outputs, resources, state, variables
from kale_tag.lint.context import Compilation
from kale_tag.rules.registry import found

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


@dataclass(frozen=True, slots=True)
class Named:
    """The name of one pipeline."""

    notebook: str  # the name of its file
    pipeline: str
    label: Label  # where the notebook has the name


def one_pipeline_name(named: Iterable[Named]) -> Iterator[Diagnostic]:
    """Find two notebooks whose pipelines have the same name."""
    first: dict[str, Named] = {}
    for one in named:
        other = first.setdefault(one.pipeline, one)
        if other is not one:
            yield found(
                "one-pipeline-name",
                f"{other.notebook} and {one.notebook} are both the pipeline `{one.pipeline}`",
                one.label,
                also=[other.label],
                help="`pipeline_name: x-${stem}` in a spec gives each notebook a name of its own",
            )
