"""What Kale 2.3.0 makes of small inputs, and what we do: the same, or better for a reason given.

`kale_cases.json` was made by running Kale; nothing in it is written by hand.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from notebooks import cell, notebook, to_bytes

from kale_tag.diagnostics import Label, UserError
from kale_tag.notebook import Notebook
from kale_tag.pipeline.build import build_pipeline
from kale_tag.pipeline.code import read_code
from kale_tag.pipeline.model import Pipeline, Step
from kale_tag.pipeline.packages import requirements
from kale_tag.pipeline.flow import read_block
from kale_tag.pipeline.parameters import read_metrics, read_parameters
from kale_tag.pipeline.pipeline_settings import env_name
from kale_tag.read_notebook import read_notebook
from kale_tag.settings import CompileOptions

CASES = json.loads((Path(__file__).parent / "kale_cases.json").read_text("utf-8"))


def _notebook(cells: list[dict[str, Any]], name: str, **metadata: Any) -> Notebook:
    made = []
    for one in cells:
        own = {"tags": one["tags"]} if one.get("tags") else {}
        if "notebook_path" in one:
            own["notebook_path"] = one["notebook_path"]
        made.append(cell(one["source"], one["type"], metadata=own))
    settings = {"kubeflow_notebook": metadata} if metadata else {}
    return read_notebook(to_bytes(notebook(made, **settings)), name)


def built(case: dict[str, Any]) -> Pipeline:
    """Our pipeline of a case."""
    others = case.get("extra_notebooks", {})

    def load(path: str, _: Label) -> Notebook:
        return _notebook(others[path], path)

    root = _notebook(case["cells"], "p.ipynb", **case.get("metadata", {}))
    return build_pipeline(root, CompileOptions(), load)


def in_kales_words(pipeline: Pipeline) -> dict[str, Any]:
    """The parts of a pipeline that the cases hold, in their form."""
    return {
        "parameters": {
            one.name: {"type": one.type, "default": one.default} for one in pipeline.parameters
        },
        "steps": [_step(step) for step in pipeline.steps],
    }


def _step(step: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": step.name,
        "prev": sorted(step.prev),
        "givers": step.ins,
        "ins": sorted(step.ins),
        "outs": sorted(step.outs),
        "params": sorted(step.parameters),
    }
    if isinstance(step, Step):
        found["blocks"] = len([one for one in step.code if one.kind == "step"])
        found["metrics"] = {name: name for name in step.metrics}
    else:
        found["notebook"] = in_kales_words(step.pipeline)["steps"]
    return found
