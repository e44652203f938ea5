"""The order of steps: which can run when, and what runs before each."""

from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush

from kale_tag.diagnostics import Diagnostic, Label, error


def in_order(names: Sequence[str], edges: Iterable[tuple[str, str]]) -> list[str]:
    """*names* so that each stands behind those it waits for, else in the order they are given."""
    position = {name: number for number, name in enumerate(names)}
    after: dict[str, list[str]] = {name: [] for name in names}
    waits = dict.fromkeys(names, 0)
    for before, behind in edges:
        after[before].append(behind)
        waits[behind] += 1
    ready = [position[name] for name in names if not waits[name]]
    found = []
    while ready:
        name = names[heappop(ready)]
        found.append(name)
        for other in after[name]:
            waits[other] -= 1
            if not waits[other]:
                heappush(ready, position[other])
    return found


def cycle(names: Sequence[str], edges: Mapping[tuple[str, str], Label]) -> Diagnostic | None:
    """The steps that wait for each other, as a path, if there are such."""
    if len(in_order(names, edges)) == len(names):
        return None
    import networkx as nx  # noqa: PLC0415  a third of the time of a compilation, and for faults only

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from(edges)
    found = [(before, after) for before, after in nx.find_cycle(graph)]
    if len(found) == 1:
        name = found[0][0]
        at = edges[found[0]].with_text("")
        return error("cycle", f"step `{name}` waits for itself", at, help=f"remove `prev:{name}`")
    path = " -> ".join([*(before for before, _ in found), found[-1][1]])
    labels = [edges[one].with_text(f"`{one[1]}` runs after `{one[0]}`") for one in found]
    return error(
        "cycle",
        f"steps wait for each other: {path}",
        labels[0],
        also=labels[1:],
        help="remove one of these",
    )


def masks(ordered: Sequence[str], edges: Iterable[tuple[str, str]]) -> list[int]:
    """For each of *ordered* the bits of the positions of all that run before it."""
    position = {name: number for number, name in enumerate(ordered)}
    direct: dict[str, list[int]] = {name: [] for name in ordered}
    for before, after in edges:
        direct[after].append(position[before])
    found: list[int] = []
    for name in ordered:
        mask = 0
        for number in direct[name]:
            mask |= found[number] | 1 << number
        found.append(mask)
    return found
