"""Which objects code changes: itself, through functions that it calls, and under other names."""

from collections.abc import Iterable

from kale_tag.analysis.calls import Change, known
from kale_tag.analysis.model import (
    CONTAINER,
    METHOD,
    RESULT,
    VOLATILE,
    Block,
    Body,
    Call,
    Effects,
    is_local,
)

Changes = dict[str, Change]


class Callables:
    """The functions and methods of a notebook by their names, whichever step defines them."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        """Collect from all blocks of one notebook."""
        self.functions: dict[str, list[Body]] = {}
        self.methods: dict[str, list[Body]] = {}
        self.known: dict[Body, Changes] = {}
        self.links: dict[str, dict[str, bool]] = {}
        self.kinds: dict[str, frozenset[str]] = {}
        blocks = list(blocks)
        self.classes = frozenset(name for block in blocks for name in block.special)
        for block in blocks:
            for name, bodies in block.functions.items():
                self.functions.setdefault(name, []).extend(bodies)
            for name, bodies in block.methods.items():
                self.methods.setdefault(name, []).extend(bodies)
        for block in blocks:
            self._link(block)
        for block in blocks:
            self._note_volatile(block)
        self.kinds = {}

    def _link(self, block: Block) -> None:
        """Notes what the names of the notebook, and results of its functions, may be, anywhere."""
        own = [block.effects, *(one.effects for some in block.functions.values() for one in some)]
        for effects in own:
            for key in effects.aliases:
                if not is_local(key):
                    links = self.links.setdefault(key, {})
                    for root, same in effects.behind(key).items():
                        links[root] = same or links.get(root, False)

    def _note_volatile(self, block: Block) -> None:
        """Notes functions that give closures, and classes whose objects change when looked at."""
        for name, bodies in block.functions.items():
            if any(self._changes_scope(inner, body) for body in bodies for inner in body.nested):
                self.links.setdefault(f"{name}{RESULT}", {})[VOLATILE] = True
        for name, special in block.special.items():
            if any(self.of_body(one).get(first) for one in special for first in one.parameters[:1]):
                self.links.setdefault(f"{name}{RESULT}", {})[VOLATILE] = True

    def _changes_scope(self, inner: Body, outer: Body) -> bool:
        """Whether a function changes local variables of the one around it, which is a closure."""
        own = f"@{outer.scope}"
        return any(change and key.endswith(own) for key, change in self.of_body(inner).items())

    def is_volatile(self, name: str) -> bool:
        """Whether any use of the variable may change its object."""
        return VOLATILE in self._kinds(name)

    def _kinds(self, name: str) -> frozenset[str]:
        """All that the object of a variable may be, and of what kinds."""
        if name not in self.kinds:
            found, todo = {name}, [name]
            while todo:
                new = {root for root, same in self.links.get(todo.pop(), {}).items() if same}
                todo += new - found
                found |= new
            self.kinds[name] = frozenset(found)
        return self.kinds[name]

    def changes(self, effects: Effects) -> Changes:
        """How each key may be changed."""
        found = dict(effects.changes)
        for call in effects.calls:
            for key, change in self._by_call(call):
                found[key] = max(change, found.get(key, Change.NONE))
        return self._through_aliases(found, effects)

    def of_body(self, body: Body) -> Changes:
        """How a call of *body* changes its parameters and the names of the notebook."""
        if body not in self.known:
            self.known[body] = {}  # for a function that calls itself
            self.known[body] = self.changes(body.effects)
        return self.known[body]

    def _by_call(self, call: Call) -> Iterable[tuple[str, Change]]:
        receiver = call.receiver
        bodies = (self.functions if receiver is None else self.methods).get(call.name, [])
        if call.handed:
            yield from self._by_handed(call, bodies)
            return
        if not bodies:
            yield from _unknown(call)
            return
        for body in bodies:
            changes = self.of_body(body)
            parameters = body.parameters
            if receiver is not None and parameters:
                for key in receiver:
                    yield key, changes.get(parameters[0], Change.NONE)
                parameters = parameters[1:]
            for place, keys in call.arguments:
                if isinstance(place, int):
                    known = place < len(parameters)
                    parameter = parameters[place] if known else ""
                else:
                    parameter = body.keywords.get(place, "")
                change = changes.get(parameter, Change.NONE) if parameter else Change.MAYBE
                for key in keys:
                    yield key, change

    def _by_handed(self, call: Call, bodies: Iterable[Body]) -> Iterable[tuple[str, Change]]:
        """It may be called, with whatever is at hand: so a change is no more than possible."""
        changed = {
            at == 0 and call.receiver is not None
            for body in bodies
            for at, one in enumerate(body.parameters)
            if self.of_body(body).get(one)
        }
        own = call.receiver or frozenset()
        others = frozenset().union(*(keys for _, keys in call.arguments))
        if own & self.classes:  # `map(Log.clear, logs)`
            own, others = frozenset(), own | others
            changed = {not one for one in changed}
        for keys, is_changed in ((own, True in changed or call.known), (others, False in changed)):
            for key in keys if is_changed else ():
                yield key, Change.MAYBE

    def _through_aliases(self, changes: Changes, effects: Effects) -> Changes:
        """What is changed under one name is changed under the others, too."""
        todo = list(changes)
        while todo:
            key = todo.pop()
            for root, direct in self._roots(key, effects).items():
                change = changes[key] if direct else min(changes[key], Change.MAYBE)
                if change > changes.get(root, Change.NONE):
                    changes[root] = change
                    todo.append(root)
        return changes

    def _roots(self, key: str, effects: Effects) -> dict[str, bool]:
        if key.endswith(RESULT):
            return self.links.get(key, {})
        owner, is_method, method = key.rpartition(METHOD)
        if is_method:
            kinds = {owner, *(one for one, same in effects.behind(owner).items() if same)}
            shallow = method == "copy" and any(CONTAINER in self._kinds(one) for one in kinds)
            return {owner: False} if shallow or method in self.methods else {}
        return effects.aliases.get(key, {})


def _unknown(call: Call) -> Iterable[tuple[str, Change]]:
    if call.receiver is not None:
        for key in call.receiver:
            yield key, Change.MAYBE if call.known is None else call.known
    spoils = call.receiver is not None and call.name in known("spoiling_methods")
    for place, keys in call.arguments:
        filled = place in known("filled") or (place == 2 and _is_ufunc(call.name))
        change = Change.MAYBE if call.known is None or spoils or filled else Change.NONE
        if call.known is Change.LIKELY and call.receiver is None and place == 0:
            change = Change.LIKELY
        for key in keys:
            yield key, Change.LIKELY if place == "out" else change


def _is_ufunc(path: str) -> bool:
    module, _, name = path.rpartition(".")
    return module == "numpy" and name in known("ufuncs")
