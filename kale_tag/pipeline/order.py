"""The order of steps: which can run when, and what runs before each."""

from collections.abc import Iterable, Mapping, Sequence

from kale_tag.diagnostics import Diagnostic, Label, error


def in_order(names: Sequence[str], edges: Mapping[tuple[str, str], Label]) -> list[str]:
    """*names* so that each stands behind those it waits for, else in the order they are given."""
    import networkx as nx  # noqa: PLC0415  slow to import, needed to compile only

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from(edges)
    position = {name: number for number, name in enumerate(names)}
    return list(nx.lexicographical_topological_sort(graph, key=position.__getitem__))


def cycle(names: Sequence[str], edges: Mapping[tuple[str, str], Label]) -> Diagnostic | None:
    """The steps that wait for each other, as a path, if there are such."""
    import networkx as nx  # noqa: PLC0415  see `in_order`

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from(edges)
    if nx.is_directed_acyclic_graph(graph):
        return None
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
