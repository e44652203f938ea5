"""Cells found again: every cell once, moved cells by id or source, edited ones by their place."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notebooks import cell, from_percent, notebook, to_bytes

from kale_tag.compare.match import Pair, match_cells
from kale_tag.diagnostics import UserError
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook

SOURCES = st.sampled_from(["", "a", "b", "c", "d", "e"])
IDS = st.sampled_from([None, "p", "q", "r", "s"])


@st.composite
def cells(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Cells with few sources and ids, so that many are equal."""
    made = []
    for _ in range(draw(st.integers(0, 7))):
        kind = draw(st.sampled_from(["code", "code", "markdown"]))
        name = draw(IDS)
        made.append(cell(draw(SOURCES), kind, **({"id": name} if name else {})))
    return made


def read(some: list[dict[str, Any]]) -> Notebook:
    """The notebook of these cells."""
    return read_notebook(to_bytes(notebook(some)), "a.ipynb")


def matched(old: str, new: str) -> list[tuple[int | None, int | None]]:
    """The pairs of two notebooks in percent form."""
    both = (read_notebook(from_percent(text), "a.ipynb") for text in (old, new))
    return [tuple(pair) for pair in match_cells(*both)]  # type: ignore[misc]


@given(cells(), cells())
def test_every_cell_once(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    """In the order of the new notebook, and a cell that is gone stands behind what it followed."""
    pairs = match_cells(read(old), read(new))

    assert [pair.new for pair in pairs if pair.new is not None] == [*range(len(new))]
    assert sorted(pair.old for pair in pairs if pair.old is not None) == [*range(len(old))]
    assert Pair(None, None) not in pairs
    kept = {pair.old for pair in pairs if pair.new is not None}
    for before, pair in zip([Pair(None, None), *pairs], pairs, strict=False):
        if pair.new is None and pair.old is not None and pair.old - 1 in kept:
            assert before.old == pair.old - 1


@given(cells())
def test_equal_notebooks(some: list[dict[str, Any]]) -> None:
    """Every cell is itself, however many are equal."""
    both = read(some), read(some)

    assert match_cells(*both) == tuple(Pair(index, index) for index in range(len(some)))


@given(st.data(), st.booleans())
def test_moved(data: st.DataObject, has_ids: bool) -> None:  # noqa: FBT001  it is drawn
    """Any order of cells with ids, or with sources, of their own is seen through."""
    texts = data.draw(st.lists(st.text("ab\n", max_size=4), unique=True, max_size=8))
    some = [cell(text) for text in texts]
    if has_ids:
        some = [cell("x", id=f"i{index}") for index in range(len(texts))]
    order = data.draw(st.permutations(range(len(some))))

    pairs = match_cells(read(some), read([some[index] for index in order]))

    assert pairs == tuple(Pair(old, new) for new, old in enumerate(order))


@pytest.mark.parametrize(
    ("old", "new", "pairs"),
    [
        # an edited cell, by its id and by its place
        ("# %% id=a\nx", "# %% id=a\ny", [(0, 0)]),
        ("# %%\na\n# %%\nx\n# %%\nb", "# %%\na\n# %%\ny\n# %%\nb", [(0, 0), (1, 1), (2, 2)]),
        # not the same: other ids, another type, another number of cells
        ("# %% id=a\nx", "# %% id=b\ny", [(0, None), (None, 0)]),
        ("# %%\nx", "# %% [markdown]\ny", [(0, None), (None, 0)]),
        ("# %%\nx\n# %%\ny", "# %%\nz", [(0, None), (1, None), (None, 0)]),
        # new ids all over, as a converter gives them
        ("# %% id=a\nx\n# %% id=b\ny", "# %% id=c\ny\n# %% id=d\nx", [(1, 0), (0, 1)]),
        # the same id twice says nothing
        ("# %% id=a\nx\n# %% id=a\ny", "# %% id=a\ny\n# %% id=a\nx", [(1, 0), (0, 1)]),
        # one of two equal cells goes: what stands beside them says which
        ("# %%\nx\n# %%\na\n# %%\nx\n# %%\nb", "# %%\na\n# %%\nx\n# %%\nb",
         [(0, None), (1, 0), (2, 1), (3, 2)]),
        ("# %%\na\n# %%\nx\n# %%\nb\n# %%\nx", "# %%\na\n# %%\nx\n# %%\nb",
         [(0, 0), (1, 1), (2, 2), (3, None)]),
        # a cell that moved out from between others does not stand between them any more
        ("# %%\na\n# %%\nm\n# %%\nx\n# %%\nb", "# %%\na\n# %%\ny\n# %%\nb\n# %%\nm",
         [(0, 0), (2, 1), (3, 2), (1, 3)]),
        # two cells changed places: what stood between them is the same as one new cell, not two
        ("# %%\nq\n# %%\nx\n# %%\np", "# %%\nu\n# %%\np\n# %%\nq\n# %%\nw",
         [(1, 0), (2, 1), (0, 2), (None, 3)]),
    ],
)  # fmt: skip
def test_pairs(old: str, new: str, pairs: list[tuple[int | None, int | None]]) -> None:
    """What counts, and what does not."""
    assert matched(old, new) == pairs


def test_odd_sources() -> None:
    """A source that is no text is an error only where an id does not find the cell."""
    odd = to_bytes(notebook([{**cell("", id="a"), "source": 1}]))
    other = to_bytes(notebook([cell("", id="b")]))

    assert match_cells(*(read_notebook(odd, "a.ipynb"),) * 2) == (Pair(0, 0),)
    with pytest.raises(UserError, match="source"):
        match_cells(read_notebook(odd, "a.ipynb"), read_notebook(other, "a.ipynb"))


def test_corpus_moved(corpus: Path) -> None:
    """Cells of real notebooks in any order, taken out and put in, are found again."""
    chance = random.Random(5)
    moved = 0
    for path in sorted(corpus.glob("*.ipynb")):
        data = path.read_bytes()
        try:
            old = read_notebook(data, path.name)
        except UserError:
            continue
        value = json.loads(data)
        keys = [(one["cell_type"], "".join(one["source"])) for one in value["cells"]]
        order = [i for i in range(len(keys)) if keys.count(keys[i]) == 1 and chance.random() < 0.9]
        chance.shuffle(order)
        made: list[Any] = [value["cells"][index] for index in order]
        extra = cell("a cell that nobody has written yet")
        made.insert(chance.randrange(len(made) + 1), extra)
        new = read_notebook(to_bytes({**value, "cells": made}), path.name)

        for pair in match_cells(old, new):
            if pair.new is not None and pair.old is not None:
                kept = value["cells"][pair.old]
                # What has the same id or source is that cell; the new one may take the place of
                # one that was taken out, no more.
                assert made[pair.new] is kept or made[pair.new] is extra
                moved += pair.new != pair.old
    assert moved > 1000
