"""Variables that nobody gives, and metrics: who computes them."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic, error, nearest
from kale_tag.pipeline import dataflow_faults as faults
from kale_tag.pipeline.dataflow import Dataflow, Unit
from kale_tag.pipeline.facts import Read, Spot
from kale_tag.pipeline.reading import Draft


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
            step, through = _inner_step(unit, name, through)
            binder = _binder(draft, flow, number, name)
            yield faults.undefined(name, step, read, through, binder, known)


def _bound_by_call(unit: Unit, name: str) -> bool:
    """Whether a function that the step calls binds the name, by `global`."""
    return name in unit.binds and name not in unit.block.binds


def _inner_step(unit: Unit, name: str, through: str) -> tuple[str, str]:
    if unit.inner is None:
        return unit.name, through
    number, _, through = next(one for one in unit.inner.free[name] if one[1].sure)
    return unit.inner.units[number].name, through


def _binder(draft: Draft, flow: Dataflow, number: int, name: str) -> tuple[str, Spot, bool] | None:
    """A step that binds the name: the last one above, of those that do not wait for this one."""
    position = {step.name: at for at, step in enumerate(draft.outline.steps)}
    own = position[flow.units[number].name]
    found: list[tuple[bool, int, str, Spot]] = []
    for at, unit in enumerate(flow.units):
        if at == number or name not in unit.binds:
            continue
        after = bool(unit.before >> number & 1)
        place = position[unit.name]
        found.append((not after, place if place < own else -place, unit.name, unit.binds[name]))
    if not found:
        return None
    possible, place, step, spot = max(found, key=lambda one: one[:2])
    return step, spot, possible and place >= 0 and draft.is_root


def place_metrics(draft: Draft, flow: Dataflow) -> Iterator[Diagnostic]:
    """Gives each metric to the step that computes it: the last that binds or changes it."""
    for name, spot in draft.metrics.items():
        before = len(flow.faults)
        number = flow.end_giver(name, Read(spot, True))
        if len(flow.faults) > before:
            continue
        if number is not None:
            while (unit := flow.units[number]).inner is not None:
                unit.inner.give_out(name)
                inner = unit.inner.end_giver(name)
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
