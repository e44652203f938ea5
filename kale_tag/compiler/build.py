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
from kale_tag.analysis.carried_state import carry_states
from kale_tag.analysis.dataflow import Dataflow, Unit
from kale_tag.analysis.module_state import OwnModules
from kale_tag.analysis.slices import parts_of
from kale_tag.code.facts import imported_names, read_facts
from kale_tag.code.local_modules import LocalCode
from kale_tag.code.source import Runs, read_code
from kale_tag.compiler.assemble import PipelineBuilder
from kale_tag.compiler.read import Draft, read_draft
from kale_tag.diagnostics import Diagnostic, Label, UserError, did_you_mean, error, nearest
from kale_tag.kale.checks import cycle_message
from kale_tag.kale.outline import find_cycle, in_order
from kale_tag.kale.pipeline import Pipeline
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import cell_label

Load = Callable[[str, Label], Notebook]

NO_LOCAL_CODE = LocalCode()


def no_runs(_: Notebook) -> Runs:
    """No file that `%run` names is known."""
    return {}


@dataclass(frozen=True, slots=True)
class BuildResult:
    """A pipeline, and the analysis of the notebook that it was built from."""

    pipeline: Pipeline
    draft: Draft  # the cells of the notebook
    flow: Dataflow  # its variables
    inner: Mapping[str, Draft]  # the notebooks that it refers to, by the names of the references


def build(  # noqa: PLR0913  all that a pipeline is built from
    notebook: Notebook,
    options: CompileOptions,
    load: Load,
    local: LocalCode = NO_LOCAL_CODE,
    *,
    runs: Callable[[Notebook], Runs] = no_runs,
    but: Collection[str] = (),
) -> BuildResult:
    """The pipeline of *notebook*, with the analysis behind it.

    *load* reads the notebook of a path (relative to the same folder as the name of *notebook*) and
    gets the place of that path for its errors. *local* is the code beside the
    notebook. *runs* reads the files that `%run` in a notebook names. Raises `UserError` with all
    errors, but for those whose codes are in *but*.
    """
    draft = read_draft(notebook, options, runs(notebook))
    inner, diagnostics = _referenced(draft, options, load, runs)
    wrong = [one for one in (*draft.diagnostics, *diagnostics) if one.code not in but]
    steps = draft.outline.steps
    if wrong and (draft.unread or not steps or any(one.notebook is not None for one in steps)):
        raise UserError(*wrong)  # some code is not known
    flow, order = _solve(draft, inner, OwnModules(local))
    found = sorted(flow.diagnostics, key=_position)
    if wrong or any(one.severity == "error" and one.code not in but for one in found):
        raise UserError(*wrong, *found)
    pipeline = PipelineBuilder(draft, flow, order, options, local, inner).pipeline()
    warnings = (*pipeline.warnings, *(one for one in found if one.severity == "warning"))
    return BuildResult(replace(pipeline, warnings=warnings), draft, flow, inner)


def _position(diagnostic: Diagnostic) -> tuple[str, int, int]:
    first = diagnostic.labels[0]
    start = first.span.start if first.span else 0
    return (first.source.name, first.source.cell or 0, start)


