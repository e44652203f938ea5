"""What the values that a step takes are made with: modules and classes that it needs to read them."""

from kale_tag.pipeline.dataflow import Dataflow, Unit


def made_with(flow: Dataflow, number: int) -> set[str]:
    """The names, of whatever kind, that stand in the code that made what the unit takes."""
    found: set[str] = set()
    seen: set[tuple[int, str]] = set()
    todo = [(giver, name) for name, giver in flow.units[number].ins.items() if giver >= 0]
    while todo:
        at, name = todo.pop()
        if (at, name) in seen:
            continue
        seen.add((at, name))
        unit = flow.units[at]
        value = unit.block.values.get(name)
        names = unit.used if value is None and name in unit.binds else set()
        if value is not None:
            names = names | value.mentions
        found |= names | {name}
        todo += [(at, one) for one in names if one in unit.block.values]
        todo += [(unit.ins[one], one) for one in {name, *names} if unit.ins.get(one, -1) >= 0]
    return found


def may_hold_values_of(flow: Dataflow, unit: Unit, other: Unit) -> bool:
    """Whether *unit* may hold values that *other* has made."""
    return bool(unit.before >> flow.units.index(other) & 1)


def gives_code(flow: Dataflow, unit: Unit) -> bool:
    """Whether the unit gives or takes functions or classes that a step defines."""
    number = flow.units.index(unit)
    shared = {body for value in flow.shared.values.values() for body in value.bodies}
    crossing = unit.outs | unit.ins.keys()
    return any(set(flow.bodies(number, name)) - shared for name in crossing)
