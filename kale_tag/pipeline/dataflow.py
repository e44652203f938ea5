"""Which step gives each variable that a step uses.

The value that a step sees is the one the notebook has there: that of the last step before it which
binds or changes the variable. *Before* is what `prev` says. Where calls may change an object (see
`calls`), the step that calls is taken to be the giver as long as that is not in question.

Each variable travels by itself: two that share an object in one step have two in another. That
is so in any pipeline whose steps are processes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kale_tag.diagnostics import Diagnostic
from kale_tag.pipeline import dataflow_faults as faults
from kale_tag.pipeline.calls import Change
from kale_tag.pipeline.effects import Callables
from kale_tag.pipeline.facts import Block, Body, Import, Read, Spot, Value
from kale_tag.pipeline.model import Parameter
from kale_tag.pipeline.names import BUILTINS, PROVIDED

IMMUTABLE = frozenset(["int", "float", "str", "bool"])


@dataclass(slots=True, eq=False)
class Unit:
    """A step, or a reference to another notebook (*inner*), in an order in which they can run.

    *before* has the bits of the units that end before it starts. What is found out: *ins* maps a
    variable to the number of the unit that gives it, -1 for what comes from outside; *outs*,
    *parameters* and *metrics* are names, *carried* imports of other steps that it has to repeat,
    *used* all names that it needs, of whatever kind.
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
    ran: set[Body] = field(default_factory=set)


