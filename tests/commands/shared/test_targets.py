"""Specs of a folder above, and names that are nearly right."""

import io
import os
import sys
from pathlib import Path

import pytest
from notebooks import cell, notebook, to_bytes

from kale_tag.cli import main
from kale_tag.commands.shared.targets import default_specs

SPEC = "version: 1\nnotebooks: [{}]\ncells: [{{source: x, step: load}}]\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a spec for the notebooks of two teams; the current folder is one team's."""
    for folder in ("risk/deep", "risk", "sales"):
        (tmp_path / "nb" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "nb" / folder / "a.ipynb").write_bytes(to_bytes(notebook([cell("x = 1")])))
    (tmp_path / ".git").mkdir()
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "all.yaml").write_text(SPEC.format("../nb/**"))
    (tmp_path / "specs" / "other.yaml").write_text("openapi: 3.1.0\n")
    monkeypatch.chdir(tmp_path / "nb" / "risk")
    return tmp_path


@pytest.mark.parametrize("command", ["plan", "apply", "check", "compile"])
def test_the_notebooks_below_this_folder(
    command: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The specs of the repository act on the notebooks below, and the others are counted."""
    main(["apply", "-q"])
    main([command])
    out, err = capsys.readouterr()
    assert err.startswith("left out, since outside this folder: 1 notebook of ../../specs/all.yaml")
    assert "sales" not in out
    notebooks = sorted(repository.rglob("*.ipynb"))
    tagged = [one.parent.name for one in notebooks if b"step:load" in one.read_bytes()]
    assert tagged == ["risk", "deep"]


def test_which_folder(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest folder counts, none above the root, and none of another user's repository."""
    assert default_specs() == [os.path.join("..", "..", "specs", "all.yaml")]
    (repository / "nb" / "kale-tag.yaml").write_text(SPEC.format("**"))
    assert default_specs() == [os.path.join("..", "kale-tag.yaml")]
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    assert default_specs() == []
    monkeypatch.undo()
    monkeypatch.chdir(repository / "nb" / "risk")
    (repository / "nb" / "risk" / ".git").mkdir()
    assert default_specs() == []


def test_nothing_below(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder without notebooks of the specs is an error that counts the others."""
    (repository / "docs").mkdir()
    monkeypatch.chdir(repository / "docs")
    assert main(["plan"]) == 2
    _, err = capsys.readouterr()
    assert "no notebook below this folder is in ../specs/all.yaml" in err
    assert "3 notebooks" in err


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("b.ipynb", "a.ipynb"),
        ("depe/a.ipynb", "deep/a.ipynb"),
        ("../../specs/al.yaml", "../../specs/all.yaml"),
        ("../../spec/all.yaml", "../../specs/all.yaml"),
    ],
)
def test_did_you_mean(
    given: str, meant: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A notebook or spec that is missing is compared with those that there are."""
    assert (repository / "nb" / "risk" / meant).exists()
    assert main(["plan", given, "../../specs/all.yaml"]) == 2
    assert f"help: did you mean {meant}?" in capsys.readouterr().err


def test_standard_input_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`-` stands for one file."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"version: 1\n")))
    assert main(["plan", "-", "-"]) == 2
    assert "`-` can be given only once" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [(["plan", "pipe"], 2), (["check", "folder"], 1), (["rename", "load", "read", "folder"], 0)],
)
def test_what_is_no_regular_file(
    words: list[str],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is an error if it is named, and no spec if it is found in a folder."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    tagged = cell("x = 1", metadata={"tags": ["step:load"]})
    Path("folder", "a.ipynb").write_bytes(to_bytes(notebook([tagged])))
    os.mkfifo("pipe")
    os.mkfifo("folder/pipe.yaml")
    assert main([*words]) == code
    assert ("pipe" in capsys.readouterr().err) == ("pipe" in words)
