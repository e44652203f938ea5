"""Which step produces each variable that a step uses: reaching definitions over the graph of steps.

The abstract run goes over the whole notebook in its own order. What a step sees of a variable is
what the notebook has there, so its producer is the last step that defines it: binds it, or may
mutate an object that it reaches. `prev` says whether that step can deliver.

Variables that reach a common object are one class if the step or a later one mutates that object or
looks at its identity. A class comes from one step, in one file.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from kale_tag.analysis import errors
from kale_tag.analysis.heap import EMPTY, Certainty, Heap, Obj, Points, Sight, is_fixed
from kale_tag.analysis.interpreter import Interpreter
from kale_tag.analysis.machine import BUILTINS, PROVIDED, Events
from kale_tag.analysis.names import Names, Read
from kale_tag.analysis.process_state import Modules, State
from kale_tag.code.facts import Facts, Import, read_facts
from kale_tag.code.source import Parsed, Spot
from kale_tag.code.syntax import names_in
from kale_tag.kale.pipeline import Parameter

if TYPE_CHECKING:
    from kale_tag.diagnostics import Diagnostic

OUTSIDE = -1
"""The producer of what a shared cell, a parameter or the notebook around gives."""


@dataclass(slots=True, eq=False)
class Unit:
    """A step, or a reference to another notebook, in an order in which they can run."""

    name: str
    cells: Sequence[Parsed]
    before: int  # the units that end before it starts, as bits
    inner: "Dataflow | None" = None  # the notebook that it refers to
    # What is found out
    facts: Facts = field(default_factory=Facts)
    events: Events = field(default_factory=Events)  # what its code does
    by_cell: list[Events] = field(default_factory=list)  # the same, of each cell
    bound: set[str] = field(default_factory=set)  # names that it binds for certain
    began: int = 0  # the clock of the heap where it starts
    ins: dict[str, int] = field(default_factory=dict)  # producers of what it takes, or `OUTSIDE`
    outs: set[str] = field(default_factory=set)  # variables that it passes on
    parameters: set[str] = field(default_factory=set)  # of the pipeline, that it uses
    metrics: list[str] = field(default_factory=list)  # variables that it reports
    carried: dict[str, Import] = field(default_factory=dict)  # of other steps, to be repeated
    together: list[set[str]] = field(default_factory=list)  # *outs* that go into one file
    changed: set[str] = field(default_factory=set)  # *outs* that later units may change
    apart: list[set[str]] = field(default_factory=list)  # *outs* that share what nobody changes
    kept: set[str] = field(default_factory=set)  # variables that it must have at its end
    early: set[str] = field(default_factory=set)  # inputs that definitions of shared cells need
    states: dict[str, list[State]] = field(default_factory=dict)  # that it passes on, by their kind
    renewed: list[State] = field(default_factory=list)  # states that a shared cell sets once more

    def certainty(self, objects: Iterable[Obj]) -> Certainty:
        """How sure it is that the unit mutates one of *objects*."""
        mutated = self.events.mutated
        return max((mutated.get(one, Certainty.NONE) for one in objects), default=Certainty.NONE)


@dataclass(frozen=True, slots=True)
class Binding:
    """A unit binds a variable."""

    number: int
    points: Points
    certain: bool


@dataclass(slots=True)
class Entry:
    """What a variable is where a unit starts: the units that may have bound it, as bits."""

    points: Points
    binders: int = 0
    certain: int = 0
    outside: bool = False  # it may be what shared cells, parameters or the notebook around have


class Dataflow:
    """The variables of one notebook."""

    def __init__(
        self,
        shared: Sequence[Parsed],
        parameters: Mapping[str, Parameter],
        modules: Mapping[str, str],
        units: Sequence[Unit],
        at_once: Mapping[str, set[str]],
    ) -> None:
        """Start with nothing run.

        *at_once* are the names that definitions of shared cells need where they are made, in
        defaults and annotations, and the names of these definitions.
        """
        self.at_once = at_once
        self.shared = shared
        self.parameters = dict(parameters)
        self.modules = modules
        self.units = list(units)
        last = self.units[-1].cells if self.units else ()
        self.end = Unit("", last, (1 << len(self.units)) - 1)  # what would run after all
        self.facts = read_facts(shared)
        for unit in self.units:
            unit.facts = read_facts(unit.cells)
            for cell in unit.cells:  # functions that nothing calls are in the code, too
                unit.events.used.update(names_in(cell.tree))
        self.events = Events()  # of the shared cells
        self.by_cell: list[Events] = []
        self.names = Names()
        self.bindings: dict[str, list[Binding]] = {}
        self.given: dict[str, Points] = {}  # by shared cells and parameters
        self.mutated: dict[Certainty, dict[Obj, int]] = {one: {} for one in Certainty}
        self.observed: dict[Obj, int] = {}
        self.later: list[int] = []
        self.diagnostics: list[Diagnostic] = []
        self.free: dict[str, list[tuple[int, Read]]] = {}
        self.outer: tuple[Dataflow, int] | None = None
        self.conflicts: dict[tuple[int, str], Diagnostic] = {}
        self.heap = Heap()
        self.run = Interpreter(self.heap, Modules())
        self.loading: dict[str, list[tuple[int, Import]]] = {}  # by submodule the imports of it
        self.early: dict[str, Read] = {}  # names that shared definitions need and steps bind
        self.metrics: list[str] = []  # variables whose values are reported

    # The abstract run

    def analyse(self, own: Modules) -> None:
        """Run the notebook, which may import *own*, and find the producers of all variables."""
        self.run_in(Interpreter(self.heap, own))
        self.heap.index({*self.mutated[Certainty.GUESS], *self.observed, *self.run.definitions})
        self.check_shared()
        self.solve({})
        self._foresee()
        self.diagnostics += [self.conflicts[key] for key in sorted(self.conflicts)]

    def run_in(self, run: Interpreter) -> None:
        """Run the cells of this notebook, alone or where another refers to it."""
        self.heap, self.run = run.heap, run
        names, heap = self.names, run.heap
        heap.clock += 1
        for name, parameter in self.parameters.items():
            names.values[name] = heap.literal(("parameter", id(self), name), parameter.default)
        self.by_cell = run.run(self.shared, names)
        for events in self.by_cell:
            self.events.add_all(events)
        names.own.clear()
        definitions = set(run.definitions)
        names.bound.clear()
        self.given = dict(names.values)
        late = self._late_cells()
        for number, unit in enumerate(self.units):
            for name in late.get(number, ()):
                self._bind(name, Binding(OUTSIDE, self.given.get(name, EMPTY), True))
                names.values[name] = self.given.get(name, EMPTY)
            heap.clock += 1
            unit.began = heap.clock
            if unit.inner is None:
                unit.by_cell = run.run(unit.cells, names)
                for events in unit.by_cell:
                    unit.events.add_all(events)
            else:
                self._run_inner(unit, run)
            unit.bound = names.bound
            for name in unit.events.binds:
                certain = name in unit.bound
                self._bind(name, Binding(number, names.values.get(name, EMPTY), certain))
            names.bound = set()
            names.own = set()
        for one in run.definitions.keys() - definitions:
            del run.definitions[one]
        self.end.began = heap.clock + 1
        self._bind_unread()
        self._index()
        self._index_imports()

    @cached_property
    def is_dynamic(self) -> bool:
        """Whether some cell runs code that cannot be read."""
        return self.facts.dynamic or any(unit.facts.dynamic for unit in self.units)

    def _bind(self, name: str, binding: Binding) -> None:
        self.bindings.setdefault(name, []).append(binding)

    def _run_inner(self, unit: Unit, run: Interpreter) -> None:
        inner = unit.inner
        assert inner is not None
        run.notebooks.append((self.names, unit.events))
        inner.run_in(run)
        run.notebooks.pop()
        for one in inner.units:
            for name, spot in one.events.binds.items():
                if name not in one.facts.imports:
                    points = inner.names.values.get(name, EMPTY)
                    self.names.put(name, points, bound=any(name in u.bound for u in inner.units))
                    unit.events.binds[name] = spot

    def _bind_unread(self) -> None:
        """A file that `%run` names and nobody could read may bind all that later units use."""
        imported = {name for unit in self.units for name in unit.facts.imports}
        known = BUILTINS | PROVIDED | self.given.keys() | imported
        later: set[str] = set()
        for number in range(len(self.units) - 1, -1, -1):
            unit = self.units[number]
            run = next((one for one in unit.facts.stars if not one.module and not one.level), None)
            for name in sorted(later - known - unit.events.binds.keys()) if run else ():
                assert run is not None
                entry = self.entry(name, number)
                found = self.bindings.setdefault(name, [])
                at = next((n for n, one in enumerate(found) if one.number > number), len(found))
                points = EMPTY if entry is None else entry.points
                found.insert(at, Binding(number, points, certain=False))
                unit.events.binds[name] = run.spot
            later |= unit.events.uses.keys()

    def _late_cells(self) -> dict[int, list[str]]:
        """What shared cells that stand below a step bind, by the first unit below them."""
        found: dict[int, list[str]] = {}
        for cell in self.shared:
            if first := self.first_below(cell.code.cell):
                bound = {name for name, spot in self.events.binds.items() if spot.cell is cell}
                names = sorted(bound - read_facts([cell]).imports.keys())
                found.setdefault(first, []).extend(names)
        return found

    def first_below(self, at: int) -> int:
        """The first unit with code below the cell of that number; how many there are if none."""
        below = (n for n, one in enumerate(self.units) if one.cells and one.cells[0].code.cell > at)
        return next(below, len(self.units))

    def _index(self) -> None:
        """Which units mutate and observe each object, as bits; and which run after each."""
        for number, unit in enumerate(self.units):
            bit = 1 << number
            for one, certainty in unit.events.mutated.items():
                for level in Certainty:
                    if level <= certainty:
                        bits = self.mutated[level]
                        bits[one] = bits.get(one, 0) | bit
            for one in unit.events.observed:
                self.observed[one] = self.observed.get(one, 0) | bit
        self.later = [*(1 << number for number in range(len(self.units))), 0]
        for number, unit in reversed([*enumerate(self.units)]):
            rest = unit.before
            while rest:  # the nearest before it; what ends before those knows it through them
                last = rest.bit_length() - 1
                self.later[last] |= self.later[number]
                rest &= ~(self.units[last].before | 1 << last)

    def _index_imports(self) -> None:
        """Which imports load each submodule, and can be repeated elsewhere."""
        for number, unit in enumerate(self.units):
            for one in unit.facts.modules if unit.inner is None else ():
                for path in one.loads if one.statement is not None and not one.level else ():
                    self.loading.setdefault(path, []).append((number, one))

    def check_shared(self) -> None:
        """What the shared cells need when they run: parameters, which every step then takes."""
        for unit in self.units:
            if unit.inner is None:
                unit.parameters |= self.events.uses.keys() & self.parameters.keys()
            else:
                unit.inner.check_shared()
                self.diagnostics += unit.inner.diagnostics
                unit.inner.diagnostics = []
        for name, read in self.events.uses.items():
            if name in self.parameters or self.facts.stars:
                continue
            step = next((one.name for one in self.units if name in one.events.binds), None)
            bound = name in self.events.binds
            if (step and bound) or not (bound or name in BUILTINS or name in PROVIDED):
                if step and not bound and name in self.at_once:
                    self.early[name] = read
                elif read.sure:
                    self.diagnostics.append(errors.shared_needs(name, read, step))

    def _take_early(self, unit: Unit) -> None:
        """What shared definitions need where they are made comes before the shared cells run.

        Every later step may run them, if not for itself then to read its inputs.
        """
        if not self.early or unit.inner is not None:
            return
        used, todo = set(unit.events.used), list(unit.events.used)
        while todo:
            more = self.facts.mentions.get(todo.pop(), set()) - used
            used |= more
            todo += more
        for name, read in self.early.items():
            if name in unit.ins:
                unit.early.add(name)
            elif self.at_once[name] & used:
                step = next(one.name for one in self.units if name in one.events.binds)
                self.diagnostics.append(errors.shared_needs(name, read, step))

    def _load_submodules(self, number: int) -> None:
        """An import above loads the submodule that `package.module.f` needs, whatever it binds."""
        unit = self.units[number]
        own = (*self.facts.modules, *unit.facts.modules, *unit.carried.values())
        for path in sorted(unit.events.owners.difference(*(one.loads for one in own))):
            for above, one in self.loading.get(path, ()) if unit.inner is None else ():
                alike = not one.attribute and one.name == path.partition(".")[0]
                if above < number and (alike or one.name not in unit.events.used):
                    unit.carried.setdefault(path, one)
                    break

    # Definitions

    def entry(self, name: str, number: int) -> Entry | None:
        """What *name* is where the unit of that number starts; None if nothing binds it."""
        found: Entry | None = None
        for binding in reversed(self.bindings.get(name, ())):
            if binding.number >= number and binding.number != OUTSIDE:
                continue
            if found is None:
                found = Entry(binding.points)
            if binding.number == OUTSIDE:
                found.outside = True
                return found
            found.binders |= 1 << binding.number
            if binding.certain:
                found.certain |= 1 << binding.number
                return found
        if name in self.given:
            found = found or Entry(self.given[name])
            found.outside = True
        elif found is not None and self._outside(name) is not None:
            found.outside = True
        elif found is None and (points := self._outside(name)) is not None:
            found = Entry(points, outside=True)
        return found

    def _outside(self, name: str) -> Points | None:
        """What the notebook around has there."""
        if self.outer is None or name in self.facts.imports:
            return None
        flow, number = self.outer
        entry = flow.entry(name, number)
        return None if entry is None else entry.points

    def reach(self, points: Points, number: int, sight: Sight) -> set[Obj]:
        """The objects that can be got from *points* where the unit starts."""
        return self.heap.reach(points, sight, self._unit(number).began)

    def _unit(self, number: int) -> Unit:
        return self.units[number] if number < len(self.units) else self.end

    def mutators(self, points: Points, number: int, level: Certainty) -> int:
        """The units before that one which mutate what *points* reach, as bits."""
        found = 0
        strong = self.mutated[max(level, Certainty.MAY)]
        for one in self.reach(points, number, Sight.ALL):
            found |= strong.get(one, 0)
        if level is Certainty.GUESS:
            weak = self.mutated[Certainty.GUESS]
            for one in self.reach(points, number, Sight.CONTENTS):
                found |= weak.get(one, 0)
        return found & ((1 << number) - 1)

    def live(self, points: Points, number: int, *, after: bool = False) -> set[Obj]:
        """The objects that *points* reach, and that the unit or a later one mutates or compares.

        With *after* only later ones count, and what can be reached where the unit ends.
        """
        found: set[Obj] = set()
        users = self.later[number] & ~(after << number)
        number += after
        strong = [(self.mutated[Certainty.MAY], self.observed, users)]
        weak = [(self.mutated[Certainty.GUESS], users)]
        if self.outer is not None:
            flow, at = self.outer
            later = flow.later[at] & ~(1 << at)
            strong.append((flow.mutated[Certainty.MAY], flow.observed, later))
            weak.append((flow.mutated[Certainty.GUESS], later))
        for one in self.reach(points, number, Sight.ALL):
            for mutated, observed, later in strong:
                if (mutated.get(one, 0) | observed.get(one, 0)) & later:
                    found.add(one)
        for one in self.reach(points, number, Sight.CONTENTS):
            for mutated, later in weak:
                if mutated.get(one, 0) & later:
                    found.add(one)
        return found

    # Producers

    def solve(self, wanted: Mapping[str, Read]) -> dict[str, Read]:
        """Finds what each unit takes and gives, if *wanted* are taken after the last one.

        Returns what the units need of the notebook around this one.
        """
        outside: dict[str, Read] = {}
        if wanted:
            self._settle(len(self.units), dict(wanted), outside)
        for name in self.metrics:
            self._report(name)
        for unit in self.units:
            last = unit.facts.trailing
            if last is not None and last in unit.events.binds and last not in unit.facts.imports:
                unit.outs.add(last)
                unit.kept.add(last)
        for number in range(len(self.units) - 1, -1, -1):
            unit = self.units[number]
            needs = dict(unit.events.uses) if unit.inner is None else self._solve_inner(number)
            for name in sorted(unit.kept - unit.bound):
                needs.setdefault(name, self._read_for(number, name))
            for name, read in self.early.items():
                needs.setdefault(name, Read(read.spot, sure=False))
            self._settle(number, needs, outside)
            self._take_early(unit)
            self._load_submodules(number)
            if unit.inner is not None:
                unit.inner.supplied(set(unit.ins), unit.parameters & set(self.parameters), self)
            last = unit.facts.trailing
            if last is not None and last in unit.ins:
                unit.outs.add(last)
        return outside

    def _solve_inner(self, number: int) -> dict[str, Read]:
        """The same for a notebook that is referred to; what it needs of this one."""
        unit = self.units[number]
        inner = unit.inner
        assert inner is not None
        inner.outer = self, number
        needs = inner.solve({name: self._read_for(number, name) for name in sorted(unit.outs)})
        self.diagnostics += inner.diagnostics
        for (_, name), diagnostic in inner.conflicts.items():
            self.conflicts.setdefault((number, f"{unit.name} {name}"), diagnostic)
        return needs

    def _report(self, name: str) -> None:
        """The last step that binds or changes a metric reports it."""
        producer = self.end_producer(name)
        if producer is None:
            return
        unit = self.units[producer]
        unit.kept.add(name)
        if unit.inner is None:
            unit.metrics.append(name)
        else:
            unit.inner.metrics.append(name)

    def end_producer(self, name: str) -> int | None:
        """The unit that has the value of *name* when all is done."""
        end = len(self.units)
        entry = self.entry(name, end)
        if entry is None:
            return None
        bits = entry.binders | self.mutators(entry.points, end, Certainty.GUESS)
        return bits.bit_length() - 1 if bits else None

    def _read_for(self, number: int, name: str) -> Read:
        """The place of a unit to show for *name*, which it may not read itself."""
        unit = self._unit(number)
        spot = unit.events.binds.get(name) or next(iter(unit.events.places.values()), None)
        if spot is None:
            reads = unit.events.uses
            read = reads.get(name) or next(iter(reads.values()), None)
            spot = read.spot if read is not None else None
        if spot is None:
            cells = unit.cells or (unit.inner.units[0].cells if unit.inner else ())
            spot = Spot(cells[0], cells[0].tree)
        return Read(spot, sure=False)

    def _settle(self, number: int, needs: Mapping[str, Read], outside: dict[str, Read]) -> None:
        """Finds the producers of what one unit needs, class by class."""
        entries: dict[str, Entry] = {}
        for name, read in needs.items():
            entry = self.entry(name, number)
            if entry is None or not self._is_variable(name, number, entry, read):
                if entry is None:
                    self._not_bound(number, name, read, outside)
                continue
            entries[name] = entry
        self._take_definitions(number, entries)
        for names in self._classes(number, entries):
            self._take(number, {name: entries[name] for name in names}, needs, outside)

    def _is_variable(self, name: str, number: int, entry: Entry, read: Read) -> bool:
        """Whether the name is to be taken as a value; imports are repeated."""
        unit = self._unit(number)
        binders = entry.binders & unit.before
        numbers = _numbers(entry.binders)
        if entry.binders and all(name in self.units[one].facts.imports for one in numbers):
            if not binders:  # a step beside imports it; a step above may import the same
                target = self.units[numbers[-1]].facts.imports[name][-1].target
                above = self._earlier(name, number, unit.before)
                if above is not None and above != OUTSIDE:
                    known = self.units[above].facts.imports.get(name, ())
                    binders = 1 << above if known and known[-1].target == target else 0
            if not binders:
                if self._earlier(name, number, 0) is None:
                    self._missing(number, name, read)
                return entry.outside and name not in self.given
            made = self.units[binders.bit_length() - 1].facts.imports[name][-1]
            if made.statement is not None and unit.inner is None:
                unit.carried.setdefault(name, made)
                return False
        if all(one.kind == "absent" for one in entry.points) and entry.points:
            by = entry.binders.bit_length() - 1
            again = bool(self.facts.stars)  # an `import *` of the shared cells may bring it back
            if (read.sure or again) and name not in BUILTINS and by >= 0:
                deleter = self.units[by]
                spot = deleter.events.binds[name]
                self.diagnostics.append(errors.deleted(name, unit.name, read, deleter.name, spot))
            return False
        return True

    def _not_bound(self, number: int, name: str, read: Read, outside: dict[str, Read]) -> None:
        """Nothing binds *name*: it is built in, of an `import *`, or not to be had."""
        if name in BUILTINS or name in PROVIDED or self._star(self._unit(number)):
            return
        self._missing(number, name, read)
        if self.outer is not None:
            outside.setdefault(name, read)

    def _missing(self, number: int, name: str, read: Read) -> None:
        self.free.setdefault(name, []).append((number, read))

    def _star(self, unit: Unit) -> bool:
        """Whether an `import *` may give any name; one of an earlier step is repeated."""
        if self.facts.stars or unit.facts.stars:
            return True
        for number in reversed(_numbers(unit.before)):
            for star in reversed(self.units[number].facts.stars):
                if star.statement is not None:
                    unit.carried.setdefault(f"*{star.module}", star)
                    return True
        return False

    def _foresee(self) -> None:
        """Finds the outputs of which later units may change something, as far as can be seen.

        And those that reach a common object, though each has a file of its own.
        """
        dynamic = sum(1 << number for number, one in enumerate(self.units) if one.facts.dynamic)
        for number, unit in enumerate(self.units):
            if unit.inner is not None:
                unit.inner._foresee()  # noqa: SLF001  one of its own kind
            reached: dict[str, set[Obj]] = {}
            later = self.later[number] & ~(1 << number)
            unread = dynamic & later != 0
            for name in sorted(unit.outs):
                entry = self.entry(name, number + 1)
                points = frozenset() if entry is None else entry.points
                if unread or not points or self.live(points, number, after=True):
                    unit.changed.add(name)
                if points:
                    reached[name] = {
                        one
                        for one in self.heap.reach(points)
                        if one.kind not in {"class", "function"} and not is_fixed(one)
                    }
            unit.apart = [
                group
                for group in map(set, _connected(reached))
                if len(group) > 1 and not any(group <= one for one in unit.together)
            ]

    def _take_definitions(self, number: int, entries: dict[str, Entry]) -> None:
        """A class or function of a shared cell goes along where its state may change."""
        todo = list(entries)
        while todo:
            entry = entries[todo.pop()]
            for one in self.reach(entry.points, number, Sight.CONTENTS):
                name = self.run.definitions.get(one)
                if name is None or name in entries or name not in self.given:
                    continue
                found = self.entry(name, number)
                if found is None or one not in found.points:
                    continue
                own = frozenset([one])
                if self.mutators(own, number, Certainty.MAY) or self.live(own, number):
                    entries[name] = found
                    todo.append(name)

    def _classes(self, number: int, entries: Mapping[str, Entry]) -> list[list[str]]:
        """The names that share a live object, together."""
        return _connected(
            {name: self.live(entries[name].points, number) for name in sorted(entries)}
        )

    def _take(
        self,
        number: int,
        entries: Mapping[str, Entry],
        needs: Mapping[str, Read],
        outside: dict[str, Read],
    ) -> None:
        """One class of names comes from its last definition, if that can deliver."""
        before = self._unit(number).before
        own: dict[str, int] = {}
        strong = 0
        for name, entry in entries.items():
            changed = entry.binders | self.mutators(entry.points, number, Certainty.MAY)
            own[name] = changed | self.mutators(entry.points, number, Certainty.GUESS)
            strong |= changed
        every = strong
        for bits in own.values():
            every |= bits & before
        last = every.bit_length() - 1
        if last >= 0 and not before >> last & 1:
            self._take_apart(number, entries, needs, outside, own, last)
            return
        if last < 0:
            for name in entries:
                self._from_outside(number, name, needs.get(name), outside)
            return
        there = self.units[last].before | 1 << last
        apart = [name for name in entries if self._earlier(name, number, there) is None]
        for name in apart:  # the last one has no way to have it
            producer = self._earlier(name, number, before)
            if producer is None:
                self._missing(number, name, needs.get(name) or self._read_for(number, name))
            else:
                self._conflict(last, {name: entries[name]}, {}, producer)
                self._deliver(number, [name], producer)
        self._deliver(number, [name for name in entries if name not in apart], last)

    def _take_apart(  # noqa: PLR0913, PLR0917  all that is known of the class
        self,
        number: int,
        entries: Mapping[str, Entry],
        needs: Mapping[str, Read],
        outside: dict[str, Read],
        own: Mapping[str, int],
        last: int,
    ) -> None:
        """Its last definition cannot deliver: each name comes from the last that can."""
        before = self._unit(number).before
        found = {name: self._earlier(name, number, before) for name in entries}
        if any(producer is not None for producer in found.values()):
            self._conflict(number, entries, needs, last)
        for name, producer in found.items():
            bits = own[name] & before
            if producer is None:
                self._missing(number, name, needs.get(name) or self._read_for(number, name))
            elif producer == OUTSIDE and not bits:
                self._from_outside(number, name, needs.get(name), outside)
            else:
                self._deliver(number, [name], max(producer, bits.bit_length() - 1))

    def _earlier(self, name: str, number: int, among: int) -> int | None:
        """The last unit of *among* that binds *name* before that one, or `OUTSIDE`, if any."""
        for binding in reversed(self.bindings.get(name, ())):
            if binding.number == OUTSIDE:
                return OUTSIDE
            if binding.number < number and among >> binding.number & 1:
                return binding.number
        if name in self.given or self._outside(name) is not None:
            return OUTSIDE
        return None

    def _deliver(self, number: int, names: Sequence[str], producer: int) -> None:
        source = self.units[producer]
        source.kept.update(names)
        self._unit(number).ins.update(dict.fromkeys(names, producer))
        source.outs.update(names)
        if len(names) > 1:
            merged = set(names)
            for one in [one for one in source.together if one & merged]:
                merged |= one
                source.together.remove(one)
            source.together.append(merged)

    def _from_outside(
        self, number: int, name: str, read: Read | None, outside: dict[str, Read]
    ) -> None:
        """A shared cell, a parameter or the notebook around gives it."""
        unit = self._unit(number)
        if name in self.parameters:
            unit.parameters.add(name)
        elif name in self.given:
            if unit.inner is not None and read:
                self._missing(number, name, read)  # shared cells are those of their notebook
        elif self.outer is not None and unit is not self.end:
            unit.ins[name] = OUTSIDE
            outside.setdefault(name, read or self._read_for(number, name))

    def supplied(self, ins: set[str], parameters: set[str], around: "Dataflow") -> None:
        """What of the names from outside the notebook around gives, and what are parameters."""
        for unit in self.units:
            for name in [name for name, producer in unit.ins.items() if producer == OUTSIDE]:
                if name in parameters:
                    del unit.ins[name]
                    self.parameters.setdefault(name, around.parameters[name])
                    unit.parameters.add(name)
                elif name not in ins:
                    del unit.ins[name]

    def _conflict(
        self, number: int, entries: Mapping[str, Entry], needs: Mapping[str, Read], last: int
    ) -> None:
        """The last definition of a class cannot deliver it."""
        unit, other = self._unit(number), self.units[last]
        for name, entry in entries.items() if unit is not self.end else ():
            objects = self.reach(entry.points, number, Sight.ALL)
            certainty = other.certainty(objects)
            if entry.binders >> last & 1:
                certain = bool(entry.certain >> last & 1)
            elif certainty >= Certainty.MAY:
                certain = certainty is Certainty.SURE
            else:
                continue
            read = needs.get(name)
            spot = other.events.binds.get(name) if entry.binders >> last & 1 else None
            spot = spot or first_place(other.events, objects)
            certain = certain and read is not None and read.certain
            users = [one for one in entries if one in unit.events.uses]
            shown = name if name in unit.events.uses or not users else users[0]
            read = needs.get(shown) or read or self._read_for(number, name)
            # The first step that misses it is the one to report.
            self.conflicts[last, name] = errors.missed_change(
                shown, name, unit.name, read, other.name, spot, certain=certain
            )
            return


def _connected(reached: Mapping[str, Iterable[Obj]]) -> list[list[str]]:
    """The names in classes: those that reach a common object, or one by one."""
    owner: dict[Obj, str] = {}
    classes: dict[str, set[str]] = {}  # of each name, its own; the same set for all in it
    for name, objects in reached.items():
        classes[name] = {name}
        for one in objects:
            other = classes[owner.setdefault(one, name)]
            if other is not classes[name]:
                other |= classes[name]
                classes.update(dict.fromkeys(classes[name], other))
    return [sorted(one) for one in {id(one): one for one in classes.values()}.values()]


def first_place(events: Events, objects: Iterable[Obj]) -> Spot | None:
    """The first place at which one of *objects* is mutated."""
    found = [events.places[one] for one in objects if one in events.places]
    return min(found, key=_position, default=None)


def _position(spot: Spot) -> tuple[int, int]:
    return spot.cell.code.cell, getattr(spot.node, "lineno", 0)


def _numbers(bits: int) -> list[int]:
    found = []
    while bits:
        low = bits & -bits
        found.append(low.bit_length() - 1)
        bits ^= low
    return found
