"""A `Pipeline` as Python in Kubeflow Pipelines' own DSL, for those who continue by hand.

Each step is a container component that runs the cells as the package does. Compiled with kfp it
is the package again, but for command and args.
"""

import builtins
import keyword
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from kale_tag import data_file
from kale_tag.compiler.container import DEFAULT_IMAGE, environment, new_claim
from kale_tag.compiler.interface import (
    FILLER_VALUE,
    NameTable,
    inner_names,
    root_names,
    task_name,
)
from kale_tag.compiler.package import sources, step_spec
from kale_tag.compiler.parameters import holds_none
from kale_tag.compiler.step_command import FILE, Runtime, script, with_code
from kale_tag.diagnostics import Diagnostic, DiagnosticCollector, warning
from kale_tag.kale import quantity, tags
from kale_tag.kale.names import file_name
from kale_tag.kale.pipeline import Code, Pipeline, PodOptions, Step, SubPipeline

_TAKEN = {"compiler", "dsl", "kubernetes", "json", "re", "shlex", "typing", "container"}

_INSTALL = "# INSTALL\n"
"""The line of the script in whose place the installation comes."""


def to_dsl(pipeline: Pipeline, runtime: Runtime) -> str:
    """The module; *pipeline* is one of which `package` has made a package."""
    writer = _DslWriter(pipeline)
    writer.write(root_names(pipeline), pipeline.name)
    cells = [*sources(pipeline), *([FILE] if writer.files else [])]
    whole, definitions = "\n".join(cells), writer.definitions
    program = runtime.for_pipeline(cells).for_step(whole, writer.specs, definitions=definitions)
    kubernetes = ", kubernetes" if any("kubernetes." in line for line in writer.lines) else ""
    parts = {
        "NAME": pipeline.name,
        "NOTEBOOK": file_name(pipeline.notebook),
        "USES": f"from kfp import compiler, dsl{kubernetes}",
        "RUNTIME": literal(program),
        "START": literal(script((), (), _INSTALL)),
        "STEPS": "\n".join(writer.lines),
        "FUNCTION": writer.functions["", ""],
    }
    return re.sub("@([A-Z]+)@", lambda found: parts[found[1]], data_file("compiler/dsl_module.txt"))


def cannot_compile(root: Pipeline) -> Iterator[Diagnostic]:
    """Warnings of defaults that KFP's own compiler cannot take (kfp 2.9 to 2.17)."""
    for parameter in root.parameters:
        default = parameter.default
        problem = ""
        if isinstance(default, str) and "\n" in default:
            problem = "a line break, with which kfp writes a package that is not YAML"
        elif isinstance(default, list | dict) and holds_none(default):
            problem = "None, with which kfp fails"
        if problem:
            yield warning(
                "not-in-dsl",
                f"the default of the parameter `{parameter.name}` contains {problem}",
                parameter.label,
                help="the package is not affected, the DSL file is",
            )


def literal(text: str, indent: str = "") -> str:
    """*text*, of whole lines, as a Python literal that can be read and edited."""
    for quotes in ("'''", '"""'):
        fits = quotes not in text and not text.rstrip("\n").endswith((quotes[0], "\\"))
        if fits and all(letter.isprintable() or letter in "\n\t" for letter in text):
            return f"r{quotes}\n{text}{quotes}"
    lines = "".join(f"\n{indent}    {line!r}" for line in text.splitlines(keepends=True))
    return f'("\\n"{lines}\n{indent})'


