"""Which step is the producer of each variable that a step uses.

The value that a step sees is the one the notebook has there: that of the last step before it which
binds or changes the variable. *Before* is what `prev` says. Where calls may change an object (see
`calls`), the step that calls is taken to be the producer as long as no other may be it.

Variables that may share an object travel together: a step that may change one of them saves all of
them again (see `sharing`).
"""

import builtins
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from kale_tag.analysis import errors
from kale_tag.analysis.calls import Change
from kale_tag.analysis.effects import Callables
from kale_tag.analysis.model import Block, Body, Import, Read, Spot
from kale_tag.analysis.sharing import alter_together, note_sharer, wanted_names
from kale_tag.analysis.units import Carriers, Changers, Unit
from kale_tag.kale.pipeline import Parameter

if TYPE_CHECKING:
    from kale_tag.diagnostics import Diagnostic

# Names that came with Python 3.12 to 3.14 or may be taken away again, so that the result does not
# depend on the Python that compiles.
_LATER = frozenset(
    ["PythonFinalizationError", "BaseExceptionGroup", "ExceptionGroup", "WindowsError"]
)

BUILTINS = (
    frozenset(dir(builtins))
    | _LATER
    | {"__name__", "__doc__", "__spec__", "__loader__", "__package__", "__annotations__"}
    | {"__builtins__", "copyright", "credits", "exit", "license", "quit"}
) - {"_"}
"""Names of Python itself, of any version."""

PROVIDED = frozenset(["display", "get_ipython"])
"""Names that IPython has and `step_runtime.py` provides."""

IMMUTABLE = frozenset(["int", "float", "str", "bool"])


