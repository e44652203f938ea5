"""The graph of a pipeline: which step depends on which, as JSON, Mermaid and DOT.

A Mermaid flowchart is right whatever characters its labels contain. Which ones are safe follows
from Mermaid 11 (`encodeEntities` and the flow grammar); a test lets Mermaid itself read the result.
GitHub draws at most 500 edges and 50,000 characters.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from kale_tag.kale import tags
from kale_tag.kale.names import file_name
from kale_tag.kale.pipeline import Parameter, Pipeline, Step, SubPipeline, variables

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
class Edge:
    """A dependency between two steps."""

    producer: str  # the step that runs first
    consumer: str  # the step that depends on it
    variables: tuple[str, ...] = ()  # those that the consumer loads from the producer

    @property
    def text(self) -> str:
        """The variables as the label of an edge."""
        return ", ".join(self.variables)


def edges(pipeline: Pipeline) -> tuple[Edge, ...]:
    """Every edge, in the order of the consumers, then of the producers."""
    order = {unit.name: number for number, unit in enumerate(pipeline.steps)}
    found = []
    for unit in pipeline.steps:
        producers = {producer for producer in (*unit.prev, *unit.ins.values()) if producer in order}
        for producer in sorted(producers, key=order.__getitem__):
            taken = tuple(name for name in variables(unit.ins) if unit.ins[name] == producer)
            found.append(Edge(producer, unit.name, taken))
    return tuple(found)


def title(unit: Step | SubPipeline) -> str:
    """The name of *unit*, and of the notebook that it runs if it is a pipeline of its own."""
    if isinstance(unit, Step):
        return unit.name
    return f"{unit.name} ({file_name(unit.pipeline.notebook)})"


def parameter_text(parameter: Parameter) -> str:
    """`alpha: float = 0.1`, a long default cut."""
    default = repr(parameter.default)
    default = default if len(default) <= 40 else f"{default[:39]}…"
    return f"{parameter.name}: {parameter.type} = {default}"


def as_json(pipeline: Pipeline) -> str:
    """The pipeline as one JSON document, with the keys that Kale uses."""
    return json.dumps(as_value(pipeline), ensure_ascii=False, indent=1) + "\n"


def as_value(pipeline: Pipeline) -> dict[str, object]:
    """The pipeline as plain values.

    `secrets` of a step maps the environment variable to `secret/key`; null and empty values are
    not set.
    """
    return {
        "pipeline": pipeline.name,
        "notebook": pipeline.notebook,
        "description": pipeline.description,
        "experiment": pipeline.experiment,
        "parameters": {
            one.name: {"type": one.type, "default": one.default} for one in pipeline.parameters
        },
        "shared": [code.cell for code in pipeline.shared],
        "steps": [_unit_value(unit) for unit in pipeline.steps],
        "edges": [
            {"from": one.producer, "to": one.consumer, "variables": list(one.variables)}
            for one in edges(pipeline)
        ],
        "volumes": [
            {"name": one.name, "mount_point": one.mount_point, "env": one.env}
            for one in pipeline.volumes
        ],
        "security_context": pipeline.security and asdict(pipeline.security),
        "enable_caching": pipeline.caching,
        "ttl": pipeline.ttl,
        "pip_index_urls": list(pipeline.pip_index_urls),
    }


def _unit_value(unit: Step | SubPipeline) -> dict[str, object]:
    value: dict[str, object] = {
        "name": unit.name,
        "prev": sorted(unit.prev),
        "ins": sorted(variables(unit.ins)),
        "outs": sorted(variables(unit.outs)),
        "parameters": sorted(unit.parameters),
        "artifacts": {name: unit.outs[name] for name in variables(unit.outs)},
    }
    if isinstance(unit, SubPipeline):
        return value | {"notebook": as_value(unit.pipeline)}
    settings = unit.settings
    return value | {
        "metrics": list(unit.metrics),
        "cells": [code.cell for code in unit.code],
        "image": settings.image,
        "limits": dict(settings.limits),
        "requests": dict(settings.requests),
        **{
            key: dict(settings.pod.get(kind.name, {}))
            for key, kind in tags.SETTINGS.items()
            if kind.pod
        },
        "secrets": {one.env: f"{one.name}/{one.key}" for one in settings.secrets},
        "env": dict(settings.env),
        "cache": settings.cache,
        "report": settings.report,
        "retries": settings.retries,
        "timeout": settings.timeout,
        "display_name": settings.display_name,
        "packages": list(unit.packages),
    }


def as_mermaid(pipeline: Pipeline) -> str:
    """A Mermaid flowchart, as GitHub, GitLab and JupyterLab draw it."""
    nodes = [
        Node(unit.name, title(unit), "subroutine" if isinstance(unit, SubPipeline) else "box")
        for unit in pipeline.steps
    ]
    return flowchart(
        nodes, [Arrow(one.producer, one.consumer, one.text) for one in edges(pipeline)]
    )


@dataclass(frozen=True, slots=True)
class Node:
    """A node."""

    id: str  # any text that no other node has; it is not shown
    label: str  # the text that is shown; it may have several lines
    shape: Shape = "box"  # of its frame
    css: str = ""  # one of the classes of `flowchart`


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow between two nodes."""

    start: str  # the id of a node
    end: str  # the id of a node
    label: str = ""  # the text beside it
    stroke: Stroke = "solid"  # how the line is drawn


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
    for css, style in (classes or {}).items():
        if members := [names[node.id] for node in nodes if node.css == css]:
            lines += [f"  classDef {css} {style}", f"  class {','.join(members)} {css}"]
    return "\n".join(lines) + "\n"


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


def as_dot(pipeline: Pipeline) -> str:
    """A graph for Graphviz."""
    lines = [
        f"digraph {_dot_text(pipeline.name)} {{",
        '    node [shape=box style=rounded fontname="sans-serif"]',
        '    edge [fontname="sans-serif" fontsize=10]',
    ]
    for unit in pipeline.steps:
        more = f" label={_dot_text(title(unit))}" if title(unit) != unit.name else ""
        more += " peripheries=2" if isinstance(unit, SubPipeline) else ""
        lines.append(f"    {_dot_text(unit.name)}{f' [{more.strip()}]' if more else ''}")
    for edge in edges(pipeline):
        label = f" [label={_dot_text(edge.text)}]" if edge.variables else " [style=dashed]"
        lines.append(f"    {_dot_text(edge.producer)} -> {_dot_text(edge.consumer)}{label}")
    return "\n".join([*lines, "}\n"])


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
