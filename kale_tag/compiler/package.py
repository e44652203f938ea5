"""A `Pipeline` to a Kubeflow Pipelines package: the pipeline spec, and Kubernetes' part of it.

The form is that of `pipeline_spec.proto`, schemaVersion 2.1.0, which has only gained fields from
KFP 2.0 to 2.17; only fields that all backends know are written. Every step runs in a container
that needs a shell, Python and the user's own packages (`step_command`).
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kale_tag.compiler import step_command
from kale_tag.compiler.container import environment, image_of, resources
from kale_tag.compiler.interface import FILLER_VALUE, Given, Scope, inner_scope, root_scope
from kale_tag.compiler.kfp_names import task_name
from kale_tag.compiler.notes import Notes
from kale_tag.compiler.parameter_value import arrives_whole, check_parameter
from kale_tag.compiler.platform import check_volumes, executor_config, platform_document
from kale_tag.compiler.runtime import Runtime, pack
from kale_tag.diagnostics import Diagnostic, UserError
from kale_tag.kale.names import COMPONENT_NAME_LENGTH
from kale_tag.kale.pipeline import ArtifactType, Code, Pipeline, Step, SubPipeline

SCHEMA_VERSION = "2.1.0"
SDK_VERSION = "kale-tag"
"""No backend looks at it; a version that moves would change every package."""

MUCH = 300_000
"""Bytes of a pipeline, some fifteen steps, from which on its runtime is packed."""

LONGEST = COMPONENT_NAME_LENGTH
"""Characters of the name of a component: Argo makes a template of it."""

PARAMETER_TYPES = {
    "int": "NUMBER_INTEGER",
    "float": "NUMBER_DOUBLE",
    "str": "STRING",
    "bool": "BOOLEAN",
    "list": "LIST",
    "dict": "STRUCT",
}


@dataclass(frozen=True, slots=True)
class Package:
    """The two documents of a package, and what of the pipeline they do not hold.

    *platform* is None where Kubernetes is told nothing. *shared* names the texts that several
    steps have alike: scripts and runtimes. *size* is that of all containers, in bytes, as a cluster
    keeps them (`expanded_size`), every text counted as often as it comes up.
    """

    spec: dict[str, object]
    platform: dict[str, object] | None
    shared: Mapping[str, str]
    size: int
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def documents(self) -> list[dict[str, object]]:
        """The documents that there are, in the order in which they are written."""
        return [self.spec] if self.platform is None else [self.spec, self.platform]


def package(pipeline: Pipeline, runtime: Runtime) -> Package:
    """The package of *pipeline*, whose steps *runtime* runs.

    Of the runtime there is what the steps need, packed if all of it is `MUCH`. Raises `UserError`
    with everything on which a cluster would stop.
    """
    made = _Maker(pipeline, runtime.for_pipeline(sources(pipeline)))
    scope = root_scope(pipeline)
    tasks = made.tasks(scope)
    inputs = made.definitions(scope, {})
    notes = made.notes
    notes.check_text(
        pipeline.description, "the description of the pipeline", pipeline.description_label
    )
    check_volumes(pipeline, notes)
    if f"comp-{pipeline.name}" in made.components:
        unit = next(one for one in pipeline.steps if task_name(one.name) == pipeline.name)
        message = f"step `{unit.name}` has the name of the pipeline; KFP's SDK mixes the two up"
        notes.refuse("name-of-pipeline", message, unit.label, help="rename one of them")
    if notes.diagnostics:
        raise UserError(*notes.diagnostics, *notes.warnings)
    info: dict[str, object] = {"name": pipeline.name}
    if pipeline.description:
        info["description"] = pipeline.description
    root: dict[str, object] = {"dag": {"tasks": tasks}}
    if inputs:
        root = {"inputDefinitions": inputs, **root}
    spec: dict[str, object] = {
        "pipelineInfo": info,
        "schemaVersion": SCHEMA_VERSION,
        "sdkVersion": SDK_VERSION,
        "root": root,
        "components": made.components,
        "deploymentSpec": {"executors": made.executors},
    }
    if made.size() >= MUCH:
        made.pack()
    platform = platform_document(made.configurations, pipeline)
    warnings = (*pipeline.warnings, *notes.warnings)
    return Package(spec, platform, _names_of(made), made.size(), warnings)


def expanded_size(value: object) -> int:
    """Bytes of a container, or of a text in it, in the workflow that KFP's server makes.

    There, it is JSON inside of JSON.
    """
    text = json.dumps(json.dumps(value, ensure_ascii=False), ensure_ascii=False)
    return len(text.encode(errors="replace"))


def sources(pipeline: Pipeline) -> Iterator[str]:
    """The Python of all cells, those of the notebooks inside of it too."""
    for code in pipeline.shared:
        yield code.python
    for unit in pipeline.steps:
        if isinstance(unit, SubPipeline):
            yield from sources(unit.pipeline)
        else:
            yield from (code.python for code in unit.code)


@dataclass(slots=True)
class _Maker:
    """Makes the components, executors and configurations of one package."""

    root: Pipeline
    runtime: Runtime
    notes: Notes = field(default_factory=Notes)
    components: dict[str, object] = field(default_factory=dict)
    executors: dict[str, object] = field(default_factory=dict)
    configurations: dict[str, dict[str, object]] = field(default_factory=dict)
    starts: list[str] = field(default_factory=list)
    arguments: list[list[str]] = field(default_factory=list)
    rest: int = 0  # the size of all containers without their programs

    def tasks(self, scope: Scope) -> dict[str, object]:
        """The tasks of a DAG; their components are added on the way."""
        made: dict[str, object] = {}
        seen: dict[str, Step | SubPipeline] = {}
        self._check_code(scope.pipeline.shared, scope)
        for unit in scope.pipeline.steps:
            name = task_name(unit.name)
            if self._is_new(unit, name, seen, scope):
                seen[name] = unit
                made[name] = self._task(unit, scope, self._component(unit, name, scope))
        return made

    def definitions(self, scope: Scope, artifacts: Mapping[str, ArtifactType]) -> dict[str, object]:
        """The inputs of a DAG: its parameters with their defaults, and *artifacts*."""
        parameters: dict[str, object] = {}
        for name, parameter in scope.parameters.items():
            entry: dict[str, object] = {"parameterType": PARAMETER_TYPES[parameter.type]}
            if name not in scope.passed:
                check_parameter(parameter, self.notes)
                entry |= {"defaultValue": parameter.default, "isOptional": True}
            parameters[scope.names[name]] = entry
        if scope.filler:
            parameters[scope.filler] = {"parameterType": "STRING"}
        return _sides(_types(artifacts), parameters)

    def programs(self) -> Counter[str]:
        """How often each program comes up."""
        return Counter(args[0] for args in self.arguments)

    def size(self) -> int:
        """That of all containers, see `Package`."""
        found = self.programs().items()
        return self.rest + sum(count * expanded_size(program) for program, count in found)

    def pack(self) -> None:
        """Put the packed program in the place of every step's own."""
        packed = {program: pack(program) for program in self.programs()}
        for args in self.arguments:
            args[0] = packed[args[0]]

    def _is_new(
        self, unit: Step | SubPipeline, name: str, seen: Mapping[str, object], scope: Scope
    ) -> bool:
        if not name:
            message = f"`{unit.name}` cannot be a task of Kubeflow Pipelines: it has no letter"
            self.notes.refuse("reserved-name", message, unit.label)
        elif (other := seen.get(name)) is not None:
            assert isinstance(other, Step | SubPipeline)
            self.notes.refuse(
                "name-clash",
                f"the steps `{other.name}` and `{unit.name}` are both `{name}` to Kubeflow "
                "Pipelines",
                unit.label,
                other.label,
                help="rename one of them",
            )
        elif len(component := f"comp-{_component_name(scope, name)}") > LONGEST:
            message = f"the name `{unit.name}` is too long: {len(component)} characters as "
            message += f"`{component[:30]}...`, and Kubernetes takes {LONGEST}"
            self.notes.refuse("name-too-long", message, unit.label)
        else:
            return True
        return False

    def _component(self, unit: Step | SubPipeline, name: str, scope: Scope) -> str:
        """The name of the component that is made of *unit*."""
        own = scope.units[unit.name]
        label = _component_name(scope, name)
        types = {own.ins[one]: scope.given(unit, one).type for one in unit.ins}
        outputs: dict[str, ArtifactType] = {own.outs[one]: unit.outs[one] for one in unit.outs}
        if isinstance(unit, SubPipeline):
            inner = inner_scope(unit, scope)
            dag: dict[str, object] = {"tasks": self.tasks(inner)}
            if unit.outs:
                dag["outputs"] = {"artifacts": dict(_selected(inner))}
            body: dict[str, object] = {"dag": dag}
            inputs = self.definitions(inner, types)
        else:
            body = {"executorLabel": f"exec-{label}"}
            inputs = _sides(
                _types(types),
                {
                    own.parameters[one]: {
                        "parameterType": PARAMETER_TYPES[scope.parameters[one].type]
                    }
                    for one in unit.parameters
                },
            )
            if own.metrics:
                outputs[own.metrics] = "Metrics"
            if own.report:
                outputs[own.report] = "HTML"
            self._executor(unit, label, scope)
        made: dict[str, object] = {}
        if inputs:
            made["inputDefinitions"] = inputs
        if outputs:
            made["outputDefinitions"] = _sides(_types(outputs), {})
        self.components[f"comp-{label}"] = made | body
        return f"comp-{label}"

    def _check_code(self, cells: Sequence[Code], scope: Scope) -> None:
        self.notes.diagnostics += step_command.diagnostics(cells, scope.pipeline.notebook)

    def _executor(self, step: Step, label: str, scope: Scope) -> None:
        notes = self.notes
        self._check_code(step.code, scope)
        command, args = container_command(step, scope, self.root, self.runtime)
        self.starts.append(command[2])
        self.arguments.append(args)
        size = sum(len(part.encode(errors="replace")) for part in (*command, *args))
        if size > step_command.ALL_ARGUMENTS:
            message = f"step `{step.name}` has {size:,} bytes of code; a container can be started "
            message += f"with {step_command.ALL_ARGUMENTS:,}"
            notes.refuse("step-too-large", message, step.label, help="read data from a file")
        for one in (*step.packages, *self.root.pip_index_urls):
            notes.check_text(one, "what pip is asked for", step.label)
        container: dict[str, object] = {"image": image_of(step, notes)}
        if environ := environment(step, self.root, notes):
            container["env"] = environ
        if wanted := resources(step, notes):
            container["resources"] = wanted
        self.rest += expanded_size({**container, "command": command, "args": args[1:]})
        self.executors[f"exec-{label}"] = {
            "container": {**container, "command": command, "args": args}
        }
        if configuration := executor_config(step, self.root, notes):
            self.configurations[f"exec-{label}"] = configuration

    def _task(self, unit: Step | SubPipeline, scope: Scope, component: str) -> dict[str, object]:
        own = scope.units[unit.name]
        cache = title = retries = None
        if isinstance(unit, Step):
            cache, title, retries = (
                unit.settings.cache,
                unit.settings.display_name,
                unit.settings.retries,
            )
        title = title or unit.name
        self.notes.check_text(title, f"the display name of step `{unit.name}`", unit.label)
        made: dict[str, object] = {
            "taskInfo": {"name": title},
            "componentRef": {"name": component},
        }
        if depends := sorted(task_name(one) for one in {*unit.prev, *unit.ins.values()} - {""}):
            made["dependentTasks"] = depends
        artifacts = {own.ins[one]: _source(scope.given(unit, one)) for one in unit.ins}
        parameters: dict[str, object] = {
            own.parameters[one]: {"componentInputParameter": scope.names[one]}
            for one in unit.parameters
        }
        if own.filler:
            parameters[own.filler] = {"runtimeValue": {"constant": FILLER_VALUE}}
        if inputs := _sides(artifacts, parameters):
            made["inputs"] = inputs
        caching = self.root.caching if cache is None else cache
        made["cachingOptions"] = {"enableCache": True} if caching else {}
        if retries:
            # What the SDK's set_retry() writes when it is told a number alone.
            made["retryPolicy"] = {
                "maxRetryCount": retries,
                "backoffDuration": "0s",
                "backoffFactor": 2.0,
                "backoffMaxDuration": "3600s",
            }
        return made