@dataclass(slots=True)
class _DslWriter:
    """Writes pipeline by pipeline, the inner ones first; every name of the module is used once."""

    root: Pipeline
    specs: dict[str, object] = field(default_factory=dict)  # SPEC of all steps together
    lines: list[str] = field(default_factory=list)
    files: bool = False  # whether local code travels with a step
    definitions: bool = False  # as of a step
    functions: dict[tuple[str, str], str] = field(default_factory=dict)  # by prefix and step
    taken: set[str] = field(default_factory=lambda: {*_TAKEN, *dir(builtins), *keyword.kwlist})

    def write(self, names: NameTable, title: str) -> None:
        """The components of a pipeline, and its pipeline function."""
        self.taken |= {
            name
            for unit in names.units.values()
            for part in (unit.parameters, unit.ins, unit.outs)
            for name in part.values()
        } | {*names.inputs.values()}
        shared = ""
        if any(code.python.strip() for code in names.pipeline.shared):
            shared = self._free(f"{names.prefix}SHARED".upper().replace("/", "_"))
            self.lines += [f"{shared} = {_cells(with_code(names.pipeline.shared))}", ""]
        for unit in names.pipeline.steps:
            if isinstance(unit, SubPipeline):
                self.write(inner_names(unit, names), task_name(unit.name))
                self.functions[names.prefix, unit.name] = self.functions[
                    f"{names.prefix}{unit.name}/", ""
                ]
            else:
                self._component(unit, names, shared)
        self._pipeline(names, title)

    def _free(self, name: str) -> str:
        """A name that is not taken; KFP drops a trailing `_` in the name of the component."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def _component(self, step: Step, names: NameTable, shared: str) -> None:
        own = names.units[step.name]
        function = self.functions[names.prefix, step.name] = self._free(step.name)
        cells = self._free(f"{function}_cells".upper())
        arguments = [
            *(
                f"{own.parameters[n]}: {names.parameters[n].type}"
                for n in step.parameters
                if names.parameters[n].default is not None
            ),
            *(f"{own.ins[n]}: dsl.Input[dsl.{names.source(step, n).type}]" for n in step.ins),
            *(f"{own.outs[n]}: dsl.Output[dsl.{kind}]" for n, kind in step.outs.items()),
        ]
        if own.metrics:
            arguments.append(f"{own.metrics}: dsl.Output[dsl.Metrics]")
        if own.report:
            arguments.append(f"{own.report}: dsl.Output[dsl.HTML]")
        arguments += [
            f"{own.parameters[n]}: {names.parameters[n].type} = None"
            for n in step.parameters
            if names.parameters[n].default is None
        ]
        spec = step_spec(step, names, ())
        self.specs |= spec
        code = f"{shared} + {cells}" if shared else cells
        self.definitions |= step.definitions
        if step.files:
            code = f"{cells}_FILES + {code}"
            self.lines += [f"{cells}_FILES = {_cells(step.files)}", ""]
            self.files = True
        indexes = list(self.root.pip_index_urls)
        self.lines += [
            f"{cells} = {_cells(with_code(step.code))}",
            "",
            "",
            "@dsl.container_component",
            *_call(f"def {function}", arguments, "", ":"),
            "    return container(",
            f"        {step.settings.image or DEFAULT_IMAGE!r},",
            f"        {code},",
            *([f"        packages={list(step.packages)!r},"] if step.packages else []),
            *([f"        indexes={indexes!r},"] if step.packages and indexes else []),
            *(
                f"        {'takes' if key == 'in' else key}={value!r},"
                for key, value in spec.items()
            ),
            "    )",
            "",
            "",
        ]

    def _pipeline(self, names: NameTable, title: str) -> None:
        function = self._free(title.replace("-", "_").lstrip("0123456789_") or "pipeline")
        self.functions[names.prefix, ""] = function
        about = [f"name={title!r}"]
        if not names.prefix:
            if self.root.description:
                about.append(f"description={self.root.description!r}")
            if self.root.ttl:
                ttl = f"dsl.PipelineConfig(ttl_seconds_after_finished={self.root.ttl})"
                about.append(f"pipeline_config={ttl}")
        outputs = self._outputs(names)
        self.lines += [*_call("@dsl.pipeline", about, "")]
        end = f" -> {outputs[0]}:" if outputs else ":"
        self.lines += _call(f"def {function}", self._arguments(names), "", end)
        self.lines += [f"    {line}" for line in self._tasks(names)]
        if outputs:
            self.lines.append(f"    return {outputs[0]}({outputs[1]})")
        self.lines += ["", ""]

    def _outputs(self, names: NameTable) -> tuple[str, str] | None:
        """The class of the outputs of an inner pipeline, written first, and its arguments."""
        if not names.outputs:
            return None
        name = self._free(f"{task_name(names.prefix)}-outputs".title().replace("-", ""))
        self.lines.append(f"class {name}(typing.NamedTuple):")
        arguments = []
        for variable, output in names.outputs.items():
            producer = names.last_producer(variable)
            self.lines.append(f"    {output}: dsl.{producer.type}")
            arguments.append(f"{output}={_task(producer.producer)}.outputs[{producer.name!r}]")
        self.lines += ["", ""]
        return name, ", ".join(arguments)

    def _arguments(self, names: NameTable) -> list[str]:
        required = [f"{one.name}: dsl.Input[dsl.{one.type}]" for one in names.outside.values()]
        optional = []
        for name, parameter in names.parameters.items():
            declared = f"{names.inputs[name]}: {parameter.type}"
            if name in names.passed and parameter.default is not None:
                required.append(declared)
            else:
                optional.append(f"{declared} = {parameter.default!r}")
        texts = [names.filler] if names.filler else []
        texts += names.claims.values() if names.prefix else ()
        required += [f"{name}: str" for name in texts]
        return required + optional

    def _creations(self, names: NameTable) -> Iterator[str]:
        """The tasks that create claims, all in the outermost pipeline."""
        for volume in self.root.volumes if not names.prefix else ():
            if volume.new is not None:
                task = _task(names.claims[volume.name])
                inputs = new_claim(volume, volume.new).items()
                given = [f"{name}={value!r}" for name, (_, value) in inputs]
                yield from _call(f"{task} = kubernetes.CreatePVC", given, "")
                yield f"{task}.set_caching_options(False)"

    def _tasks(self, names: NameTable) -> Iterator[str]:
        yield from self._creations(names)
        for unit in names.pipeline.steps:
            own = names.units[unit.name]
            arguments = [f"{own.parameters[n]}={names.inputs[n]}" for n in unit.parameters]
            for variable in unit.ins:
                source = names.source(unit, variable)
                value = source.name
                if source.producer:
                    value = f"{_task(source.producer)}.outputs[{source.name!r}]"
                arguments.append(f"{own.ins[variable]}={value}")
            if isinstance(unit, SubPipeline):
                inner = inner_names(unit, names)
                arguments += [f"{n}={default!r}" for n, default in inner.own_defaults.items()]
                arguments += [f"{n}={_claim(volume, names)}" for volume, n in inner.claims.items()]
            if own.filler:
                arguments.append(f"{own.filler}={FILLER_VALUE!r}")
            task = _task(unit.name)
            yield from _call(f"{task} = {self.functions[names.prefix, unit.name]}", arguments, "")
            others = [one for one in unit.prev if one not in unit.ins.values()]
            if others:
                yield f"{task}.after({', '.join(map(_task, others))})"
            if isinstance(unit, Step):
                for call in _calls(unit, names, self.root):
                    yield call.replace("TASK", task, 1)


def _claim(volume: str, names: NameTable) -> str:
    """The name of the claim of a new volume as an expression."""
    held = names.claims[volume]
    return held if names.prefix else f"{_task(held)}.outputs['name']"


def _calls(step: Step, names: NameTable, root: Pipeline) -> Iterator[str]:
    """The settings of *step* as statements on its task, which they call TASK."""
    settings = step.settings
    if settings.display_name:
        yield f"TASK.set_display_name({settings.display_name!r})"
    if not (root.caching if settings.cache is None else settings.cache):
        yield "TASK.set_caching_options(False)"
    if settings.retries:
        yield f"TASK.set_retry({settings.retries})"
    yield from _resources(step)
    for entry in environment(step, root, DiagnosticCollector()):
        yield f"TASK.set_env_variable({entry['name']!r}, {entry['value']!r})"
    yield from _kubernetes(step, names, root)


def _resources(step: Step) -> Iterator[str]:
    for side, wanted in (
        ("limit", step.settings.limits),
        ("request", step.settings.requests),
    ):
        for resource, text in wanted.items():
            if resource == "cpu":
                # The SDK knows fewer forms of quantities than Kubernetes.
                fits = re.fullmatch(r"([0-9]*\.)?[0-9]+m?", text)
                yield f"TASK.set_cpu_{side}({text if fits else f'{quantity.cpus(text)}'!r})"
            elif resource == "memory":
                fits = re.fullmatch(r"[0-9]+(?:[EPTGM]i?|Ki)?", text)
                size = text if fits else f"{int(quantity.amount(text))}"
                yield f"TASK.set_memory_{side}({size!r})"
            elif side == "limit" and tags.is_device(resource) and quantity.devices(text):
                yield f"TASK.set_accelerator_type({resource!r})"
                yield f"TASK.set_accelerator_limit({quantity.devices(text)})"


def _kubernetes(step: Step, names: NameTable, root: Pipeline) -> Iterator[str]:
    settings = step.settings
    for secret in settings.secrets:
        keys = {secret.key: secret.env}
        yield f"kubernetes.use_secret_as_env(TASK, {secret.name!r}, {keys!r})"
    for volume in root.volumes:
        claim = _claim(volume.name, names) if volume.new else repr(volume.name)
        yield f"kubernetes.mount_pvc(TASK, {claim}, {volume.mount_point!r})"
    for kind, values in settings.pod.items():
        if place := tags.KINDS[kind].pod:
            yield from (f"kubernetes.{place[2]}(TASK, {key!r}, {values[key]!r})" for key in values)
    yield from _pod_options(settings.pod_options)
    if settings.timeout is not None:
        yield f"kubernetes.set_timeout(TASK, {settings.timeout})"
    if root.security is not None:
        fields = asdict(root.security).items()
        words = [f"{key}={value!r}" for key, value in fields if value is not None]
        if words:
            yield f"kubernetes.set_security_context(TASK, {', '.join(words)})"


def _pod_options(pod: PodOptions) -> Iterator[str]:
    for folder, claim in pod.volumes.items():
        yield f"kubernetes.mount_pvc(TASK, {claim!r}, {folder!r})"
    for place, text in pod.config_maps.items():
        name, _, key = text.partition("/")
        if place.startswith("/"):
            yield f"kubernetes.use_config_map_as_volume(TASK, {name!r}, {place!r})"
        else:
            yield f"kubernetes.use_config_map_as_env(TASK, {name!r}, {{{key!r}: {place!r}}})"
    for label, value in pod.node_selector.items():
        yield f"kubernetes.add_node_selector(TASK, {label!r}, {value!r})"
    for one in pod.tolerations:
        words = [f"{key}={value!r}" for key, value in one.items() if key != "tolerationSeconds"]
        if seconds := one.get("tolerationSeconds"):
            words.append(f"toleration_seconds={seconds}")
        yield f"kubernetes.add_toleration(TASK, {', '.join(words)})"
    if pod.image_pull_secrets:
        yield f"kubernetes.set_image_pull_secrets(TASK, {list(pod.image_pull_secrets)!r})"
    if pod.image_pull_policy:
        yield f"kubernetes.set_image_pull_policy(TASK, {pod.image_pull_policy!r})"


def _cells(cells: Sequence[Code]) -> str:
    made = ["["]
    for code in cells:
        text = code.python.rstrip("\n") + "\n"
        made.append(f"    ({code.kind!r}, {code.key!r}, {literal(text, '    ')}),")
    return "\n".join([*made, "]"])


def _call(head: str, arguments: Sequence[str], indent: str, end: str = "") -> list[str]:
    """*head* with its arguments, on one line where they fit."""
    line = f"{indent}{head}({', '.join(arguments)}){end}"
    if len(line) <= 96:
        return [line]
    return [f"{indent}{head}(", *(f"{indent}    {one}," for one in arguments), f"{indent}){end}"]


def _task(step: str) -> str:
    return f"{step.replace('-', '_')}_task"
