"""Lints of names that Kubeflow Pipelines cannot tell apart, and of the size of a package."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kale_tag.diagnostics import Diagnostic, Label
from kale_tag.lint.context import Study
from kale_tag.rules.registry import found


@dataclass(frozen=True, slots=True)
class Named:
    """A pipeline's name: of which notebook, and where that says it."""

    notebook: str
    pipeline: str
    label: Label


def name_clash(study: Study) -> Iterator[Diagnostic]:
    """Two steps whose names are one to Kubeflow Pipelines."""
    return study.says("name-clash")


def name_of_pipeline(study: Study) -> Iterator[Diagnostic]:
    """A step that has the name of the pipeline."""
    return study.says("name-of-pipeline")


def name_too_long(study: Study) -> Iterator[Diagnostic]:
    """A step whose name is longer than Kubernetes takes."""
    return study.says("name-too-long")


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


def step_too_large(study: Study) -> Iterator[Diagnostic]:
    """A step with more code than a container can be started with."""
    return study.says("step-too-large")


def large_package(study: Study) -> Iterator[Diagnostic]:
    """A pipeline whose steps have more than a million bytes together."""
    return study.says("large-package")


LINTS = (
    name_clash,
    name_of_pipeline,
    name_too_long,
    step_too_large,
    large_package,
)
