"""Which functions and classes may be behind each name of a step, so that using it may run them."""

from collections.abc import Iterable, Mapping

from kale_tag.analysis.model import Body, Value

Node = tuple[str, bool]
"""A name, and whether its value is meant (False) or what a call of it gives back (True)."""


class Carriers:
    """The functions behind the names of one step; grows as more of its inputs become known."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        """Start with what the step itself binds."""
        self.found: dict[Node, dict[Body, None]] = {}
        self.flows: dict[Node, dict[Node, None]] = {}
        self.wanted: set[str] = set()
        self.todo: list[tuple[Node, Iterable[Body]]] = []
        for name, value in values.items():
            self._feed((name, False), value)
        self._spread()

    def bodies(self, name: str) -> Iterable[Body]:
        """The functions that may be behind *name*."""
        return self.found.get((name, False), ())

    def add(self, name: str, bodies: Iterable[Body]) -> None:
        """*name* may be one of *bodies*, too."""
        self.todo.append(((name, False), list(bodies)))
        self._spread()

    def hold(self, name: str, value: Value) -> None:
        """*name* may be, or hold, what *value* is."""
        self._feed((name, False), value)
        self._spread()

    def _feed(self, node: Node, value: Value) -> None:
        self.todo.append((node, value.bodies))
        for name in sorted(value.aliases):
            self._link((name, False), node)
        for name in sorted(value.called):
            self._want(name)
            self._link((name, True), node)

    def _link(self, source: Node, target: Node) -> None:
        targets = self.flows.setdefault(source, {})
        if target not in targets:
            targets[target] = None
            self.todo.append((target, list(self.found.get(source, ()))))

    def _want(self, name: str) -> None:
        """What calls of *name* give back is asked for."""
        if name not in self.wanted:
            self.wanted.add(name)
            for body in list(self.found.get((name, False), ())):
                self._feed((name, True), body.returns)

    def _spread(self) -> None:
        while self.todo:
            node, bodies = self.todo.pop()
            known = self.found.setdefault(node, {})
            new = [body for body in bodies if body not in known]
            if not new:
                continue
            known.update(dict.fromkeys(new))
            name, result = node
            if not result and name in self.wanted:
                for body in new:
                    self._feed((name, True), body.returns)
            for target in self.flows.get(node, ()):
                self.todo.append((target, new))
