"""How a step runs, from its tags."""

import pytest
from notebooks import from_percent
from pipelines_of import build_pipeline

from kale_tag.kale import tags
from kale_tag.kale.pipeline import Step, StepSettings
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook

TAGS = {
    "limit": "limit:cpu:2",
    "label": "label:team:ml",
    "annotation": "annotation:note:x",
    "secret": "secret:db:password:PASSWORD",
    "image": "image:python:3.12",
    "cache": "cache:disabled",
    "report": "report:disabled",
}


def settings_of(*listed: str) -> StepSettings:
    """The settings of a step with these tags."""
    data = from_percent(f"# %% tags={','.join(('step:a', *listed))}\nx = 1\n")

    def load(*_: object) -> Notebook:
        raise AssertionError

    (step,) = build_pipeline(read_notebook(data, "a.ipynb"), CompileOptions(), load).steps
    assert isinstance(step, Step)
    return step.settings


@pytest.mark.parametrize("kind", tags.SETTING_KINDS)
def test_no_setting_is_dropped(kind: str) -> None:
    """Every kind of setting in the table of tags changes how the step runs."""
    assert settings_of(TAGS[kind]) != settings_of()
