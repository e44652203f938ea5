"""What differs between two notebooks: by meaning, whatever moved, and never cut in silence."""

import functools
import html
import json
import random
import re
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import cmarkgfm  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from notebooks import cell, from_percent, notebook, to_bytes

from kale_tag.cli import main
from kale_tag.compare.diff import NotebookDiff, StepChange, diff_notebooks
from kale_tag.diagnostics import Label, Source, UserError, error
from kale_tag.notebook.json_value import same
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook
from kale_tag.render.diff import ComparedNotebook, as_json, as_text
from kale_tag.render.diff_markdown import LIMIT, as_markdown, code, graph_of, title_of
from kale_tag.render.text import Style, differences, one_line

TAGS = st.lists(
    st.sampled_from(["step:a", "step:b", "prev:a", "skip", "imports", "limit:cpu:1", "x", "x|`"]),
    max_size=3,
)
ONE = "# %% tags=step:a\nx\n# %% tags=step:b,prev:a\ny\n"


def read(value: dict[str, Any] | str) -> Notebook:
    """A notebook from its value or from percent text."""
    data = from_percent(value) if isinstance(value, str) else to_bytes(value)
    return read_notebook(data, "a.ipynb")


def differ(before: str, after: str) -> NotebookDiff:
    """What differs between two notebooks in percent form."""
    return diff_notebooks(read(before), read(after))


@given(st.lists(st.tuples(TAGS, TAGS), max_size=6), st.randoms())
def test_tags_of_each_cell(tags: list[tuple[list[str], list[str]]], chance: random.Random) -> None:
    """Exactly the cells whose tags differ are told, with what turns the old tags into the new."""
    old = [cell("x", id=f"i{n}", metadata={"tags": a}) for n, (a, _) in enumerate(tags)]
    new = [cell("y", id=f"i{n}", metadata={"tags": b}) for n, (_, b) in enumerate(tags)]
    chance.shuffle(new)

    found = diff_notebooks(read(notebook(old)), read(notebook(new)))

    expected = {f"i{n}": pair for n, pair in enumerate(tags) if pair[0] != pair[1]}
    assert {change.cell.id for change in found.cells} == expected.keys()
    for change in found.cells:
        before, after = expected[change.cell.id or ""]
        assert sorted(before + list(change.added)) == sorted(after + list(change.removed))
        assert change.reordered == (sorted(before) == sorted(after))
        assert not set(change.added) & set(change.removed)


@given(st.lists(TAGS, max_size=6))
def test_nothing_differs(tags: list[list[str]]) -> None:
    """Between a notebook and itself; against none, all that is tagged comes or goes."""
    made = read(notebook([cell("x", metadata={"tags": one}) for one in tags]))

    assert not diff_notebooks(made, made)
    come, gone = diff_notebooks(None, made), diff_notebooks(made, None)
    assert [list(one.added) for one in come.cells] == [one for one in tags if one]
    assert [list(one.removed) for one in gone.cells] == [one for one in tags if one]
    assert {step.kind for step in come.steps} <= {"added"}
    assert {step.kind for step in gone.steps} <= {"removed"}
    assert len(come.steps) == len(gone.steps)
    assert not diff_notebooks(None, None)


@given(st.permutations("abcd"), st.data())
def test_renamed_steps(order: list[str], data: st.DataObject) -> None:
    """Steps that are renamed wherever they are named are renamed, and nothing else is told."""
    prev = [data.draw(st.lists(st.sampled_from(order[:n]), unique=True)) for n in range(1, 4)]
    tags = [[], *prev]
    text = "".join(
        f"# %% tags={','.join([f'step:{name}', *(f'prev:{one}' for one in before)])}\n{name}\n"
        for name, before in zip(order, tags, strict=True)
    )
    names = {name: f"{name}_2" for name in data.draw(st.sets(st.sampled_from("abcd")))}
    new = re.sub(r"(?<=:)[abcd]", lambda found: names.get(found[0], found[0]), text)

    steps = differ(text, new).steps

    assert {(one.before.name, one.after.name) for one in steps if one.before and one.after} == set(
        names.items()
    )
    assert all(one.kind == "renamed" and not one.removed and not one.added for one in steps)


