"""A `Pipeline` as Python in Kubeflow Pipelines' own DSL, for those who go on by hand.

Each step is a container component that runs the cells just as the package does. Compiled with kfp
it is the package again, but for command and args.
"""

import builtins
import keyword
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kale_tag.compiler.container import DEFAULT_IMAGE
from kale_tag.compiler.dsl_frame import CONTAINER, FRAME, INSTALL
from kale_tag.compiler.dsl_settings import calls
from kale_tag.compiler.interface import FILLER_VALUE, Scope, inner_scope, root_scope
from kale_tag.compiler.kfp_names import task_name
from kale_tag.compiler.package import sources, step_spec
from kale_tag.compiler.runtime import Runtime
from kale_tag.compiler.step_command import script, with_code
from kale_tag.kale.pipeline import Code, Pipeline, Step, SubPipeline

_TAKEN = {"compiler", "dsl", "kubernetes", "json", "re", "shlex", "typing", "container"}


def to_dsl(pipeline: Pipeline, runtime: Runtime) -> str:
    """The module; *pipeline* is one of which `package` has made a package."""
    writer = _Writer(pipeline)
    writer.write(root_scope(pipeline), pipeline.name)
    cells = [*sources(pipeline)]
    program = runtime.for_pipeline(cells).for_step("\n".join(cells), writer.told)
    lines = [
        f"RUNTIME = {literal(program)}",
        "",
        f"START = {literal(script((), (), INSTALL))}",
        "",
        "",
        CONTAINER,
        "",
        *writer.lines,
    ]
    kubernetes = ", kubernetes" if any("kubernetes." in line for line in writer.lines) else ""
    return FRAME.format(
        name=pipeline.name,
        notebook=_base(pipeline.notebook),
        uses=f"from kfp import compiler, dsl{kubernetes}",
        body="\n".join(lines),
        function=writer.functions["", ""],
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
class _Writer:
    """Writes scope by scope, the inner ones first; every name of the module is used once.

    *told* is what all steps together are told.
    """

    root: Pipeline
    told: dict[str, object] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    functions: dict[tuple[str, str], str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=lambda: {*_TAKEN, *dir(builtins), *keyword.kwlist})

    def write(self, scope: Scope, title: str) -> None:
        """Everything that *scope* needs, and its pipeline function."""
        self.taken |= {
            name
            for unit in scope.units.values()
            for part in (unit.parameters, unit.ins, unit.outs)
            for name in part.values()
        } | {*scope.names.values()}
        shared = ""
        if any(code.python.strip() for code in scope.pipeline.shared):
            shared = self._free(f"{scope.prefix}SHARED".upper().replace("/", "_"))
            self.lines += [f"{shared} = {_cells(scope.pipeline.shared)}", ""]
        for unit in scope.pipeline.steps:
            if isinstance(unit, SubPipeline):
                self.write(inner_scope(unit, scope), task_name(unit.name))
                self.functions[scope.prefix, unit.name] = self.functions[
                    f"{scope.prefix}{unit.name}/", ""
                ]
            else:
                self._component(unit, scope, shared)
        self._pipeline(scope, title)

    def _free(self, name: str) -> str:
        """A trailing `_` is nothing to KFP, which makes component names of functions."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def _component(self, step: Step, scope: Scope, shared: str) -> None:
        own = scope.units[step.name]
        function = self.functions[scope.prefix, step.name] = self._free(step.name)
        cells = self._free(f"{function}_cells".upper())
        arguments = [
            *(f"{own.parameters[n]}: {scope.parameters[n].type}" for n in step.parameters),
            *(f"{own.ins[n]}: dsl.Input[dsl.{scope.given(step, n).type}]" for n in step.ins),
            *(f"{own.outs[n]}: dsl.Output[dsl.{kind}]" for n, kind in step.outs.items()),
        ]
        if own.metrics:
            arguments.append(f"{own.metrics}: dsl.Output[dsl.Metrics]")
        if own.report:
            arguments.append(f"{own.report}: dsl.Output[dsl.HTML]")
        spec = step_spec(step, scope, ())
        self.told |= spec
        code = f"{shared} + {cells}" if shared else cells
        indexes = list(self.root.pip_index_urls)
        self.lines += [
            f"{cells} = {_cells(step.code)}",
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

    def _pipeline(self, scope: Scope, title: str) -> None:
        function = self._free(title.replace("-", "_").lstrip("0123456789_") or "pipeline")
        self.functions[scope.prefix, ""] = function
        about = [f"name={title!r}"]
        if not scope.prefix:
            if self.root.description:
                about.append(f"description={self.root.description!r}")
            if self.root.ttl:
                ttl = f"dsl.PipelineConfig(ttl_seconds_after_finished={self.root.ttl})"
                about.append(f"pipeline_config={ttl}")
        outputs = self._outputs(scope)
        self.lines += [*_call("@dsl.pipeline", about, "")]
        end = f" -> {outputs[0]}:" if outputs else ":"
        self.lines += _call(f"def {function}", self._arguments(scope), "", end)
        self.lines += [f"    {line}" for line in self._tasks(scope)]
        if outputs:
            self.lines.append(f"    return {outputs[0]}({outputs[1]})")
        self.lines += ["", ""]

    def _outputs(self, scope: Scope) -> tuple[str, str] | None:
        """The class of the outputs of an inner pipeline, written first, and its arguments."""
        if not scope.outputs:
            return None
        name = self._free(f"{task_name(scope.prefix)}-outputs".title().replace("-", ""))
        self.lines.append(f"class {name}(typing.NamedTuple):")
        arguments = []
        for variable, output in scope.outputs.items():
            producer = scope.last_producer(variable)
            self.lines.append(f"    {output}: dsl.{producer.type}")
            arguments.append(f"{output}={_task(producer.producer)}.outputs[{producer.name!r}]")
        self.lines += ["", ""]
        return name, ", ".join(arguments)

    def _arguments(self, scope: Scope) -> list[str]:
        required = [f"{one.name}: dsl.Input[dsl.{one.type}]" for one in scope.outside.values()]
        optional = []
        for name, parameter in scope.parameters.items():
            declared = f"{scope.names[name]}: {parameter.type}"
            if name in scope.passed:
                required.append(declared)
            else:
                optional.append(f"{declared} = {parameter.default!r}")
        if scope.filler:
            required.append(f"{scope.filler}: str")
        return required + optional

    def _tasks(self, scope: Scope) -> Iterator[str]:
        for unit in scope.pipeline.steps:
            own = scope.units[unit.name]
            arguments = [f"{own.parameters[n]}={scope.names[n]}" for n in unit.parameters]
            for variable in unit.ins:
                given = scope.given(unit, variable)
                source = given.name
                if given.producer:
                    source = f"{_task(given.producer)}.outputs[{given.name!r}]"
                arguments.append(f"{own.ins[variable]}={source}")
            if own.filler:
                arguments.append(f"{own.filler}={FILLER_VALUE!r}")
            task = _task(unit.name)
            yield from _call(f"{task} = {self.functions[scope.prefix, unit.name]}", arguments, "")
            waits = [one for one in unit.prev if one not in unit.ins.values()]
            if waits:
                yield f"{task}.after({', '.join(map(_task, waits))})"
            if isinstance(unit, Step):
                for call in calls(unit, self.root):
                    yield call.replace("TASK", task, 1)


def _cells(cells: Sequence[Code]) -> str:
    made = ["["]
    for code in with_code(cells):
        text = code.python.rstrip("\n") + "\n"
        made.append(f"    ({code.kind!r}, {code.cell}, {literal(text, '    ')}),")
    return "\n".join([*made, "]"])


def _call(head: str, arguments: Sequence[str], indent: str, end: str = "") -> list[str]:
    """*head* with its arguments, on one line where they fit."""
    line = f"{indent}{head}({', '.join(arguments)}){end}"
    if len(line) <= 96:
        return [line]
    return [f"{indent}{head}(", *(f"{indent}    {one}," for one in arguments), f"{indent}){end}"]


def _task(step: str) -> str:
    return f"{step}_task"


def _base(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]
