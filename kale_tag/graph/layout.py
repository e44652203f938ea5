"""The positions of boxes, labels and lines in a drawn graph: layers from top to bottom.

The method is Sugiyama's: each step is in a layer below those it depends on; long lines are cut
into pieces, one a layer; sweeps over the layers remove crossings; then each layer is placed as near
to its neighbours as its order and widths allow. A label is a piece of its line that has a width, in
a layer between two layers of steps, so that nothing overlaps. It is right of its line: straight
above the consumer if that has one producer only, or below the producer if that has one consumer
only, since there the box makes room for it and the line needs no bend.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from kale_tag.graph.graph import Edge

SWEEPS = 12
GAP = 18.0
"""Pixels between two neighbours of one layer."""

ARROW, SLOPE, HIGHEST = 18.0, 0.12, 60.0
"""Pixels between two layers: the least, more for each pixel that a line goes sideways, the most."""

PULL = 4.0
"""How much more a line that can be straight pulls its box than another line."""

PORT = 10.0
"""Pixels between the ends of two lines at one box."""


@dataclass(frozen=True, slots=True)
class Size:
    """The room that a box or label needs, in pixels."""

    left: float  # of the middle of the box, or of the line of the label
    right: float  # of the same
    height: float  # of the whole


@dataclass(frozen=True, slots=True)
class Route:
    """The line of an edge."""

    edge: Edge  # between which steps
    points: tuple[tuple[float, float], ...]  # from producer to consumer
    label: tuple[float, float]  # the middle of the left side of the label


@dataclass(frozen=True, slots=True)
class Layout:
    """A drawn graph, in pixels."""

    boxes: Mapping[str, tuple[float, float]]  # the middle of each, by name
    routes: tuple[Route, ...]  # in the order of the edges
    width: float  # of the whole drawing
    height: float  # of the whole drawing


@dataclass(slots=True)
class _Item:
    """A box, a label or a piece of a line."""

    size: Size  # of the box or label itself
    layer: int  # counted from the top
    left: float  # the room that it needs, for a box including the labels at it
    right: float  # the same on the other side
    above: list[int]  # the items that it is joined with
    below: list[int]  # the same in lower layers
    at: int | None = None  # the box that a label is placed at
    x: float = 0.0  # of its middle, or of the line of a label


NOTHING = Size(0.0, 0.0, 0.0)


def layout(
    names: Sequence[str],
    edges: Sequence[Edge],
    boxes: Mapping[str, Size],
    labels: Mapping[Edge, Size],
) -> Layout:
    """The layout of a graph without cycles; *names* are in the order within a layer."""
    items, chains = _items(names, edges, boxes, labels)
    rows = _ordered(items)
    _place(items, rows)
    for _, *pieces, _ in chains:
        _straighten(items, rows, pieces)
    left = min((one.x - one.left for one in items), default=0.0)
    for one in items:
        one.x -= left
    tops, bottoms = _levels(items, rows)

    def middle(number: int) -> tuple[float, float]:
        one = items[number]
        return one.x, (tops[one.layer] + bottoms[one.layer]) / 2

    ports = _ports(items)
    routes = []
    for edge, chain in zip(edges, chains, strict=True):
        producer, *pieces, consumer = chain
        points = [(ports[producer, pieces[0]], bottoms[items[producer].layer])]
        for piece in pieces:
            one = items[piece]
            points += [(one.x, tops[one.layer]), (one.x, bottoms[one.layer])]
        points.append((ports[consumer, pieces[-1]], tops[items[consumer].layer]))
        routes.append(Route(edge, tuple(points), middle(pieces[0])))
    return Layout(
        {name: middle(number) for number, name in enumerate(names)},
        tuple(routes),
        max((one.x + one.right for one in items), default=0.0),
        bottoms[-1] if rows else 0.0,
    )


def _items(
    names: Sequence[str],
    edges: Sequence[Edge],
    boxes: Mapping[str, Size],
    labels: Mapping[Edge, Size],
) -> tuple[list[_Item], list[list[int]]]:
    """The boxes, then the pieces of the lines; and for each edge its items from end to end."""
    layers = _layers(names, edges)
    number = {name: at for at, name in enumerate(names)}
    items = [_item(boxes[name], 2 * layers[name]) for name in names]
    chains = []
    for edge in edges:
        start, end = number[edge.producer], number[edge.consumer]
        chain = [start]
        for layer in range(items[start].layer + 1, items[end].layer):
            size = labels.get(edge, NOTHING) if len(chain) == 1 else NOTHING
            chain.append(len(items))
            items.append(_item(size, layer))
        chain.append(end)
        for one, other in pairwise(chain):
            items[one].below.append(other)
            items[other].above.append(one)
        chains.append(chain)
    for producer, label, *_, consumer in chains:
        if len(items[consumer].above) == 1:
            at = consumer
        elif len(items[producer].below) == 1:
            at = producer
        else:
            continue
        items[label].at = at
        items[at].left = max(items[at].left, items[label].left)
        items[at].right = max(items[at].right, items[label].right)
    return items, chains


def _item(size: Size, layer: int) -> _Item:
    return _Item(size, layer, size.left, size.right, [], [])


def _layers(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Each step right below the lowest that it depends on, sources right above the first."""
    import networkx as nx  # noqa: PLC0415  slow to import

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from((edge.producer, edge.consumer) for edge in edges)
    generations = enumerate(nx.topological_generations(graph))
    layers = {name: layer for layer, generation in generations for name in generation}
    for name in names:
        if not graph.pred[name] and graph.succ[name]:
            layers[name] = min(layers[consumer] for consumer in graph.succ[name]) - 1
    return layers


