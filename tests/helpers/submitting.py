"""What the tests of `submit` share: a notebook, and the command against a stand-in server."""

import json
from pathlib import Path
from typing import Any

import pytest
from kfp_stub import Stub
from notebooks import from_percent

from kale_tag.cli import main
from kale_tag.commands import submit as command

NOTEBOOK = """\
# %metadata {"kubeflow_notebook": {"pipeline_name": "churn", "experiment_name": "trials"}}
# %% tags=pipeline-parameters
rows = 10
rate = 0.5
name = "x"
deep = True
sizes = [1, 2]
more = {"a": 1}
# %% tags=step:load_data
data = [rows, rate, name, deep, sizes, more]
# %% tags=step:train,prev:load_data,limit:memory:2Gi
print(data)
"""


TOKEN = "sesame-open"


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the notebook into *folder*, and let nobody wait long."""
    (folder / "churn.ipynb").write_bytes(from_percent(NOTEBOOK))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(command, "POLL", (0.01, 0.02))


def submit(server: Stub, *words: str, paths: tuple[str, ...] = ("churn.ipynb",)) -> int:
    """The exit code of `kale-tag submit` to *server*."""
    return main(["submit", *paths, "--host", server.url, *words])


def submitted(
    server: Stub, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0
) -> dict[str, Any]:
    """What `--format json` prints."""
    capsys.readouterr()  # what was printed before
    assert submit(server, *words, "--format", "json") == code
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return value
