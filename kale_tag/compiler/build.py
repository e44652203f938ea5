"""A tagged notebook to a `Pipeline`: the semantics of Kale 2.3, or a clear refusal.

Where Kale is known to hurt its users the right thing is done instead (`facts/kale.md` section 5):
producers are chosen by what they bind, tags on later cells of a step count, a step takes the
parameters that it uses, and what would fail in the container is refused here.
"""

import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kale_tag.analysis.dataflow import Dataflow
from kale_tag.analysis.flow import imported_names, read_block
from kale_tag.analysis.model import Block
from kale_tag.analysis.sharing import returned_pairs, shared_names
from kale_tag.analysis.units import Unit
from kale_tag.compiler.assemble import Results
from kale_tag.compiler.read import Draft, read_draft
from kale_tag.compiler.settings import raise_diagnostics
from kale_tag.compiler.undefined import place_metrics, undefined_names
from kale_tag.diagnostics import Diagnostic, Label, UserError, error
from kale_tag.kale.order import find_cycle, in_order
from kale_tag.kale.pipeline import Pipeline
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import cell_label

Load = Callable[[str, Label], Notebook]


@dataclass(frozen=True, slots=True)
class Built:
    """A pipeline, and what is known of the notebook that makes it: its cells, and its variables.

    *inner* are the notebooks that it refers to, by the names of the references.
    """

    pipeline: Pipeline
    draft: Draft
    flow: Dataflow
    inner: Mapping[str, Draft]


def build_pipeline(
    notebook: Notebook,
    options: CompileOptions,
    load: Load,
    local: Collection[str] = (),
    *,
    but: Collection[str] = (),
) -> Pipeline:
    """The pipeline that *notebook* makes; see `build`."""
    return build(notebook, options, load, local, but=but).pipeline


def build(
    notebook: Notebook,
    options: CompileOptions,
    load: Load,
    local: Collection[str] = (),
    *,
    but: Collection[str] = (),
) -> Built:
    """The pipeline that *notebook* makes, and how that was found out.

    *load* gives the notebook of a path, which is relative to what the name of *notebook* is
    relative to; it is told where the path stands. *local* are the names of modules beside the
    notebook. Raises `UserError` with every fault that was found, *but* for those of these codes.
    """
    draft = read_draft(notebook, options)
    inner, diagnostics = _referenced(draft, options, load)
    diagnostics = [*draft.diagnostics, *diagnostics]
    raise_diagnostics([diagnostic for diagnostic in diagnostics if diagnostic.code not in but])
    flow, order = _solve(draft, inner)
    raise_diagnostics(sorted(flow.diagnostics, key=_position))
    pipeline = Results(draft, flow, order, options, local, inner).pipeline()
    return Built(pipeline, draft, flow, inner)


def _position(diagnostic: Diagnostic) -> tuple[str, int, int]:
    if not diagnostic.labels:
        return ("", 0, 0)
    first = diagnostic.labels[0]
    start = first.span.start if first.span else 0
    return (first.source.name, first.source.cell or 0, start)


def _referenced(
    draft: Draft, options: CompileOptions, load: Load
) -> tuple[dict[str, Draft], list[Diagnostic]]:
    """The notebooks that this one refers to, by the name of the reference."""
    found: dict[str, Draft] = {}
    diagnostics: list[Diagnostic] = []
    notebook = draft.notebook
    folder = posixpath.dirname(notebook.name)
    for step in draft.outline.steps:
        if not step.notebook:
            continue
        at = draft.tagged.step(draft.tagged.starts[step.name])
        path = posixpath.normpath(posixpath.join(folder, step.notebook))
        if path == posixpath.normpath(notebook.name):
            message = f"`notebook:{step.name}` refers to the notebook that it stands in"
            diagnostics.append(error("reference-cycle", message, at))
            continue
        try:
            child = read_draft(load(path, at), options, name=step.name.replace("_", "-"))
        except UserError as exc:
            diagnostics += exc.diagnostics
            continue
        diagnostics += child.diagnostics
        diagnostics += _nested(child, step.name)
        found[step.name] = child
    return found, diagnostics


def _nested(child: Draft, name: str) -> Iterator[Diagnostic]:
    for step in child.outline.steps:
        if step.notebook is not None:
            yield error(
                "nested-reference",
                f"`notebook:{step.name}` stands in a notebook that is itself referred to, as "
                f"`notebook:{name}`; Kale takes one level",
                child.tagged.step(child.tagged.starts[step.name]),
                help="refer to both from the outermost notebook",
            )


