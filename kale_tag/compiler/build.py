"""A tagged notebook to a `Pipeline`: the semantics of Kale 2.3, or a clear refusal.

It differs from Kale in four places: the producer of a variable is the step that binds it, tags on
later cells of a step count, a step takes only the parameters that it uses, and what would fail in
the container is refused here.
"""

import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from kale_tag.analysis import errors
from kale_tag.analysis.dataflow import Dataflow
from kale_tag.analysis.flow import imported_names, read_block
from kale_tag.analysis.model import Block, Read
from kale_tag.analysis.scope import local_names
from kale_tag.analysis.sharing import returned_pairs, shared_names
from kale_tag.analysis.source import read_code
from kale_tag.analysis.units import Unit
from kale_tag.compiler.assemble import PipelineBuilder
from kale_tag.compiler.read import Draft, read_draft
from kale_tag.compiler.settings import raise_diagnostics
from kale_tag.diagnostics import Diagnostic, Label, UserError, error, nearest
from kale_tag.kale.outline import find_cycle, in_order
from kale_tag.kale.pipeline import Pipeline
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import cell_label

Load = Callable[[str, Label], Notebook]


@dataclass(frozen=True, slots=True)
class BuildResult:
    """A pipeline, and the analysis of the notebook that it was built from."""

    pipeline: Pipeline
    draft: Draft  # the cells of the notebook
    flow: Dataflow  # its variables
    inner: Mapping[str, Draft]  # the notebooks that it refers to, by the names of the references


def build_pipeline(
    notebook: Notebook,
    options: CompileOptions,
    load: Load,
    local: Collection[str] = (),
    *,
    but: Collection[str] = (),
) -> Pipeline:
    """The pipeline of *notebook*; see `build`. What `check` calls an error is a warning here."""
    pipeline = build(notebook, options, load, local, but=but).pipeline
    warnings = tuple(replace(one, severity="warning") for one in pipeline.warnings)
    return replace(pipeline, warnings=warnings)


def build(
    notebook: Notebook,
    options: CompileOptions,
    load: Load,
    local: Collection[str] = (),
    *,
    but: Collection[str] = (),
) -> BuildResult:
    """The pipeline of *notebook*, with the analysis behind it.

    *load* reads the notebook of a path (relative to the same folder as the name of *notebook*) and
    gets the place of that path for its errors. *local* are the names of modules beside the
    notebook. Raises `UserError` with all errors, but for those whose codes are in *but*.
    """
    draft = read_draft(notebook, options)
    inner, diagnostics = _referenced(draft, options, load)
    diagnostics = [*draft.diagnostics, *diagnostics]
    raise_diagnostics([diagnostic for diagnostic in diagnostics if diagnostic.code not in but])
    flow, order = _solve(draft, inner)
    raise_diagnostics(sorted(flow.diagnostics, key=_position))
    pipeline = PipelineBuilder(draft, flow, order, options, local, inner).pipeline()
    return BuildResult(pipeline, draft, flow, inner)


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
            message = f"`notebook:{step.name}` refers to the notebook that it is in"
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
                f"`notebook:{step.name}` is in a notebook that is itself referred to, as "
                f"`notebook:{name}`; Kale allows one level",
                child.tagged.step(child.tagged.starts[step.name]),
                help="refer to both from the outermost notebook",
            )


def _solve(draft: Draft, inner: Mapping[str, Draft]) -> tuple[Dataflow, list[str]]:
    """The variables of the notebook and of those inside it; and the order of the steps."""
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
        flow.diagnostics += _undefined_names(draft, flow)
        flow.diagnostics += _place_metrics(draft, flow)
        for name, child_flow in children.items():
            flow.diagnostics += [*child_flow.diagnostics, *_place_metrics(inner[name], child_flow)]
    return flow, order


