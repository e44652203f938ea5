"""The abstract machine: the state of a run, and what code does with objects, names and modules.

A value is the set of objects that it may be; numbers, texts and the like are no objects. Names are
updated strongly, along branches, loops and jumps (`names.py`); what objects hold only grows.
"""

import ast
import builtins
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kale_tag.analysis import process_state
from kale_tag.analysis.heap import (
    CONTAINERS,
    EMPTY,
    MEMORY,
    OPAQUE,
    Certainty,
    Heap,
    Obj,
    Points,
    Sight,
    Slot,
    is_fixed,
)
from kale_tag.analysis.names import End, Flow, Names, Read
from kale_tag.analysis.process_state import Effect, ModuleAccess, Modules, State, StateUse
from kale_tag.code.scopes import Comprehension, Scope
from kale_tag.code.source import Parsed, Spot

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
"""Names that IPython has and `step_runtime/ipython.py` provides."""

ROUNDS = 30
"""Rounds after which a loop is left, whether or not all is found."""


def maker(one: Obj) -> str:
    """The function or class of a library that made an object; "" if that is not known."""
    known = {"array": "numpy.ndarray", "frame": "pandas.DataFrame", "tensor": "torch.Tensor"}
    return known.get(one.kind) or (one.info if isinstance(one.info, str) else "")


@dataclass(slots=True)
class Arguments:
    """What a call is given."""

    positions: list[Points] = field(default_factory=list)
    star: Points = EMPTY  # in positions that are not known
    keywords: dict[str, Points] = field(default_factory=dict)
    rest: Points = EMPTY  # by keywords that are not known
    constants: list[object] = field(default_factory=list)  # by position, `Slot.ANY` for no constant
    flags: dict[str, object] = field(default_factory=dict)  # the same by keyword

    def every(self) -> Points:
        """All together."""
        return EMPTY.union(self.star, self.rest, *self.positions, *self.keywords.values())

    def at(self, number: int) -> Points:
        """What is given at a position."""
        return self.positions[number] if number < len(self.positions) else self.star

    def constant(self, number: int) -> object:
        """The constant at a position; `Slot.ANY` for anything else."""
        return self.constants[number] if number < len(self.constants) else Slot.ANY

    def after(self, first: Points) -> "Arguments":
        """The same with *first* in front."""
        return Arguments([first, *self.positions], self.star, self.keywords, self.rest)

    def keep(self, heap: Heap, owner: Obj) -> None:
        """Lets *owner* hold them, for a call to come."""
        given = (*enumerate(self.positions), *self.keywords.items(), ("", self.star | self.rest))
        for name, points in given:
            heap.link(owner, (Slot.ARGUMENT, name), points)

    def with_kept(self, owner: Obj) -> "Arguments":
        """The same behind those that *owner* holds."""
        kept = owner.under(Slot.ARGUMENT)
        star = kept.pop("")
        first = [points for name, points in kept.items() if isinstance(name, int)]
        named = {name: points for name, points in kept.items() if isinstance(name, str)}
        return Arguments(
            [*first, *self.positions],
            self.star | star,
            {**named, **self.keywords},
            self.rest | star,
        )


@dataclass(slots=True, eq=False)
class Frame:
    """A function, class or comprehension that runs."""

    kind: str
    scope: Scope
    names: Names = field(default_factory=Names)
    cells: dict[str, Obj] = field(default_factory=dict)
    outer: dict[str, Obj] = field(default_factory=dict)
    parent: "Frame | None" = None
    first: str = ""  # the first parameter
    class_: Obj | None = None
    returns: Points = EMPTY
    exits: list[End] = field(default_factory=list)

    @property
    def around(self) -> "Frame | None":
        """Where names of its code may be found that it has not; a function is on its own."""
        return self.parent if self.kind != "function" else None

    @property
    def function(self) -> "Frame | None":
        """The function in which it runs."""
        frame: Frame | None = self
        while frame is not None and frame.kind != "function":
            frame = frame.parent
        return frame

    def spaces(self) -> list[Names]:
        """The namespaces that its code can bind names in, but for that of the notebook."""
        return [self.names, *(self.around.spaces() if self.around is not None else ())]


