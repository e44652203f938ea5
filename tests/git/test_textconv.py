"""Notebooks as lines for `git diff`: what is the same, what differs, what is left alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notebooks import cell, from_percent, notebook, to_bytes

from kale_tag.git.textconv import textconv

PERCENT = (
    '# %metadata {"kubeflow_notebook": {"pipeline_name": "p", "base_image": "x"}}\n'
    "# %% [markdown] id=m\n# Title\n# %% id=a tags=step:load\nx = 1\n"
    "# %% id=b tags=step:fit,prev:load,limit:cpu:2\nfit(x)\n"
)


def lines(value: Any) -> list[str]:
    """The lines of a notebook given as a value."""
    return textconv(to_bytes(value)).decode().splitlines()


def test_a_notebook() -> None:
    """Settings one a line and sorted, a head line a cell, sources as they are."""
    assert textconv(from_percent(PERCENT)).decode() == (
        '#% kubeflow_notebook.base_image: "x"\n'
        '#% kubeflow_notebook.pipeline_name: "p"\n'
        "\n# %% [markdown] #m\n# Title\n"
        "\n# %% [code] step:load #a\nx = 1\n"
        "\n# %% [code] step:fit prev:load limit:cpu:2 #b\nfit(x)\n"
        "\n#% nbformat: 4\n#% nbformat_minor: 5\n"
    )


@pytest.mark.parametrize("old", ["step:load", "prev:load", "limit:cpu:2", '"p"'])
def test_one_change_is_one_line(old: str) -> None:
    """A changed tag or setting changes one line and no other."""
    before = from_percent(PERCENT)
    after = before.replace(old.encode(), old.replace("p", "q").replace("l", "k").encode())
    pairs = zip(textconv(before).splitlines(), textconv(after).splitlines(), strict=True)
    assert sum(one != other for one, other in pairs) == 1


def test_running_again_changes_nothing() -> None:
    """Execution counts are left out, of cells and of outputs; results count."""
    output = {"output_type": "execute_result", "data": {"text/plain": ["4"]}, "metadata": {}}

    def run(count: int, result: str) -> list[str]:
        shown = {**output, "data": {"text/plain": [result]}, "execution_count": count}
        return lines(notebook([cell("2 + 2", execution_count=count, outputs=[shown])]))

    assert run(1, "4") == run(7, "4")
    (one,) = set(run(1, "4")) - set(run(1, "5"))
    assert one.startswith("#% output execute_result text/plain ")


BASE = notebook([cell("a\nb\n", id="x", metadata={"tags": ["step:a"]})], kernelspec={"name": "k"})
EDITS: list[tuple[str, Any]] = [
    ("source", ["a\n", "b"]),
    ("source", ["a\n", "b\n", "\n"]),
    ("source", 1),
    ("id", "y"),
    ("id", 1),
    ("cell_type", "raw"),
    ("cell_type", None),
    ("metadata", {}),
    ("metadata", {"tags": []}),
    ("metadata", {"tags": "step:a"}),
    ("metadata", {"tags": ["step:a", "prev:b"]}),
    ("metadata", {"tags": ["step:a prev:b"]}),
    ("metadata", {"tags": ["step:a", "#x"]}),
    ("metadata", {"tags": ["step:a"], "collapsed": True}),
    ("metadata", {"tags": ["step:a"], "collapsed": 1}),
    ("metadata", None),
    ("outputs", [{"output_type": "stream", "name": "stdout", "text": "x"}]),
    ("outputs", [{"output_type": "stream", "name": "stdout", "text": "y"}]),
    ("outputs", ["y"]),
    ("outputs", "none"),
    ("attachments", {"a.png": {"image/png": "x" * 5000}}),
    ("attachments", {"a.png": {"image/png": "x" * 4999 + "y"}}),
    ("unknown", None),
]


def test_every_change_shows() -> None:
    """No two of these notebooks have the same lines."""
    texts = [lines({**BASE, "cells": [{**BASE["cells"][0], key: value}]}) for key, value in EDITS]
    tops: list[Any] = [{"kubeflow_notebook": {}}, {"kubeflow_notebook": None}, None, [], {}]
    texts += [lines({**BASE, "metadata": value}) for value in tops]
    texts += [lines(BASE), lines({**BASE, "nbformat_minor": 4}), lines({**BASE, "more": 1})]
    assert len({tuple(text) for text in texts}) == len(texts)


def test_the_layout_of_the_file_shows() -> None:
    """What is not as Jupyter writes it is named in the last line."""
    usual = to_bytes(BASE)
    files = {
        "byte order mark": b"\xef\xbb\xbf" + usual,
        "starts in one line": json.dumps(BASE).encode() + b"\n",
        'indent "    "': json.dumps(BASE, indent=4).encode() + b"\n",
        "CRLF": usual.replace(b"\n", b"\r\n"),
        "no line break at the end": usual.rstrip(),
        r'ends in "\n\n"': usual + b"\n",
        "escapes": usual.replace(b'"a\\n"', b'"\\u00e9\\n"'),
    }
    assert b"layout" not in textconv(usual)
    for words, data in files.items():
        assert textconv(data).decode().splitlines()[-1] == f"#% layout: {words}"


cells = st.builds(
    cell,
    st.text(st.sampled_from("ab\n#% \\"), max_size=12),
    st.sampled_from(["code", "markdown"]),
    metadata=st.fixed_dictionaries(
        {}, optional={"tags": st.lists(st.sampled_from(["step:a", "x y", "#", "[code]"]))}
    ),
)


@given(st.lists(cells, max_size=3), st.lists(cells, max_size=3))
def test_different_cells_have_different_lines(one: list[Any], other: list[Any]) -> None:
    """Whatever the sources hold, lines that look like ours included, nothing passes for another."""
    assert (lines(notebook(one)) == lines(notebook(other))) == (one == other)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.text("a:- \n", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("a:- ", max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(VALUES, VALUES)
def test_different_settings_have_different_lines(one: Any, other: Any) -> None:
    """Each field has a line, however deep, and nothing passes for another."""
    pair = [notebook([], kubeflow_notebook={"a": value}) for value in (one, other)]
    assert (lines(pair[0]) == lines(pair[1])) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )


@given(st.binary() | st.text().map(str.encode))
def test_it_never_fails(data: bytes) -> None:
    """What is no notebook comes back byte for byte."""
    assert textconv(data) == data


@pytest.mark.parametrize(
    "data",
    [
        b'{"cells": [' + b"[" * 100_000,
        b'{"cells": [1]}',
        b'{"nbformat": 3, "worksheets": []}',
        b'{"cells": [], "metadata": {"a": "\xff"}}',
        b'{"cells": []} x',
        b'{"cells": [\n<<<<<<< ours\n{}\n=======\n]\n>>>>>>> theirs\n]}\n',
        b'<<<<<<< ours\n=======\n>>>>>>> theirs\n{"cells": [}\n',
    ],
)
def test_what_is_no_notebook(data: bytes) -> None:
    """Nesting without end, other JSON, bytes that are no text: all as they are."""
    assert textconv(data) == data


def test_odd_values() -> None:
    """Half of a surrogate pair, integers of many digits, NaN."""
    odd = b'{"cells": [], "metadata": {"a": "\\ud800", "b": ' + b"1" * 5000 + b', "c": NaN}}'
    shown = textconv(odd).decode()
    assert r'#% metadata.a: "\ud800"' in shown
    assert "#% metadata.c: NaN" in shown
    assert shown != textconv(odd.replace(b"1,", b"2,")).decode()


@pytest.mark.parametrize("style", ["merge", "diff3"])
def test_an_open_conflict(style: str) -> None:
    """Both sides are shown, between the markers where they differ."""
    base = '||||||| 1234567\n     "step:x"\n' if style == "diff3" else ""
    data = from_percent("# %% tags=step:a\nx\n").decode()
    hunk = f'<<<<<<< HEAD\n     "step:a"\n{base}=======\n     "step:b"\n>>>>>>> topic\n'
    shown = textconv(data.replace('     "step:a"\n', hunk).encode()).decode()
    assert shown == (
        "\n<<<<<<< HEAD\n# %% [code] step:a\n=======\n# %% [code] step:b\n>>>>>>> topic\nx\n"
        "\n#% nbformat: 4\n#% nbformat_minor: 4\n"
    )


def test_corpus(corpus: Path) -> None:
    """Of real notebooks each source line is there, and each tag."""
    for path in sorted(corpus.glob("*.ipynb")):
        data = path.read_bytes()
        shown = textconv(data)
        if shown == data:
            continue
        text = shown.decode().split("\n")
        present = {line.lstrip("\\") for line in text}
        for one in json.loads(data.decode("utf-8-sig"))["cells"]:
            source = "".join(one["source"])
            assert {line.lstrip("\\") for line in source.split("\n")} <= present | {""}