def _solve(draft: Draft, inner: Mapping[str, Draft]) -> tuple[Dataflow, list[str]]:
    """The variables of the notebook, and of those inside; the steps in their order."""
    cells = [*draft.shared, *(cell for step in draft.cells.values() for cell in step)]
    modules = imported_names(cells)
    shared = read_block(draft.shared, modules)
    blocks = {name: read_block(own, modules) for name, own in draft.cells.items()}
    returns = returned_pairs(cells)
    for name, block in blocks.items():
        block.pairs, block.rebound = shared_names(draft.cells[name], returns)
    children = {name: _solve(child, {})[0] for name, child in inner.items()}
    for name, child in children.items():
        diagnostics = [*child.diagnostics, *inner[name].diagnostics]
        raise_diagnostics(diagnostics)
    edges = dict(draft.edges)
    if children:
        edges |= _composition(draft, blocks, children, shared)
    names = [step.name for step in draft.outline.steps]
    dependencies: dict[str, list[str]] = {name: [] for name in names}
    for dependency, name in edges:
        dependencies[name].append(dependency)
    if cycle := find_cycle(dependencies):
        raise UserError(_cycle(cycle, edges))
    order = in_order(dependencies)
    units = [
        Unit(name, blocks.get(name) or Block(), before, children.get(name))
        for name, before in zip(order, _ancestors(order, dependencies), strict=True)
    ]
    parameters = {one.name: one for one in draft.parameters}
    flow = Dataflow(shared, parameters, modules)
    for number, unit in enumerate(units):
        if unit.inner is not None:
            unit.inner.outer = (flow, number)
    flow.solve(units)
    draft.edges.update(edges)
    if draft.is_root:
        flow.diagnostics += undefined_names(draft, flow)
        flow.diagnostics += place_metrics(draft, flow)
        for name, child_flow in children.items():
            flow.diagnostics += [*child_flow.diagnostics, *place_metrics(inner[name], child_flow)]
    return flow, order


def _composition(
    draft: Draft, blocks: Mapping[str, Block], children: Mapping[str, Dataflow], shared: Block
) -> dict[tuple[str, str], Label]:
    """The edges between the steps of a notebook with references: Kale's rules.

    A unit runs after each that gives it a variable, and steps run in the order in which they stand;
    two references with nothing between them may run side by side.
    """
    needs: dict[str, set[str]] = {}
    gives: dict[str, set[str]] = {}
    for step in draft.outline.steps:
        name = step.name
        if name in children:
            reads = children[name].open_reads()
            needs[name] = {one for one, read in reads.items() if read.sure}
            gives[name] = set(children[name].summary()[1]) - set(reads)
        else:
            reads = blocks[name].reads
            given = shared.bound | {one.name for one in draft.parameters}
            needs[name] = {one for one, read in reads.items() if read.sure} - given
            gives[name] = set(blocks[name].binds) - set(reads)
    edges: dict[tuple[str, str], Label] = {}
    steps = draft.outline.steps
    for position, step in enumerate(steps):
        for other in steps:
            if other.name != step.name and needs[step.name] & gives[other.name]:
                both = min(needs[step.name] & gives[other.name])
                if step.name in children or other.name in children:
                    at = cell_label(draft.notebook, step.cells[0], f"it uses `{both}`")
                    edges[other.name, step.name] = at
        for later in steps[position + 1 :]:
            if step.name in children and later.name in children:
                continue
            edges.setdefault(
                (step.name, later.name), cell_label(draft.notebook, later.cells[0], "it is below")
            )
    return edges


def _cycle(cycle: Sequence[str], edges: Mapping[tuple[str, str], Label]) -> Diagnostic:
    """The error for a cycle of which each step depends on the next."""
    labels = [
        edges[dependency, name].with_text(f"`{name}` depends on `{dependency}`")
        for name, dependency in pairwise(cycle)
    ]
    if len(labels) == 1:
        message = f"step `{cycle[0]}` depends on itself"
        return error("cycle", message, labels[0].with_text(""), help=f"remove `prev:{cycle[0]}`")
    message = f"steps depend on each other: {' -> '.join(cycle)}"
    return error("cycle", message, labels[0], also=labels[1:], help="remove one of these")


def _ancestors(order: Sequence[str], dependencies: Mapping[str, Iterable[str]]) -> list[int]:
    """For each step of *order* the positions of all steps that must run before it, as bits."""
    position = {name: number for number, name in enumerate(order)}
    found: list[int] = []
    for name in order:
        before = 0
        for number in (position[dependency] for dependency in dependencies[name]):
            before |= found[number] | 1 << number
        found.append(before)
    return found
