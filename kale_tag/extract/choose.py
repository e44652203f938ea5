"""The selectors for a block of cells, each proven to select just these."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from kale_tag.diagnostics import Label, Source
from kale_tag.extract.source_pattern import candidates, literal
from kale_tag.plan.select import View, cells_of
from kale_tag.spec.model import Index, Pattern, Selector

FILLED = r"\S"
"""The pattern of a cell that has a source at all."""

NOWHERE = Label(Source("extract"))

BY = ("id", "source", "index")
"""What a cell can be selected by, from what never changes to what changes when a cell moves."""


@dataclass(frozen=True, slots=True)
class Part:
    """One selector of a rule: *values* of the key *key*, and the cells, of the first notebook.

    There is a value for each cell, or, of a heading, one for all; with *filled*, it leaves cells
    without any source out, such as the one that JupyterLab puts at the end.
    """

    key: str
    values: tuple[str | int, ...]
    cells: tuple[int, ...]
    filled: bool = False


class NoSelectorError(Exception):
    """No selector selects the cell *cell* and its counterparts, each of them alone."""

    def __init__(self, cell: int) -> None:
        """*cell* is a number in the first notebook."""
        super().__init__(cell)
        self.cell = cell


def choose(
    views: Sequence[View], blocks: Sequence[Sequence[int]], order: Sequence[str]
) -> tuple[Part, ...]:
    """The selectors for a block of cells, whose numbers in each of *views* are in *blocks*.

    *order* is the order of preference of what is in `BY`. In several notebooks a number stands for
    cells of the same source only, or where numbers are asked for, because cells that have nothing
    else in common have the same number by accident. Raises `NoSelectorError`.
    """
    together = [*zip(*blocks, strict=True)]
    exact = order[0] == "index" or (
        order[0] == "id" and all(_by("id", views, cells) is not None for cells in together)
    )
    if len(together) > 1 and not exact:
        for pattern, filled in product(_headings(views[0], blocks[0]), (True, False)):
            source = (_pattern(FILLED),) if filled else ()
            selector = Selector(NOWHERE, heading=_pattern(pattern), source=source)
            if _selects(selector, views, blocks):
                return (Part("heading", (pattern,), tuple(blocks[0]), filled),)
    found: dict[str, list[tuple[int, str | int]]] = {}
    for cells in together:
        key, value = _one(views, cells, order)
        found.setdefault(key, []).append((cells[0], value))
    return tuple(
        Part(key, tuple(value for _, value in picks), tuple(cell for cell, _ in picks))
        for key, picks in found.items()
    )


def _one(
    views: Sequence[View], cells: Sequence[int], order: Sequence[str]
) -> tuple[str, str | int]:
    """Key and value of the selector for one cell of each view."""
    for key in order:
        value = _by(key, views, cells, numbers=order[0] == "index")
        if value is not None:
            return key, value
    raise NoSelectorError(cells[0])


def _by(
    key: str, views: Sequence[View], cells: Sequence[int], *, numbers: bool = False
) -> str | int | None:
    """The first value of *key* that selects just *cells*, one of each view."""
    blocks = [(cell,) for cell in cells]
    values = _values(key, views, cells, numbers=numbers)
    return next((one for one in values if _selects(_selector(key, one), views, blocks)), None)


def _values(
    key: str, views: Sequence[View], cells: Sequence[int], *, numbers: bool
) -> Iterator[str | int]:
    view, cell = views[0], cells[0]
    if key == "id" and (name := view.notebook.id_of(cell)):
        yield name
    elif key == "source":
        yield from candidates(view.source(cell))
    elif key == "index":
        sources = {other.source(one) for other, one in zip(views, cells, strict=True)}
        if numbers or len(sources) == 1:
            yield cell


def _selector(key: str, value: str | int) -> Selector:
    if isinstance(value, int):
        return Selector(NOWHERE, index=(Index(value, value, NOWHERE),))
    if key == "id":
        return Selector(NOWHERE, ids=(value,))
    return Selector(NOWHERE, source=(_pattern(value),))


def _pattern(text: str) -> Pattern:
    return Pattern(re.compile(text, re.MULTILINE), NOWHERE)


def _headings(view: View, cells: Sequence[int]) -> Iterator[str]:
    """Patterns for the headings that all *cells* stand under, the innermost first."""
    for text in view.headings[cells[0]]:
        if text and all(text in view.headings[cell] for cell in cells):
            yield f"^{literal(text)}$"


def _selects(selector: Selector, views: Sequence[View], blocks: Sequence[Sequence[int]]) -> bool:
    """Whether *selector* selects just the cells of *blocks*, in each of *views*."""
    return all(
        cells_of(selector, view) == tuple(cells) for view, cells in zip(views, blocks, strict=True)
    )
