"""A package read back: its parameters, its steps, and what each step takes from whom.

This is the other direction of `package.py`, for packages that it made.
"""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from kale_tag.compiler.interface import METRICS
from kale_tag.compiler.kfp_names import task_name
from kale_tag.compiler.package import PARAMETER_TYPES, SDK_VERSION
from kale_tag.compiler.step_command import EXECUTOR_INPUT
from kale_tag.diagnostics import Label, Source, UserError, error
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
"""A package is JSON in the end; what is not as it must be is a `KeyError` or the like."""

_TYPES = {ir: cast("ParameterType", name) for name, ir in PARAMETER_TYPES.items()}
_PIP_OPTIONS = {"--index-url", "--extra-index-url"}


@dataclass(frozen=True, slots=True)
class Task:
    """A step of a package.

    *id* is its name among all steps of the package, `features--clean` for one of a sub-pipeline,
    *unit* the step of the outermost pipeline that it is or belongs to. *parameters* maps those of
    its inputs that are parameters to the one of the pipeline, or to its constant value; *inputs*
    those that are artifacts to the step and output that give them. *requirements* are for pip.
    *variables* names the variable of each output.
    """

    id: str
    name: str
    unit: str
    notebook: str
    cells: tuple[Code, ...]
    parameters: Mapping[str, "FromPipeline | Constant"]
    inputs: Mapping[str, tuple[str, str]]
    outputs: tuple[str, ...]
    variables: Mapping[str, str]
    metrics: str
    report: str
    requirements: tuple[str, ...]
    executor: Document
    platform: Document = field(default_factory=dict)
    cache: bool = False

    @property
    def title(self) -> str:
        """Its name as people read it, `features/clean` for one of a sub-pipeline."""
        return f"{self.unit}/{self.name}" if "--" in self.id else self.name


@dataclass(frozen=True, slots=True)
class FromPipeline:
    """The value of the pipeline's parameter of that name (the name in the package)."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that stands in the package."""

    value: object


@dataclass(frozen=True, slots=True)
class Compiled:
    """A package: its documents as they are, and what they say.

    *parameters* have the names of the notebook, *names* what each is called in the package.
    *tasks* stand in an order in which they can run; *waits* gives for each unit those that it
    waits for. *graph* is the pipeline without its code, to be drawn.
    """

    spec: dict[str, Any]
    platform: dict[str, Any] | None
    name: str
    parameters: tuple[Parameter, ...]
    names: Mapping[str, str]
    tasks: tuple[Task, ...]
    waits: Mapping[str, tuple[str, ...]]
    graph: Pipeline

    def before(self, unit: str) -> set[str]:
        """The units that must end before *unit*."""
        found: set[str] = set()
        todo = list(self.waits[unit])
        while todo:
            other = todo.pop()
            if other not in found:
                found.add(other)
                todo += self.waits[other]
        return found

    def until(self, unit: str) -> "Compiled":
        """The same package with *unit* and what it waits for, and nothing else."""
        kept = {*self.before(unit), unit}
        tasks = tuple(task for task in self.tasks if task.unit in kept)
        dag = self.spec["root"]["dag"]
        titles = {task_name(one): one for one in self.waits}
        root = {name: task for name, task in dag["tasks"].items() if titles[name] in kept}
        spec = {**self.spec, "root": {**self.spec["root"], "dag": {**dag, "tasks": root}}}
        steps = tuple(step for step in self.graph.steps if step.name in kept)
        waits = {name: before for name, before in self.waits.items() if name in kept}
        graph = replace(self.graph, steps=steps)
        return replace(self, spec=spec, tasks=tasks, waits=waits, graph=graph)

    def after(self, unit: str) -> set[str]:
        """The units that wait for *unit*, directly or not."""
        return {other for other in self.waits if unit in self.before(other)}


def read_compiled(documents: Sequence[object], name: str) -> Compiled:
    """The package that *documents* are; *name* is what the user calls it.

    Raises `UserError` where it is none, or not one that kale-tag made.
    """
    spec = documents[0] if documents else None
    if not isinstance(spec, dict) or "pipelineInfo" not in spec:
        hint = "name a notebook, a spec, or a file that `kale-tag compile` wrote"
        message = f"{name} is not a package for Kubeflow Pipelines"
        raise UserError(error("not-a-package", message, Label(Source(name)), help=hint))
    if spec.get("sdkVersion") != SDK_VERSION:
        raise UserError(
            error(
                "package-of-others",
                f"{name} is a package that {spec.get('sdkVersion') or 'something else'} made; only "
                "those of `kale-tag compile` can be read back",
                Label(Source(name)),
                help="KFP's own `kfp.local` runs it: kfp.components.load_component_from_file(...)",
            )
        )
    platform = next((one for one in documents[1:] if isinstance(one, dict)), None)
    try:
        return _Reader(spec, platform).compiled()
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as exc:
        message = f"{name} was changed by hand, or is not whole: {type(exc).__name__} at {exc}"
        hint = "make it again with `kale-tag compile`"
        raise UserError(error("broken-package", message, Label(Source(name)), help=hint)) from None


