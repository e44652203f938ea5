"""A `Pipeline` to a Kubeflow Pipelines package: pipeline spec and Kubernetes platform spec.

The form is that of `pipeline_spec.proto`, schemaVersion 2.1.0, which has only gained fields from
KFP 2.0 to 2.17. Fields that 2.4 does not know are written only for what a user asks for, and
reported (`versions`). Every step runs in a container that needs a shell, Python and the user's own
packages (`step_command`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kale_tag.compiler import step_command
from kale_tag.compiler.container import (
    CREATE_CLAIM,
    environment,
    executor_config,
    image_of,
    new_claim,
    platform_document,
    resources,
)
from kale_tag.compiler.interface import (
    FILLER_VALUE,
    ArtifactSource,
    NameTable,
    inner_names,
    root_names,
    task_name,
)
from kale_tag.compiler.limits import (
    check_component,
    check_container,
    check_dag,
    check_parameters,
    check_text,
    check_volumes,
    workflow_size,
)
from kale_tag.compiler.parameters import arrives_unchanged, check_default
from kale_tag.compiler.step_command import Runtime, pack
from kale_tag.compiler.versions import check_versions
from kale_tag.diagnostics import Diagnostic, DiagnosticCollector, UserError
from kale_tag.kale.checks import why_reserved
from kale_tag.kale.names import file_name
from kale_tag.kale.pipeline import (
    STATE,
    ArtifactType,
    Parameter,
    Pipeline,
    Step,
    SubPipeline,
    variables,
)

SCHEMA_VERSION = "2.1.0"
SDK_VERSION = "kale-tag"
"""No backend reads it; with a version of ours every release would change every package."""

MUCH = 900_000
"""Bytes of a workflow, some 30 steps, from which on its runtime is compressed."""

_Unit = Step | SubPipeline

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
    """The documents of a package."""

    spec: dict[str, object]  # PipelineSpec of pipeline_spec.proto
    platform: dict[str, object] | None  # PlatformSpec; None if nothing is set for Kubernetes
    shared: Mapping[str, str]  # texts that several steps have (scripts, runtimes) to their names
    size: int  # bytes of a run with its status in a cluster (`workflow_size`)
    warnings: tuple[Diagnostic, ...] = ()  # what the package does not preserve of the notebook

    @property
    def documents(self) -> list[dict[str, object]]:
        """The documents, in the order in which they are written."""
        return [self.spec] if self.platform is None else [self.spec, self.platform]


def package(pipeline: Pipeline, runtime: Runtime) -> Package:
    """The package of *pipeline*, whose steps *runtime* runs.

    Each step carries the parts of the runtime that it needs, compressed if the package would be
    larger than `MUCH`. Raises `UserError` with everything that a cluster would refuse.
    """
    made = _PackageMaker(pipeline, runtime.for_pipeline(sources(pipeline)))
    names = root_names(pipeline)
    tasks = made.tasks(names)
    inputs = made.definitions(names, {})
    found = made.found
    found.errors += check_text(
        pipeline.description,
        "the description of the pipeline",
        pipeline.labels.get("pipeline_description"),
        expanded=False,
    )
    check_volumes(pipeline, found)
    check_versions(pipeline, found)
    if f"comp-{pipeline.name}" in made.components:
        unit = next(one for one in pipeline.steps if task_name(one.name) == pipeline.name)
        message = f"step `{unit.name}` has the name of the pipeline; KFP's SDK confuses the two"
        found.error("name-of-pipeline", message, unit.label, help="rename one of them")
    if found.errors:
        raise UserError(*found.errors, *found.warnings)
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
    size = workflow_size(spec)
    if size >= MUCH:
        made.pack()
        size = workflow_size(spec)
    made.check_sizes(root)
    if found.errors:
        raise UserError(*found.errors, *found.warnings)
    platform = platform_document(made.configurations, pipeline)
    warnings = (*pipeline.warnings, *found.warnings)
    return Package(spec, platform, _names_of(made), size, warnings)


def sources(pipeline: Pipeline) -> Iterator[str]:
    """The Python of all cells, also of those of referenced notebooks."""
    for code in pipeline.shared:
        yield code.python
    for unit in pipeline.steps:
        if isinstance(unit, SubPipeline):
            yield from sources(unit.pipeline)
        else:
            yield from (code.python for code in (*unit.files, *unit.code))


@dataclass(slots=True)
class _PackageMaker:
    """Makes the components, executors and configurations of one package."""

    root: Pipeline
    runtime: Runtime  # with the parts that the pipeline needs
    found: DiagnosticCollector = field(default_factory=DiagnosticCollector)
    components: dict[str, object] = field(default_factory=dict)  # by name, as are the next two
    executors: dict[str, object] = field(default_factory=dict)
    configurations: dict[str, dict[str, object]] = field(default_factory=dict)  # for Kubernetes
    steps: dict[str, Step] = field(default_factory=dict)  # by name of the executor
    starts: list[str] = field(default_factory=list)  # the shell script of each step
    arguments: list[list[str]] = field(default_factory=list)  # `args` of each step

    def tasks(self, names: NameTable) -> dict[str, object]:
        """The tasks of a DAG; adds their components."""
        made: dict[str, object] = {}
        seen: dict[str, _Unit] = {}
        for volume in self.root.volumes if not names.prefix else ():
            if volume.new is not None:
                key = names.claims[volume.name]
                made[key] = self._create(key, new_claim(volume, volume.new))
        for unit in names.pipeline.steps:
            key = names.key(unit.name)
            if self._is_new(unit, key, seen):
                seen[key] = unit
                made[key] = self._task(unit, names, self._component(unit, key, names))
        return made

    def definitions(
        self, names: NameTable, artifacts: Mapping[str, ArtifactType]
    ) -> dict[str, object]:
        """The inputs of a DAG: its parameters with their defaults, and *artifacts*."""
        parameters: dict[str, object] = {}
        check_parameters([*names.parameters.values()], self.found)
        for name, parameter in names.parameters.items():
            entry = _declared(parameter)
            if name in names.passed:
                pass
            elif parameter.default is not None:
                check_default(parameter, self.found)
                entry |= {"defaultValue": parameter.default, "isOptional": True}
            elif names.prefix:
                message = f"the parameter `{name}` of a referenced notebook cannot have the "
                message += "default None"
                hint = "give it a value, or make it a parameter of the notebook that refers to it"
                self.found.error("parameter-value", message, parameter.label, help=hint)
            parameters[names.inputs[name]] = entry
        texts = [names.filler] if names.filler else []
        texts += names.claims.values() if names.prefix else ()
        parameters |= {name: {"parameterType": "STRING"} for name in texts}
        return _sides(_types(artifacts), parameters)

    def programs(self) -> Counter[str]:
        """How often each program occurs."""
        return Counter(args[0] for args in self.arguments)

    def pack(self) -> None:
        """Replace the program of each step by its compressed form."""
        packed = {program: pack(program) for program in self.programs()}
        for args in self.arguments:
            args[0] = packed[args[0]]

    def check_sizes(self, root: Mapping[str, object]) -> None:
        """Report what a driver cannot be given."""
        for name, step in self.steps.items():
            executor = self.executors[name]
            assert isinstance(executor, dict)
            check_container(executor["container"], step, self.root, self.found)
        for component in (root, *self.components.values()):
            if isinstance(component, dict) and "dag" in component:
                check_dag(component, self.root, self.found)

    def _is_new(self, unit: Step | SubPipeline, key: str, seen: Mapping[str, _Unit]) -> bool:
        """Report a name that Kubeflow Pipelines does not take, or not beside those in *seen*."""
        driver = f"{key}-driver"  # Argo runs it before the step
        before = key.removesuffix("-driver")
        if not task_name(unit.name)[:1].isalpha():
            why = why_reserved(unit.name)
            self.found.error("reserved-name", why, unit.label, help="choose another name")
            return False
        if other := seen.get(key):
            message = f"the steps `{other.name}` and `{unit.name}` have one name in Kubeflow "
            message += f"Pipelines: `{task_name(unit.name)}`"
        elif other := seen.get(driver) or seen.get(before):
            both = max(task_name(one.name) for one in (other, unit))
            message = f"the steps `{other.name}` and `{unit.name}` both have a task `{both}` in "
            message += "Kubeflow Pipelines, which starts a driver before each step"
        else:
            return check_component(f"comp-{key}", unit, self.found)
        hint = "rename one of them"
        self.found.error("name-clash", message, unit.label, also=[other.label], help=hint)
        return False

    def _component(self, unit: Step | SubPipeline, label: str, names: NameTable) -> str:
        """Add the component of *unit*; the result is its name."""
        own = names.units[unit.name]
        types = {own.ins[one]: names.source(unit, one).type for one in unit.ins}
        outputs: dict[str, ArtifactType] = {own.outs[one]: unit.outs[one] for one in unit.outs}
        if isinstance(unit, SubPipeline):
            inner = inner_names(unit, names)
            dag: dict[str, object] = {"tasks": self.tasks(inner)}
            if unit.outs:
                dag["outputs"] = {"artifacts": dict(_selected(inner))}
            body: dict[str, object] = {"dag": dag}
            inputs = self.definitions(inner, types)
        else:
            body = {"executorLabel": f"exec-{label}"}
            inputs = _sides(
                _types(types),
                {own.parameters[one]: _declared(names.parameters[one]) for one in unit.parameters},
            )
            if own.metrics:
                outputs[own.metrics] = "Metrics"
            if own.report:
                outputs[own.report] = "HTML"
            self._executor(unit, label, names)
        made: dict[str, object] = {}
        if inputs:
            made["inputDefinitions"] = inputs
        if outputs:
            made["outputDefinitions"] = _sides(_types(outputs), {})
        self.components[f"comp-{label}"] = made | body
        return f"comp-{label}"

    def _executor(self, step: Step, label: str, names: NameTable) -> None:
        found = self.found
        command, args = container_command(step, names, self.root, self.runtime)
        self.starts.append(command[2])
        self.arguments.append(args)
        for one in (*step.packages, *self.root.pip_index_urls):
            what = "a requirement or index of pip"
            found.errors += check_text(one, what, step.label, expanded=False)
        container: dict[str, object] = {"image": image_of(step, found)}
        if environ := environment(step, self.root, found):
            container["env"] = environ
        if wanted := resources(step, found):
            container["resources"] = wanted
        self.steps[f"exec-{label}"] = step
        self.executors[f"exec-{label}"] = {
            "container": {**container, "command": command, "args": args}
        }
        if configuration := executor_config(step, names, self.root, found):
            self.configurations[f"exec-{label}"] = configuration

    def _create(self, key: str, inputs: Mapping[str, tuple[str, object]]) -> dict[str, object]:
        """The task that creates a claim, which no cache serves: each run has its own."""
        self.components[f"comp-{key}"] = {
            "executorLabel": f"exec-{key}",
            "inputDefinitions": {
                "parameters": {name: {"parameterType": kind} for name, (kind, _) in inputs.items()}
            },
            "outputDefinitions": {"parameters": {"name": {"parameterType": "STRING"}}},
        }
        container = {"image": CREATE_CLAIM}
        self.executors[f"exec-{key}"] = {"container": container}
        given = {name: {"runtimeValue": {"constant": one}} for name, (_, one) in inputs.items()}
        return {
            "taskInfo": {"name": key},
            "componentRef": {"name": f"comp-{key}"},
            "inputs": {"parameters": given},
            "cachingOptions": {},
        }

    def _task(
        self, unit: Step | SubPipeline, names: NameTable, component: str
    ) -> dict[str, object]:
        own = names.units[unit.name]
        cache = title = retries = None
        if isinstance(unit, Step):
            cache, title, retries = (
                unit.settings.cache,
                unit.settings.display_name,
                unit.settings.retries,
            )
        self.found.errors += check_text(
            title or "", f"the display name of step `{unit.name}`", unit.label
        )
        made: dict[str, object] = {
            "taskInfo": {"name": title or names.key(unit.name)},
            "componentRef": {"name": component},
        }
        depends = {names.key(one) for one in {*unit.prev, *unit.ins.values()} - {""}}
        depends |= set() if names.prefix else {*names.claims.values()}
        if depends:
            made["dependentTasks"] = sorted(depends)
        artifacts = {
            own.ins[one]: _artifact_input(names.source(unit, one), names) for one in unit.ins
        }
        parameters: dict[str, object] = {
            own.parameters[one]: {"componentInputParameter": names.inputs[one]}
            for one in unit.parameters
        }
        if own.filler:
            parameters[own.filler] = {"runtimeValue": {"constant": FILLER_VALUE}}
        if isinstance(unit, SubPipeline):  # up to 2.5 a DAG does not know its own defaults
            inner = inner_names(unit, names)
            for name, default in inner.own_defaults.items():
                parameters[name] = {"runtimeValue": {"constant": default}}
            parameters |= {name: names.claim(volume) for volume, name in inner.claims.items()}
        if inputs := _sides(artifacts, parameters):
            made["inputs"] = inputs
        caching = self.root.caching if cache is None else cache
        made["cachingOptions"] = {"enableCache": True} if caching else {}
        if retries:
            # What the SDK's set_retry() writes if it is given only a number.
            made["retryPolicy"] = {
                "maxRetryCount": retries,
                "backoffDuration": "0s",
                "backoffFactor": 2.0,
                "backoffMaxDuration": "3600s",
            }
        return made


def container_command(
    step: Step, names: NameTable, root: Pipeline, runtime: Runtime
) -> tuple[list[str], list[str]]:
    """`command` and `args` of the container of *step*."""
    cells = (*step.files, *step_command.with_code((*names.pipeline.shared, *step.code)))
    text, counts = step_command.cells_text(step.name, cells)
    start = step_command.script(step.packages, root.pip_index_urls)
    spec = step_spec(step, names, counts)
    program = runtime.for_step(text, spec, definitions=step.definitions, changed=bool(step.changed))
    return step_command.command(text, spec, program, start)


def step_spec(step: Step, names: NameTable, counts: Sequence[object]) -> dict[str, object]:
    """SPEC: the description of *step* for the runtime, without entries that are empty."""
    own = names.units[step.name]
    taken = {**own.parameters, **own.ins}
    renamed = {name: other for name, other in {**taken, **own.outs}.items() if name != other}
    spec: dict[str, object] = {
        "step": step.name,
        "notebook": file_name(names.pipeline.notebook),
        "cells": counts,
        "params": {
            one.name: f"{one.type} or NoneType" if one.default is None else one.type
            for one in map(names.parameters.__getitem__, step.parameters)
        },
        "defaults": {
            name: default
            for name in step.parameters
            if not arrives_unchanged(default := names.parameters[name].default)
        },
        "names": renamed,
        # If a variable is both input and output, `names` has the output.
        "in_names": {
            name: other for name, other in taken.items() if other != renamed.get(name, name)
        },
        "in": variables(step.ins),
        "out": variables(step.outs),
        "states": _states(step),
        "together": step.together,
        "changed": step.changed if len(step.outs) > 1 else (),
        "apart": step.apart if step.changed else (),
        "metrics": {name: name for name in step.metrics},
        "metrics_artifact": own.metrics,
        "report": own.report,
    }
    return {key: value for key, value in spec.items() if value}


def _states(step: Step) -> dict[str, object]:
    """The state of the process that *step* takes and passes on, for SPEC."""
    spec: dict[str, object] = {
        "in": [name for name in step.ins if name.startswith(STATE)],
        "out": step.states,
        "renewed": step.renewed,
        "secrets": [secret.env for secret in step.settings.secrets if step.states],
    }
    return {key: value for key, value in spec.items() if value}


def _names_of(made: _PackageMaker) -> dict[str, str]:
    """Names for the texts that occur more than once, in the order of their first occurrence."""
    found: dict[str, str] = {}
    for name, texts in (("start", Counter(made.starts)), ("runtime", made.programs())):
        several = [text for text, count in texts.items() if count > 1]
        found |= {text: f"{name}-{n}" if n > 1 else name for n, text in enumerate(several, 1)}
    return found


def _selected(inner: NameTable) -> Iterator[tuple[str, dict[str, object]]]:
    for variable, output in inner.outputs.items():
        producer = inner.last_producer(variable)
        selector = {
            "producerSubtask": inner.key(producer.producer),
            "outputArtifactKey": producer.name,
        }
        yield output, {"artifactSelectors": [selector]}


def _artifact_input(source: ArtifactSource, names: NameTable) -> dict[str, object]:
    if not source.producer:
        return {"componentInputArtifact": source.name}
    return {
        "taskOutputArtifact": {
            "producerTask": names.key(source.producer),
            "outputArtifactKey": source.name,
        }
    }


def _declared(parameter: Parameter) -> dict[str, object]:
    """The definition of an input for *parameter*, without its default."""
    made: dict[str, object] = {"parameterType": PARAMETER_TYPES[parameter.type]}
    return {**made, "isOptional": True} if parameter.default is None else made


def _types(artifacts: Mapping[str, ArtifactType]) -> dict[str, object]:
    return {
        name: {"artifactType": {"schemaTitle": f"system.{kind}", "schemaVersion": "0.0.1"}}
        for name, kind in artifacts.items()
    }


def _sides(artifacts: Mapping[str, object], parameters: Mapping[str, object]) -> dict[str, object]:
    """Both sides of inputs or outputs, without the empty ones."""
    sides = {"artifacts": artifacts, "parameters": parameters}
    return {side: entries for side, entries in sides.items() if entries}