def container_command(
    step: Step, scope: Scope, root: Pipeline, runtime: Runtime
) -> tuple[list[str], list[str]]:
    """`command` and `args` of the container of *step*."""
    cells = step_command.with_code((*scope.pipeline.shared, *step.code))
    text, counts = step_command.cells_text(step.name, cells)
    start = step_command.script(step.packages, root.pip_index_urls)
    return step_command.command(text, step_spec(step, scope, counts), runtime, start)


def step_spec(step: Step, scope: Scope, counts: Sequence[object]) -> dict[str, object]:
    """SPEC: what the runtime is told of *step*; what is empty is left out."""
    own = scope.units[step.name]
    taken = {**own.parameters, **own.ins}
    names = {name: other for name, other in {**taken, **own.outs}.items() if name != other}
    spec: dict[str, object] = {
        "step": step.name,
        "notebook": scope.pipeline.notebook.replace("\\", "/").rpartition("/")[2],
        "cells": counts,
        "params": {name: scope.parameters[name].type for name in step.parameters},
        "defaults": {
            name: default
            for name in step.parameters
            if not arrives_whole(default := scope.parameters[name].default)
        },
        "names": names,
        # Where a variable goes in and comes out, `names` has the output.
        "in_names": {
            name: other for name, other in taken.items() if other != names.get(name, name)
        },
        "in": list(step.ins),
        "out": dict(step.outs),
        "together": step.together,
        "metrics": {name: name for name in step.metrics},
        "metrics_artifact": own.metrics,
        "report": own.report,
    }
    return {key: value for key, value in spec.items() if value}


