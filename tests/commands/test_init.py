"""`kale-tag init` writes what a repository starts with, and overwrites nothing."""

from pathlib import Path

import pytest
import yaml
from notebooks import cell, notebook, to_bytes

from kale_tag.cli import main
from kale_tag.commands.init import CI, CONTENT, HOOKS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a notebook."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "a.ipynb").write_bytes(to_bytes(notebook([cell("import os\nprint(os.getpid())")])))
    return tmp_path


def test_a_first_spec(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The spec is one that `plan` takes at once; a second call changes nothing."""
    assert main(["init"]) == 0
    assert "wrote specs/a.yaml: a proposal for a.ipynb" in capsys.readouterr().out
    assert main(["plan"]) == 0
    assert main(["init"]) == 2
    assert "there is a spec already: specs/a.yaml" in capsys.readouterr().err
    assert not (repository / HOOKS).exists()


def test_hooks_and_ci(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are written beside specs that are there; a file of the user's stays."""
    assert main(["init", "-q"]) == 0
    assert main(["init", "--hooks"]) == 0
    assert main(["init", "--hooks"]) == 0
    (repository / HOOKS).write_text("repos: []\n")
    assert main(["init", "--hooks", "--ci"]) == 2
    assert "it was not overwritten" in capsys.readouterr().err
    assert (repository / HOOKS).read_text() == "repos: []\n"
    assert (repository / CI).read_text() == CONTENT[CI]


def test_at_the_root(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks and CI have no effect below the root of the repository, so they are refused there."""
    (repository / "nb").mkdir()
    monkeypatch.chdir(repository / "nb")
    assert main(["init", "--ci"]) == 2


def test_the_hook_is_that_of_the_package() -> None:
    """The hook looks at the same files as the one that kale-tag has for pre-commit."""
    (ours,) = yaml.safe_load(CONTENT[HOOKS])["repos"][0]["hooks"]
    theirs = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())[0]
    same = ("id", "entry", "files", "require_serial")
    assert [ours[key] for key in same] == [theirs[key] for key in same]
    assert yaml.safe_load(CONTENT[CI])["jobs"]["check"]["steps"]
