"""A bulk change in a repository of many notebooks, as a platform team makes and reviews it."""

from pathlib import Path

import pytest
from notebooks import from_percent
from repositories import IDENTITY, Repository

from kale_tag.cli import main

NOTEBOOK = """\
# %% tags=imports
import pandas as pd
# %% tags=step:load
data = pd.read_csv("{name}.csv")
# %% tags=step:train,prev:load,limit:memory:4Gi,image:registry.example.com/train:1
model = fit(data)
# %% tags=step:publish,prev:train
publish(model)
"""
SPEC = """\
version: 1
notebooks: [nb/**/*.ipynb]
cells:
  - {tagged: 'step:train', limits: {memory: 6Gi}}
  - {tagged: 'image:registry.example.com/train:1', image: 'registry.example.com/train:2'}
"""
SCREEN = 24


@pytest.fixture(params=[40, pytest.param(1000, marks=pytest.mark.slow)])
def repository(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Repository:
    """A committed repository of so many notebooks in three folders, and a spec for all."""
    for key, value in IDENTITY.items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)
    repository = Repository(tmp_path)
    files = {"kale-tag.yaml": SPEC.encode()}
    for number in range(request.param):
        name = f"nb/team{number % 3}/report{number}.ipynb"
        files[name] = from_percent(NOTEBOOK.format(name=f"report{number}"))
    repository.commit(files)
    return repository


def test_change_one_limit_and_one_image(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan fits one screen, the patches are the plan, and Git sees two lines a notebook."""
    total = len([*repository.folder.rglob("*.ipynb")])
    assert main(["plan", "--exit-code"]) == 1
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) < SCREEN
    assert f"limit:memory: 4Gi -> 6Gi  in {total} notebooks" in shown
    images = "registry.example.com/train:1 -> registry.example.com/train:2"
    assert f"image: {images}  in {total} notebooks" in shown
    assert f"{total} to change, 0 unchanged, 0 failed ({total} cells)" in shown

    assert main(["plan", "--format", "markdown"]) == 0
    text = capsys.readouterr().out
    assert text.count("```mermaid") == 1
    assert f"and {total - 1} others" in text
    assert "Left out" not in text

    assert main(["plan", "-o", "patches"]) == 0
    patches = [*Path("patches").rglob("*.json")]
    assert len(patches) == total
    assert all('"limit:memory:6Gi"' in path.read_text() for path in patches)

    capsys.readouterr()
    assert main(["apply", "patches"]) == 0
    assert len(capsys.readouterr().out.splitlines()) < SCREEN
    assert main(["plan", "--exit-code"]) == 0
    numbers = repository.git("diff", "--numstat", "--", "nb").splitlines()
    assert {line.split("\t")[0] for line in numbers} == {"2"}
    assert len(numbers) == total

    capsys.readouterr()
    assert main(["diff"]) == 0
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) < SCREEN
    assert f"limit:memory: 4Gi -> 6Gi  in {total} notebooks" in shown


def test_findings_of_many_notebooks_fit_one_screen(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the spec is applied, each notebook has the same differences."""
    total = len([*repository.folder.rglob("*.ipynb")])
    assert main(["check", "--select", "tag-drift"]) == 1
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) < SCREEN
    assert f"{total - 1} more of this kind, in {total - 1} notebooks" in shown
