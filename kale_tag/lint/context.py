"""A notebook as the lints of pipelines look at it: what was built of it, and what stood against."""

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from kale_tag.analysis.dataflow import Dataflow
from kale_tag.analysis.source import Parsed
from kale_tag.analysis.units import Unit
from kale_tag.compiler.build import Built, Load, build
from kale_tag.compiler.package import Package, package
from kale_tag.compiler.package_text import size_warnings
from kale_tag.compiler.read import Draft
from kale_tag.compiler.runtime import Runtime
from kale_tag.diagnostics import Diagnostic, UserError
from kale_tag.kale.pipeline import Pipeline, Step, SubPipeline
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.model import Notebook


@dataclass(frozen=True, slots=True)
class Part:
    """One notebook of a pipeline: that which makes it, or one that it refers to."""

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
class Study:
    """What became of a notebook.

    *told* is what was said while it was built and packaged, errors and warnings. *parts* are its
    notebooks, the outermost first; there are none where it could not be built.
    """

    told: tuple[Diagnostic, ...]
    parts: tuple[Part, ...] = ()

    def says(self, code: str) -> Iterator[Diagnostic]:
        """What was said under *code*, each thing once."""
        return (diagnostic for diagnostic in dict.fromkeys(self.told) if diagnostic.code == code)


def study(
    notebook: Notebook,
    options: CompileOptions,
    load: Load,
    local: Collection[str],
    runtime: Runtime,
) -> Study:
    """Builds and packages *notebook*, as `compile` does; for the arguments see `build.build`."""
    try:
        built = build(notebook, options, load, local)
    except UserError as exc:
        return Study(exc.diagnostics)
    told: tuple[Diagnostic, ...]
    try:
        made: Package = package(built.pipeline, runtime)
        told = (*made.warnings, *size_warnings(made.size, notebook.name))
    except UserError as exc:
        told = (*built.pipeline.warnings, *exc.diagnostics)
    return Study(told, tuple(_parts(built)))


def _parts(built: Built) -> Iterator[Part]:
    yield Part(built.draft, built.flow, built.pipeline)
    units = {unit.name: unit for unit in built.flow.units}
    for sub in built.pipeline.steps:
        if isinstance(sub, SubPipeline):
            flow = units[sub.name].inner
            assert flow is not None
            yield Part(built.inner[sub.name], flow, sub.pipeline)