def _composition(
    draft: Draft, blocks: Mapping[str, Block], children: Mapping[str, Dataflow], shared: Block
) -> dict[tuple[str, str], Label]:
    """The edges between the steps of a notebook with references: Kale's rules.

    A unit runs after each unit that produces one of its variables, and steps run in the order of
    the notebook; two references that do not depend on each other may run in parallel.
    """
    needs: dict[str, set[str]] = {}
    defines: dict[str, set[str]] = {}
    for step in draft.outline.steps:
        name = step.name
        if name in children:
            reads = children[name].open_reads()
            needs[name] = {one for one, read in reads.items() if read.sure}
            defines[name] = set(children[name].summary()[1]) - set(reads)
        else:
            reads = blocks[name].reads
            given = shared.bound | {one.name for one in draft.parameters}
            needs[name] = {one for one, read in reads.items() if read.sure} - given
            defines[name] = set(blocks[name].binds) - set(reads)
    edges: dict[tuple[str, str], Label] = {}
    steps = draft.outline.steps
    for position, step in enumerate(steps):
        for other in steps:
            if other.name != step.name and needs[step.name] & defines[other.name]:
                both = min(needs[step.name] & defines[other.name])
                if step.name in children or other.name in children:
                    at = cell_label(draft.notebook, step.cells[0], f"it uses `{both}`")
                    edges[other.name, step.name] = at
        for later in steps[position + 1 :]:
            if step.name in children and later.name in children:
                continue
            edges.setdefault(
                (step.name, later.name),
                cell_label(draft.notebook, later.cells[0], "it is further down"),
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


def _undefined_names(draft: Draft, flow: Dataflow) -> Iterator[Diagnostic]:
    """Names that steps use and no step before them defines, each once a step."""
    known = sorted({name for unit in flow.units for name in unit.binds} | set(flow.parameters))
    seen = set()
    for name, sought in flow.free.items():
        for number, read, through in sought:
            unit = flow.units[number]
            if not read.sure or (number, name) in seen or _bound_by_call(unit, name):
                continue
            seen.add((number, name))
            step, function = _inner_step(unit, name, through)
            diagnostic = errors.undefined(
                name, step, read, function, _binder(draft, flow, number, name)
            )
            if not diagnostic.notes:
                note = _not_run(read.spot.cell.notebook == draft.notebook.name, draft, name)
                near = nearest(name, known)
                hint = f"did you mean `{near}`?" if near else diagnostic.help
                hint = "tag that cell as a part of a step" if note else hint
                diagnostic = replace(diagnostic, notes=(note,) if note else (), help=hint)
            yield diagnostic


def _bound_by_call(unit: Unit, name: str) -> bool:
    """Whether a function that the step calls binds the name, by `global`."""
    return name in unit.binds and name not in unit.block.binds


def _inner_step(unit: Unit, name: str, through: str) -> tuple[str, str]:
    if unit.inner is None:
        return unit.name, through
    number, _, function = next(one for one in unit.inner.free[name] if one[1].sure)
    return unit.inner.units[number].name, function


def _binder(draft: Draft, flow: Dataflow, number: int, name: str) -> errors.Binder | None:
    """A step that binds the name: the last one above that does not depend on this one."""
    position = {step.name: at for at, step in enumerate(draft.outline.steps)}
    own = position[flow.units[number].name]
    found: list[tuple[int, int, errors.Binder]] = []
    for at, unit in enumerate(flow.units):
        if at == number or name not in unit.binds:
            continue
        place = position[unit.name]
        if unit.before >> number & 1:
            rank, relation = 0, "after"
        elif place > own:
            rank, relation = 1, "below"
        else:
            rank, relation = 2, "before"
        if flow.units[number].inner or unit.inner:
            relation = "inside"
        order = place if place < own else -place
        found.append((rank, order, errors.Binder(unit.name, unit.binds[name], relation)))
    return max(found, key=lambda one: one[:2])[2] if found else None


def _not_run(here: bool, draft: Draft, name: str) -> str:  # noqa: FBT001  one of two notebooks
    """A note on a cell that binds the name, but belongs to no step."""
    skipped = draft.outline.shared.get("skip", ())
    for cell in (*skipped, *draft.outline.dropped) if here else ():
        try:
            tree = read_code(draft.notebook.name, cell, draft.notebook.source(cell)).tree
        except UserError:
            continue
        bound = {one for node in tree.body for one in local_names(node)[1]}
        if name in bound:
            why = "is tagged `skip`" if cell in skipped else "belongs to no step"
            return f"cell {cell} defines `{name}`, but it {why}"
    return ""


def _place_metrics(draft: Draft, flow: Dataflow) -> Iterator[Diagnostic]:
    """Adds each metric to the step that computes it: the last that binds or changes it."""
    for name, spot in draft.metrics.items():
        before = len(flow.diagnostics)
        number = flow.end_producer(name, Read(spot, True))
        if len(flow.diagnostics) > before:
            continue
        if number is not None:
            while (unit := flow.units[number]).inner is not None:
                unit.inner.give_out(name)
                inner = unit.inner.end_producer(name)
                assert inner is not None, "a notebook inside that gives it has a step that does"
                flow, number = unit.inner, inner
            flow.give_at_end(number, name)
            unit.metrics.append(name)
        elif name in flow.parameters or name in flow.shared.bound:
            users = [unit for unit in flow.units if name in unit.parameters and not unit.inner]
            steps = users or [unit for unit in flow.units if unit.inner is None]
            if steps:
                steps[0].metrics.append(name)
                steps[0].used.add(name)
                if name in flow.parameters:
                    steps[0].parameters.add(name)
        else:
            known = sorted({one for unit in flow.units for one in unit.binds})
            near = nearest(name, known)
            yield error(
                "unknown-metric",
                f"no step computes `{name}`, which `pipeline-metrics` prints",
                spot.label(),
                help=f"did you mean `{near}`?" if near else f"bind `{name}` in a step",
            )
