"""Notebook files in any layout, made up by hypothesis, and an independent reader of them."""

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook

ENGINES = ("json", "msgspec")
FUZZ = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# For properties that are tried in each of many layouts.
LIGHT = settings(FUZZ, max_examples=FUZZ.max_examples // 3)


def read(data: bytes, engine: str = "json") -> Notebook:
    return read_notebook(data, "x.ipynb", fast=engine == "msgspec")


def text_of(data: bytes) -> str:
    return data.decode().removeprefix("\ufeff")


def exact(value: object) -> str:
    """A text that is the same for two values just if they are equal, types and NaN included."""
    return json.dumps(value, sort_keys=True)


# An independent reader: it knows nothing but tokens, and keeps what each value looked like.


@dataclass
class Node:
    start: int
    end: int = 0
    members: list[tuple[str, int, "Node"]] = field(default_factory=list)
    items: list["Node"] = field(default_factory=list)

    def get(self, key: str) -> "Node | None":
        return next((node for name, _, node in reversed(self.members) if name == key), None)


TOKEN = re.compile(r'[ \t\r\n]*("(?:[^"\\]|\\.)*"|[][{},:]|[^][{},:" \t\r\n]+)')


def nodes(text: str) -> Node:
    found = [(match[1], match.start(1), match.end(1)) for match in TOKEN.finditer(text)]
    found.reverse()
    return _node(found)


def _node(tokens: list[tuple[str, int, int]]) -> Node:
    token, start, end = tokens.pop()
    node = Node(start, end)
    if token not in "{[":
        return node
    while tokens[-1][0] not in "}]":
        if tokens[-1][0] == ",":
            tokens.pop()
        if token == "{":
            key, key_start, _ = tokens.pop()
            assert tokens.pop()[0] == ":"
            node.members.append((json.loads(key), key_start, _node(tokens)))
        else:
            node.items.append(_node(tokens))
    node.end = tokens.pop()[2]
    return node


def holder_node(root: Node, holder: int | None) -> Node:
    if holder is None:
        return root
    cells = root.get("cells")
    assert cells is not None
    return cells.items[holder]


# What is written: `Verbatim` is JSON text as it stands, `Pairs` an object that may repeat keys.


class Verbatim(str):
    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    __slots__ = ()


@dataclass(frozen=True)
class Layout:
    indent: str | None
    comma: str
    colon: str
    newline: str
    ascii: bool
    wild: random.Random | None  # white space and escapes anywhere

    def text(self, value: Any, line: str = "\n") -> str:
        if isinstance(value, Verbatim):
            return str(value)
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, Pairs):
            inner = line + (self.indent or "")
            parts = [
                self.space().join(("", self.string(key), self.colon, self.text(item, inner), ""))
                for key, item in value
            ]
            return self.enclosed("{", parts, "}", line)
        if isinstance(value, list):
            inner = line + (self.indent or "")
            parts = [self.space() + self.text(item, inner) + self.space() for item in value]
            return self.enclosed("[", parts, "]", line)
        return json.dumps(value)

    def enclosed(self, opening: str, parts: list[str], closing: str, line: str) -> str:
        if not parts:
            return opening + self.space() + closing
        if self.indent is None or (self.wild and self.wild.random() < 0.3):
            return opening + self.comma.join(parts) + closing
        inner = line + self.indent
        text = opening + inner + ("," + inner).join(parts) + line + closing
        return text.replace("\r\n", "\n").replace("\n", self.newline)

    def space(self) -> str:
        return self.wild.choice(["", "", " ", "\n", "\t", "\r\n", "  \n "]) if self.wild else ""

    def string(self, text: str) -> str:
        if self.wild and self.wild.random() < 0.3:
            return f'"{"".join(map(self.escaped, text))}"'
        return json.dumps(text, ensure_ascii=self.ascii)

    def escaped(self, character: str) -> str:
        if self.wild and ord(character) < 0x10000 and self.wild.random() < 0.5:
            return f"\\u{ord(character):04x}"
        return json.dumps(character, ensure_ascii=self.ascii)[1:-1]