def _referenced(
    draft: Draft, options: CompileOptions, load: Load, runs: Callable[[Notebook], Runs]
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
            other = load(path, at)
            child = read_draft(other, options, runs(other), step.name.replace("_", "-"))
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


def _solve(draft: Draft, inner: Mapping[str, Draft], own: OwnModules) -> tuple[Dataflow, list[str]]:
    """The variables of the notebook and of those inside it; and the order of the steps."""
    names = [step.name for step in draft.outline.steps]
    draft.order_as_written()
    children = {
        name: _flow(child, *_order(child, child.edges), {}) for name, child in inner.items()
    }
    edges = dict(draft.edges)
    if children:
        first = _flow(draft, names, [0] * len(names), children)
        first.run_in(first.run)
        edges |= _composition(draft, first)
        children = {
            name: _flow(child, *_order(child, child.edges), {}) for name, child in inner.items()
        }
    order, before = _order(draft, edges)
    flow = _flow(draft, order, before, children)
    flow.metrics = list(draft.metrics)
    for name, child in children.items():
        child.metrics = list(inner[name].metrics)
    flow.analyse(own)
    flow.diagnostics += carry_states(flow)
    draft.edges.update(edges)
    flow.diagnostics += _undefined_names(draft, flow)
    flow.diagnostics += _place_metrics(draft, flow)
    for name, child in children.items():
        flow.diagnostics += _place_metrics(inner[name], child)
    return flow, order


def _order(draft: Draft, edges: Mapping[tuple[str, str], Label]) -> tuple[list[str], list[int]]:
    """The steps in an order in which they can run, and for each those that end before it."""
    dependencies: dict[str, list[str]] = {step.name: [] for step in draft.outline.steps}
    for dependency, name in edges:
        dependencies[name].append(dependency)
    if cycle := find_cycle(dependencies):
        raise UserError(_cycle(cycle, edges))
    order = in_order(dependencies)
    return order, _ancestors(order, dependencies)


def _flow(
    draft: Draft, order: Sequence[str], before: Sequence[int], children: Mapping[str, Dataflow]
) -> Dataflow:
    """The variables of one notebook, whose steps are not run yet."""
    cells = [*draft.shared, *(cell for step in draft.cells.values() for cell in step)]
    units = [
        Unit(name, draft.cells.get(name, []), bits, children.get(name))
        for name, bits in zip(order, before, strict=True)
    ]
    parameters = {one.name: one for one in draft.parameters}
    at_once: dict[str, set[str]] = {}
    for part in parts_of(draft.shared):
        for name in part.at_once:
            at_once.setdefault(name, set()).update(part.names)
    return Dataflow(draft.shared, parameters, imported_names(cells), units, at_once)


def _composition(draft: Draft, flow: Dataflow) -> dict[tuple[str, str], Label]:
    """The edges between the steps of a notebook with references: Kale's rules.

    A unit runs after each unit that produces one of its variables, and steps run in the order of
    the notebook; two references that do not depend on each other may run in parallel.
    """
    needs: dict[str, set[str]] = {}
    defines: dict[str, set[str]] = {}
    given = flow.given.keys() | flow.parameters.keys()
    for unit in flow.units:
        uses = unit.events.uses
        needs[unit.name] = {name for name, read in uses.items() if read.sure} - given
        defines[unit.name] = unit.events.binds.keys() - uses.keys()
    references = {unit.name for unit in flow.units if unit.inner is not None}
    edges: dict[tuple[str, str], Label] = {}
    steps = draft.outline.steps
    for position, step in enumerate(steps):
        for other in steps:
            if other.name != step.name and needs[step.name] & defines[other.name]:
                both = min(needs[step.name] & defines[other.name])
                if step.name in references or other.name in references:
                    at = cell_label(draft.notebook, step.cells[0], f"it uses `{both}`")
                    edges[other.name, step.name] = at
        for later in steps[position + 1 :]:
            if step.name in references and later.name in references:
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
    message = cycle_message(cycle[:-1])
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
    bound = {name for unit in flow.units for name in unit.events.binds}
    known = sorted(bound | flow.parameters.keys())
    seen = set()
    for name, sought in sorted(flow.free.items()):
        for number, read in sorted(sought, key=lambda one: one[0]):
            unit = flow.units[number]
            perhaps = name in unit.events.binds and not read.certain  # on another way
            if not read.sure or (number, name) in seen or perhaps:
                continue
            seen.add((number, name))
            step, function = _inner_step(unit, name, read.through)
            binder = _binder(draft, flow, number, name)
            if draft.diagnostics and binder is not None:
                continue  # `prev` is not known
            diagnostic = errors.undefined(name, step, read, function, binder)
            if not diagnostic.notes:
                note = _not_run(read.spot.cell.notebook == draft.notebook.name, draft, name)
                if note and draft.diagnostics:
                    continue  # its tags are wrong
                near = nearest(name, known)
                hint = f"did you mean `{near}`? If not, " * bool(near) + diagnostic.help
                if name in known:
                    hint = f"move this below the line of the step that defines `{name}`"
                hint = "tag that cell as a part of a step" if note else hint
                diagnostic = replace(diagnostic, notes=(note,) if note else (), help=hint)
            yield diagnostic


def _inner_step(unit: Unit, name: str, through: str) -> tuple[str, str]:
    """The step, perhaps of a notebook that is referred to, and the function that uses the name."""
    for number, read in unit.inner.free.get(name, ()) if unit.inner is not None else ():
        if read.sure:
            assert unit.inner is not None
            return unit.inner.units[number].name, read.through
    return unit.name, through


def _binder(draft: Draft, flow: Dataflow, number: int, name: str) -> errors.Binder | None:
    """A step that binds the name: the last one above that does not depend on this one."""
    position = {step.name: at for at, step in enumerate(draft.outline.steps)}
    own = position[flow.units[number].name]
    found: list[tuple[int, int, errors.Binder]] = []
    for at, unit in enumerate(flow.units):
        if at == number or name not in unit.events.binds:
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
        found.append((rank, order, errors.Binder(unit.name, unit.events.binds[name], relation)))
    return max(found, key=lambda one: one[:2])[2] if found else None


def _not_run(here: bool, draft: Draft, name: str) -> str:  # noqa: FBT001  one of two notebooks
    """A note on a cell that binds the name, but belongs to no step."""
    skipped = draft.outline.shared.get("skip", ())
    for cell in (*skipped, *draft.outline.dropped) if here else ():
        try:
            facts = read_facts([read_code(draft.notebook.name, cell, draft.notebook.source(cell))])
        except UserError:
            continue
        if name in facts.bound or name in facts.imports:
            why = "is tagged `skip`" if cell in skipped else "belongs to no step"
            return f"cell {cell} defines `{name}`, but it {why}"
    return ""


def _place_metrics(draft: Draft, flow: Dataflow) -> Iterator[Diagnostic]:
    """Gives each metric that no step computes to one that has it: of a parameter, or shared."""
    for name, spot in draft.metrics.items():
        if flow.end_producer(name) is not None:
            continue
        if name in flow.parameters or name in flow.given:
            users = [unit for unit in flow.units if name in unit.parameters and not unit.inner]
            steps = users or [unit for unit in flow.units if unit.inner is None]
            if steps:
                steps[0].metrics.append(name)
                steps[0].events.used.add(name)
                if name in flow.parameters:
                    steps[0].parameters.add(name)
        else:
            known = sorted({one for unit in flow.units for one in unit.events.binds})
            yield error(
                "unknown-metric",
                f"no step computes `{name}`, which `pipeline-metrics` prints",
                spot.label(),
                help=did_you_mean(name, known, f"bind `{name}` in a step"),
            )
