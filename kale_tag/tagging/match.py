"""Which cell of one notebook is which cell of another: by id, then by source, then by place."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from kale_tag.notebook import Notebook


class Pair(NamedTuple):
    """A cell of the old notebook and the same cell of the new one; None where there is none."""

    old: int | None
    new: int | None


def match_cells(old: Notebook, new: Notebook) -> tuple[Pair, ...]:
    """Every cell of both notebooks once, in the order of the new one.

    A cell that is gone stands behind the cell that it stood behind. Cells are the same if they have
    the same id, and no other cell of their notebook has it; else if they have the same type and
    source, equal ones in their order; else if they stand between the same cells and nothing else
    does, which is what editing a cell without an id leaves of it.
    """
    found: dict[int, int] = {}  # new to old
    _by_id(old, new, found)
    _by_source(old, new, found)
    _by_place(old, new, found)
    return tuple(_in_order(len(old.types), len(new.types), found))


def _by_id(old: Notebook, new: Notebook, found: dict[int, int]) -> None:
    before = _unique_ids(old)
    for name, index in _unique_ids(new).items():
        if name in before:
            found[index] = before[name]


def _unique_ids(notebook: Notebook) -> dict[str, int]:
    ids = [notebook.id_of(index) for index in range(len(notebook.types))]
    counts: dict[str | None, int] = {}
    for name in ids:
        counts[name] = counts.get(name, 0) + 1
    return {name: index for index, name in enumerate(ids) if name and counts[name] == 1}


def _by_source(old: Notebook, new: Notebook, found: dict[int, int]) -> None:
    taken = set(found.values())
    free: dict[tuple[str, str], list[int]] = {}
    for index in reversed(range(len(old.types))):
        if index not in taken:
            free.setdefault(_content(old, index), []).append(index)
    for index in range(len(new.types)):
        if index not in found and (same := free.get(_content(new, index))):
            found[index] = same.pop()


def _content(notebook: Notebook, index: int) -> tuple[str, str]:
    return notebook.types[index], notebook.source(index)


def _by_place(old: Notebook, new: Notebook, found: dict[int, int]) -> None:
    # Between two neighbours that are known to be the same, as many cells of the same types on both
    # sides are the same cells, edited. Cells that both have an id are different ones, though.
    ends = [(-1, -1), *sorted(found.items()), (len(new.types), len(old.types))]
    for (new_start, old_start), (new_end, old_end) in pairwise(ends):
        news, olds = range(new_start + 1, new_end), range(old_start + 1, old_end)
        if len(news) == len(olds) and _alike(old, olds, new, news):
            taken = set(found.values())
            found.update((n, o) for n, o in zip(news, olds, strict=True) if o not in taken)


def _alike(old: Notebook, olds: Sequence[int], new: Notebook, news: Sequence[int]) -> bool:
    return all(
        old.types[o] == new.types[n] and not (old.id_of(o) and new.id_of(n))
        for o, n in zip(olds, news, strict=True)
    )


def _in_order(old_count: int, new_count: int, found: dict[int, int]) -> Iterator[Pair]:
    kept = set(found.values())
    behind: dict[int, list[int]] = {}  # cells that are gone, by the kept one before them
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