class Dataflow:
    """The variables of one notebook."""

    def __init__(
        self, shared: Block, parameters: Mapping[str, Parameter], modules: Mapping[str, str]
    ) -> None:
        """Start without units."""
        self.shared = shared
        self.shared_carriers = Carriers(shared.values)
        self.shared_bodies = {body for value in shared.values.values() for body in value.bodies}
        self.parameters = dict(parameters)
        self.modules = modules
        self.units: list[Unit] = []
        self.starred: list[int] = []  # units with an `import *`
        self.changers: dict[str, Changers] = {}
        self.wanted: set[str] = set()
        self.rebinders: dict[str, int] = {}  # the units, as bits, after which it is another object
        self.sharers: dict[str, list[int]] = {}  # units after which a variable may share an object
        self.callables = Callables([shared])
        self.diagnostics: list[Diagnostic] = []
        self.free: dict[str, list[tuple[int, Read, str]]] = {}
        self.outer: tuple[Dataflow, int] | None = None
        self.from_outside: dict[str, list[Body]] = {}
        for name in shared.called:
            for body in self.shared_carriers.bodies(name):
                shared.maybe |= body.binds.keys() - shared.bound

    def solve(self, units: Iterable[Unit]) -> None:
        """Finds what each unit takes and gives; what nobody gives is left in `free`."""
        self.units = list(units)
        self.starred = [n for n, one in enumerate(self.units) if _star_of(one.block)]
        self.callables = Callables([self.shared, *(unit.block for unit in self.units)])
        self.wanted = wanted_names([self.shared, *(unit.block for unit in self.units)])
        self._shared_needs()
        for number, unit in enumerate(self.units):
            if unit.inner is not None:
                unit.changes, unit.binds = unit.inner.summary()
                for name, read in unit.inner.open_reads().items():
                    self.need(number, name, read, "")
            else:
                self._run(number)
            for name, change in unit.changes.items():
                self.note_change(number, unit, name, change)
            note_sharer(self, number)
        for number, unit in enumerate(self.units):
            self._trailing(number, unit)

    def note_change(self, number: int, unit: Unit, name: str, change: Change) -> None:
        """The unit may change *name*."""
        changers = self.changers.setdefault(name, Changers())
        bit = 1 << number
        for level in Change:
            if change >= level:
                changers.at_least[level] |= bit
        if name in unit.binds:
            value = unit.block.values.get(name)
            changers.binders |= bit
            changers.inert |= bit if value is not None and value.inert else 0
            changers.importers |= bit if _imported(unit.block, name) else 0

    def _run(self, number: int) -> None:
        unit = self.units[number]
        block = unit.block
        changed = self.callables.changes(block.effects)
        unit.changes = {name: change for name, change in changed.items() if "@" not in name}
        unit.changes = {name: change for name, change in unit.changes.items() if change}
        unit.altered |= unit.changes.keys()
        unit.binds = dict(block.binds)
        for name in block.binds.keys() | block.deleted.keys():
            unit.changes[name] = Change.SURE
        unit.used |= set(block.uses)
        for name, read in block.reads.items():
            self.need(number, name, read, "")
        for name in block.uses:
            self._use(number, name)
        alter_together(self, number)

    def _shared_needs(self) -> None:
        """What the shared cells need when they run: parameters, which every step then takes."""
        shared, seen = self.shared, set()
        todo = list(shared.reads.items())
        for name in shared.uses:
            for body in self.shared_carriers.bodies(name):
                todo += [(one, Read(read.spot, False)) for one, read in body.reads.items()]
        while todo:
            name, read = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in self.parameters:
                for unit in self.units:
                    if unit.inner is None:
                        unit.parameters.add(name)
            elif read.sure and not shared.stars:
                self._shared_needs_step(name, read)
            for body in self.shared_carriers.bodies(name):
                todo += [(one, Read(own.spot, False)) for one, own in body.reads.items()]

    def _shared_needs_step(self, name: str, read: Read) -> None:
        step = next((one.name for one in self.units if name in one.block.binds), None)
        from_step = step and name in self.shared.bound and not read.late  # `x = x + 1`
        if from_step or not self._at_hand(name):
            self.diagnostics.append(errors.shared_needs(name, read, step))

    def _at_hand(self, name: str) -> bool:
        shared = self.shared
        return name in shared.bound or name in shared.maybe or name in BUILTINS or name in PROVIDED

    # What a unit needs

    def need(self, number: int, name: str, read: Read, through: str) -> None:
        """The unit uses *name*, if *through* is given in a function of that name."""
        unit = self.units[number]
        unit.used.add(name)
        if self.callables.is_volatile(name) and unit.inner is None:
            unit.changes[name] = max(Change.MAYBE, unit.changes.get(name, Change.NONE))
            unit.block.touches.setdefault(name, read.spot)
        if name in unit.sought and (unit.sought[name] or not read.sure):
            return
        unit.sought[name] = read.sure
        if name in unit.ins or name in unit.parameters:
            return
        known_diagnostics = len(self.diagnostics)
        producer = self.producer(name, unit.before, read, f"step `{unit.name}`")
        if len(self.diagnostics) > known_diagnostics:
            return
        if producer is None:
            self._not_given(number, name, read, through)
        elif (repeated := _repeatable(self.units[producer].block, name)) and unit.inner is None:
            unit.carried.setdefault(name, repeated)
        elif name in (block := self.units[producer].block).deleted and name not in block.bound:
            if read.sure and name not in BUILTINS:
                by, spot = self.units[producer].name, block.deleted[name]
                self.diagnostics.append(errors.deleted(name, unit.name, read, by, spot))
        else:
            unit.ins[name] = producer
            self.give(producer, name)
            bodies = list(self.bodies(producer, name))
            unit.carriers.add(name, bodies)
            if unit.inner is not None:
                unit.inner.take(name, bodies)

    def _not_given(self, number: int, name: str, read: Read, through: str) -> None:
        """No unit before gives *name*: it is a parameter, shared, built in, or not to be had."""
        unit = self.units[number]
        if name in self.parameters:
            unit.parameters.add(name)
            if unit.inner is not None:
                unit.inner.take_parameter(self.parameters[name])
        elif name in self.from_outside:
            unit.ins[name] = -1
            unit.carriers.add(name, self.from_outside[name])
        elif name in self.shared.values:
            unit.carriers.add(name, self.shared_carriers.bodies(name))
        elif name in self.shared.bound or name in unit.binds:
            pass
        elif self._at_hand(name) or not self._star(unit):
            self._seek_outside(number, name, read, through)

    def _seek_outside(self, number: int, name: str, read: Read, through: str) -> None:
        if name in BUILTINS or name in PROVIDED or name in self.shared.maybe:
            read = Read(read.spot, False)
        self.free.setdefault(name, []).append((number, read, through))
        if self.outer is not None:
            outer, position = self.outer
            outer.need(position, name, read, through)

    def _star(self, unit: Unit) -> bool:
        """Whether an `import *` may give any name; one of an earlier step is repeated."""
        if self.shared.stars or unit.block.stars:
            return True
        for number in reversed(self.starred):
            if unit.before >> number & 1:
                star = _star_of(self.units[number].block)
                assert star is not None
                unit.carried.setdefault(f"*{star.module}", star)
                return True
        return False

    def _use(self, number: int, first: str) -> None:
        """The unit mentions *first*: if that is a function, it may be called from here.

        What it reads must be there if it is called by itself, and before the unit may bind that.
        """
        unit = self.units[number]
        block = unit.block
        mentioned, called = block.uses.get(first, 0), block.called.get(first)
        todo = [(first, called is not None)]
        while todo:
            name, runs = todo.pop()
            for body in list(unit.carriers.bodies(name)):
                if unit.ran.get(body, False) or (body in unit.ran and not runs):
                    continue
                unit.ran[body] = runs
                unit.used |= set(body.reads)
                for one, read in body.reads.items():
                    if block.since.get(one, mentioned) < mentioned:
                        continue
                    runs_before = called is not None and block.first.get(one, called) >= called
                    sure = read.sure and runs and runs_before and not body.whole
                    self.need(number, one, Read(read.spot, sure), body.name)
                todo += [(one, runs and one in body.called) for one in body.reads]
                self._run_body(unit, body)

    def _run_body(self, unit: Unit, body: Body) -> None:
        for key, change in self.callables.of_body(body).items():
            if "@" not in key and change:
                unit.altered.add(key)
                unit.changes[key] = max(change, unit.changes.get(key, Change.NONE))
                if (given := unit.block.given.get(body.name)) is not None:
                    unit.carriers.hold(key, given)  # `@register` of the notebook's own
        for name, spot in body.binds.items():
            unit.binds.setdefault(name, spot)
            unit.changes[name] = Change.SURE

    def bodies(self, number: int, name: str) -> Iterable[Body]:
        """The functions that the value of *name* may call, at the end of the unit."""
        unit = self.units[number]
        if unit.inner is None:
            return unit.carriers.bodies(name)
        producer = unit.inner.end_producer(name)
        return () if producer is None else unit.inner.bodies(producer, name)

    # Who gives

    def producer(self, name: str, before: int, read: Read | None, who: str) -> int | None:
        """The unit among *before* whose value of *name* is the notebook's; None: there is none.

        Two that may be it are a fault where *read* is sure.
        """
        changers = self.changers.get(name)
        if changers is None:
            return None
        binders = changers.binders & before
        if self._only_module(name, changers, binders):
            last = self._last(binders)
        else:
            least = self._least(name, changers, binders)
            last = self._last(changers.at_least[least] & before)
            if len(last) > 1 and least is Change.MAYBE:
                last = self._last(changers.at_least[Change.LIKELY] & before)
        if len(last) > 1 and not self._same_import(name, last):
            if read is not None and read.sure:
                found = [(self.units[one].name, self.where(one, name)) for one in last]
                self.diagnostics.append(errors.two_producers(name, who, read, found))
            return None
        return last[-1] if last else None

    def _last(self, among: int) -> list[int]:
        """Those of the bits *among* that none of the others runs after, in order."""
        last: list[int] = []
        while among:
            one = among.bit_length() - 1
            last.append(one)
            among &= ~(self.units[one].before | 1 << one)
        return last[::-1]

    def _least(self, name: str, changers: Changers, binders: int) -> Change:
        """From which change on a step gives *name* anew."""
        if binders:
            return Change.MAYBE if binders & ~changers.inert else Change.SURE
        if name in self.parameters:
            return Change.SURE if self.parameters[name].type in IMMUTABLE else Change.LIKELY
        value = self.shared.values.get(name)
        return Change.SURE if value is not None and value.inert else Change.LIKELY

    def _only_module(self, name: str, changers: Changers, binders: int) -> bool:
        """Whether *name* is a module or a shared function, which no change makes a variable."""
        if not binders & ~changers.importers and (binders or _imported(self.shared, name)):
            return True
        value = self.shared.values.get(name)
        return value is not None and bool(value.bodies) and value.inert

    def _same_import(self, name: str, units: list[int]) -> bool:
        imports = [_imported(self.units[one].block, name) for one in units]
        return all(imports) and len({one[-1].target for one in imports if one}) == 1

    def where(self, number: int, name: str) -> Spot | None:
        """The place where the unit binds *name* or changes its object, if it does."""
        unit = self.units[number]
        return unit.binds.get(name) or unit.block.touches.get(name)

    def give(self, number: int, name: str) -> None:
        """The unit gives *name* to others, so it must have it at its end."""
        unit = self.units[number]
        if name in unit.outs:
            return
        unit.outs.add(name)
        if unit.inner is not None:
            unit.inner.give_out(name)
            return
        spot = self.where(number, name)
        if spot is None:
            return
        self.give_at_end(number, name)
        for body in list(self.bodies(number, name)):
            for one, read in body.reads.items():
                if one not in unit.block.bound and one != name:
                    self.need(number, one, Read(read.spot, False), body.name)

    def _trailing(self, number: int, unit: Unit) -> None:
        name = unit.block.trailing
        if name is None or unit.inner is not None or _imported(unit.block, name):
            return
        if name in unit.ins or (name in unit.binds and name not in unit.outs):
            self.give(number, name)
            unit.outs.add(name)

    # A notebook inside another

    def summary(self) -> tuple[dict[str, Change], dict[str, Spot]]:
        """What the steps of this notebook change and bind, all together."""
        changes: dict[str, Change] = {}
        binds: dict[str, Spot] = {}
        for unit in self.units:
            for name, change in unit.changes.items():
                changes[name] = max(change, changes.get(name, Change.NONE))
            own = unit.binds.items()
            binds |= {name: spot for name, spot in own if not _imported(unit.block, name)}
        return changes, binds

    def open_reads(self) -> dict[str, Read]:
        """What the steps of this notebook need from outside of it."""
        found = {}
        for name, sought in self.free.items():
            surest = next((read for _, read, _ in sought if read.sure), sought[0][1])
            found[name] = surest
        return found

    def take(self, name: str, bodies: list[Body]) -> None:
        """*name* comes from outside, and may be one of these functions."""
        self.from_outside[name] = bodies
        for number, _, _ in self.free.get(name, ()):
            unit = self.units[number]
            unit.ins[name] = -1
            unit.carriers.add(name, bodies)
            self._use(number, name)

    def take_parameter(self, parameter: Parameter) -> None:
        """A parameter of the notebook around this one is one of this notebook, too."""
        self.parameters.setdefault(parameter.name, parameter)
        for number, _, _ in self.free.get(parameter.name, ()):
            self.units[number].parameters.add(parameter.name)

    def give_out(self, name: str) -> None:
        """*name* is given to the outside by the last step that binds it."""
        producer = self.end_producer(name)
        if producer is not None:
            self.give(producer, name)

    def give_at_end(self, number: int, name: str) -> None:
        """The unit has the value of *name* at its end, whether or not it gives it to others."""
        unit = self.units[number]
        if name not in unit.block.bound and name not in unit.ins:
            spot = self.where(number, name)
            if spot is not None:
                unit.sought.pop(name, None)
                self.need(number, name, Read(spot, False), "")

    def end_producer(self, name: str, read: Read | None = None) -> int | None:
        """The unit that has the value of *name* when all is done."""
        return self.producer(name, (1 << len(self.units)) - 1, read, "`pipeline-metrics`")


def _star_of(block: Block) -> Import | None:
    """An `import *` that another step can repeat."""
    return next((one for one in reversed(block.stars) if one.statement is not None), None)


def _repeatable(block: Block, name: str) -> Import | None:
    """The import of *name* that another step can repeat; a module is else given as a value."""
    imports = _imported(block, name)
    return imports[-1] if imports and imports[-1].statement is not None else None


def _imported(block: Block, name: str) -> list[Import]:
    """How *block* imports *name*, if it binds it in no other way."""
    return block.imports.get(name, []) if name not in block.values else []


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
