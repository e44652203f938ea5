"""The compiled pipeline of a notebook, and the diagnostics of compiling it, for the lints."""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from kale_tag.analysis.dataflow import Dataflow, Unit
from kale_tag.code.local_modules import LocalCode
from kale_tag.code.source import Parsed, Runs
from kale_tag.compiler.build import BuildResult, Load, build, no_runs
from kale_tag.compiler.limits import size_warnings
from kale_tag.compiler.package import Package, package
from kale_tag.compiler.read import Draft
from kale_tag.compiler.step_command import Runtime
from kale_tag.diagnostics import Diagnostic, UserError
from kale_tag.kale.pipeline import Pipeline, Step, SubPipeline
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.model import Notebook


@dataclass(frozen=True, slots=True)
class CompiledNotebook:
    """One notebook of a pipeline: the one that makes it, or one that it refers to."""

    draft: Draft
    flow: Dataflow
    pipeline: Pipeline
    walked: dict[Parsed, Sequence[ast.AST]] = field(default_factory=dict)

    def nodes(self, cell: Parsed) -> Sequence[ast.AST]:
        """Every node of the syntax tree of a cell; lints go over them again and again."""
        if cell not in self.walked:
            self.walked[cell] = [*ast.walk(cell.tree)]
        return self.walked[cell]

    @property
    def units(self) -> list[Unit]:
        """The steps that are no references, in an order in which they can run."""
        return [unit for unit in self.flow.units if unit.inner is None]

    @property
    def steps(self) -> Iterator[tuple[Unit, Step]]:
        """The steps that are no references, with what is known of their variables."""
        units = {unit.name: unit for unit in self.flow.units}
        for step in self.pipeline.steps:
            if isinstance(step, Step):
                yield units[step.name], step


@dataclass(frozen=True, slots=True)
class Compilation:
    """The pipeline of a notebook as `compile` builds it, for the lints."""

    diagnostics: tuple[Diagnostic, ...]  # errors and warnings of building and packaging it
    parts: tuple[CompiledNotebook, ...] = ()  # the outermost first; () if it could not be built


def compile_notebook(  # noqa: PLR0913  all that a pipeline is built from
    notebook: Notebook,
    options: CompileOptions,
    load: Load,
    local: LocalCode,
    runtime: Runtime,
    *,
    runs: Callable[[Notebook], Runs] = no_runs,
) -> Compilation:
    """Build and package *notebook*, as `compile` does; for the arguments see `build.build`."""
    try:
        built = build(notebook, options, load, local, runs=runs)
    except UserError as exc:
        return Compilation(exc.diagnostics)
    diagnostics: tuple[Diagnostic, ...]
    try:
        made: Package = package(built.pipeline, runtime)
        diagnostics = (*made.warnings, *size_warnings(made.size, notebook.name))
    except UserError as exc:
        diagnostics = (*built.pipeline.warnings, *exc.diagnostics)
    return Compilation(diagnostics, tuple(parts_of(built)))


def parts_of(built: BuildResult) -> Iterator[CompiledNotebook]:
    """The notebooks of a pipeline, the outermost first."""
    yield CompiledNotebook(built.draft, built.flow, built.pipeline)
    units = {unit.name: unit for unit in built.flow.units}
    for sub in built.pipeline.steps:
        if isinstance(sub, SubPipeline):
            flow = units[sub.name].inner
            assert flow is not None
            yield CompiledNotebook(built.inner[sub.name], flow, sub.pipeline)