@dataclass(slots=True)
class Loop:
    """A loop that runs: where jumps out of it and to its next round end."""

    depth: int
    breaks: list[End] = field(default_factory=list)
    continues: list[End] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Events:
    """What the code of a step does: names that it uses and binds, objects that it touches."""

    uses: dict[str, Read] = field(default_factory=dict)  # names read before they are bound
    used: set[str] = field(default_factory=set)  # all names that are read
    reads: dict[str, Spot] = field(default_factory=dict)  # where each name is read first
    binds: dict[str, Spot] = field(default_factory=dict)  # where each name is bound last
    mutated: dict[Obj, Certainty] = field(default_factory=dict)
    observed: set[Obj] = field(default_factory=set)  # whose identity makes a difference
    places: dict[Obj, Spot] = field(default_factory=dict)  # where each object is mutated first
    handed: dict[Obj, Points] = field(default_factory=dict)  # what libraries may call, with what
    states: dict[State, StateUse] = field(default_factory=dict)  # of the process
    owners: set[str] = field(default_factory=set)  # modules of which it takes attributes, in full

    def note_use(self, name: str, read: Read) -> None:
        """The step uses *name*."""
        known = self.uses.get(name)
        if known is None or (read.sure, read.certain) > (known.sure, known.certain):
            self.uses[name] = read

    def add_all(self, other: "Events") -> None:
        """All that the code below does."""
        for name, read in other.uses.items():
            self.note_use(name, read)
        self.used |= other.used
        self.binds.update(other.binds)
        self.add(other)

    def add(self, other: "Events", most: Certainty = Certainty.SURE) -> None:
        """All that another does, but for names; state of the process with that certainty."""
        for state, use in other.states.items():
            self.states.setdefault(state, StateUse()).add(use, most)
        for one, certainty in other.mutated.items():
            self.mutated[one] = max(certainty, self.mutated.get(one, Certainty.NONE))
        self.observed |= other.observed
        self.owners |= other.owners
        for one, spot in other.places.items():
            self.places.setdefault(one, spot)