class Dataflow:
    """The variables of one notebook."""

    def __init__(
        self, shared: Block, parameters: Mapping[str, Parameter], modules: Mapping[str, str]
    ) -> None:
        """Start without units."""
        self.shared = shared
        self.parameters = dict(parameters)
        self.modules = modules
        self.units: list[Unit] = []
        self.changers: dict[str, list[int]] = {}
        self.callables = Callables([shared])
        self.faults: list[Diagnostic] = []
        self.free: dict[str, list[tuple[int, Read, str]]] = {}
        self.outer: tuple[Dataflow, int] | None = None
        self.from_outside: set[str] = set()

    def solve(self, units: Iterable[Unit]) -> None:
        """Finds what each unit takes and gives; what nobody gives is left in `free`."""
        self.units = list(units)
        self.callables = Callables([self.shared, *(unit.block for unit in self.units)])
        self._shared_needs()
        for number, unit in enumerate(self.units):
            if unit.inner is not None:
                unit.changes, unit.binds = unit.inner.summary()
                for name, read in unit.inner.open_reads().items():
                    self.need(number, name, read, "")
            else:
                self._run(number)
            for name in unit.changes:
                self.changers.setdefault(name, []).append(number)
        for number, unit in enumerate(self.units):
            self._trailing(number, unit)

    def _run(self, number: int) -> None:
        unit = self.units[number]
        block = unit.block
        changed = self.callables.changes(block.effects)
        unit.changes = {name: change for name, change in changed.items() if "@" not in name}
        unit.changes = {name: change for name, change in unit.changes.items() if change}
        unit.binds = dict(block.binds)
        for name in block.binds.keys() | block.deleted.keys():
            unit.changes[name] = Change.SURE
        unit.used |= set(block.uses)
        for name, read in block.reads.items():
            self.need(number, name, read, "")
        for name, time in block.uses.items():
            self._use(number, name, time, called=name in block.called)

    def _shared_needs(self) -> None:
        """What the shared cells need when they run: parameters, which every step then takes."""
        shared, seen = self.shared, set()
        todo = [(name, read, "") for name, read in shared.reads.items()]
        for name in shared.uses:
            for body in self.bodies(None, name):
                todo += [(one, Read(read.spot, False), name) for one, read in body.reads.items()]
        while todo:
            name, read, through = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in self.parameters:
                for unit in self.units:
                    if unit.inner is None:
                        unit.parameters.add(name)
            elif read.sure and not self._at_hand(name) and not shared.stars:
                step = next((one.name for one in self.units if name in one.block.binds), None)
                self.faults.append(faults.shared_needs(name, read, step))
            for body in self.bodies(None, name):
                todo += [(one, Read(own.spot, False), name) for one, own in body.reads.items()]

    def _at_hand(self, name: str) -> bool:
        shared = self.shared
        return name in shared.bound or name in shared.maybe or name in BUILTINS or name in PROVIDED

    # What a unit needs

    def need(self, number: int, name: str, read: Read, through: str) -> None:
        """The unit uses *name*, if *through* is given in a function of that name."""
        unit = self.units[number]
        unit.used.add(name)
        if name in unit.sought and (unit.sought[name] or not read.sure):
            return
        unit.sought[name] = read.sure
        if name in unit.ins or name in unit.parameters:
            return
        known_faults = len(self.faults)
        giver = self.giver(name, unit.before, read, f"step `{unit.name}`")
        if len(self.faults) > known_faults:
            return
        if giver is not None:
            known = self.units[giver]
            imported = _imported(known.block, name)
            if imported and unit.inner is None:
                unit.carried.setdefault(name, imported[-1])
            elif name in known.block.deleted and name not in known.block.bound:
                if read.sure:
                    spot = known.block.deleted[name]
                    self.faults.append(faults.deleted(name, unit.name, read, known.name, spot))
            else:
                unit.ins[name] = giver
                self._taken(unit, name)
                self.give(giver, name)
        elif name in self.parameters:
            unit.parameters.add(name)
            if unit.inner is not None:
                unit.inner.take_parameter(self.parameters[name])
        elif name in self.from_outside:
            unit.ins[name] = -1
        elif not self._at_hand(name) and self._star(unit):
            pass
        elif name not in self.shared.bound and name not in unit.binds:
            self._seek_outside(number, name, read, through)

    def _taken(self, unit: Unit, name: str) -> None:
        if unit.inner is not None:
            unit.inner.take(name)

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
        for one in reversed(self.units):
            if unit.before >> self.units.index(one) & 1 and one.block.stars:
                star = one.block.stars[-1]
                unit.carried.setdefault(f"*{star.module}", star)
                return True
        return False

    def _use(self, number: int, name: str, time: int, *, called: bool) -> None:
        """The unit mentions *name*: if that is a function, it may be called from here."""
        unit = self.units[number]
        block = unit.block
        for body in self.bodies(number, name):
            if body in unit.ran:
                continue
            unit.ran.add(body)
            unit.used |= set(body.reads)
            for one, read in body.reads.items():
                if not (one in block.since and block.since[one] < time):
                    sure = read.sure and called and one not in block.binds
                    self.need(number, one, Read(read.spot, sure), body.name)
                self._use(number, one, time, called=called)
            for key, change in self.callables.of_body(body).items():
                if "@" not in key and change:
                    unit.changes[key] = max(change, unit.changes.get(key, Change.NONE))
            for one, spot in body.binds.items():
                unit.binds.setdefault(one, spot)
                unit.changes[one] = Change.SURE

    # What a value is

    def bodies(self, number: int | None, name: str) -> list[Body]:
        """The functions that the value of *name* may call, as the unit (None: shared) sees it."""
        found: dict[Body, None] = {}
        self._collect(number, name, found, set(), results=False)
        return list(found)

    def _collect(
        self,
        number: int | None,
        name: str,
        found: dict[Body, None],
        seen: set[tuple[int | None, str, bool]],
        *,
        results: bool,
    ) -> None:
        if (number, name, results) in seen:
            return
        seen.add((number, name, results))
        value, bound = self._own_value(number, name)
        if value is not None:
            self._of_value(number, value, found, seen, results=results)
        if number is None:
            return
        unit = self.units[number]
        giver = unit.ins.get(name)
        if giver is not None and giver >= 0:
            self._collect(giver, name, found, seen, results=results)
        elif giver is None and (not bound or name in unit.block.reads):
            self._collect(None, name, found, seen, results=results)

    def _own_value(self, number: int | None, name: str) -> tuple[Value | None, bool]:
        if number is None:
            return self.shared.values.get(name), True
        unit = self.units[number]
        if unit.inner is not None:
            return unit.inner.value_given(name), True
        return unit.block.values.get(name), name in unit.block.bound

    def value_given(self, name: str) -> Value | None:
        """What is known of a value that this notebook gives to the one around it."""
        giver = self.giver(name, (1 << len(self.units)) - 1, None, "")
        if giver is None:
            return None
        bodies = self.bodies(giver, name)
        return Value(bodies, mentions=set(self.units[giver].used))

    def _of_value(
        self,
        number: int | None,
        value: Value,
        found: dict[Body, None],
        seen: set[tuple[int | None, str, bool]],
        *,
        results: bool,
    ) -> None:
        if results:  # not the functions, but what they give back
            for body in value.bodies:
                self._of_value(number, body.returns, found, seen, results=False)
            for name in value.aliases:
                self._collect(number, name, found, seen, results=True)
            return
        found.update(dict.fromkeys(value.bodies))
        for name in value.aliases:
            self._collect(number, name, found, seen, results=False)
        for name in value.called:
            self._collect(number, name, found, seen, results=True)

    # Who gives

    def giver(self, name: str, before: int, read: Read | None, who: str) -> int | None:
        """The unit among *before* whose value of *name* is the notebook's; None: there is none.

        Two that may be it are a fault where *read* is sure.
        """
        among = [one for one in self.changers.get(name, ()) if before >> one & 1]
        binders = [one for one in among if name in self.units[one].binds]
        if self._only_module(name, binders):
            among = binders
        least = self._least(name, binders)
        among = [one for one in among if self.units[one].changes[name] >= least]
        last = self._last(among)
        if len(last) > 1:
            among = [one for one in among if self.units[one].changes[name] >= Change.LIKELY]
            last = self._last(among)
        if len(last) > 1 and not self._same_import(name, last):
            if read is not None and read.sure:
                found = [(self.units[one].name, self._where(one, name)) for one in last]
                self.faults.append(faults.two_givers(name, who, read, found))
            return None
        return last[-1] if last else None

    def _last(self, among: list[int]) -> list[int]:
        """Those of *among* that none of the others runs after."""
        last: list[int] = []
        covered = 0
        for one in reversed(among):
            if not covered >> one & 1:
                last.append(one)
                covered |= self.units[one].before
        return last[::-1]

    def _least(self, name: str, binders: list[int]) -> Change:
        """From which change on a step gives *name* anew."""
        if binders:
            values = [self.units[one].block.values.get(name) for one in binders]
            inert = all(value is not None and value.inert for value in values)
            return Change.SURE if inert else Change.MAYBE
        if name in self.parameters:
            return Change.SURE if self.parameters[name].type in IMMUTABLE else Change.LIKELY
        value = self.shared.values.get(name)
        return Change.SURE if value is not None and value.inert else Change.LIKELY

    def _only_module(self, name: str, binders: list[int]) -> bool:
        """Whether *name* is a module or a shared function, which no change makes a variable."""
        if all(_imported(self.units[one].block, name) for one in binders):
            if binders or _imported(self.shared, name):
                return True
        value = self.shared.values.get(name)
        return value is not None and bool(value.bodies) and value.inert

    def _same_import(self, name: str, units: list[int]) -> bool:
        imports = [_imported(self.units[one].block, name) for one in units]
        return all(imports) and len({one[-1].target for one in imports if one}) == 1

    def _where(self, number: int, name: str) -> Spot | None:
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
        spot = self._where(number, name)
        if spot is None:
            return
        self.give_at_end(number, name)
        for body in self.bodies(number, name):
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
            for name, spot in unit.binds.items():
                if not _imported(unit.block, name):
                    binds[name] = spot
        return changes, binds

    def open_reads(self) -> dict[str, Read]:
        """What the steps of this notebook need from outside of it."""
        found = {}
        for name, sought in self.free.items():
            surest = next((read for _, read, _ in sought if read.sure), sought[0][1])
            found[name] = surest
        return found

    def take(self, name: str) -> None:
        """*name* comes from outside."""
        self.from_outside.add(name)
        for number, _, _ in self.free.get(name, ()):
            self.units[number].ins[name] = -1

    def take_parameter(self, parameter: Parameter) -> None:
        """A parameter of the notebook around this one is one of this notebook, too."""
        self.parameters.setdefault(parameter.name, parameter)
        for number, _, _ in self.free.get(parameter.name, ()):
            self.units[number].parameters.add(parameter.name)

    def give_out(self, name: str) -> None:
        """*name* is given to the outside by the last step that binds it."""
        giver = self.end_giver(name)
        if giver is not None:
            self.give(giver, name)

    def give_at_end(self, number: int, name: str) -> None:
        """The unit has the value of *name* at its end, whether or not it gives it to others."""
        unit = self.units[number]
        if name not in unit.block.bound and name not in unit.ins:
            spot = self._where(number, name)
            if spot is not None:
                unit.sought.pop(name, None)
                self.need(number, name, Read(spot, False), "")

    def end_giver(self, name: str, read: Read | None = None) -> int | None:
        """The unit that has the value of *name* when all is done."""
        return self.giver(name, (1 << len(self.units)) - 1, read, "`pipeline-metrics`")


def _imported(block: Block, name: str) -> list[Import]:
    """How *block* imports *name*, if it binds it in no other way."""
    return block.imports.get(name, []) if name not in block.values else []
