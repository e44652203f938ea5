"""What names stand for along the branches of the code."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kale_tag.analysis.heap import EMPTY, Points
from kale_tag.code.source import Spot


@dataclass(frozen=True, slots=True)
class Read:
    """A name is read that may not be bound."""

    spot: Spot
    sure: bool  # it is an error if nothing binds it
    certain: bool = False  # the code there runs for certain
    through: str = ""  # the function in which it is read


Entry = tuple[Points | None, bool]
"""What a name stands for, None if it is not bound; and whether this code binds it for certain."""


@dataclass(slots=True, eq=False)
class Names:
    """One namespace."""

    values: dict[str, Points] = field(default_factory=dict)
    bound: set[str] = field(default_factory=set)  # by the code of this step, for certain
    own: set[str] = field(default_factory=set)  # all that the code of this step binds
    # For each branch around, what was there at its start
    logs: list[dict[str, Entry]] = field(default_factory=list)
    # For each `try` around, what is bound in it
    watched: list[dict[str, Points]] = field(default_factory=list)

    def entry(self, name: str) -> Entry:
        """What is known of *name* now."""
        return self.values.get(name), name in self.bound

    def put(self, name: str, points: Points | None, *, bound: bool = True) -> None:
        """*name* stands for *points* from here on."""
        if self.logs:
            self.logs[-1].setdefault(name, self.entry(name))
        for watch in self.watched:
            watch[name] = watch.get(name, EMPTY) | (points or EMPTY)
        self.restore(name, (points, bound))

    def restore(self, name: str, entry: Entry) -> None:
        """Sets a name without a note."""
        points, bound = entry
        if points is None:
            self.values.pop(name, None)
        else:
            self.values[name] = points
        (self.bound.add if bound else self.bound.discard)(name)


End = list[dict[str, Entry]]
"""What names stand for where a branch ends: those that it bound, by namespace."""


class Flow:
    """The namespaces at hand, inner ones first, and whether the code is reached."""

    def __init__(self, spaces: Sequence[Names]) -> None:
        self.spaces = spaces
        self.dead = False

    def begin(self) -> None:
        """A branch begins."""
        for space in self.spaces:
            space.logs.append({})

    def end(self) -> End | None:
        """The branch ends: all is as it was; what it came to, None if its end is not reached."""
        found: End = []
        for space in self.spaces:
            log = space.logs.pop()
            found.append({name: space.entry(name) for name in log})
            for name, entry in log.items():
                space.restore(name, entry)
        dead, self.dead = self.dead, False
        return None if dead else found

    def depth(self) -> int:
        """The number of branches around."""
        return len(self.spaces[0].logs)

    def here(self, depth: int) -> End:
        """What was bound since there were *depth* branches around: the end of a jump."""
        found: End = []
        inner = self.depth() - depth
        for space in self.spaces:
            names = {name for log in space.logs[len(space.logs) - inner :] for name in log}
            found.append({name: space.entry(name) for name in sorted(names)})
        return found

    def join(self, ends: Iterable[End | None]) -> bool:
        """Goes on from any of *ends*, which began here; whether that says more than was known."""
        alive = [end for end in ends if end is not None]
        self.dead = not alive
        changed = False
        for number, space in enumerate(self.spaces):
            for name in sorted({name for end in alive for name in end[number]}):
                before = space.entry(name)
                entries = [end[number].get(name, before) for end in alive]
                known = [points for points, _ in entries if points is not None]
                points = EMPTY.union(*known) if known else None
                if EMPTY in known and all(one.kind == "absent" for one in points or ()):
                    points = EMPTY  # deleted in some branches, a number or text in others
                bound = all(bound for _, bound in entries)
                if (points, bound) != before:
                    changed = True
                    space.put(name, points, bound=bound)
        return changed

    def watch(self) -> None:
        """A `try` begins."""
        for space in self.spaces:
            space.watched.append({})

    def unwatch(self) -> list[dict[str, Points]]:
        """It ends; all that was bound in it."""
        return [space.watched.pop() for space in self.spaces]

    def may_have(self, watched: list[dict[str, Points]]) -> None:
        """Any of what was bound in a `try`, at any of its statements, may be there or not."""
        for space, names in zip(self.spaces, watched, strict=True):
            for name, points in names.items():
                known, bound = space.entry(name)
                space.put(name, (known or EMPTY) | points, bound=bound)
