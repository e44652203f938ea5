"""A step as producer and consumer of variables, and the functions its names may refer to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kale_tag.analysis.calls import Change
from kale_tag.analysis.model import Block, Body, Import, Spot, Value

if TYPE_CHECKING:
    from kale_tag.analysis.dataflow import Dataflow


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


@dataclass(slots=True, eq=False)
class Unit:
    """A step, or a reference to another notebook (*inner*), in an order in which they can run.

    *before* has the bits of the units that end before it starts. What is found out: *ins* maps a
    variable to the number of the unit that gives it, -1 for what comes from outside; *outs*,
    *parameters* and *metrics* are names, *carried* imports of other steps that it has to repeat,
    *used* all names that it needs, of whatever kind; *altered* are those whose objects it may
    change, *pairs* those that may share an object in its end.
    """

    name: str
    block: Block
    before: int
    inner: "Dataflow | None" = None
    changes: dict[str, Change] = field(default_factory=dict)
    binds: dict[str, Spot] = field(default_factory=dict)
    ins: dict[str, int] = field(default_factory=dict)
    outs: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    metrics: list[str] = field(default_factory=list)
    carried: dict[str, Import] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    sought: dict[str, bool] = field(default_factory=dict)
    ran: dict[Body, bool] = field(default_factory=dict)
    altered: set[str] = field(default_factory=set)
    pairs: dict[str, set[str]] = field(default_factory=dict)
    carriers: Carriers = field(init=False)

    def __post_init__(self) -> None:
        """The functions behind its names, as far as it binds them itself."""
        self.carriers = Carriers(self.block.values)


@dataclass(slots=True)
class Changers:
    """The units that change one variable, as bits: by how sure it is, and those that bind it.

    *inert*: to what calls cannot change, *importers*: by an import and nothing else.
    """

    at_least: dict[Change, int] = field(default_factory=lambda: dict.fromkeys(Change, 0))
    binders: int = 0
    inert: int = 0
    importers: int = 0
