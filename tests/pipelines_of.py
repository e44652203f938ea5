"""Pipelines of notebooks in percent form, and pipelines in few words, for tests."""

from collections.abc import Mapping
from typing import Any

from notebooks import from_percent

from kale_tag.diagnostics import Label
from kale_tag.notebook import Notebook
from kale_tag.pipeline.build import build_pipeline
from kale_tag.pipeline.model import Pipeline, Step
from kale_tag.read_notebook import read_notebook
from kale_tag.settings import CompileOptions


def pipeline_of(
    percent: str,
    options: CompileOptions | None = None,
    others: Mapping[str, str] | None = None,
    local: tuple[str, ...] = (),
) -> Pipeline:
    """The pipeline of `nb.ipynb`, whose references are looked up in *others*."""

    def load(path: str, _: Label) -> Notebook:
        return read_notebook(from_percent((others or {})[path]), path)

    notebook = read_notebook(from_percent(percent), "nb.ipynb")
    return build_pipeline(notebook, options or CompileOptions(), load, local)


def steps_of(pipeline: Pipeline) -> dict[str, str]:
    """Each step in one line: `after a; x<a, y; gives z; uses p; reports m`."""
    return {step.name: _line(step) for step in pipeline.steps}


def _line(step: Any) -> str:
    given = [f"{name}<{giver}" if giver else f"{name}<" for name, giver in step.ins.items()]
    parts = {
        "after": step.prev,
        "takes": given,
        "gives": step.outs,
        "uses": step.parameters,
        "reports": step.metrics if isinstance(step, Step) else (),
    }
    return "; ".join(f"{word} {' '.join(names)}" for word, names in parts.items() if names)
