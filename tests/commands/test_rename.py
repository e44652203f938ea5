"""`kale-tag rename`: only names change, to and fro, in any spec and any patch."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notebooks import cell, notebook, to_bytes
from spec_strategies import to_yaml, valid_specs

from kale_tag.cli import main
from kale_tag.diagnostics import Source
from kale_tag.rename import rename_in_patch, rename_in_spec

NAMES = ["load", "train", "a", "_b2", "load_data", "null", "x_y"]


@given(valid_specs(), st.sampled_from(["a", "_b2", "train"]))
def test_a_spec_to_and_fro(value: Any, old: str) -> None:
    """Any spec: only words change that are the name, and renaming back gives the old text."""
    source = Source("spec.yaml", to_yaml(value))
    there = rename_in_spec(source, old, "new_name")
    for edit in there.edits:
        span = edit.label.span
        assert span is not None
        assert source.text[span.start : span.end].strip("'\"") == old
    assert rename_in_spec(there.renamed, "new_name", old).text == source.text


@st.composite
def patches(draw: st.DrawFn) -> str:
    """A patch with tags in all the places where tags can be."""
    names = st.sampled_from(NAMES)
    tag = st.builds("{}:{}".format, st.sampled_from(["step", "prev", "label:x", "block"]), names)
    listed = st.lists(tag | st.sampled_from(["load", "é", 'a"b', "prev:load;a"]), max_size=3)
    operations = []
    for number in range(draw(st.integers(0, 4))):
        where = f"/cells/{number}/metadata"
        operations.append(
            draw(
                st.one_of(
                    st.builds(
                        lambda v, p=where: {"op": "add", "path": p, "value": {"tags": v}}, listed
                    ),
                    st.builds(
                        lambda v, p=where: {"op": "test", "path": f"{p}/tags", "value": v}, listed
                    ),
                    st.builds(
                        lambda v, p=where: {"op": "add", "path": f"{p}/tags/0", "value": v}, tag
                    ),
                    st.builds(
                        lambda v, p=where: {"op": "test", "path": f"{p}/x", "value": v}, listed
                    ),
                    st.just({"op": "remove", "path": f"{where}/tags/0"}),
                )
            )
        )
    return json.dumps(
        operations, indent=draw(st.sampled_from([None, 1])), ensure_ascii=draw(st.booleans())
    )


@given(patches(), st.sampled_from(NAMES))
def test_a_patch_to_and_fro(text: str, old: str) -> None:
    """Any patch: the same operations, and renaming back gives the old text."""
    source = Source("a.patch.json", text)
    there = rename_in_patch(source, old, "new_name")
    assert rename_in_patch(there.renamed, "new_name", old).text == text


@pytest.mark.parametrize("text", ["", "[]", "a: b", "cells: [1, {step: [load]}]", "- load\n- a"])
def test_odd_specs(text: str) -> None:
    """What is no spec has nothing to rename; to say so is for the reader of specs."""
    assert rename_in_spec(Source("spec.yaml", text), "load", "read").edits == ()


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_bytes_stay(tmp_path: Path, ending: str, mark: bytes) -> None:
    """Line ends, a byte order mark, comments and the mode of a file are as they were."""
    lines = ["version: 1", "# load, é", "cells:", "  - {source: a,   step: 'load' }  # load", ""]
    spec = tmp_path / "spec.yaml"
    spec.write_bytes(mark + ending.join(lines).encode())
    spec.chmod(0o640)

    assert main(["rename", "load", "read", str(spec), "--write", "-q"]) == 0

    lines[3] = "  - {source: a,   step: 'read' }  # load"
    assert spec.read_bytes() == mark + ending.join(lines).encode()
    assert spec.stat().st_mode & 0o777 == 0o640


def test_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one file cannot be written, none is."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.ipynb", "b.ipynb"):
        tagged = cell("x", metadata={"tags": ["step:load"]})
        Path(name).write_bytes(to_bytes(notebook([tagged])))
    before = Path("a.ipynb").read_bytes()
    Path("b.ipynb").chmod(0o444)

    assert main(["rename", "load", "read", ".", "--write"]) == 2

    assert Path("a.ipynb").read_bytes() == Path("b.ipynb").read_bytes() == before
    assert sorted(os.listdir()) == ["a.ipynb", "b.ipynb"]


def test_corpus(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The step of many real notebooks, renamed and renamed back: the same bytes."""
    before = {}
    for path in sorted(corpus.glob("*.ipynb")):
        data = path.read_bytes()
        if b"block:train" in data or b"step:train" in data:
            before[tmp_path / path.name] = data
            (tmp_path / path.name).write_bytes(data)

    assert main(["rename", "train", "fit_it", str(tmp_path), "--write"]) == 0
    assert "written" in capsys.readouterr().out
    changed = [path for path, data in before.items() if path.read_bytes() != data]
    assert len(changed) > 5
    assert main(["rename", "fit_it", "train", str(tmp_path), "--write", "-q"]) == 0
    assert {path: path.read_bytes() for path in before} == before
