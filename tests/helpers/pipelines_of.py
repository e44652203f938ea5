"""Pipelines of notebooks in percent form, and pipelines in few words, for tests."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from notebooks import from_percent

from kale_tag.code.local_modules import LocalCode, code_of
from kale_tag.compiler.build import build
from kale_tag.diagnostics import Label, Source, UserError
from kale_tag.kale.pipeline import Pipeline, Step, StepSettings
from kale_tag.kale.settings import CompileOptions, StepOptions
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook
from kale_tag.render.diagnostics import as_text
from kale_tag.render.text import Style

HIDDEN = {"packages", "labels"}
"""Fields of settings that are shown elsewhere, or are places."""

DOCUMENTS = sorted((Path(__file__).parent.parent / "pipelines").glob("*.md"))
"""Notebooks, and the pipelines or diagnostics that they make."""


def build_pipeline(*args: Any, **options: Any) -> Pipeline:
    """The pipeline that `build` makes; what `check` calls an error is a warning here."""
    pipeline = build(*args, **options).pipeline
    warnings = tuple(replace(one, severity="warning") for one in pipeline.warnings)
    return replace(pipeline, warnings=warnings)


def pipeline_of(
    percent: str,
    options: CompileOptions | None = None,
    others: Mapping[str, str] | None = None,
    local: tuple[str, ...] = (),
    files: Mapping[str, str] | None = None,
) -> Pipeline:
    """The pipeline of `nb.ipynb`, whose references and `%run` are looked up in *others*.

    *local* are the names of modules beside it, *files* those that travel.
    """

    def load(path: str, _: Label) -> Notebook:
        return read_notebook(from_percent((others or {})[path]), path)

    def runs(_: Notebook) -> dict[str, list[str]]:
        return {
            name: code_of(read_notebook(from_percent(text), name))
            if name.endswith(".ipynb")
            else [text]
            for name, text in (others or {}).items()
        }

    notebook = read_notebook(from_percent(percent), "nb.ipynb")
    travelling = {name: Source(name, text) for name, text in (files or {}).items()}
    own = LocalCode(dict.fromkeys(local, ""), travelling)
    return build_pipeline(notebook, options or CompileOptions(), load, own, runs=runs)


def in_words(
    percent: str,
    options: CompileOptions | None = None,
    others: Mapping[str, str] | None = None,
    local: tuple[str, ...] = (),
) -> str:
    """The pipeline of a notebook, a line a step, or the faults as users see them."""
    style = Style()
    try:
        pipeline = pipeline_of(percent, options, others, local)
    except UserError as exc:
        return "".join(f"{as_text(one, style)}\n" for one in exc.diagnostics)
    warnings = [as_text(one, style) for one in pipeline.warnings]
    return "".join(f"{line}\n" for line in [*warnings, *lines_of(pipeline)])


def lines_of(pipeline: Pipeline) -> Iterator[str]:
    """What is worth a look in a pipeline."""
    for key in ("description", "volumes", "security", "caching"):
        value = getattr(pipeline, key)
        if value not in ("", (), None, True):
            yield f"{key}: {value!r}"
    for one in pipeline.parameters:
        yield f"parameter {one.name}: {one.type} = {one.default!r}"
    for step in pipeline.steps:
        yield f"{step.name}: {line_of(step)}".rstrip(": ")
        if not isinstance(step, Step):
            for line in lines_of(step.pipeline):
                yield f"    {line}"


def line_of(step: Any) -> str:
    """A step in one line: `after a; takes x<a; gives z; uses p; reports m; installs n`."""
    given = [f"{name}<{producer or 'outside'}" for name, producer in step.ins.items()]
    outs = [name if kind == "Artifact" else f"{name}:{kind}" for name, kind in step.outs.items()]
    parts: dict[str, Any] = {"after": step.prev, "takes": given, "gives": outs}
    parts["uses"] = step.parameters
    if isinstance(step, Step):
        parts |= {"reports": step.metrics, "installs": step.packages}
        own = step.settings
        for field in fields(StepSettings):
            value = getattr(own, field.name)
            if field.name == "pod":
                parts |= {f"{kind}s": [str(some)] for kind, some in value.items() if some}
            elif value != getattr(StepSettings(), field.name) and field.name not in HIDDEN:
                parts[field.name] = [str(value)]
    return "; ".join(f"{word} {' '.join(names)}" for word, names in parts.items() if names)


def options_of(text: str) -> tuple[CompileOptions, tuple[str, ...]]:
    """The options that a `json` block holds, and the modules beside the notebook."""
    values = json.loads(text)
    local = tuple(values.pop("local", ()))
    steps = {name: StepOptions(**one) for name, one in values.pop("steps", {}).items()}
    return CompileOptions(steps=steps, **values), local
