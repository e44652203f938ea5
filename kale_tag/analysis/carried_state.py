"""Which step gives later steps the state of its process: as hidden variables, one a kind.

A step takes a kind from the last step above it that sets a state of that kind, or draws from a
seeded generator, and that ends before it starts. Where nothing is set, nothing is carried.
"""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kale_tag.analysis import errors
from kale_tag.analysis.dataflow import Dataflow, Unit
from kale_tag.analysis.heap import Certainty
from kale_tag.analysis.process_state import (
    KINDS,
    State,
    StateUse,
    in_words,
    is_attribute,
    kind_of,
    needed_for,
)
from kale_tag.diagnostics import Diagnostic
from kale_tag.kale.pipeline import STATE

if TYPE_CHECKING:
    from kale_tag.code.source import Spot

_NOTHING = StateUse()
_DOES = (
    ast.Call, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Subscript, ast.JoinedStr, ast.AugAssign,
    ast.Expr, ast.With, ast.For, ast.ClassDef,
)  # fmt: skip


def carry_states(flow: Dataflow) -> Iterator[Diagnostic]:
    """Let each step of a notebook, and of those that it refers to, take the states that it needs.

    Yields a warning for each state that is lost.
    """
    for one in (flow, *(unit.inner for unit in flow.units if unit.inner is not None)):
        states = StateFlow(one)
        states.carry()
        yield from states.lost()


class StateFlow:
    """The state of the process of one notebook."""

    def __init__(self, flow: Dataflow) -> None:
        """Find what each step sets and has, without yet carrying anything."""
        self.units = flow.units
        self.shared: set[State] = set()
        self.late: dict[State, int] = {}  # by state the first step below the last cell that sets it
        self.cells: dict[State, Spot] = {}  # where these cells set it
        for cell, events in zip(flow.shared, flow.by_cell, strict=True):
            made = {state for state, use in events.states.items() if use.sets}
            self.shared |= made
            if first := flow.first_below(cell.code.cell):
                self.late.update(dict.fromkeys(made, first))
                self.cells |= {state: events.states[state].set_at[0] for state in made}
        self.first: dict[State, int] = {}  # by state the first step that sets it
        self.made: list[set[State]] = [
            {state for state, use in unit.events.states.items() if use.sets and not unit.inner}
            for unit in self.units
        ]
        setters = [number for number, made in enumerate(self.made) if made]
        for number in reversed(setters):
            self.first.update(dict.fromkeys(self.made[number], number))
        self.above = [
            self.shared.union(*(self.made[one] for one in setters if unit.before >> one & 1))
            for unit in self.units
        ]
        self.changing: dict[State, tuple[int, int]] = {}  # by whom, set by whom, as bits
        for state in self.shared | self.first.keys():
            changing = sure = 0
            for number in range(len(self.units)):
                changing |= self.changes(number, state, Certainty.MAY) << number
                sure |= (self.use(number, state).sets is Certainty.SURE) << number
            self.changing[state] = changing, sure
        self.producers: dict[str, list[int | None]] = {}
        self.chains: dict[str, list[int]] = {}  # the producer, its own, and so on, as bits
        for kind in KINDS:
            changing = sum(
                1 << number
                for number in range(len(self.units))
                if any(
                    self.changes(number, state, Certainty.GUESS) for state in self.has(number, kind)
                )
            )
            found = [(unit.before & changing).bit_length() - 1 for unit in self.units]
            self.producers[kind] = [None if one < 0 else one for one in found]
            chains = self.chains[kind] = []
            for one in found:
                chains.append(0 if one < 0 else chains[one] | 1 << one)

    def use(self, number: int, state: State) -> StateUse:
        """What a unit does with a state."""
        unit = self.units[number]
        return _NOTHING if unit.inner else unit.events.states.get(state, _NOTHING)

    def has(self, number: int, kind: str) -> set[State]:
        """The states of a kind that are set where the unit ends."""
        return {one for one in self.above[number] | self.made[number] if kind_of(one) == kind}

    def changes(self, number: int, state: State, least: Certainty) -> bool:
        """Whether the unit sets a state, or draws from a generator."""
        use = self.use(number, state)
        return use.sets >= least or (kind_of(state) == "random" and use.uses >= least)

    def carry(self) -> None:
        """Let each step take what it needs from its producer, and those what they pass on."""
        wanted: set[tuple[int, str]] = set()
        for number in reversed(range(len(self.units))):
            unit = self.units[number]
            for kind in KINDS:
                producer = self.producers[kind][number]
                if unit.inner or producer is None:
                    continue
                held = self.has(producer, kind)
                taken = {one for one in held if not self._renewed(number, one, producer)}
                rest = {one for one in taken if self.use(number, one).sets is not Certainty.SURE}
                passes = (number, kind) in wanted and rest
                if taken and (passes or self._needs(number, kind, taken)):
                    name = STATE + kind
                    unit.ins[name] = producer
                    unit.renewed += sorted(held - taken)
                    source = self.units[producer]
                    source.outs.add(name)
                    source.states[kind] = sorted(held)
                    wanted.add((producer, kind))

    def _needs(self, number: int, kind: str, taken: set[State]) -> bool:
        if kind == "random":
            return any(self.use(number, state).uses for state in taken)
        return _does_much(self.units[number])

    def _renewed(self, number: int, state: State, producer: int) -> bool:
        """Whether a shared cell between the two units sets the state."""
        return state in self.late and producer < self.late[state] <= number

    def lost(self) -> Iterator[Diagnostic]:
        """A warning for each state on which steps depend, and whose last change is lost to them."""
        found: dict[tuple[int, str], tuple[StateUse, State, dict[str, None]]] = {}
        for number, unit in enumerate(self.units):
            for state, use in unit.events.states.items() if not unit.inner else ():
                if use.uses >= Certainty.MAY and (by := self._lost(number, state)) is not None:
                    new = StateUse(), state, dict[str, None]()
                    made, _, users = found.setdefault((by, in_words(state)), new)
                    made.add(self.use(by, state))
                    users[unit.name] = None
        for state, first in sorted(self.late.items()):
            uses = {self.units[one].name: self.use(one, state) for one in range(first)}
            above = [name for name, use in uses.items() if use.sets or use.uses >= Certainty.MAY]
            if above:
                yield errors.late_state(in_words(state), self.cells[state], above)
        for (by, _), (use, state, users) in sorted(found.items(), key=lambda one: one[0]):
            yield errors.lost_state(state, self.units[by].name, use, [*users])

    def _lost(self, number: int, state: State) -> int | None:
        """The last unit above that changes a state, and whose change does not arrive."""
        kind = kind_of(state)
        shared = state in self.shared
        needed = needed_for(state)
        if needed and needed not in self.shared | self.first.keys():
            return None
        if number <= self.first.get(state, number) and not (kind and shared):
            return None
        if shared and not kind and not is_attribute(state):
            return None
        there = self.chains[kind][number] if kind else 0
        above = (1 << number) - 1
        changing, sure = self.changing[state]
        start = (sure & there & above).bit_length()  # what is above does not matter
        if self.late.get(state, number + 1) <= number:
            start = max(start, self.late[state])
        last = (changing & above & ~there).bit_length() - 1
        return last if last >= start else None


def _does_much(unit: Unit) -> bool:
    """Whether the unit does more than name things: it may depend on any option."""
    return any(isinstance(node, _DOES) for cell in unit.cells for node in ast.walk(cell.tree))