def _ordered(items: Sequence[_Item]) -> list[list[int]]:
    """The items of each layer from left to right, in the order with the fewest crossings found."""
    rows: list[list[int]] = [[] for _ in range(max((one.layer for one in items), default=-1) + 1)]
    for number, item in enumerate(items):
        rows[item.layer].append(number)
    best, least = [list(row) for row in rows], _crossings(items, rows)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for row in rows[1:] if downwards else reversed(rows[:-1]):
            _sort_row(items, rows, row, downwards=downwards)
        crossings = _crossings(items, rows)
        if crossings < least:
            best, least = [list(row) for row in rows], crossings
        if not least:
            break
    return best


def _sort_row(
    items: Sequence[_Item], rows: Sequence[list[int]], row: list[int], *, downwards: bool
) -> None:
    other = rows[items[row[0]].layer + (-1 if downwards else 1)]
    place = {number: at for at, number in enumerate(other)}
    now = {number: at for at, number in enumerate(row)}
    scale = len(other) / len(row)

    def middle(number: int) -> tuple[float, int]:
        near = items[number].above if downwards else items[number].below
        places = [place[one] for one in near]
        here = now[number] * scale
        return (sum(places) / len(places) if places else here), now[number]

    row.sort(key=middle)


def _crossings(items: Sequence[_Item], rows: Sequence[Sequence[int]]) -> int:
    """How often two lines cross, over all pairs of layers."""
    total = 0
    for row, under in pairwise(rows):
        place = {number: at for at, number in enumerate(under)}
        ends: list[int] = []  # of the lines that start further left, sorted
        for number in row:
            own = [place[one] for one in items[number].below]
            total += sum(len(ends) - bisect_right(ends, end) for end in own)
            for end in own:
                insort(ends, end)
    return total


def _place(items: Sequence[_Item], rows: Sequence[Sequence[int]]) -> None:
    """Give every item its x: near the middle of its neighbours, in order, with room between."""
    for row in rows:
        x = 0.0
        for number in row:
            items[number].x = x + items[number].left
            x += items[number].left + items[number].right + GAP
    for sweep in range(2 * SWEEPS):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            near = [items[n].above if downwards else items[n].below for n in row]
            _place_row(items, row, near)
    for row in rows[1::2]:
        at = [items[n].at for n in row]
        _place_row(items, row, [[] if box is None else [box] for box in at])


