"""What the versions of Kubeflow Pipelines' backend can do, where packages differ in it.

`docs/how-to/package.md` has the same table. Source: the Go code of the backend at each tag.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from kale_tag import data_file
from kale_tag.diagnostics import DiagnosticCollector, Label
from kale_tag.kale.pipeline import Pipeline, Step, SubPipeline


@dataclass(frozen=True, slots=True)
class Feature:
    """What a package can ask for and not every backend can do."""

    called: str  # in messages
    first: tuple[int, int]  # the first version that can
    older: str  # what older ones do
    breaks: bool = False  # whether a run then fails, or loses more than this feature


@cache
def features() -> Mapping[str, Feature]:
    """The features in `versions.toml`, by what the pipeline has of them."""
    import tomllib  # noqa: PLC0415  few pipelines have one

    return {
        key: Feature(**{**about, "first": tuple(about["first"])})
        for key, about in tomllib.loads(data_file("compiler/versions.toml")).items()
    }


def check_versions(root: Pipeline, found: DiagnosticCollector) -> None:
    """Report what the oldest backend that must take the package cannot do.

    Where no version is given, warn of what breaks runs on backends that are in use.
    """
    for key, at in _wanted(root):
        check_feature(key, at, root, found)


def check_feature(key: str, at: Label | None, root: Pipeline, found: DiagnosticCollector) -> None:
    """Report one of `features` that *root* has *at* a place, if it needs a newer backend."""
    feature = features()[key]
    first = "{}.{}".format(*feature.first)
    if root.kfp_version is None:
        if feature.breaks:
            found.warning(
                "needs-newer-kfp",
                f"{feature.called} needs Kubeflow Pipelines {first}; {feature.older}",
                at,
                help=f'if your backend is new enough: `compile: {{kfp_version: "{first}"}}`, '
                f"or `--kfp-version {first}`",
            )
    elif root.kfp_version < feature.first:
        asked = "{}.{}".format(*root.kfp_version)
        found.error(
            "not-in-kfp-version",
            f"{feature.called} needs Kubeflow Pipelines {first}, and `kfp_version` is {asked}; "
            f"{feature.older}",
            at,
        )


def _wanted(root: Pipeline) -> Iterator[tuple[str, Label | None]]:
    """The features that *root* uses, each with its place."""
    if root.ttl:
        yield "ttl", root.labels.get("ttl")
    if root.security is not None:
        yield "security_context", root.labels.get("security_context")
    for volume in root.volumes:
        if volume.new and volume.new.annotations:
            yield "claim_annotations", volume.label
    for parameter in root.parameters:
        if parameter.default is None:
            yield "optional", parameter.label
    for step in _steps(root):
        yield from _of_step(step)


def _of_step(step: Step) -> Iterator[tuple[str, Label | None]]:
    settings = step.settings
    for kind, values in settings.pod.items():
        if values and kind in features():
            yield kind, step.place(kind, next(iter(values)))
    if settings.retries:
        yield "retries", step.place("retries")
    if settings.display_name and step.outs:
        yield "display_name", step.place("display_name")


def _steps(pipeline: Pipeline) -> Iterator[Step]:
    for unit in pipeline.steps:
        if isinstance(unit, SubPipeline):
            yield from _steps(unit.pipeline)
        else:
            yield unit