@dataclass(slots=True)
class _Scope:
    """A DAG on the way down: what its own inputs stand for."""

    dag: Document
    prefix: str
    unit: str
    parameters: dict[str, FromPipeline | Constant]
    artifacts: dict[str, tuple[str, str]]


@dataclass(slots=True)
class _Reader:
    spec: dict[str, Any]
    platform: dict[str, Any] | None
    tasks: list[Task] = field(default_factory=list)
    own_names: dict[str, str] = field(default_factory=dict)

    def compiled(self) -> Compiled:
        root = self.spec["root"]
        inputs = root.get("inputDefinitions", {}).get("parameters", {})
        scope = _Scope(root["dag"], "", "", {name: FromPipeline(name) for name in inputs}, {})
        titles = {task: self._title(task, root["dag"]) for task in root["dag"]["tasks"]}
        units = tuple(self._unit(task, scope, titles) for task in root["dag"]["tasks"])
        parameters = tuple(
            Parameter(
                self.own_names.get(name, name),
                _TYPES[definition["parameterType"]],
                definition.get("defaultValue"),
            )
            for name, definition in inputs.items()
        )
        names = {self.own_names.get(name, name): name for name in inputs}
        info = self.spec["pipelineInfo"]
        notebook = self.tasks[0].notebook if self.tasks else ""
        graph = Pipeline(info["name"], notebook, info.get("description", ""), steps=units)
        waits = {unit.name: unit.prev for unit in units}
        return Compiled(
            self.spec,
            self.platform,
            info["name"],
            parameters,
            names,
            tuple(self.tasks),
            waits,
            graph,
        )

    def _title(self, task: str, dag: Document) -> str:
        """The name of a step as the notebook has it."""
        component = self.spec["components"][dag["tasks"][task]["componentRef"]["name"]]
        if "dag" in component:
            return str(dag["tasks"][task]["taskInfo"]["name"])
        return str(_step_spec(self._container(component))["step"])

    def _container(self, component: Document) -> Document:
        executors = self.spec["deploymentSpec"]["executors"]
        container: Document = executors[component["executorLabel"]]["container"]
        return container

    def _unit(self, task: str, scope: _Scope, titles: Mapping[str, str]) -> Step | SubPipeline:
        """A step of the outermost pipeline, to be drawn; all tasks in it are read on the way."""
        first = len(self.tasks)
        self._read(task, scope, titles[task])
        entry = scope.dag["tasks"][task]
        prev = tuple(titles[other] for other in entry.get("dependentTasks", ()))
        ins = {}
        for given, source in entry.get("inputs", {}).get("artifacts", {}).items():
            output = source["taskOutputArtifact"]
            ins[output["outputArtifactKey"] or given] = titles[output["producerTask"]]
        own = self.tasks[first:]
        component = self.spec["components"][entry["componentRef"]["name"]]
        if "dag" not in component:
            (only,) = own
            outs = dict.fromkeys(only.variables.values(), "Artifact")
            return Step(only.name, (), prev, ins, cast("Any", outs))
        notebook = own[0].notebook if own else ""
        return SubPipeline(titles[task], Pipeline(titles[task], notebook), prev, ins)

    def _read(self, task: str, scope: _Scope, unit: str) -> None:
        entry = scope.dag["tasks"][task]
        label = entry["componentRef"]["name"].removeprefix("comp-")
        component = self.spec["components"][entry["componentRef"]["name"]]
        declared = component.get("inputDefinitions", {})
        given = entry.get("inputs", {})
        parameters: dict[str, FromPipeline | Constant] = {}
        for name, definition in declared.get("parameters", {}).items():
            source = given.get("parameters", {}).get(name)
            if source is None:
                parameters[name] = Constant(definition.get("defaultValue"))
            elif "componentInputParameter" in source:
                parameters[name] = scope.parameters[source["componentInputParameter"]]
            else:
                parameters[name] = Constant(source["runtimeValue"]["constant"])
        artifacts = {
            name: self._producer(source, scope)
            for name, source in given.get("artifacts", {}).items()
        }
        if "dag" in component:
            inner = _Scope(component["dag"], f"{label}--", unit, parameters, artifacts)
            for other in component["dag"]["tasks"]:
                self._read(other, inner, unit)
            return
        self._add(label, unit, entry, component, parameters, artifacts)

    def _add(  # noqa: PLR0913, PLR0917  what a task is read from
        self,
        label: str,
        unit: str,
        entry: Document,
        component: Document,
        parameters: Mapping[str, FromPipeline | Constant],
        artifacts: Mapping[str, tuple[str, str]],
    ) -> None:
        container = self._container(component)
        spec = _step_spec(container)
        names = spec.get("names", {})
        taken = names | spec.get("in_names", {})
        for name in spec.get("params", {}):
            source = parameters[taken.get(name, name)]
            if isinstance(source, FromPipeline):
                self.own_names[source.name] = name
        outputs = component.get("outputDefinitions", {}).get("artifacts", {})
        self.tasks.append(
            Task(
                label,
                spec["step"],
                unit,
                spec["notebook"],
                tuple(_cells(container, spec)),
                parameters,
                artifacts,
                tuple(outputs),
                {names.get(name, name): name for name in spec.get("out", {})},
                spec.get("metrics_artifact", METRICS) if spec.get("metrics") else "",
                spec.get("report", ""),
                _requirements(container["command"][2]),
                container,
                self._platform(component["executorLabel"]),
                bool(entry.get("cachingOptions", {}).get("enableCache")),
            )
        )

    def _producer(self, source: Document, scope: _Scope) -> tuple[str, str]:
        """The task and output that an artifact comes from."""
        if "componentInputArtifact" in source:
            return scope.artifacts[source["componentInputArtifact"]]
        given = source["taskOutputArtifact"]
        return self._output(given["producerTask"], given["outputArtifactKey"], scope.dag)

    def _output(self, task: str, output: str, dag: Document) -> tuple[str, str]:
        reference = dag["tasks"][task]["componentRef"]["name"]
        component = self.spec["components"][reference]
        if "dag" not in component:
            return reference.removeprefix("comp-"), output
        (selector,) = component["dag"]["outputs"]["artifacts"][output]["artifactSelectors"]
        return self._output(
            selector["producerSubtask"], selector["outputArtifactKey"], component["dag"]
        )

    def _platform(self, executor: str) -> Document:
        if self.platform is None:
            return {}
        kubernetes = self.platform["platforms"]["kubernetes"]
        found: Document = (
            kubernetes.get("deploymentSpec", {}).get("executors", {}).get(executor, {})
        )
        return found


