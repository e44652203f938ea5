"""A package as text to its parameters, steps and artifacts: the reverse of `package.py`.

Every package of Kubeflow Pipelines 2 has a header that is read here, one of `kale-tag compile` also
its steps, code included.
"""

import contextlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from kale_tag.compiler.container import CREATE_CLAIM
from kale_tag.compiler.interface import METRICS, task_name
from kale_tag.compiler.package import PARAMETER_TYPES, SDK_VERSION
from kale_tag.compiler.step_command import EXECUTOR_INPUT, SIGNS
from kale_tag.diagnostics import Diagnostic, Label, Source, Span, UserError, error
from kale_tag.kale.pipeline import (
    Code,
    CodeKind,
    Parameter,
    ParameterType,
    Pipeline,
    Step,
    SubPipeline,
)

Document = Mapping[str, Any]
"""A package is JSON in the end; reading one that is malformed raises `KeyError` or the like."""

_TYPES = {ir: cast("ParameterType", name) for name, ir in PARAMETER_TYPES.items()}
_PIP_OPTIONS = {"--index-url", "--extra-index-url"}
_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError)
_AGAIN = "compile the notebook again: `kale-tag compile NOTEBOOK`"

_PACKAGE = re.compile(r'^[ \t{,]*"?pipelineInfo"?[ \t]*:', re.MULTILINE)
_MANIFEST = re.compile(r"^apiVersion: pipelines\.kubeflow\.org/", re.MULTILINE)
_WORKFLOW = re.compile(r"^kind: (Workflow|PipelineRun)\s*$", re.MULTILINE)
_BOTH = re.compile(r'\s*\{\s*"pipeline_spec"')
_EXPERIMENT = re.compile(r"(?:#.*\n)*?# Experiment: (.+)\n")


@dataclass(frozen=True, slots=True)
class PackageHeader:
    """What any package of Kubeflow Pipelines 2 declares."""

    source: Source  # the file, with its text
    spec: dict[str, Any]  # the pipeline spec
    platform: dict[str, Any] | None  # the platform spec
    pipeline: str  # the name of the pipeline
    description: str
    experiment: str  # named in the comments that `kale-tag compile` writes, else ""
    parameters: tuple[Parameter, ...]  # under their names in the notebook, where it is known
    names: Mapping[str, str]  # each of these names to the one in the package
    required: frozenset[str]  # those of these names that need a value
    titles: Mapping[str, str]  # task key to the name that users see, sub-pipelines included


