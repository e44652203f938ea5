"""Whoever may change an object may change it under the other names that it has, too."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from kale_tag.analysis.calls import Change
from kale_tag.analysis.model import Block, Read
from kale_tag.analysis.sharing import link

if TYPE_CHECKING:
    from kale_tag.analysis.dataflow import Dataflow


def alter_together(flow: "Dataflow", number: int) -> None:
    """Let the unit that changes an object change all the variables that share it where it starts.

    The step that lets them share it, and each that changes it, gives all of them.
    """
    unit = flow.units[number]
    todo, done = sorted(unit.altered & unit.ins.keys() & flow.sharers.keys()), set()
    producers, links = {number}, []
    while todo:
        name = todo.pop()
        if name in done:
            continue
        done.add(name)
        for earlier, other in _shared_with(flow, number, name):
            todo.append(other)
            producers.add(earlier)
            links.append((name, other))
    # Whichever of them is the last to give one of these gives all, or they would be apart.
    for who in sorted(producers) if links else ():
        for name in sorted(done):
            _may_change(flow, who, name)
        for name, other in links:
            link(flow.units[who].pairs, name, other)
    for name in sorted(done & unit.ins.keys()):
        spot = flow.where(number, name)
        if spot is not None:
            del unit.ins[name], unit.sought[name]
            flow.need(number, name, Read(spot, False), "")


def _shared_with(flow: "Dataflow", number: int, name: str) -> Iterator[tuple[int, str]]:
    """The variables that share an object with *name* where the unit starts, and since when."""
    before = flow.units[number].before
    for earlier in flow.sharers.get(name, ()):
        if before >> earlier & 1 and _lasts(flow, earlier, number, name):
            for other in sorted(flow.units[earlier].block.pairs.get(name, ())):
                if other in flow.wanted and _lasts(flow, earlier, number, other):
                    yield earlier, other


def wanted_names(blocks: Iterable[Block]) -> set[str]:
    """Every name that *blocks* take from others, and their functions."""
    found: set[str] = set()
    for block in blocks:
        found |= block.reads.keys()
        for bodies in (*block.functions.values(), *block.methods.values()):
            for body in bodies:
                found |= body.reads.keys()
    return found


def note_sharer(flow: "Dataflow", number: int) -> None:
    """The unit lets variables share objects, of which two at least are used elsewhere."""
    unit = flow.units[number]
    for name in unit.block.rebound:
        flow.rebinders[name] = flow.rebinders.get(name, 0) | 1 << number
    for name, others in unit.block.pairs.items():
        if name in flow.wanted and others & flow.wanted:
            flow.sharers.setdefault(name, []).append(number)
            for other in others & flow.wanted:
                link(unit.pairs, name, other)


def _lasts(flow: "Dataflow", earlier: int, number: int, name: str) -> bool:
    """Whether no unit between the two binds *name* anew."""
    return (
        not flow.rebinders.get(name, 0)
        & flow.units[number].before
        & ~(flow.units[earlier].before | 1 << earlier)
    )


def _may_change(flow: "Dataflow", number: int, name: str) -> None:
    unit = flow.units[number]
    if not unit.changes.get(name):
        unit.changes[name] = Change.MAYBE
        flow.note_change(number, unit, name, Change.MAYBE)
    if flow.where(number, name) is None:
        reads = unit.block.reads
        read = reads.get(name) or next(iter(reads.values()), None)
        if read is not None:
            unit.block.touches[name] = read.spot
