"""Selectors for the cells of a rule, each proven to select just these cells."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from kale_tag.diagnostics import Label, Source
from kale_tag.plan.select import View, cells_of
from kale_tag.spec.model import Index, Pattern, Selector

FILLED = r"\S"
"""The pattern of a cell that has a source at all."""

NOWHERE = Label(Source("extract"))

BY = ("id", "source", "index")
"""Keys that select one cell, the most stable first."""


WIDTH = 60
"""Characters of a line that a pattern quotes; a longer line is cut between words."""

_LINES = 60
"""Lines of a cell that are looked at."""

_DEFINITION = re.compile(r"((?:async def|def|class) +\w+)")
_NAMES = r"[^\W\d][\w.]*(?:\[[^\]\n]{1,30}\])?"
_CALL = re.compile(rf"((?:{_NAMES}(?: *, *{_NAMES})* *= *)?(?:await +)?([^\W\d][\w.]*)\()")
_SETTING = re.compile(rf"({_NAMES}(?: *, *{_NAMES})*(?: *: *\w+)? *=)(?!=)")
_IMPORT = re.compile(r"(?:import|from) +\w")
_SHOWING = {"print", "display", "head", "show", "describe", "info", "tail", "len", "type"}

_SPECIAL = re.compile(r"[\\.^$*+?{}\[\]|()]")


@dataclass(frozen=True, slots=True)
class ChosenSelector:
    """One selector of a rule."""

    key: str  # of the spec: `id`, `source`, `index` or `heading`
    values: tuple[str | int, ...]  # one for each cell; of a heading one for all
    cells: tuple[int, ...]  # in the first notebook
    filled: bool = False  # leaves out cells without source, as JupyterLab puts one at the end


class NoSelectorError(Exception):
    """No selector selects a cell and its counterparts and nothing else."""


def choose(
    views: Sequence[View], blocks: Sequence[Sequence[int]], order: Sequence[str]
) -> tuple[ChosenSelector, ...]:
    """The selectors for a block of cells, whose numbers in each of *views* are in *blocks*.

    *order* are the keys of `BY`, the preferred one first. In several notebooks, an index is used
    only for cells of equal source, or where the user prefers indices: other cells have the same
    index by accident. Raises `NoSelectorError`.
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
                return (ChosenSelector("heading", (pattern,), tuple(blocks[0]), filled),)
    found: dict[str, list[tuple[int, str | int]]] = {}
    for cells in together:
        key, value = _one(views, cells, order)
        found.setdefault(key, []).append((cells[0], value))
    return tuple(
        ChosenSelector(key, tuple(value for _, value in picks), tuple(cell for cell, _ in picks))
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
    raise NoSelectorError


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


def literal(text: str) -> str:
    """The pattern that matches *text* alone, in characters that any editor shows."""
    return "".join(map(_literal, text))


def candidates(source: str) -> Iterator[str]:
    """Patterns that match *source*, from the most telling and shortest to the most exact.

    First beginnings of lines that define, call, set or import something, then whole lines, pairs
    of lines, and the whole source where that is short.
    """
    lines = source.split("\n")[:_LINES]  # `^` stands behind these only
    imports = sum(_IMPORT.match(line) is not None for line in lines) * 2
    mostly_imports = imports >= sum(bool(line.strip()) for line in lines)
    ranked = sorted(
        (rank, at, pattern)
        for at, line in enumerate(lines)
        for rank, pattern in _beginnings(line, mostly_imports=mostly_imports)
    )
    yield from dict.fromkeys(pattern for _, _, pattern in ranked)
    yield from (f"^{_line(line)}" for line in lines if line.strip())
    for one, two in pairwise(lines):
        if one.strip() and two.strip() and len(one) + len(two) < 2 * WIDTH:
            yield rf"^{literal(one)}\n{_line(two)}"
    if source.strip() and len(source) < 2 * WIDTH:
        yield rf"\A{literal(source)}\Z"


def _beginnings(line: str, *, mostly_imports: bool) -> Iterator[tuple[int, str]]:
    """Patterns for the beginning of a line that is not indented, each with its rank."""
    text = line.rstrip()
    if not text or text[0].isspace():
        return
    if text.startswith("%%"):
        yield 0, f"^{_cut(text)}"
    elif found := _DEFINITION.match(text):
        yield 0, rf"^{literal(found[1])}\b"
    elif _IMPORT.match(text):
        yield 0 if mostly_imports else 1, f"^{_cut(text)}"
    elif found := _CALL.match(text):
        if found[2].rpartition(".")[2] not in _SHOWING:  # of these, the next cell may have one, too
            yield 0, f"^{literal(found[1])}"
        yield 3, f"^{_cut(text)}"
    elif found := _SETTING.match(text):
        yield 0, f"^{literal(found[1])}"
        yield 3, f"^{_cut(text)}"
    else:
        yield 2 if text.startswith("#") else 3, f"^{_cut(text)}"


def _line(line: str) -> str:
    """The pattern of a whole line, whatever blanks stand at its end."""
    text = line.rstrip()
    return f"{literal(text)}$" if text == line else rf"{literal(text)}\s*$"


def _cut(text: str) -> str:
    """The pattern of *text*, or of its beginning where it is long."""
    if len(text) <= WIDTH:
        return literal(text)
    short = text[:WIDTH]
    return literal(re.sub(r"\w+$", "", short).rstrip() or short)


def _literal(character: str) -> str:
    if _SPECIAL.match(character):
        return f"\\{character}"
    if character.isprintable():
        return character
    number = ord(character)
    named = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}.get(character)
    wide = f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
    return named or (f"\\x{number:02x}" if number < 0x100 else wide)
