"""The order of steps that depend on each other, and cycles among them."""

import graphlib
import heapq
from collections.abc import Collection, Iterable, Mapping


def find_cycle(dependencies: Mapping[str, Collection[str]]) -> list[str]:
    """A cycle in a graph that maps each name to the names that it depends on.

    Each name of the result depends on the next. The name that *dependencies* has first comes first
    and again last: `["a", "b", "a"]`, or `["a", "a"]` if `a` depends on itself. The result is empty
    if there is no cycle.
    """
    try:
        graphlib.TopologicalSorter(dependencies).prepare()
    except graphlib.CycleError as exc:
        # graphlib goes from a dependency to what depends on it.
        cycle = list(reversed(exc.args[1]))[1:]
        order = {name: number for number, name in enumerate(dependencies)}
        first = min(range(len(cycle)), key=lambda at: order[cycle[at]])
        return [*cycle[first:], *cycle[: first + 1]]
    return []


def in_order(dependencies: Mapping[str, Iterable[str]]) -> list[str]:
    """The names, each after those it depends on, else in the order of *dependencies*."""
    names = list(dependencies)
    position = {name: number for number, name in enumerate(names)}
    sorter = graphlib.TopologicalSorter(dependencies)
    sorter.prepare()
    ready: list[int] = []
    found = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, position[name])
        name = names[heapq.heappop(ready)]
        found.append(name)
        sorter.done(name)
    return found