def kinds(steps: tuple[StepChange, ...]) -> list[tuple[str, str, str]]:
    """Kind, old and new name of each."""
    return [
        (one.kind, one.before.name if one.before else "", one.after.name if one.after else "")
        for one in steps
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # the first cell says which step it is, else most of the cells
        ("# %% tags=step:a\nx\n# %%\ny\n# %%\nz",
         "# %% tags=step:b\nx\n# %% tags=step:c\ny\n# %%\nz",
         [("renamed", "a", "b"), ("added", "", "c")]),
        ("# %% tags=step:a\nx\n# %%\ny\n# %%\nz", "# %%\nx\n# %% tags=step:b\ny\n# %%\nz",
         [("renamed", "a", "b")]),
        # a name that is there on both sides is the same step
        ("# %% tags=step:a\nx\n# %% tags=step:b\ny",
         "# %% tags=step:b\nx\n# %% tags=step:a\ny", []),
        # two become one: the first goes on
        ("# %% tags=step:a\nx\n# %% tags=step:b\ny", "# %% tags=step:c\nx\n# %% tags=step:c\ny",
         [("renamed", "a", "c"), ("removed", "b", "")]),
        # the language of Kale 0.x says the same
        ("# %% tags=block:a\nx\n# %% tags=block:b,prev:a\ny", ONE, []),
        # prev and settings on another than the first cell do not count, as in Kale
        ("# %% tags=step:a\nx\n# %% tags=step:a\ny",
         "# %% tags=step:a\nx\n# %% tags=step:a,limit:cpu:1\ny", []),
    ],
)  # fmt: skip
def test_steps(before: str, after: str, expected: list[tuple[str, str, str]]) -> None:
    """Which step is which."""
    assert kinds(differ(before, after).steps) == expected


@pytest.mark.parametrize(
    ("before", "after", "keys"),
    [
        ({}, {}, []),
        ({}, {"kubeflow_notebook": {}}, []),
        ({"kubeflow_notebook": None}, {"kubeflow_notebook": {}}, []),
        ({}, {"kubeflow_notebook": {"b": 1, "a": None}}, ["a", "b"]),
        ({"kubeflow_notebook": {"a": 1}}, {"kubeflow_notebook": {"a": True}}, ["a"]),
        ({"kubeflow_notebook": {"a": 1}}, {"kubeflow_notebook": {"a": 1.0}}, ["a"]),
        ({"kubeflow_notebook": []}, {"kubeflow_notebook": {}}, ["kubeflow_notebook"]),
        ({"kubeflow_notebook": {"a": 10**5000}}, {}, ["a"]),
        ({"kernelspec": 1}, {"kernelspec": 2}, []),
    ],
)
def test_settings(before: dict[str, Any], after: dict[str, Any], keys: list[str]) -> None:
    """Key by key, as JSON compares; each of the three formats can show it."""
    import sys  # noqa: PLC0415

    sys.set_int_max_str_digits(10_000)
    both = [to_bytes(notebook([cell("x")], **one)) for one in (before, after)]
    sys.set_int_max_str_digits(4300)

    found = diff_notebooks(*(read_notebook(data, "a.ipynb") for data in both))

    assert [one.key for one in found.settings] == keys
    done = [ComparedNotebook("a", "a", diff=found)]
    assert json.loads(as_json(("a", "b"), done))["summary"]["differ"] == bool(keys)
    text = "\n".join(as_text(done[0], Style(), verbose=False))
    assert all(key in text and key in as_markdown(title_of(("a", "b")), done) for key in keys)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_nested_settings(before: Any, after: Any) -> None:
    """Something is shown where something differs, and nothing of it is the same on both sides."""
    found = list(differences("key", before, after))
    assert bool(found) == (not same(before, after))
    assert not any(same(old, new) for _, old, new in found)


@given(st.text(max_size=40) | st.text("`|\\<&>#@*_[]() \n", max_size=20), st.booleans())
def test_code_spans(text: str, in_table: bool) -> None:  # noqa: FBT001  it is drawn
    """GitHub's own Markdown (cmark-gfm) shows every text as it is, in a line or a table."""
    shown = code(text, in_table=in_table)
    around = ("| a | b |\n|---|---|\n| ", " | c |\n") if in_table else ("- a ", " c\n")

    page = cmarkgfm.github_flavored_markdown_to_html(
        shown.join(around), cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE
    )

    found = re.findall("<code>(.*?)</code>", page)
    assert len(found) == 1
    assert html.unescape(found[0]).strip() == one_line(text).strip()
    assert page.count("<td>") == 2 * in_table
    assert "<" not in re.sub("</?(code|t(able|head|body|r|h|d)|[ul]+i?)>", "", page)


@functools.cache
def many(count: int, size: int) -> list[ComparedNotebook]:
    """So many notebooks that differ, each with *size* steps that are new."""
    return [
        ComparedNotebook(
            None, f"folder/{number}.ipynb", diff=diff_notebooks(None, steps(number, size))
        )
        for number in range(count)
    ]


def steps(number: int, size: int) -> Notebook:
    """A notebook with *size* steps, whose names begin with its *number*."""
    tags = (
        f"# %% tags=step:s{number}_{n}{f',prev:s{number}_{n - 1}' * (n > 0)}\nx{n}\n"
        for n in range(size)
    )
    return read("".join(tags))


