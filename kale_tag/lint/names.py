"""The rule for the names of pipelines, across notebooks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kale_tag.diagnostics import Diagnostic, Label
from kale_tag.rules.registry import found


@dataclass(frozen=True, slots=True)
class Named:
    """The name of one pipeline."""

    # the name of its notebook's file
    notebook: str
    pipeline: str
    # where the notebook has the name
    label: Label


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
