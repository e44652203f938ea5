"""Which objects code changes: itself, through functions that it calls, and under other names."""

from collections.abc import Iterable

from kale_tag.pipeline.calls import Change
from kale_tag.pipeline.facts import Block, Body, Call, Effects

Changes = dict[str, Change]


class Callables:
    """The functions and methods of a notebook by their names, whichever step defines them."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        """Collect from all blocks of one notebook."""
        self.functions: dict[str, list[Body]] = {}
        self.methods: dict[str, list[Body]] = {}
        self.known: dict[Body, Changes] = {}
        for block in blocks:
            for name, bodies in block.functions.items():
                self.functions.setdefault(name, []).extend(bodies)
            for name, bodies in block.methods.items():
                self.methods.setdefault(name, []).extend(bodies)

    def changes(self, effects: Effects) -> Changes:
        """How each key may be changed."""
        found = dict(effects.changes)
        for call in effects.calls:
            for key, change in self._by_call(call):
                found[key] = max(change, found.get(key, Change.NONE))
        return _through_aliases(found, effects)

    def of_body(self, body: Body) -> Changes:
        """How a call of *body* changes its parameters and the names of the notebook."""
        if body not in self.known:
            self.known[body] = {}  # for a function that calls itself
            self.known[body] = self.changes(body.effects)
        return self.known[body]

    def _by_call(self, call: Call) -> Iterable[tuple[str, Change]]:
        receiver = call.receiver
        bodies = (self.functions if receiver is None else self.methods).get(call.name, [])
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


def _unknown(call: Call) -> Iterable[tuple[str, Change]]:
    if call.receiver is not None:
        for key in call.receiver:
            yield key, Change.MAYBE if call.known is None else call.known
    for place, keys in call.arguments:
        change = Change.MAYBE if call.known is None else Change.NONE
        if call.known is Change.LIKELY and call.receiver is None and place == 0:
            change = Change.LIKELY
        for key in keys:
            yield key, change


def _through_aliases(changes: Changes, effects: Effects) -> Changes:
    """What is changed under one name is changed under the others, too."""
    todo = list(changes)
    while todo:
        key = todo.pop()
        for root, direct in effects.aliases.get(key, {}).items():
            change = changes[key] if direct else min(changes[key], Change.MAYBE)
            if change > changes.get(root, Change.NONE):
                changes[root] = change
                todo.append(root)
    return changes
