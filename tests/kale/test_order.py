"""Cycles are found, and named as people read them."""

from itertools import pairwise

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from kale_tag.kale.outline import find_cycle

NAMES = st.sampled_from("abcdef")


def test_each_depends_on_the_next() -> None:
    """The cycle starts and ends with the step that comes first."""
    cycle = find_cycle({"a": ["c"], "b": ["a"], "c": ["b"], "d": ["c"]})
    assert cycle == ["a", "c", "b", "a"]
    assert find_cycle({"z": [], "a": ["a"]}) == ["a", "a"]


@given(st.dictionaries(NAMES, st.lists(NAMES, unique=True)))
def test_a_cycle_is_found_if_there_is_one(graph: dict[str, list[str]]) -> None:
    """networkx is the judge; what is found is a cycle of the graph."""
    dependencies = {name: [one for one in some if one in graph] for name, some in graph.items()}
    cycle = find_cycle(dependencies)
    edges = [(name, one) for name, some in dependencies.items() for one in some]
    known: nx.DiGraph[str] = nx.DiGraph(edges)
    assert bool(cycle) is not nx.is_directed_acyclic_graph(known)
    assert all(dependency in dependencies[name] for name, dependency in pairwise(cycle))
    if cycle:
        assert cycle[0] == cycle[-1] == min(cycle, key=[*dependencies].index)