LAYOUTS = st.builds(
    Layout,
    indent=st.sampled_from([" ", "  ", "    ", "\t", None]),
    comma=st.sampled_from([", ", ","]),
    colon=st.sampled_from([": ", ":"]),
    newline=st.sampled_from(["\n", "\r\n"]),
    ascii=st.booleans(),
    wild=st.none() | st.integers(0, 2**32).map(random.Random),
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    [
        "import pandas as pd\n",
        "é😀",
        'a"b',
        "\\",
        "\\\\u00e9",
        "\x00\x7f\x1f",
        "\u2028",
        '"metadata":',
    ]
)
KEYS = st.sampled_from(
    ["a", "b", "tags", "zz", "metadata", "cells", "source", "é", 'q"', "\\u0061"]
)
ODDITIES = st.sampled_from(
    ["NaN", "-Infinity", "1e5", "1E+2", "-0", "-0.0", "1.50", '"\\ud83d"', '"\\u00e9\\/"', "1e999"]
).map(Verbatim)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    PLAIN | ODDITIES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(st.tuples(KEYS, inner), max_size=3).map(Pairs)
    ),
    max_leaves=6,
)
OBJECTS = st.lists(st.tuples(KEYS, VALUES), max_size=4).map(Pairs)
NEW_VALUES: st.SearchStrategy[Any] = st.recursive(
    PLAIN | st.sampled_from([float("nan"), "\ud83d", -0.0]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def cells(draw: st.DrawFn) -> Pairs:
    pairs: list[tuple[str, Any]] = [("cell_type", draw(st.sampled_from(["code", "raw", "é", 7])))]
    if draw(st.integers(0, 9)):
        pairs.append(("source", draw(st.one_of(TEXTS, st.lists(TEXTS, max_size=3)))))
    if draw(st.integers(0, 9)):
        pairs.append(("metadata", draw(OBJECTS | st.just(Pairs()))))
    if draw(st.integers(0, 9)) == 0:
        pairs.append(("metadata", draw(VALUES)))
    if draw(st.booleans()):
        pairs.append(("outputs", draw(st.lists(VALUES, max_size=2))))
    if draw(st.booleans()):
        pairs.append(("id", draw(TEXTS | VALUES)))
    return Pairs(draw(st.permutations(pairs)))


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A notebook file that Python reads, in any layout."""
    pairs: list[tuple[str, Any]] = [("cells", draw(st.lists(cells(), max_size=4)))]
    if draw(st.integers(0, 9)):
        pairs.append(("nbformat", 4))
    if draw(st.integers(0, 9)):
        pairs.append(("metadata", draw(OBJECTS)))
    if draw(st.integers(0, 5)) == 0:
        pairs.append(("extra", draw(VALUES)))
    body = draw(LAYOUTS).text(Pairs(draw(st.permutations(pairs))))
    head = draw(st.sampled_from(["", "", "", "\ufeff", " \n", "\ufeff\r\n"]))
    tail = draw(st.sampled_from(["", "\n", "\r\n", " \t"]))
    return (head + body + tail).encode()


def changed(draw: Callable[..., Any], value: Any) -> Any:
    """*value* with a few changes anywhere within."""
    if isinstance(value, dict) and draw(st.integers(0, 7)):
        result = dict(value)
        for key in draw(st.lists(st.sampled_from([*result, "a", "é", "new"]), max_size=3)):
            if key in result and draw(st.booleans()):
                result[key] = changed(draw, result[key])
            elif key in result:
                del result[key]
            else:
                result[key] = draw(NEW_VALUES)
        return result
    if isinstance(value, list) and draw(st.integers(0, 7)):
        result_list: list[Any] = [item for item in value if draw(st.integers(0, 3))]
        for _ in range(draw(st.integers(0, 2))):
            result_list.insert(draw(st.integers(0, len(result_list))), draw(NEW_VALUES))
        if draw(st.booleans()) and result_list:
            at = draw(st.integers(0, len(result_list) - 1))
            result_list[at] = changed(draw, result_list[at])
        return result_list
    return draw(NEW_VALUES)
