"""The graph of a pipeline: who waits for whom and for what, as JSON, Mermaid and DOT."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kale_tag.kale import tags
from kale_tag.kale.pipeline import Parameter, Pipeline, Step, SubPipeline


@dataclass(frozen=True, slots=True)
class Edge:
    """*taker* runs after *giver*, and takes *variables* from it, of which there may be none."""

    producer: str
    consumer: str
    variables: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The variables, for a label."""
        return ", ".join(self.variables)


def edges(pipeline: Pipeline) -> tuple[Edge, ...]:
    """Every edge, in the order of the steps that wait, then of those that they wait for."""
    order = {unit.name: number for number, unit in enumerate(pipeline.steps)}
    found = []
    for unit in pipeline.steps:
        producers = {producer for producer in (*unit.prev, *unit.ins.values()) if producer in order}
        for producer in sorted(producers, key=order.__getitem__):
            taken = tuple(name for name, other in unit.ins.items() if other == producer)
            found.append(Edge(producer, unit.name, taken))
    return tuple(found)


def title(unit: Step | SubPipeline) -> str:
    """The name of *unit*, and of the notebook that it runs where it is a pipeline of its own."""
    if isinstance(unit, Step):
        return unit.name
    return f"{unit.name} ({unit.pipeline.notebook.replace(chr(92), '/').rpartition('/')[2]})"


def parameter_text(parameter: Parameter) -> str:
    """`alpha: float = 0.1`, the default cut where it is long."""
    default = repr(parameter.default)
    default = default if len(default) <= 40 else f"{default[:39]}…"
    return f"{parameter.name}: {parameter.type} = {default}"


def as_json(pipeline: Pipeline) -> str:
    """The pipeline as one JSON document, in Kale's words."""
    return json.dumps(as_value(pipeline), ensure_ascii=False, indent=1) + "\n"


def as_value(pipeline: Pipeline) -> dict[str, object]:
    """The pipeline as plain values.

    `secrets` of a step maps the environment variable to `secret/key`; null and empty mean that
    nothing is said.
    """
    security = pipeline.security
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
        "security_context": None
        if security is None
        else {
            "run_as_user": security.run_as_user,
            "run_as_group": security.run_as_group,
            "run_as_non_root": security.run_as_non_root,
        },
        "enable_caching": pipeline.caching,
        "ttl": pipeline.ttl,
        "pip_index_urls": list(pipeline.pip_index_urls),
    }


def _unit_value(unit: Step | SubPipeline) -> dict[str, object]:
    value: dict[str, object] = {
        "name": unit.name,
        "prev": sorted(unit.prev),
        "ins": sorted(unit.ins),
        "outs": sorted(unit.outs),
        "parameters": sorted(unit.parameters),
        "artifacts": dict(unit.outs),
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
    units = [(unit.name, title(unit), isinstance(unit, SubPipeline)) for unit in pipeline.steps]
    return flowchart(units, edges(pipeline))


def flowchart(units: Sequence[tuple[str, str, bool]], edges: Iterable[Edge]) -> str:
    """A Mermaid flowchart of *units*: the name that edges have, the title, whether it is a box."""
    # Names such as `end` mean something to Mermaid, numbers do not.
    ids = {name: f"s{number}" for number, (name, _, _) in enumerate(units)}
    lines = ["flowchart TD"]
    for name, text, boxed in units:
        left, right = ("[[", "]]") if boxed else ("[", "]")
        lines.append(f'    {ids[name]}{left}"{_mermaid_text(text)}"{right}')
    for edge in edges:
        arrow = f'-- "{_mermaid_text(edge.text)}" -->' if edge.variables else "-->"
        lines.append(f"    {ids[edge.producer]} {arrow} {ids[edge.consumer]}")
    return "".join(f"{line}\n" for line in lines)


def _mermaid_text(text: str) -> str:
    return "".join(f"#{ord(one)};" if one in '"#&<>`' else one for one in text)


def as_dot(pipeline: Pipeline) -> str:
    """A graph for Graphviz."""
    return "".join(f"{line}\n" for line in _dot(pipeline))


def _dot(pipeline: Pipeline) -> Iterator[str]:
    yield f"digraph {_dot_text(pipeline.name)} {{"
    yield '    node [shape=box style=rounded fontname="sans-serif"]'
    yield '    edge [fontname="sans-serif" fontsize=10]'
    for unit in pipeline.steps:
        more = f" label={_dot_text(title(unit))}" if title(unit) != unit.name else ""
        more += " peripheries=2" if isinstance(unit, SubPipeline) else ""
        yield f"    {_dot_text(unit.name)}{f' [{more.strip()}]' if more else ''}"
    for edge in edges(pipeline):
        label = f" [label={_dot_text(edge.text)}]" if edge.variables else " [style=dashed]"
        yield f"    {_dot_text(edge.producer)} -> {_dot_text(edge.consumer)}{label}"
    yield "}"


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
