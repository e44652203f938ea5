"""Abstract objects, and what each may hold.

An abstract object stands for all objects that one place of the code makes, in one calling context.
The heap only grows: what an object holds once, it may hold ever after. Each link knows since when.
"""

from collections.abc import Hashable, Iterable
from enum import Enum, IntEnum
from typing import Any, Self


class Slot(Enum):
    """Fields of objects that are no attribute, index or key."""

    __hash__ = object.__hash__  # faster than that of Enum

    ANY = "any"  # some element, it is not known which
    KEYS = "keys"  # the keys of a dict
    CLASS = "class"  # of an instance
    BASES = "bases"  # of a class
    OWNER = "owner"  # of a method, of `vars(x)`
    FUNC = "func"  # of a bound method, a partial, a `map`
    FACTORY = "factory"  # of a defaultdict
    SEEN = "seen"  # what an iterator has yielded
    VALUE = "value"  # of a closure's cell
    MEMORY = "memory"  # what a view looks at
    ORIGIN = "origin"  # the object whose method made it, and which it may refer to
    SOURCE = "source"
    DEFAULT = "default"
    CELL = "cell"
    ARGUMENT = "argument"


class Certainty(IntEnum):
    """How sure it is that code binds a name or mutates an object."""

    NONE = 0
    GUESS = 1  # a library might, for all that is known
    MAY = 2  # in a branch or a callback, or one of several objects
    SURE = 3


Field = Hashable
"""A constant key, index or attribute; a `Slot`; or a `Slot` with a number or name."""


class Obj(int):
    """An abstract object: a number, so that sets of them are fast, and the same in every run.

    *kind* says what it is, *info* more of that kind. *since* says when each object came into it,
    *contents* are those of them that it holds. *parts*: how deep in an opaque object it is a part.
    *site* is what made a copy.
    """

    kind: str
    info: Any
    fields: dict[Field, "set[Obj]"]
    since: "dict[Obj, int]"
    contents: "set[Obj]"
    parts: int
    site: object

    def __new__(cls, number: int, kind: str, info: object = None) -> Self:
        """A new one, which holds nothing."""
        made = super().__new__(cls, number)
        made.kind, made.info = kind, info
        made.fields, made.since, made.contents = {}, {}, set()
        made.parts, made.site = 0, None
        return made

    def under(self, slot: Slot) -> "dict[Any, Points]":
        """What it holds in the fields that are *slot* with a number or name, by these."""
        return {
            name[1]: frozenset(held)
            for name, held in self.fields.items()
            if isinstance(name, tuple) and name[0] is slot
        }


Points = frozenset[Obj]
EMPTY: Points = frozenset()

OPAQUE = frozenset(["any", "array", "frame", "tensor", "volatile"])
"""Objects of libraries, of which no more is known than the kind."""

MEMORY = frozenset(["array", "frame", "tensor"])
CONTAINERS = frozenset(["list", "dict", "set", "tuple"])
_FIXED = frozenset(["module", "path", "tuple", "bound", "method", "absent"])
"""Kinds that nothing mutates."""

_DEPTH = 2

_MANY = 400
"""Objects that one cell may make apart; after that, what is alike is one object."""


class Sight(IntEnum):
    """What of an object's links is followed."""

    CONTENTS = 0  # what it holds
    ALL = 1  # and what it looks at or came from


class Heap:
    """All abstract objects. *clock* counts the steps that have run."""

    def __init__(self) -> None:
        self.objects: dict[Hashable, Obj] = {}
        self.limit = _MANY
        self.clock = 0
        self.version = 0
        self.known: dict[tuple[frozenset[Obj], Sight], set[Obj]] = {}  # reached, as of a version
        self.known_version = 0
        self.links: dict[Obj, list[tuple[Obj, int, bool]]] = {}  # since when, and whether held

    def at(self, site: Hashable, kind: str, info: object = None) -> Obj:
        """The object of an allocation site."""
        found = self.objects.get(site)
        if found is None:
            found = self.objects[site] = Obj(len(self.objects), kind, info)
            self.version += 1
        return found

    def literal(self, site: Hashable, value: object) -> Points:
        """The objects of a list or mapping of JSON, with all that it holds."""
        if not isinstance(value, list | dict):
            return EMPTY
        made = self.at(site, type(value).__name__)
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            self.link(made, key, self.literal((site, key), one))
        return frozenset([made])

    def begin(self) -> None:
        """A cell begins."""
        self.limit = len(self.objects) + _MANY

    @property
    def crowded(self) -> bool:
        """Whether the code of the cell makes too many objects to keep all apart."""
        return len(self.objects) > self.limit

    def link(self, owner: Obj, name: Field, values: Iterable[Obj]) -> None:
        """*owner* may hold *values* there."""
        known = owner.fields.setdefault(name, set())
        new = set(values) - known
        if new:
            self.version += 1
            known |= new
            for one in new:
                owner.since.setdefault(one, self.clock)
            if name is not Slot.MEMORY and name is not Slot.ORIGIN:
                owner.contents |= new

    def part(self, owner: Obj, key: Field) -> Obj:
        """What an opaque object has at *key*."""
        if owner.parts >= _DEPTH or self.crowded:
            return owner
        made = self.at((owner, key), "any")
        made.parts = owner.parts + 1
        self.link(owner, key, (made,))
        owner.since[made] = 0  # it was there before the code looked at it
        return made

    def view(self, owner: Obj, kind: str = "") -> Obj:
        """What looks at the memory of *owner*."""
        if owner.info == "view" and (not kind or kind == owner.kind):
            return owner
        made = self.at((owner, Slot.MEMORY, kind), kind or owner.kind, "view")
        self.link(made, Slot.MEMORY, (owner,))
        if owner.kind in MEMORY and Slot.ANY in owner.fields:
            self.link(made, Slot.ANY, owner.fields[Slot.ANY])
        return made

    def held(self, owner: Obj) -> set[Obj]:
        """All that an object may hold."""
        return set().union(*owner.fields.values())

    def reach(
        self, objects: Iterable[Obj], sight: Sight = Sight.ALL, before: int | None = None
    ) -> set[Obj]:
        """The objects, and all that can be got from them; as it was *before* a time."""
        if before is not None:
            return self._reach_before(objects, sight, before)
        if self.known_version != self.version:
            self.known.clear()
            self.known_version = self.version
        key = frozenset(objects), sight
        found = self.known.get(key)
        if found is None:
            found = set()
            todo = list(key[0])
            while todo:
                one = todo.pop()
                if one not in found:
                    found.add(one)
                    todo += one.since if sight is Sight.ALL else one.contents
            self.known[key] = found
        return found

    def _reach_before(self, objects: Iterable[Obj], sight: Sight, before: int) -> set[Obj]:
        found: set[Obj] = set()
        todo = list(objects)
        links = self.links
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                for other, since, held in links.get(one, ()):
                    if since < before and (held or sight is Sight.ALL):
                        todo.append(other)
        return found

    def index(self, wanted: Iterable[Obj]) -> None:
        """Keeps the links that lead to *wanted* objects at hand, when all code has run."""
        backwards: dict[Obj, list[Obj]] = {}
        for one in self.objects.values():
            for other in one.since:
                backwards.setdefault(other, []).append(one)
        found: set[Obj] = set()
        todo = list(wanted)
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo += backwards.get(one, ())
        self.links = {
            one: [
                (other, since, other in one.contents)
                for other, since in one.since.items()
                if other in found
            ]
            for one in found
        }


def is_fixed(one: Obj) -> bool:
    """Whether nothing mutates the object."""
    return one.kind in _FIXED