@dataclass(frozen=True, slots=True)
class FromPipeline:
    """The value of a parameter of the pipeline."""

    name: str  # in the package


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that the package contains."""

    value: object


@dataclass(frozen=True, slots=True)
class PackageTask:
    """A step of a package."""

    id: str  # unique among all steps: `features--clean` for a step of a sub-pipeline
    name: str  # the name of the step in its notebook
    unit: str  # the step of the outermost pipeline that it is, or belongs to
    notebook: str  # the file name of its notebook
    cells: tuple[Code, ...]
    parameters: Mapping[str, FromPipeline | Constant]  # input to value
    inputs: Mapping[str, tuple[str, str]]  # input to the producer's id and its output
    outputs: tuple[str, ...]
    variables: Mapping[str, str]  # output to the variable of the notebook
    metrics: str  # the output with the metrics, or ""
    requirements: tuple[str, ...]  # as pip reads them
    spec: Document  # what it is to the runtime
    executor: Document  # the container
    platform: Document  # its part of the platform spec
    cache: bool  # whether KFP may reuse its outputs
    display_name: str  # in KFP's UI, "" for its key

    @property
    def title(self) -> str:
        """Its name as people read it, `features/clean` for one of a sub-pipeline."""
        return f"{self.unit}/{self.name}" if "--" in self.id else self.name


@dataclass(frozen=True, slots=True)
class Compiled:
    """A package of `kale-tag compile`."""

    header: PackageHeader
    tasks: tuple[PackageTask, ...]  # in an order in which they can run
    graph: Pipeline  # the pipeline without its code, to be drawn

    @property
    def dependencies(self) -> dict[str, tuple[str, ...]]:
        """Each step of the outermost pipeline and the steps that it depends on."""
        return {unit.name: unit.prev for unit in self.graph.steps}

    def before(self, unit: str) -> set[str]:
        """The units that *unit* depends on, directly or not."""
        on, found, todo = self.dependencies, set[str](), [unit]
        while todo:
            new = {*on[todo.pop()]} - found
            found |= new
            todo += new
        return found

    def until(self, unit: str) -> "Compiled":
        """The same package with *unit* and what it depends on, and nothing else."""
        kept = {*self.before(unit), unit}
        keys = {task_name(one) for one in kept}
        spec = self.header.spec
        dag = spec["root"]["dag"]
        tasks = {key: task for key, task in dag["tasks"].items() if key in keys}
        spec = {**spec, "root": {**spec["root"], "dag": {**dag, "tasks": tasks}}}
        return Compiled(
            replace(self.header, spec=spec),
            tuple(task for task in self.tasks if task.unit in kept),
            replace(self.graph, steps=tuple(one for one in self.graph.steps if one.name in kept)),
        )

    def after(self, unit: str) -> set[str]:
        """The units that depend on *unit*, directly or not."""
        return {other for other in self.dependencies if unit in self.before(other)}


def looks_like_package(text: str) -> bool:
    """Whether *text* is meant to be a package in any of its forms, not a spec or a notebook."""
    kinds = (_PACKAGE, _MANIFEST, _WORKFLOW)
    return _BOTH.match(text) is not None or any(kind.search(text) for kind in kinds)


def read_header(source: Source) -> PackageHeader:
    """The header of the package in *source*, YAML or JSON.

    Raises `UserError` if *source* is not a package of Kubeflow Pipelines 2.
    """
    if other := _other_kind(source):
        raise UserError(other)
    spec, platform = _documents(source)
    if not isinstance(spec, dict) or "pipelineInfo" not in spec:
        raise UserError(not_a_package(source.name))
    try:
        root = spec["root"]
        inputs = root.get("inputDefinitions", {}).get("parameters", {})
        info = spec["pipelineInfo"]
        if not info["name"]:
            raise UserError(not_a_package(source.name, "the pipeline has no name"))
        experiment = _EXPERIMENT.match(source.text)
        ours, titles = _notebook_names(spec)
        return PackageHeader(
            source=source,
            spec=spec,
            platform=platform if isinstance(platform, dict) else None,
            pipeline=info["name"],
            description=info.get("description", ""),
            experiment=experiment[1].strip() if experiment else "",
            parameters=tuple(
                _parameter(ours.get(name, name), inputs[name], source) for name in inputs
            ),
            names={ours.get(name, name): name for name in inputs},
            required=frozenset(
                ours.get(name, name)
                for name, declared in inputs.items()
                if not declared.get("isOptional") and "defaultValue" not in declared
            ),
            titles={**dict(_titles(root, spec.get("components", {}))), **titles},
        )
    except _MALFORMED as exc:
        raise UserError(_broken(source, exc)) from None


def read_compiled(header: PackageHeader) -> Compiled:
    """The package of *header* with its steps. Raises `UserError` if kale-tag did not write it."""
    maker = header.spec.get("sdkVersion")
    name = header.source.name
    if maker != SDK_VERSION:
        message = f"{name} was written by {maker or 'another program'}; `kale-tag run` runs "
        message += "packages of `kale-tag compile` only"
        hint = "run it with `kfp.local`: kfp.components.load_component_from_file(...)"
        raise UserError.of("package-of-others", message, Label(Source(name)), help=hint)
    try:
        reader = _PackageReader(header.spec, header.platform)
        units = reader.units()
    except _MALFORMED as exc:
        raise UserError(_broken(header.source, exc)) from None
    notebook = reader.tasks[0].notebook if reader.tasks else ""
    graph = Pipeline(header.pipeline, notebook, header.description, steps=units)
    return Compiled(header, tuple(reader.tasks), graph)


def _notebook_names(spec: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """The names in the notebook of parameters and of tasks, as far as the steps know them."""
    if spec.get("sdkVersion") != SDK_VERSION:
        return {}, {}
    reader = _PackageReader(spec, None)
    with contextlib.suppress(*_MALFORMED):
        reader.units()
    return reader.own_names, {task.id: task.title for task in reader.tasks if not task.display_name}


def not_a_package(name: str, *notes: str) -> Diagnostic:
    """The error for the file *name*, which is not a package; *notes* say why."""
    message = f"{name} is not a package of Kubeflow Pipelines 2"
    hint = "name a notebook, a spec, or a file that `kale-tag compile` wrote"
    return error("not-a-package", message, Label(Source(name)), notes=notes, help=hint)


def _broken(source: Source, exc: Exception) -> Diagnostic:
    missing = isinstance(exc, KeyError)
    why = f"no key {exc}" if missing else " ".join(str(exc).split()) or type(exc).__name__
    message = f"{source.name} is not a complete package: {why}"
    return error("broken-package", message, Label(Source(source.name)), help=_AGAIN)


def _other_kind(source: Source) -> Diagnostic | None:
    name, at = source.name, Label(Source(source.name))
    if _WORKFLOW.search(source.text):
        message = f"{name} is a package of Kubeflow Pipelines 1, not of 2"
        return error("not-a-package", message, at, help="compile it with KFP's SDK 2")
    if _MANIFEST.search(source.text):
        message = f"{name} contains Kubernetes resources, not a package"
        return error("not-a-package", message, at, help=f"apply it: `kubectl apply -f {name}`")
    return None


def _documents(source: Source) -> tuple[object, object]:
    """The pipeline spec and the platform spec, or None."""
    text = source.text
    if text.lstrip().startswith("{"):
        try:
            value = json.loads(text)
        except ValueError as exc:
            raise UserError(_syntax(source, "JSON", str(exc), getattr(exc, "pos", 0))) from None
        if isinstance(value, dict) and "pipeline_spec" in value:
            return value["pipeline_spec"], value.get("platform_spec")
        return value, None
    import yaml  # noqa: PLC0415  KFP reads packages with it; ruamel is slow for long ones

    try:
        documents = list(yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        why = getattr(exc, "problem", None) or "it cannot be read"
        raise UserError(_syntax(source, "YAML", why, mark.index if mark else 0)) from None
    return (*documents, None, None)[:2]


def _syntax(source: Source, form: str, why: str, at: int) -> Diagnostic:
    label = Label(source, Span(at, at + 1))
    return error("not-a-package", f"not valid {form}: {why}", label, help=_AGAIN)


def _parameter(name: str, declared: Document, source: Source) -> Parameter:
    kind = declared["parameterType"]
    if kind not in _TYPES:
        message = f"the parameter `{name}` is of the type {kind}, which cannot be given a value"
        raise UserError.of("parameter-type", message, Label(Source(source.name)))
    return Parameter(name, _TYPES[kind], declared.get("defaultValue"))


def _titles(component: Document, components: Document) -> Iterator[tuple[str, str]]:
    for key, task in sorted(component.get("dag", {}).get("tasks", {}).items()):
        yield key, task.get("taskInfo", {}).get("name") or key
        yield from _titles(components[task["componentRef"]["name"]], components)


@dataclass(slots=True)
class _Scope:
    """A sub-pipeline, with the sources of its inputs."""

    dag: Document
    parameters: dict[str, FromPipeline | Constant]
    artifacts: dict[str, tuple[str, str]]  # input to the producer's id and its output


@dataclass(slots=True)
class _PackageReader:
    spec: dict[str, Any]
    platform: dict[str, Any] | None
    tasks: list[PackageTask] = field(default_factory=list)
    own_names: dict[str, str] = field(default_factory=dict)  # parameter to name in the notebook

    def units(self) -> tuple[Step | SubPipeline, ...]:
        """Read all tasks; the steps of the outermost pipeline."""
        root = self.spec["root"]
        inputs = root.get("inputDefinitions", {}).get("parameters", {})
        scope = _Scope(root["dag"], {name: FromPipeline(name) for name in inputs}, {})
        titles = {
            task: self._title(task, root["dag"])
            for task, entry in root["dag"]["tasks"].items()
            if not creates_claim(entry, self.spec)
        }
        return tuple(self._unit(task, scope, titles) for task in titles)

    def _title(self, task: str, dag: Document) -> str:
        """The name of a step as the notebook has it."""
        component = self.spec["components"][dag["tasks"][task]["componentRef"]["name"]]
        if "dag" in component:
            return task.replace("-", "_")
        return str(_step_spec(self._container(component))["step"])

    def _container(self, component: Document) -> Document:
        executors = self.spec["deploymentSpec"]["executors"]
        container: Document = executors[component["executorLabel"]]["container"]
        return container

    def _unit(self, task: str, scope: _Scope, titles: Mapping[str, str]) -> Step | SubPipeline:
        """Read the tasks of a step of the outermost pipeline; the step, to be drawn."""
        first = len(self.tasks)
        self._read(task, scope, titles[task])
        entry = scope.dag["tasks"][task]
        before = entry.get("dependentTasks", ())
        prev = tuple(titles[other] for other in before if other in titles)
        ins = {}
        for name, source in entry.get("inputs", {}).get("artifacts", {}).items():
            output = source["taskOutputArtifact"]
            ins[output["outputArtifactKey"] or name] = titles[output["producerTask"]]
        own = self.tasks[first:]
        component = self.spec["components"][entry["componentRef"]["name"]]
        if "dag" not in component:
            (only,) = own
            outs = dict.fromkeys(only.variables.values(), "Artifact")
            return Step(only.name, (), prev, ins, cast("Any", outs))
        notebook = own[0].notebook if own else ""
        return SubPipeline(titles[task], Pipeline(titles[task], notebook), prev, ins)

    def _read(self, task: str, scope: _Scope, unit: str) -> None:
        """Add the task, or those inside it; *unit* is the outermost step that it belongs to."""
        entry = scope.dag["tasks"][task]
        reference = entry["componentRef"]["name"]
        component = self.spec["components"][reference]
        given = entry.get("inputs", {})
        parameters: dict[str, FromPipeline | Constant] = {}
        declared = component.get("inputDefinitions", {}).get("parameters", {})
        for name in declared:
            source = given["parameters"][name]
            if "componentInputParameter" in source:
                parameters[name] = scope.parameters[source["componentInputParameter"]]
            elif "taskOutputParameter" in source:  # the name of a claim
                parameters[name] = Constant("")
            else:
                parameters[name] = Constant(source["runtimeValue"]["constant"])
        artifacts = {
            name: self._producer(source, scope)
            for name, source in given.get("artifacts", {}).items()
        }
        if "dag" in component:
            inner = _Scope(component["dag"], parameters, artifacts)
            for other in component["dag"]["tasks"]:
                self._read(other, inner, unit)
            return
        container = self._container(component)
        spec = _step_spec(container)
        names = spec.get("names", {})
        input_names = names | spec.get("in_names", {})
        for name in spec.get("params", {}):
            used = parameters[input_names.get(name, name)]
            if isinstance(used, FromPipeline):
                self.own_names[used.name] = name
        platforms = (self.platform or {}).get("platforms", {"kubernetes": {}})
        configurations = platforms["kubernetes"].get("deploymentSpec", {}).get("executors", {})
        self.tasks.append(
            PackageTask(
                id=reference.removeprefix("comp-"),
                name=spec["step"],
                unit=unit,
                notebook=spec["notebook"],
                cells=tuple(_cells(container, spec)),
                parameters=parameters,
                inputs=artifacts,
                outputs=tuple(component.get("outputDefinitions", {}).get("artifacts", {})),
                variables={names.get(name, name): name for name in spec.get("out", ())},
                metrics=spec.get("metrics_artifact", METRICS) if spec.get("metrics") else "",
                requirements=_requirements(container["command"][2]),
                spec=spec,
                executor=container,
                platform=configurations.get(component["executorLabel"], {}),
                cache=bool(entry.get("cachingOptions", {}).get("enableCache")),
                display_name=titled if (titled := entry["taskInfo"]["name"]) != task else "",
            )
        )

    def _producer(self, source: Document, scope: _Scope) -> tuple[str, str]:
        """The id of the task that an artifact comes from, and its output."""
        if "componentInputArtifact" in source:
            return scope.artifacts[source["componentInputArtifact"]]
        output = source["taskOutputArtifact"]
        return self._output(output["producerTask"], output["outputArtifactKey"], scope.dag)

    def _output(self, task: str, output: str, dag: Document) -> tuple[str, str]:
        reference = dag["tasks"][task]["componentRef"]["name"]
        component = self.spec["components"][reference]
        if "dag" not in component:
            return reference.removeprefix("comp-"), output
        (selector,) = component["dag"]["outputs"]["artifacts"][output]["artifactSelectors"]
        return self._output(
            selector["producerSubtask"], selector["outputArtifactKey"], component["dag"]
        )


def creates_claim(task: Document, spec: Document) -> bool:
    """Whether the backend creates a claim instead of starting a step."""
    label = spec["components"][task["componentRef"]["name"]].get("executorLabel")
    executor = spec["deploymentSpec"]["executors"].get(label, {})
    return bool(executor.get("container", {}).get("image") == CREATE_CLAIM)


def _step_spec(container: Document) -> dict[str, Any]:
    """SPEC as the runtime reads it, with `{{` and `$` in place of their placeholders."""
    text = container["args"][1]
    marks = {key: json.loads(text).get(key) for key in SIGNS}
    spec: dict[str, Any] = json.loads(_unmarked(text, marks))
    return spec | marks


def _unmarked(text: str, marks: Mapping[str, str | None]) -> str:
    """*text* without the placeholders *marks*, replaced in the order of the runtime."""
    for key, sign in reversed(SIGNS.items()):
        if mark := marks[key]:
            text = text.replace(mark, sign)
    return text


def _cells(container: Document, spec: Document) -> Iterator[Code]:
    args = container["args"]
    assert args[2] == EXECUTOR_INPUT
    lines = _unmarked(container["command"][3], spec).split("\n")
    at = 0
    for kind, cell, count in spec["cells"]:
        source = "\n".join(lines[at + 1 : at + 1 + count])
        number, path = (-1, cell) if kind == "file" else (cell, "")
        yield Code(number, source, source, cast("CodeKind", kind), path)
        at += count + 1


def _requirements(script: str) -> tuple[str, ...]:
    """The requirements that the script of a step passes to pip."""
    for line in script.split("\n"):
        before, _, words = line.partition("--no-warn-script-location")
        if words and "KALE_TAG_NO_PIP" in before:
            found = iter(shlex.split(words))
            return tuple(
                word for word in found if word not in _PIP_OPTIONS or (next(found, ""), False)[1]
            )
    return ()
