"""What a package says of itself: its name, its parameters, its steps; read by kfp's own loader."""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from kale_tag.compiler.package import PARAMETER_TYPES
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error
from kale_tag.kale.pipeline import Parameter, ParameterType

_TYPES = {word: cast("ParameterType", name) for name, word in PARAMETER_TYPES.items()}

_PACKAGE = re.compile(rb'^[ \t{,]*"?pipelineInfo"?[ \t]*:', re.MULTILINE)
_MANIFEST = re.compile(rb"^apiVersion: pipelines\.kubeflow\.org/", re.MULTILINE)
_WORKFLOW = re.compile(rb"^kind: (Workflow|PipelineRun)\s*$", re.MULTILINE)
_BOTH = re.compile(rb'\s*\{\s*"pipeline_spec"')
_EXPERIMENT = re.compile(r"(?:#.*\n)*?# Experiment: (.+)\n")


@dataclass(frozen=True, slots=True)
class RunnablePackage:
    """A package that kfp has read: *data* are the bytes of the file *name*.

    *parameters* have the names and defaults of the package, None where there is no default;
    *required* are those that have to be given. *steps* are the tasks of the pipeline and of those
    inside of it, each with the title that users see. *experiment* is the one that the header of our
    own packages names, else "".
    """

    name: str
    data: bytes
    pipeline: str
    experiment: str = ""
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    required: frozenset[str] = frozenset()
    steps: Mapping[str, str] = field(default_factory=dict)


def looks_like_package(data: bytes) -> bool:
    """Whether *data* is meant to be a package, of whatever form, and no spec and no notebook."""
    kinds = (_PACKAGE, _MANIFEST, _WORKFLOW)
    return _BOTH.match(data) is not None or any(kind.search(data) for kind in kinds)


def read_package(name: str, data: bytes) -> RunnablePackage:
    """The package in *data*, after the same strict reading that a KFP API server does.

    Raises `UserError` where it is no package of Kubeflow Pipelines 2, or a damaged one.
    """
    if other := _other_form(name, data):
        raise UserError(other)
    with quietly():
        from kfp import components  # type: ignore[import-untyped]  # noqa: PLC0415  slow to import

        try:
            text = data.decode("utf-8-sig")
            component = components.load_component_from_text(text)
            spec: Any = component.pipeline_spec
        except Exception as exc:  # noqa: BLE001  kfp does not say what it raises at foreign text
            raise UserError(_damaged(name, exc)) from None
    if not spec.pipeline_info.name:
        raise UserError(_damaged(name, ValueError("the pipeline has no name")))
    taken = spec.root.input_definitions.parameters
    inputs = component.component_spec.inputs or {}
    experiment = _EXPERIMENT.match(text)
    return RunnablePackage(
        name=name,
        data=data,
        pipeline=spec.pipeline_info.name,
        experiment=experiment[1].strip() if experiment else "",
        description=spec.pipeline_info.description,
        parameters=tuple(_parameter(key, taken[key], inputs, name) for key in sorted(taken)),
        required=frozenset(key for key in taken if not _is_optional(taken[key])),
        steps=dict(_steps(spec.root, spec)),
    )


@contextlib.contextmanager
def quietly() -> Iterator[io.StringIO]:
    """Keep what kfp prints and warns of from the user; yields what it printed."""
    printed = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
        warnings.simplefilter("ignore")
        yield printed


def _parameter(key: str, given: Any, inputs: Mapping[str, Any], name: str) -> Parameter:  # noqa: ANN401  a proto
    known = given.DESCRIPTOR.fields_by_name["parameter_type"].enum_type.values_by_number
    word = known[given.parameter_type].name
    if word not in _TYPES:
        message = f"{name}: the parameter `{key}` is a {word}, to which nobody can give a value"
        raise UserError(error("parameter-type", message, Label(Source(name))))
    return Parameter(key, _TYPES[word], inputs[key].default if key in inputs else None)


def _is_optional(given: Any) -> bool:  # noqa: ANN401  a proto
    return bool(given.is_optional or given.HasField("default_value"))


def _steps(component: Any, spec: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401  protos
    for key, task in sorted(component.dag.tasks.items()):
        yield key, task.task_info.name or key
        yield from _steps(spec.components[task.component_ref.name], spec)


def _other_form(name: str, data: bytes) -> Diagnostic | None:
    at = Label(Source(name))
    if _WORKFLOW.search(data):
        message = f"{name} is a package of Kubeflow Pipelines 1; this needs one of 2"
        return error("not-a-package", message, at, help="compile it with KFP's SDK 2")
    if _MANIFEST.search(data):
        message = f"{name} holds resources for Kubernetes, not a package"
        return error("not-a-package", message, at, help=f"`kubectl apply -f {name}` takes it")
    if _BOTH.match(data):
        message = f"{name} is a package in the form for programs, which no API server takes"
        return error("not-a-package", message, at, help="`kale-tag compile` writes YAML")
    return None


def _damaged(name: str, diagnostic: Exception) -> Diagnostic:
    said = " ".join(str(diagnostic).split())[:300] or type(diagnostic).__name__
    return error(
        "not-a-package",
        f"{name} is not a package that Kubeflow Pipelines 2 can read",
        Label(Source(name)),
        notes=[f"it has no {said}" if isinstance(diagnostic, KeyError) else said],
        help="make it again: `kale-tag compile NOTEBOOK`",
    )
