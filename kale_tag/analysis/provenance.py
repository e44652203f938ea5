"""What the values that a step takes are made with: the modules it needs to read them."""

from kale_tag.analysis.dataflow import Dataflow


class Provenance:
    """The modules and shared definitions that stand in the code that made each variable."""

    def __init__(self, flow: Dataflow) -> None:
        """Start with nothing looked up."""
        self.flow = flow
        shared = flow.shared
        self.wanted = flow.modules.keys() | shared.bound | shared.maybe
        self.known: dict[tuple[int, str], frozenset[str]] = {}

    def of_inputs(self, number: int) -> set[str]:
        """What the unit of that number needs to read what it takes."""
        found: set[str] = set()
        for name, producer in self.flow.units[number].ins.items():
            if producer >= 0:
                found |= self._of(producer, name)
        return found

    def _of(self, number: int, name: str) -> frozenset[str]:
        key = (number, name)
        if key not in self.known:
            self._settle(key)
        return self.known[key]

    def _settle(self, first: tuple[int, str]) -> None:
        # A stack of our own: a chain of steps may be longer than Python's.
        todo = [first]
        while todo:
            number, name = todo[-1]
            own, before = self._in_unit(number, name)
            if waiting := [key for key in before if key not in self.known]:
                todo += waiting
                continue
            self.known[todo.pop()] = frozenset(own.union(*(self.known[key] for key in before)))

    def _in_unit(self, number: int, name: str) -> tuple[set[str], list[tuple[int, str]]]:
        """What one unit makes a variable with: names, and variables that it takes."""
        unit = self.flow.units[number]
        seen, todo = {name}, [name]
        while todo:
            one = todo.pop()
            value = unit.block.values.get(one)
            more = unit.used if value is None and one in unit.binds else set()
            more = (more if value is None else more | value.mentions) - seen
            seen |= more
            todo += more
        before = [(unit.ins[one], one) for one in sorted(seen) if unit.ins.get(one, -1) >= 0]
        return {one for one in seen if one in self.wanted}, before


def gives_code(flow: Dataflow, number: int) -> bool:
    """Whether the unit gives or takes functions or classes that a step defines."""
    unit = flow.units[number]
    crossing = unit.outs | unit.ins.keys()
    found = {body for name in crossing for body in flow.bodies(number, name)}
    return any(body not in flow.shared_bodies for body in found)