def _names_of(made: _Maker) -> dict[str, str]:
    """Names for the texts that come up more than once, in the order in which they do."""
    names: dict[str, str] = {}
    for name, texts in (("start", Counter(made.starts)), ("runtime", made.programs())):
        several = [text for text, count in texts.items() if count > 1]
        names |= {text: f"{name}-{n}" if n > 1 else name for n, text in enumerate(several, 1)}
    return names


def _component_name(scope: Scope, task: str) -> str:
    """A name that no other step has: inside of `features`, `clean` is `features--clean`.

    Names that KFP makes of steps have no two `-` in a row.
    """
    above = [task_name(one) for one in scope.prefix.split("/") if one]
    return "--".join((*above, task))


def _selected(inner: Scope) -> Iterator[tuple[str, dict[str, object]]]:
    for variable, output in inner.outputs.items():
        producer = inner.last_producer(variable)
        selector = {
            "producerSubtask": task_name(producer.producer),
            "outputArtifactKey": producer.name,
        }
        yield output, {"artifactSelectors": [selector]}


def _source(given: Given) -> dict[str, object]:
    if not given.producer:
        return {"componentInputArtifact": given.name}
    return {
        "taskOutputArtifact": {
            "producerTask": task_name(given.producer),
            "outputArtifactKey": given.name,
        }
    }


def _types(artifacts: Mapping[str, ArtifactType]) -> dict[str, object]:
    return {
        name: {"artifactType": {"schemaTitle": f"system.{kind}", "schemaVersion": "0.0.1"}}
        for name, kind in artifacts.items()
    }


def _sides(artifacts: Mapping[str, object], parameters: Mapping[str, object]) -> dict[str, object]:
    """Both sides of inputs or outputs, without the empty ones."""
    sides = {"artifacts": artifacts, "parameters": parameters}
    return {side: entries for side, entries in sides.items() if entries}
