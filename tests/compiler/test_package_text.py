"""The YAML writer: what it writes is read back unchanged, by every reader that is at hand."""

import io
import json
import math
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from kale_tag.compiler.package_text import is_literal, to_yaml

HOSTILE = [
    "",
    " ",
    "\n",
    "\n\n",
    "a\n\n",
    "\ta\n",
    " a\n",
    "a\tb\n",
    "a\n b\n  \nc\n",
    "a \nb  \n",
    "# comment\n",
    "--- a\n",
    "---\n",
    "...\n",
    "a\n---\nb\n...\n",
    "%YAML 1.1\n",
    "a\r\nb\r\n",
    "a\rb\n",
    "\x00",
    "\x1b[0m\n",
    "a\x85b\n",
    "a\u2028b\u2029c\n",
    "\ufeffa\n",
    "\ufffe\uffff\n",
    "\U0001f600 emoji\n",
    "\U0001ffff\U0010ffff\n",
    "é \x7f \xa0\n",
    "\"\"\"\n'''\n\\n {{x}} {x!r}\n",
    "{{$}}",
    "yes",
    "No",
    "y",
    "~",
    "null",
    "NULL",
    "1e3",
    ".5",
    "0x1f",
    "1_000",
    "12:30:45",
    "2024-01-01",
    "<<",
    "=",
    "- a",
    "a: b",
    "a #b",
    "a - b",
    "a -b",
    "-",
    "?",
    "@a",
    "`a",
    "&a",
    "*a",
    "!a",
    "a:",
    ":a",
    "[a",
    "{a",
    "a b",
    "a  b",
    "a/b@c+d-e.f",
    "_",
    "/x",
    "inf",
    "nan",
    ".inf",
    "+1",
    "'",
    '"',
    "a, b",
    "x" * 300,
    "x y\n" * 50,
]

LETTERS = st.sampled_from(
    [
        *"abAZ019 _-:#.,'\"\\{}[]&*!|>%@`?~<=+/$\n\t\r\x00\x85\u2028\ufeff\U0001f600é",
        *("---", "...", " #", ": ", "\n ", "\n\n"),
    ]
)
TEXT = st.one_of(
    st.sampled_from(HOSTILE),
    st.lists(LETTERS, max_size=30).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
)
VALUES = st.recursive(
    SCALARS,
    lambda one: st.lists(one, max_size=3) | st.dictionaries(TEXT, one, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.lists(st.dictionaries(TEXT, VALUES, max_size=3), min_size=1, max_size=2)


@given(DOCUMENTS)
@example([{"a": 1e-07, "b": 1e16, "c": -0.0, "d": 1.5e300, "e": 10**30}])
@example(
    [
        {
            "texts": [*HOSTILE, "x" * 5000, "x y\n" * 3000],
            "nested": [[["a\n"]], [], {}, [{}], {"k": []}],
        }
    ]
)
def test_read_back(documents: list[dict[str, Any]]) -> None:
    """PyYAML, its C part and ruamel.yaml read what was written, types included."""
    text = to_yaml(documents)
    assert list(yaml.load_all(text, yaml.SafeLoader)) == documents
    assert list(yaml.load_all(text.encode(), yaml.CSafeLoader)) == documents
    assert list(YAML(typ="safe", pure=True).load_all(io.StringIO(text))) == documents
    read = json.dumps(list(yaml.load_all(text, yaml.CSafeLoader)))
    assert read == json.dumps(documents), "1 and 1.0 and true are equal, but not the same"


@given(st.text(st.sampled_from("ab \n#-"), max_size=30))
def test_cells_are_readable(text: str) -> None:
    """Ordinary code is a literal block, line for line."""
    code = f"x{text.strip()}\n"
    lines = to_yaml([{"a": [code]}]).splitlines()
    assert lines[:2] == ["a:", "- |"]
    assert [line[2:] for line in lines[2:]] == code.splitlines()


def test_plain_words_stay_plain() -> None:
    """What needs no quotes has none."""
    document = {"image": "pytorch/pytorch-2.0", "name": "load data", "on": "yes", "v": "3.12"}
    assert to_yaml([document, {}, {"a": {}}]) == (
        'image: pytorch/pytorch-2.0\nname: load data\n"on": "yes"\nv: "3.12"\n---\n{}\n---\na: {}\n'
    )


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_no_such_number(number: float) -> None:
    """Numbers that readers do not agree on are refused."""
    with pytest.raises(ValueError, match="all readers"):
        to_yaml([{"a": number}])


def test_too_long_a_key() -> None:
    """A key that YAML 1.1 does not take is refused."""
    with pytest.raises(ValueError, match="too long for a key"):
        to_yaml([{"\n" * 501: 1}])


def test_what_is_literal() -> None:
    """Only text that all readers give back unchanged in a literal block is written so."""
    assert is_literal("def f():\n    return 1  \n\n# 😀\n")
    assert not any(map(is_literal, ["", "a", "a\n\n", " a\n", "\na\n", "a\tb\n", "a\rb\n"]))


@pytest.mark.slow
def test_npm_readers(tmp_path: Path) -> None:
    """js-yaml and yaml, which the Kubeflow UI has, read it too."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm")
    done = subprocess.run(
        [npm, "install", "--silent", "js-yaml@4", "yaml@2"], cwd=tmp_path, check=False
    )
    if done.returncode:
        pytest.skip("npm cannot install")
    texts = [*HOSTILE, *(f"a{one}b\n" for one in HOSTILE), *(f"{one}\n  x" for one in HOSTILE)]
    numbers = [1e-07, 1e16, -1.5, 3, 1.5e300]
    document: dict[str, Any] = {"texts": texts, "keys": dict.fromkeys(texts, 1)}
    document |= {"nested": [[["a\n"]], [], {}, [{}], {"k": []}], "numbers": numbers}
    (tmp_path / "d.yaml").write_bytes(to_yaml([document]).encode())
    program = (
        "const text = require('fs').readFileSync('d.yaml', 'utf8');"
        "for (const read of [require('js-yaml').load, require('yaml').parse])"
        " console.log(JSON.stringify(read(text)));"
    )
    shown = subprocess.run(
        ["node", "-e", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
        env={**os.environ, "NODE_PATH": str(tmp_path / "node_modules")},
    ).stdout
    read = [json.loads(line) for line in shown.split("\n") if line]
    assert read == [document, document]
