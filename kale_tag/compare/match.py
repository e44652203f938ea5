"""Pair the cells of two notebooks: by id, then by source, then by position."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from kale_tag.notebook.model import Notebook


class Pair(NamedTuple):
    """A cell of the old notebook and the same cell of the new one; None where there is none."""

    old: int | None  # its number
    new: int | None  # its number


def match_cells(old: Notebook, new: Notebook) -> tuple[Pair, ...]:
    """Every cell of both notebooks once, in the order of the new one.

    A removed cell follows the cell that it followed before. Cells are paired if they have the same
    id, unique in both notebooks; else if they have the same type and source: first unique ones,
    then those beside a pair (Heckel 1978), then equal ones in their order; else if they are the
    only ones between the same pairs, as after an edit of a cell without an id.

    Raises `UserError` where a source that is needed is neither a text nor a list of texts.
    """
    found: dict[int, int] = {}  # new to old
    _match_unique(_ids(old), _ids(new), found)
    if len(found) < max(len(old.types), len(new.types)):
        _by_source(old, new, found)
        _by_place(old, new, found)
    return tuple(_in_order(len(old.types), len(new.types), found))


def _ids(notebook: Notebook) -> dict[int, object]:
    ids = ((index, notebook.id_of(index)) for index in range(len(notebook.types)))
    return {index: name for index, name in ids if name}


def _match_unique(old: dict[int, object], new: dict[int, object], found: dict[int, int]) -> None:
    """Add to *found* what one cell of *old* and one of *new* have, and no other cell."""
    before = _unique(old)
    for key, index in _unique(new).items():
        if key in before:
            found[index] = before[key]


def _unique(keys: dict[int, object]) -> dict[object, int]:
    counts = Counter(keys.values())
    return {key: index for index, key in keys.items() if counts[key] == 1}


def _by_source(old: Notebook, new: Notebook, found: dict[int, int]) -> None:
    taken = set(found.values())
    before = {i: _content(old, i) for i in range(len(old.types)) if i not in taken}
    after = {i: _content(new, i) for i in range(len(new.types)) if i not in found}
    _match_unique(before, after, found)
    _by_neighbour(before, after, found, {-1: -1, len(new.types): len(old.types)})
    taken = set(found.values())
    free: dict[object, list[int]] = {}
    for index in reversed(before):
        if index not in taken:
            free.setdefault(before[index], []).append(index)
    for index, content in after.items():
        if index not in found and (same := free.get(content)):
            found[index] = same.pop()


def _content(notebook: Notebook, index: int) -> object:
    return notebook.types[index], notebook.source(index)


def _by_neighbour(
    before: dict[int, object], after: dict[int, object], found: dict[int, int], ends: dict[int, int]
) -> None:
    # Cells of the same content beside a pair, or at the same end. So one of two equal cells keeps
    # its tags when the other one is removed.
    for step in (1, -1):
        taken = set(found.values())
        for index in sorted(after, reverse=step < 0):
            beside = found.get(index - step, ends.get(index - step))
            origin = -1 if beside is None else beside + step
            free = index not in found and origin not in taken
            if free and before.get(origin) == after[index]:
                found[index] = origin
                taken.add(origin)


def _by_place(old: Notebook, new: Notebook, found: dict[int, int]) -> None:
    # Between two pairs, equally many cells of the same types are the same cells, edited, unless
    # both have an id.
    taken = set(found.values())
    ends = [(-1, -1), *sorted(found.items()), (len(new.types), len(old.types))]
    for (new_start, old_start), (new_end, old_end) in pairwise(ends):
        news = range(new_start + 1, new_end)
        olds = [index for index in range(old_start + 1, old_end) if index not in taken]
        if len(news) == len(olds) and _alike(old, olds, new, news):
            found.update(zip(news, olds, strict=True))
            taken.update(olds)  # where cells moved, two such ranges may overlap


def _alike(old: Notebook, olds: Sequence[int], new: Notebook, news: Sequence[int]) -> bool:
    return all(
        old.types[o] == new.types[n] and not (old.id_of(o) and new.id_of(n))
        for o, n in zip(olds, news, strict=True)
    )


def _in_order(old_count: int, new_count: int, found: dict[int, int]) -> Iterator[Pair]:
    kept = set(found.values())
    behind: dict[int, list[int]] = {}  # removed cells, by the kept one before them
    last = -1
    for index in range(old_count):
        if index in kept:
            last = index
        else:
            behind.setdefault(last, []).append(index)
    yield from (Pair(index, None) for index in behind.get(-1, ()))
    for index in range(new_count):
        origin = found.get(index)
        yield Pair(origin, index)
        if origin is not None:
            yield from (Pair(gone, None) for gone in behind.get(origin, ()))
