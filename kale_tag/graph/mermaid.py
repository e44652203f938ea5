"""A directed graph as a Mermaid flowchart, whatever characters its labels contain.

Which characters are safe follows from Mermaid 11 (`encodeEntities` and the flow grammar); a test
lets Mermaid itself read the result. GitHub draws at most 500 edges and 50,000 characters.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Shape = Literal["box", "subroutine", "hexagon"]
Stroke = Literal["solid", "dotted", "thick"]

MAX_EDGES = 500
MAX_CHARACTERS = 50_000
"""Mermaid's default limits."""

_SHAPES: Mapping[Shape, tuple[str, str]] = {
    "box": ("[", "]"),
    "subroutine": ("[[", "]]"),
    "hexagon": ("{{", "}}"),
}
_STROKES: Mapping[Stroke, str] = {"solid": "-->", "dotted": "-.->", "thick": "==>"}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _,/")


@dataclass(frozen=True, slots=True)
class Node:
    """A node."""

    id: str  # any text that no other node has; it is not shown
    label: str  # the text that is shown; it may have several lines
    shape: Shape = "box"
    css: str = ""  # one of the classes of `flowchart`


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow between two nodes."""

    start: str  # the id of a node
    end: str
    label: str = ""
    stroke: Stroke = "solid"


def flowchart(
    nodes: Sequence[Node],
    arrows: Iterable[Arrow],
    *,
    classes: Mapping[str, str] | None = None,
) -> str:
    """The Mermaid text, with a line break at its end; equal arguments make equal text.

    *classes* maps each class to its style, such as `stroke-dasharray:5 5`; only those in use are
    written. Raises `KeyError` for an arrow to an id that no node has.
    """
    names = {node.id: f"n{number}" for number, node in enumerate(nodes)}
    lines = ["flowchart TD"]
    for node in nodes:
        left, right = _SHAPES[node.shape]
        lines.append(f"  {names[node.id]}{left}{_quoted(node.label)}{right}")
    for arrow in arrows:
        label = f"|{_quoted(arrow.label)}|" if arrow.label else ""
        lines.append(f"  {names[arrow.start]} {_STROKES[arrow.stroke]}{label} {names[arrow.end]}")
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
    # All other characters are written as numbers: quotes and brackets, `#` and `;` (entities), `%`
    # (comments and directives), backquotes and `*` (Mermaid's Markdown), `<`.
    if character in _PLAIN or (character.isalpha() and not character.isascii()):
        return character
    if not character.isprintable():
        character = " " if character == "\t" else "\N{REPLACEMENT CHARACTER}"
    return f"#{ord(character)};"
