"""A directed graph as a Mermaid flowchart, whatever the labels hold.

What is safe was found in Mermaid 11 (`encodeEntities` and the flow grammar) and is held by a test
that lets Mermaid itself read it. GitHub draws at most 500 edges and 50,000 characters.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Shape = Literal["box", "rounded", "stadium", "subroutine", "cylinder", "hexagon"]
Line = Literal["solid", "dotted", "thick"]

MAX_EDGES = 500
MAX_CHARACTERS = 50_000
"""What Mermaid takes where nobody has set its limits higher."""

_SHAPES: Mapping[Shape, tuple[str, str]] = {
    "box": ("[", "]"),
    "rounded": ("(", ")"),
    "stadium": ("([", "])"),
    "subroutine": ("[[", "]]"),
    "cylinder": ("[(", ")]"),
    "hexagon": ("{{", "}}"),
}
_LINES: Mapping[Line, str] = {"solid": "-->", "dotted": "-.->", "thick": "==>"}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _,/")


@dataclass(frozen=True, slots=True)
class Node:
    """A node: *id* is any text that no other node has, *label* is shown, line breaks and all.

    *css* is the name of its class, one of those given to `flowchart`.
    """

    id: str
    label: str
    shape: Shape = "box"
    css: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow between two nodes, given by their ids."""

    start: str
    end: str
    label: str = ""
    line: Line = "solid"


def flowchart(
    nodes: Sequence[Node],
    edges: Iterable[Edge],
    *,
    classes: Mapping[str, str] | None = None,
    direction: Literal["TD", "LR"] = "TD",
) -> str:
    """The Mermaid text, each line ended; equal arguments give equal text.

    *classes* gives each class its style, such as `stroke-dasharray:5 5`; only those in use are
    written. Raises `KeyError` for an edge whose node is not there.
    """
    names = {node.id: f"n{number}" for number, node in enumerate(nodes)}
    lines = [f"flowchart {direction}"]
    for node in nodes:
        left, right = _SHAPES[node.shape]
        lines.append(f"  {names[node.id]}{left}{_quoted(node.label)}{right}")
    for edge in edges:
        label = f"|{_quoted(edge.label)}|" if edge.label else ""
        lines.append(f"  {names[edge.start]} {_LINES[edge.line]}{label} {names[edge.end]}")
    lines += _styles(nodes, names, classes or {})
    return "\n".join(lines) + "\n"


def _styles(
    nodes: Sequence[Node], names: Mapping[str, str], classes: Mapping[str, str]
) -> Iterator[str]:
    for css, style in classes.items():
        members = [names[node.id] for node in nodes if node.css == css]
        if members:
            yield f"  classDef {css} {style}"
            yield f"  class {','.join(members)} {css}"


def _quoted(text: str) -> str:
    # An empty label is an error to Mermaid's grammar.
    lines = text.splitlines() or [" "]
    return '"' + "<br/>".join("".join(map(_safe, line)) or " " for line in lines) + '"'


def _safe(character: str) -> str:
    # Everything that is not plainly text is written by its number: quotes and brackets, `#` and
    # `;` (entities), `%` (comments and directives), backquotes and `*` (Mermaid's Markdown), `<`.
    if character in _PLAIN or (character.isalpha() and not character.isascii()):
        return character
    if not character.isprintable():
        character = " " if character == "\t" else "\N{REPLACEMENT CHARACTER}"
    return f"#{ord(character)};"
