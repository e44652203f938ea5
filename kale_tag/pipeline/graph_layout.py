"""Where the boxes, labels and lines of a drawn graph go: layers from top to bottom.

The method is Sugiyama's: steps in layers, each below those it waits for; long lines cut into
pieces, one a layer; few crossings by sweeps over the layers; then every layer as near below its
neighbours as its order and widths let it. A label is a piece of its line that has a width, in a
layer of its own between two of steps, so that nothing overlaps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kale_tag.pipeline.graph import Edge

SWEEPS = 12
GAP = 18.0
"""Pixels between two neighbours of one layer."""


@dataclass(frozen=True, slots=True)
class Line:
    """The way of an edge: points from giver to taker, and the point at which its label stands."""

    edge: Edge
    points: tuple[tuple[float, float], ...]
    label: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Layout:
    """The middles of the boxes by name, the lines, and the size of it all; in pixels."""

    boxes: Mapping[str, tuple[float, float]]
    lines: tuple[Line, ...]
    width: float
    height: float


@dataclass(slots=True)
class _Item:
    """A box, a label or a piece of a line; *near* are those that it is joined with."""

    width: float
    layer: int
    above: list[int]
    below: list[int]
    x: float = 0.0


def layout(
    names: Sequence[str],
    edges: Sequence[Edge],
    widths: Mapping[str, float],
    label_widths: Mapping[Edge, float],
    heights: tuple[float, float],
) -> Layout:
    """Where everything goes. *names* stand in an order in which the steps can run.

    *heights* are those of the layers of boxes and of the layers of labels between them.
    """
    items, chains = _items(names, edges, widths, label_widths)
    rows = _ordered(items)
    _place(items, rows)
    left = min((one.x - one.width / 2 for one in items), default=0.0)
    right = max((one.x + one.width / 2 for one in items), default=0.0)
    box, label = heights
    pitch = (box + label) / 2

    def point(number: int) -> tuple[float, float]:
        return items[number].x - left, items[number].layer * pitch + box / 2

    lines = []
    for edge, chain in zip(edges, chains, strict=True):
        lines.append(Line(edge, tuple(map(point, chain)), point(chain[1])))
    return Layout(
        {name: point(number) for number, name in enumerate(names)},
        tuple(lines),
        right - left,
        (len(rows) - 1) * pitch + box if rows else 0.0,
    )


def _items(
    names: Sequence[str],
    edges: Sequence[Edge],
    widths: Mapping[str, float],
    label_widths: Mapping[Edge, float],
) -> tuple[list[_Item], list[list[int]]]:
    """The boxes, then the pieces of the lines; and for each edge the way through them."""
    layers = _layers(names, edges)
    number = {name: at for at, name in enumerate(names)}
    items = [_Item(widths[name], 2 * layers[name], [], []) for name in names]
    chains = []
    for edge in edges:
        start, end = number[edge.giver], number[edge.taker]
        chain = [start]
        for layer in range(items[start].layer + 1, items[end].layer):
            width = label_widths[edge] if len(chain) == 1 else 0.0
            chain.append(len(items))
            items.append(_Item(width, layer, [], []))
        chain.append(end)
        for one, other in pairwise(chain):
            items[one].below.append(other)
            items[other].above.append(one)
        chains.append(chain)
    return items, chains


def _layers(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Each step right below the lowest of those it waits for, sources right above the first."""
    layers = dict.fromkeys(names, 0)
    takers: dict[str, list[str]] = {name: [] for name in names}
    waits = set()
    for edge in edges:  # in the order of the takers, so those of a giver are known before it is met
        layers[edge.taker] = max(layers[edge.taker], layers[edge.giver] + 1)
        takers[edge.giver].append(edge.taker)
        waits.add(edge.taker)
    for name in names:
        if name not in waits and takers[name]:
            layers[name] = min(layers[taker] for taker in takers[name]) - 1
    return layers


def _ordered(items: Sequence[_Item]) -> list[list[int]]:
    """The items of every layer from left to right, in the order with the fewest crossings met."""
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
    """How often two lines cross, over all pairs of layers (Barth, Jünger, Mutzel 2002)."""
    total = 0
    for row, under in pairwise(rows):
        place = {number: at for at, number in enumerate(under)}
        size = 1
        while size < len(under):
            size *= 2
        tree = [0] * (2 * size)
        for number in row:
            ends = sorted(place[one] for one in items[number].below)
            for end in ends:
                total += _count_right(tree, size, end)
            for end in ends:
                at = end + size
                while at:
                    tree[at] += 1
                    at //= 2
    return total


def _count_right(tree: Sequence[int], size: int, end: int) -> int:
    """How many lines counted so far end to the right of *end*."""
    at, found = end + size, 0
    while at > 1:
        if at % 2 == 0:
            found += tree[at + 1]
        at //= 2
    return found


def _place(items: Sequence[_Item], rows: Sequence[Sequence[int]]) -> None:
    """Give every item its x: near the middle of its neighbours, in order, with room between."""
    for row in rows:
        x = 0.0
        for number in row:
            items[number].x = x + items[number].width / 2
            x += items[number].width + GAP
    for sweep in range(2 * SWEEPS):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            wanted, weights = [], []
            for number in row:
                one = items[number]
                near = one.above if downwards else one.below
                near = near or (one.below if downwards else one.above)
                wanted.append(sum(items[n].x for n in near) / len(near) if near else one.x)
                # Pieces of long lines hold on to each other, so that the lines are straight.
                weights.append(4.0 if one.width == 0 else 1.0)
            for number, x in zip(row, _spread(items, row, wanted, weights), strict=True):
                items[number].x = x


def _spread(
    items: Sequence[_Item],
    row: Sequence[int],
    wanted: Sequence[float],
    weights: Sequence[float],
) -> list[float]:
    """The places nearest to those *wanted* that keep the order and the gaps (least squares).

    Pool adjacent violators: neighbours that would overlap move as one block.
    """
    offsets = [0.0]
    for one, other in pairwise(row):
        offsets.append(offsets[-1] + (items[one].width + items[other].width) / 2 + GAP)
    blocks: list[tuple[float, float, int]] = []  # sum of weighted places, weights, count
    for x, weight, offset in zip(wanted, weights, offsets, strict=True):
        total, load, count = (x - offset) * weight, weight, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / load:
            before = blocks.pop()
            total, load, count = total + before[0], load + before[1], count + before[2]
        blocks.append((total, load, count))
    places = [total / load for total, load, count in blocks for _ in range(count)]
    return [place + offset for place, offset in zip(places, offsets, strict=True)]
