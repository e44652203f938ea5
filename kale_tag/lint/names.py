"""Lints of names that Kubeflow Pipelines cannot tell apart, and of the size of a package."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kale_tag.diagnostics import Diagnostic, Label
from kale_tag.rules.registry import found


@dataclass(frozen=True, slots=True)
class Named:
    """A pipeline's name: of which notebook, and where that says it."""

    notebook: str
    pipeline: str
    label: Label


def one_pipeline_name(named: Iterable[Named]) -> Iterator[Diagnostic]:
    """Two notebooks whose pipelines have one name."""
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


LINTS = ()
