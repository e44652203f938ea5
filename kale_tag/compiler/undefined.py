"""Variables that nobody gives, and metrics: who computes them."""

from collections.abc import Iterator
from dataclasses import replace

from kale_tag.analysis import errors
from kale_tag.analysis.dataflow import Dataflow
from kale_tag.analysis.model import Read
from kale_tag.analysis.scope import local_names
from kale_tag.analysis.source import read_code
from kale_tag.analysis.units import Unit
from kale_tag.compiler.read import Draft
from kale_tag.diagnostics import Diagnostic, UserError, error, nearest


def undefined_names(draft: Draft, flow: Dataflow) -> Iterator[Diagnostic]:
    """What steps use and nobody gives them, each name once a step."""
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
    """A step that binds the name: the last one above, of those that do not wait for this one."""
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
    """Where a cell binds the name that no step runs, in words."""
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


def place_metrics(draft: Draft, flow: Dataflow) -> Iterator[Diagnostic]:
    """Gives each metric to the step that computes it: the last that binds or changes it."""
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