class Machine(ABC):
    """An abstract run of code."""

    def __init__(self, heap: Heap, own: Modules) -> None:
        """Start with no code. *own* are the user's own modules."""
        self.heap = heap
        self.own = own
        self.notebooks: list[tuple[Names, Events]] = []  # the innermost last
        self.frame: Frame | None = None
        self.flow = Flow(())
        self.context: tuple[ast.AST, ...] = ()
        self.unsure = 0  # branches and calls around that may not run
        self.guards = 0  # of `try` around that catches a NameError, and of texts
        self.guarded: list[str] = []  # names that are bound here, since a test around says so
        self.escaped: set[Obj] = set()  # what code that is not known got in this statement
        self.compared: set[Obj] = set()  # what is compared in this statement
        self.iterating: set[Obj] = set()
        self.work = 0  # that calls in the cell made so far
        self.handing: list[tuple[Obj, Points]] | None = None  # what libraries may call
        self.literals: dict[str, list[str]] = {}  # the texts that names were assigned
        self.patched: dict[str, list[State]] = {}  # attributes of modules that are set, by name
        self.updating = 0  # targets around whose old value does not matter
        self.stars: list[str] = []  # modules of the user of which all names are imported
        self.cell: Parsed | None = None
        self.top: Spot | None = None  # where, at the top of the cells, what is done begins
        self.through = ""  # the function that runs

    @property
    def events(self) -> Events:
        """Of the step that runs."""
        return self.notebooks[-1][1]

    def spot(self, node: ast.AST) -> Spot:
        """The place of a node of the cell that is run."""
        assert self.cell is not None
        return Spot(self.cell, node)

    # Branches

    def begin(self) -> None:
        """A branch that may not run."""
        self.unsure += 1
        self.flow.begin()

    def end(self) -> End | None:
        """It ends; what it came to."""
        self.unsure -= 1
        return self.flow.end()

    def unchanged(self) -> End:
        """Where a branch does nothing."""
        return [{} for _ in self.flow.spaces]

    def optional(self, action: Callable[[], Points]) -> Points:
        """What Python may or may not do, as often as it likes."""
        self.begin()
        made = action()
        self.flow.join([self.unchanged(), self.end()])
        return made

    def repeat(self, action: Callable[[], None], loop: Loop | None = None) -> None:
        """Repeat until neither names nor objects change; it may also never run."""
        for _ in range(ROUNDS):
            version = self.heap.version
            self.begin()
            action()
            ends = [self.unchanged(), self.end()]
            if loop is not None:
                ends += loop.continues
                loop.continues = []
            settled = not self.flow.join(ends) and self.heap.version == version
            if settled or self.heap.crowded:
                break

    # Objects

    def new(self, node: object, kind: str, tag: object = "", info: object = None) -> Obj:
        """The object that *node* makes here."""
        context = () if self.heap.crowded else self.context
        return self.heap.at((node, tag, context), kind, info)

    def fresh(
        self,
        node: object,
        kind: str,
        elements: Iterable[Obj] = (),
        keys: Points = EMPTY,
        tag: object = "",
    ) -> Points:
        """A new container of *elements*."""
        made = self.new(node, kind, tag)
        elements = frozenset(elements)
        self.heap.link(made, Slot.ANY, elements)
        if keys:
            self.heap.link(made, Slot.KEYS, keys)
            self.identity(keys)
        if kind == "set":
            self.identity(elements)
        return frozenset([made])

    def mutate(self, objects: Iterable[Obj], certainty: Certainty = Certainty.SURE) -> None:
        """Any of *objects* may be mutated."""
        todo = [one for one in objects if not is_fixed(one)]
        if self.unsure or len(todo) > 1:
            certainty = min(certainty, Certainty.MAY)
        found = [(one, certainty) for one in todo]
        for _, events in self.notebooks:
            done: set[Obj] = set()
            stack = list(found)
            while stack:
                one, how = stack.pop()
                if one in done:
                    continue
                done.add(one)
                if how > events.mutated.get(one, Certainty.NONE):
                    events.mutated[one] = how
                    if self.top is not None:
                        events.places.setdefault(one, self.top)
                if one.kind == "vars":
                    stack += [(owner, how) for owner in one.fields[Slot.OWNER]]
                for base in one.fields.get(Slot.MEMORY, ()):
                    sure = base.kind in {"array", "tensor"}
                    stack.append((base, how if sure else Certainty.GUESS))

    def observe(self, objects: Iterable[Obj]) -> None:
        """The code looks at which objects these are."""
        for _, events in self.notebooks:
            events.observed.update(objects)

    def kinds(self, objects: Iterable[Obj], *kinds: str) -> Points:
        """Those of some kinds."""
        return frozenset(one for one in objects if one.kind in kinds)

    def read(self, objects: Iterable[Obj], key: object = Slot.ANY) -> Points:
        """What objects hold, at a constant key or index, or anywhere."""
        found: set[Obj] = set()
        for one in objects:
            fields = one.fields
            if one.kind == "vars":
                found |= self.read(fields[Slot.OWNER], key)
            elif one.kind in MEMORY:
                found |= {self.heap.view(one)} | fields.get(Slot.ANY, EMPTY)
            elif one.kind in OPAQUE:
                found |= self.part(one, key)
            elif key is Slot.ANY:
                for name, values in fields.items():
                    if name is Slot.ANY or not isinstance(name, Slot | tuple):
                        found |= values
            else:
                found |= fields.get(key, EMPTY) | fields.get(Slot.ANY, EMPTY)
        return frozenset(found)

    def part(self, owner: Obj, key: object) -> set[Obj]:
        """A part of an opaque object. What is at some key may be what is at a known one."""
        made = self.heap.part(owner, key)
        fields = owner.fields
        if key is Slot.ANY:
            return {made}.union(
                *(
                    values
                    for name, values in fields.items()
                    if name is Slot.ANY or not isinstance(name, Slot | tuple)
                )
            )
        return {made} | fields.get(Slot.ANY, set())

    def write(
        self, objects: Iterable[Obj], key: object, values: Points, keys: Points = EMPTY
    ) -> None:
        """*values* come into objects."""
        objects = list(objects)
        self.mutate(objects)
        for one in objects:
            if one.kind == "vars":
                self.write(one.fields[Slot.OWNER], key, values, keys)
                continue
            of_objects = one.kind == "array" and Slot.ANY in one.fields
            if of_objects or one.kind not in MEMORY:
                self.heap.link(one, Slot.ANY if of_objects else key, values)
            if keys:
                self.heap.link(one, Slot.KEYS, keys)
                self.identity(keys)

    def shift(self, objects: Iterable[Obj]) -> None:
        """What lists hold moves to other places."""
        for one in objects:
            if one.kind == "list":
                self.heap.link(one, Slot.ANY, self.read([one]))

    def identity(self, objects: Iterable[Obj]) -> None:
        """Objects are compared, with what they hold."""
        self.compared.update(objects)

    def end_statement(self) -> None:
        """What is too much to be done more than once a statement."""
        # Code that is not known may mutate all that it got.
        if self.escaped:
            reached = self.heap.reach(self.escaped, Sight.CONTENTS)
            self.escaped = set()
            self.mutate(reached, Certainty.GUESS)
        # Instances are compared by what they are, unless their class has something else.
        compared, self.compared = self.compared, set()
        for one in self.heap.reach(compared, Sight.CONTENTS) if compared else ():
            if one.kind in {"function", "instance", "iter", "partial", "class", "sentinel"}:
                if not self.find([one], "__eq__"):
                    self.observe([one])
            elif one.kind in CONTAINERS and one in self.heap.reach(
                self.heap.held(one), Sight.CONTENTS
            ):
                self.observe([one])  # `==` ends in a cycle only where the objects are the same

    def combine(self, node: ast.AST, a: Points, b: Points) -> Points:
        """A new value of the elements of both."""
        found: set[Obj] = set()
        both = a | b
        for kind in sorted({one.kind for one in both}):
            own = self.kinds(both, kind)
            if kind in CONTAINERS:
                keys = EMPTY.union(*(one.fields.get(Slot.KEYS, EMPTY) for one in own))
                found |= self.fresh(node, kind, self.read(own), keys, tag=("both", kind))
            elif kind in OPAQUE:
                made = self.new(node, "any" if kind == "volatile" else kind, ("both", kind))
                if kind == "tensor":
                    self.heap.link(made, Slot.ORIGIN, own)
                found.add(made)
        return frozenset(found)

    def find(self, objects: Iterable[Obj], name: str) -> Points:
        """What the classes of instances have under a name."""
        found: set[Obj] = set()
        todo: list[Obj] = []
        for one in objects:
            todo += one.fields.get(Slot.CLASS, ())
        seen: set[Obj] = set()
        while todo:
            one = todo.pop(0)
            if one in seen:
                continue
            seen.add(one)
            own = one.fields.get(name)
            if own:
                found |= own
            todo += one.fields.get(Slot.BASES, ())
        return frozenset(found)

    def is_foreign(self, one: Obj) -> bool:
        """Whether a class, or that of an instance, has a base that is not of the notebook."""
        classes = self.heap.reach(one.fields.get(Slot.CLASS, (one,)), Sight.CONTENTS)
        return any(
            base.kind not in {"class", "function"} and base.info not in {"object", "abc.ABC"}
            for one in classes
            for base in one.fields.get(Slot.BASES, ())
        )

    def bound(self, function: Obj, owner: Points, node: ast.AST) -> Obj:
        """A method, bound to its object."""
        made = self.new(node, "bound", (function, tuple(sorted(owner))))
        self.heap.link(made, Slot.OWNER, owner)
        self.heap.link(made, Slot.FUNC, [function])
        return made

    def vars_of(self, objects: Iterable[Obj], node: ast.AST) -> Points:
        """`vars(x)`."""
        found = []
        for one in objects:
            if one.kind in {"module", "path"}:
                self.touch_use(one.info, node)
                continue
            made = self.new(node, "vars", ("vars", one))
            self.heap.link(made, Slot.OWNER, [one])
            found.append(made)
        return frozenset(found)

    # State of the process

    def touch(self, effects: Iterable[Effect], node: ast.AST) -> None:
        """The code sets or uses state of the process."""
        for effect in effects:
            attribute = process_state.is_attribute(effect.state)
            if self.updating and attribute and not effect.sets:
                continue
            spot = self.spot(node) if self.frame is None or self.top is None else self.top
            if self.unsure:
                effect = effect._replace(certainty=min(effect.certainty, Certainty.MAY))  # noqa: PLW2901
            self.events.states.setdefault(effect.state, StateUse()).note(effect, spot)
            if effect.sets and attribute:
                whole = State(effect.state.name)
                known = self.patched.setdefault(whole.name.rpartition(".")[2], [])
                if effect.certainty is Certainty.SURE and whole == effect.state:
                    for part in known:
                        if part.name == whole.name and part != whole:
                            self.touch([Effect(part, True, Certainty.SURE)], node)
                if effect.state not in known:
                    known.append(effect.state)

    def touch_use(
        self, path: str, node: ast.AST, *, again: bool = False, bound: bool = False
    ) -> None:
        """What a module has is used: *again* what was made there, *bound* to another name."""
        if not self.patched or self.updating:
            return
        path = self.own.resolved(path)
        for state in [one for states in self.patched.values() for one in states]:
            alike = path == state.name or state.name.startswith(f"{path}.")
            if (top := path.partition(".")[0]) in self.own.unread:
                alike = alike or state.name.startswith(f"{top}.")  # any function there may use it
            if (
                alike
                and not (again and state.change == "missing")
                and not (bound and state == State(path))
            ):
                self.touch([Effect(state, False, Certainty.MAY)], node)

    def call_own(self, path: str, then: str, args: Arguments, node: ast.AST) -> None:
        """A function of a module of the user is called, or what it returned (see `accesses`)."""
        for access in self.own.accesses(path, then):
            given = (*args.constants, *args.flags.values())
            known = not (args.star or args.rest or Slot.ANY in given)
            call = f"{path}.{then}{args.constants}{args.flags}" if known else ""
            self.access(access, call, node)

    def access(self, access: ModuleAccess, call: str, node: ast.AST) -> None:
        """What code of the user's own modules does with a variable there."""
        if access.how in {"use", "reuse"}:
            self.touch_use(access.effect.state.name, node, again=access.how == "reuse")
        else:
            self.touch([access.of_call(call)], node)

    def touch_at(self, owner: Points, node: ast.AST, attr: str = "", key: object = None) -> None:
        """An attribute of modules, or an item of one, is assigned to or deleted."""
        for one in owner:
            if one.kind == "any":  # perhaps what a function of the user returns
                self.call_own(maker(one), "__setitem__", Arguments(star=owner), node)
            if one.kind in {"module", "path"} or one.info == "decimal.getcontext":
                path = self.own.resolved(str(one.info))
                path = f"{path}.{attr}" if attr else path
                effect = process_state.assigned(path, key)
                self.touch([effect], node)

    def module(self, path: str, node: ast.AST) -> Points:
        """The module that is imported."""
        self.touch(process_state.imported(path), node)
        return frozenset([self.heap.at(("module", path), "module", path)])

    def has_module(self, path: str) -> bool:
        """Whether some code imports the module."""
        return ("module", path) in self.heap.objects

    # Names

    def load(self, name: str, node: ast.AST) -> Points:
        """*name* is read here."""
        frame = self.frame
        while frame is not None:
            if name in frame.scope.declared:
                break
            points = frame.names.values.get(name)
            cell = frame.cells.get(name)
            if points is not None and (cell is None or name not in frame.scope.rebound):
                return points
            if cell is not None:
                return frozenset(cell.fields.get(Slot.VALUE, EMPTY))
            if frame.kind == "function" and name in frame.scope.local:
                return EMPTY
            if name in frame.outer:
                return frozenset(frame.outer[name].fields.get(Slot.VALUE, EMPTY))
            frame = frame.around
        return self.load_global(name, node)

    def load_global(self, name: str, node: ast.AST) -> Points:
        """A name of the notebook is read."""
        for names, events in reversed(self.notebooks):
            events.used.add(name)
            events.reads.setdefault(name, self.spot(node))
            points = names.values.get(name)
            if name not in names.bound:
                known = points is None or name not in names.own
                sure = known and not self.guards and name not in self.guarded
                read = Read(self.spot(node), sure, sure and not self.unsure, self.through)
                events.note_use(name, read)
            if points is not None:
                for one in points if self.patched else ():
                    if one.kind == "path":
                        self.touch_use(one.info, node, bound=True)
                return points
        for module in reversed(self.stars):
            if name in self.own.names(module):
                path = f"{module}.{name}"
                return frozenset([self.heap.at(("path", path), "path", path)])
        if name in BUILTINS or name in PROVIDED:
            return frozenset([self.heap.at(("path", name), "path", name)])
        return frozenset([self.heap.at(("unknown", name), "any", name)])

    def assign(self, name: str, points: Points, node: ast.AST, *, walrus: bool = False) -> None:
        """*name* is bound here."""
        frame = self.frame
        while walrus and frame is not None and frame.kind == "comprehension":
            frame = frame.parent
        if frame is None or name in frame.scope.declared:
            self.assign_global(name, points, node)
        elif name in frame.outer and name not in frame.scope.local:
            self.heap.link(frame.outer[name], Slot.VALUE, points)
            self.mutate([frame.outer[name]])
        else:
            frame.names.put(name, points)
            if name in frame.cells:
                self.heap.link(frame.cells[name], Slot.VALUE, points)

    def assign_global(self, name: str, points: Points, node: ast.AST) -> None:
        """A name of the notebook is bound."""
        names, events = self.notebooks[-1]
        names.put(name, points)
        names.own.add(name)
        events.binds[name] = self.spot(node)

    def forget(self, name: str, node: ast.AST) -> None:
        """*name* is deleted."""
        absent = self.heap.at(("absent",), "absent")
        self.assign(name, frozenset([absent]), node)

    # Calls

    def method(self, objects: Iterable[Obj], name: str, args: Arguments, node: ast.AST) -> Points:
        """Python may call the special method *name* of instances."""
        found: set[Obj] = set()
        for one in objects:
            if one.kind == "instance" and (functions := self.find([one], name)):
                found |= self.call(functions, args.after(frozenset([one])), node, maybe=True)
        return frozenset(found)

    def call_method(
        self, functions: Points, owner: Points, args: Arguments, node: ast.AST
    ) -> Points:
        """A method is called of its object."""
        return self.call(functions, args.after(owner), node)

    def truth(self, objects: Points, node: ast.AST) -> None:
        """Whether a value is true is asked."""
        self.method(objects, "__bool__", Arguments(), node)
        self.method(objects, "__len__", Arguments(), node)

    def show(self, objects: Points, node: ast.AST) -> None:
        """Values are made texts."""
        for one in self.heap.reach(objects, Sight.CONTENTS) if objects else ():
            if one.kind == "instance":
                for name in ("__repr__", "__str__", "__format__"):
                    self.method([one], name, Arguments([EMPTY]), node)

    def guess(self, objects: Points) -> None:
        """Code that is not known gets *objects*."""
        self.escaped |= objects
        self.work += 1

    # What evaluates code is in the interpreter

    @abstractmethod
    def call(
        self, callees: Points, args: Arguments, node: ast.AST, *, maybe: bool = False
    ) -> Points:
        """What is called may be any of *callees*; *maybe* it is not called at all."""

    @abstractmethod
    def invoke(
        self, function: Obj, args: Arguments, node: ast.AST, *, lazily: bool = False
    ) -> Points:
        """A function of the notebook is called; a generator only as it is used, or *lazily*."""

    @abstractmethod
    def attribute(self, owner: Points, attr: str, node: ast.AST, *, called: bool = False) -> Points:
        """What `owner.attr` may be, which is *called* at once or not."""

    @abstractmethod
    def iterate(self, objects: Iterable[Obj], node: ast.AST) -> Points:
        """What iteration yields. It moves iterators on."""

    @abstractmethod
    def comprehension(self, node: Comprehension, around: Frame | None) -> tuple[Points, Points]:
        """The elements (or values) of a comprehension, and the keys."""

    @abstractmethod
    def code_in_text(self, text: str, node: ast.AST) -> Points:
        """Code in a text, which runs where *node* stands; the value of an expression."""