SIGNS = {"brace": "{{", "dollar": "$"}
"""The signs that stand in no package, by the key of SPEC that has the mark for each."""


def _step_spec(container: Document) -> dict[str, Any]:
    """SPEC as the runtime sees it: with `{{` and `$` where marks stand for them."""
    text = container["args"][1]
    marks = {key: json.loads(text).get(key) for key in SIGNS}
    spec: dict[str, Any] = json.loads(_unmarked(text, marks))
    return spec | marks


def _unmarked(text: str, marks: Mapping[str, str | None]) -> str:
    """*text* with the signs that *marks* stand for, in the order in which the runtime does it."""
    for key, sign in SIGNS.items():
        if mark := marks[key]:
            text = text.replace(mark, sign)
    return text


def _cells(container: Document, spec: Document) -> Iterator[Code]:
    args = container["args"]
    assert args[2] == EXECUTOR_INPUT
    text = "".join((container["command"][3], *args[3:]))
    lines = _unmarked(text, spec).split("\n")
    at = 0
    for kind, cell, count in spec["cells"]:
        source = "\n".join(lines[at + 1 : at + 1 + count])
        yield Code(cell, source, source, cast("CodeKind", kind))
        at += count + 1


def _requirements(script: str) -> tuple[str, ...]:
    """What the script of a step asks pip for."""
    for line in script.split("\n"):
        before, _, words = line.partition("--no-warn-script-location")
        if words and "KALE_TAG_NO_PIP" in before:
            found = iter(shlex.split(words))
            return tuple(
                word for word in found if word not in _PIP_OPTIONS or (next(found, ""), False)[1]
            )
    return ()