def _place_row(items: Sequence[_Item], row: Sequence[int], near: Sequence[Sequence[int]]) -> None:
    """Place each of *row* as near as possible to *near*, or else to all that it is joined with."""
    wanted, weights = [], []
    for number, some in zip(row, near, strict=True):
        one = items[number]
        others = some or (*one.above, *one.below)
        pulls = [1.0 if items[n].at is None else PULL for n in others]
        places = (items[n].x * pull for n, pull in zip(others, pulls, strict=True))
        wanted.append(sum(places) / sum(pulls) if others else one.x)
        # A label at a box stays there; pieces of long lines hold on to each other.
        weights.append(100.0 if one.at is not None else 4.0 if one.size == NOTHING else 1.0)
    sides = [(items[number].left, items[number].right) for number in row]
    for number, x in zip(row, _spread(sides, wanted, weights, GAP), strict=True):
        items[number].x = x


def _straighten(
    items: Sequence[_Item], rows: Sequence[Sequence[int]], pieces: Sequence[int]
) -> None:
    """Put as many *pieces* of a line as have the room straight below each other."""
    run: list[int] = []
    low, high = -inf, inf
    for number in pieces:
        one, row = items[number], rows[items[number].layer]
        at = row.index(number)
        before = [items[n].x + items[n].right + one.left + GAP for n in row[max(at - 1, 0) : at]]
        behind = [items[n].x - items[n].left - one.right - GAP for n in row[at + 1 : at + 2]]
        least, most = max([low, *before]), min([high, *behind])
        if least > most:
            run, least, most = [], max([-inf, *before]), min([inf, *behind])
        run, low, high = [*run, number], least, most
        x = min(max(sum(items[n].x for n in run) / len(run), low), high)
        for n in run:
            items[n].x = x


def _spread(
    sides: Sequence[tuple[float, float]],
    wanted: Sequence[float],
    weights: Sequence[float],
    gap: float,
) -> list[float]:
    """The places nearest to those *wanted* that keep the order and the gaps (least squares).

    *sides* is the room that each needs on its left and right. The method is "pool adjacent
    violators": neighbours that would overlap move as one block.
    """
    offsets = [0.0]
    for (_, right), (left, _) in pairwise(sides):
        offsets.append(offsets[-1] + right + left + gap)
    blocks: list[tuple[float, float, int]] = []  # sum of weighted places, weights, count
    for x, weight, offset in zip(wanted, weights, offsets, strict=True):
        total, load, count = (x - offset) * weight, weight, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / load:
            before = blocks.pop()
            total, load, count = total + before[0], load + before[1], count + before[2]
        blocks.append((total, load, count))
    places = [total / load for total, load, count in blocks for _ in range(count)]
    return [place + offset for place, offset in zip(places, offsets, strict=True)]


def _levels(
    items: Sequence[_Item], rows: Sequence[Sequence[int]]
) -> tuple[list[float], list[float]]:
    """The top and the bottom of each layer: the further sideways a line goes, the more room."""
    tops, bottoms = [], []
    y = 0.0
    for row in rows:
        tops.append(y)
        bottoms.append(y + max(items[number].size.height for number in row))
        aside = max(
            (abs(items[n].x - items[number].x) for number in row for n in items[number].below),
            default=0.0,
        )
        y = bottoms[-1] + min(ARROW + SLOPE * aside, HIGHEST)
    return tops, bottoms


def _ports(items: Sequence[_Item]) -> dict[tuple[int, int], float]:
    """Where lines leave and reach a box, by box and next piece: as straight as possible."""
    found = {}
    for number, one in enumerate(items):
        for near in filter(None, (one.below, one.above)):
            order = sorted(near, key=lambda n: items[n].x)
            last = max(len(order) - 1, 1)
            reach = max(min(one.size.left - PORT, PORT * (len(order) - 1)), 0.0)
            apart = min(PORT, 2 * reach / last)
            wanted = [min(max(items[n].x - one.x, -reach), reach) for n in order]
            places = _spread([(0.0, 0.0)] * len(order), wanted, [1.0] * len(order), apart)
            for at, (n, place) in enumerate(zip(order, places, strict=True)):
                least, most = at * apart - reach, at * apart + reach - last * apart
                found[number, n] = one.x + min(max(place, least), most)
    return found