@pytest.mark.parametrize(("count", "size"), [(1, 1), (4, 3), (40, 20), (700, 5), (2, 3000)])
@pytest.mark.parametrize("limit", [4_000, LIMIT, 1 << 20])
def test_markdown_fits(count: int, size: int, limit: int) -> None:
    """It is never longer than asked for, by default than GitHub takes, and says what is missing."""
    done = many(count, size)

    text = as_markdown(title_of(("main", "HEAD")), done, limit)

    assert len(text.encode()) <= limit
    drawn = text.count("```mermaid\n")
    assert text.count("```") == 2 * drawn
    assert text.count("<details>") == text.count("</details>") >= (0 if count <= 3 else drawn)
    told = "Left out" in text or "too many to draw" in text
    assert told == (drawn < count)
    rows = text.count("\n| `folder/")
    assert rows == count or f"and {count - rows} more notebook" in text


def test_markdown_of_much_text() -> None:
    """Long names and values, wide characters and many faults are cut, too."""
    long = "🎉`|" * 5000
    one = notebook([cell(long, metadata={"tags": [long] * 200})], kubeflow_notebook={long: long})
    found = diff_notebooks(None, read(one))
    diagnostic = error("not-read", long, Label(Source(long)))
    done = [ComparedNotebook(long, long, diff=found)] * 50
    done += [ComparedNotebook(long, long, diagnostics=(diagnostic, diagnostic))] * 50

    text = as_markdown(title_of((long, long)), done)

    assert len(text.encode()) <= LIMIT
    assert "**50 notebooks could not be read:**" in text
    assert re.search(r"^- and \d+ more$", text, re.MULTILINE)


def test_graphs_mark_what_differs() -> None:
    """In words and in lines, not by colour alone; an arrow that follows a new name is none."""
    found = differ(
        ONE + "# %% tags=step:c,prev:b\nz\n",
        "# %% tags=step:a2\nx\n# %% tags=step:b,prev:a2,prev:no\ny\n# %% tags=step:d,prev:b\nnew\n"
        "# %%\nz\n",
    )

    before, after = graph_of(found, "before"), graph_of(found, "after")

    assert before is not None
    assert after is not None
    assert 'n0["a<br/>#40;now a2#41;"]' in before
    assert 'n2["c<br/>#40;removed#41;"]' in before
    assert "n0 --> n1\n" in before
    assert 'n1 -.->|"removed"| n2\n' in before
    assert 'n0["a2<br/>#40;was a#41;"]' in after
    assert 'n1["b<br/>#40;changed#41;"]' in after
    assert 'n2["d<br/>#40;new#41;"]' in after
    assert 'n3{{"no<br/>#40;no such step#41;"}}' in after
    assert "n0 --> n1\n" in after
    assert 'n3 ==>|"new"| n1\n' in after


def test_corpus_versions(
    corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every two versions of a real notebook can be compared, in all formats."""
    monkeypatch.chdir(corpus)
    versions = defaultdict(list)
    for path in sorted(corpus.glob("*__at-*.ipynb")):
        versions[path.name.partition("__at-")[0]].append(path.name)
    pairs = [pair for names in versions.values() for pair in combinations(names, 2)]
    differing = 0
    for pair in pairs:
        assert main(["diff", *pair]) in {0, 2}
        assert main(["diff", *pair, "--format", "markdown"]) in {0, 2}
        capsys.readouterr()
        assert main(["diff", *pair, "--format", "json"]) in {0, 2}
        differing += json.loads(capsys.readouterr().out)["summary"]["differ"]
    assert len(pairs) > 40
    assert differing > 5


@pytest.mark.slow
def test_corpus_shuffled(corpus: Path) -> None:
    """The same cells in any order have the same tags, in every real notebook."""
    chance = random.Random(11)
    count = 0
    for path in sorted(corpus.glob("*.ipynb")):
        data = path.read_bytes()
        try:
            read_notebook(data, path.name)
        except UserError:
            continue
        value = json.loads(data)
        unique: dict[tuple[str, str], dict[str, Any]] = {}
        for number, one in enumerate(value["cells"]):
            unique.setdefault((one["cell_type"], "".join(one["source"])), one)
            if chance.random() < 0.3:
                one.setdefault("metadata", {})["tags"] = [
                    f"step:s{number}",
                    *chance.sample(["a", "b"], 1),
                ]
        cells = list(unique.values())
        old = read({**value, "cells": cells})
        chance.shuffle(cells)

        found = diff_notebooks(old, read({**value, "cells": cells}))

        assert not found.cells
        assert not found.settings
        assert all(step.kind == "changed" for step in found.steps)
        count += 1
    assert count > 250
