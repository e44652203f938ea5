"""`kale-tag runs` lists and deletes run folders, and touches nothing else."""

import json
import shutil
from pathlib import Path

import pytest

from kale_tag.cli import main
from kale_tag.run.run_record import RunOutcome, StepOutcome, write_run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all runs: three of `churn`, one of them at work, and one of `wine`."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / ".kale-tag" / "runs"
    for number, name in enumerate(("churn/1", "churn/2", "churn/3", "wine/1")):
        put(home / name, number)
    (home / "churn" / "2" / "work").mkdir()
    return home


def put(folder: Path, number: int) -> None:
    """Write the record of a run into *folder*."""
    folder.mkdir(parents=True)
    folder.chmod(0o700)
    steps = (StepOutcome("load", "load", "done"),)
    write_run(RunOutcome(folder.parent.name, str(folder), f"2026-11-0{number + 1}", steps=steps))


def listed(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str]]:
    """The runs that are printed, each with its state."""
    assert main(["runs", *words, "--format", "json"]) == 0
    return [(one["run"], one["state"]) for one in json.loads(capsys.readouterr().out)]


def left(home: Path) -> list[str]:
    """The runs that there are."""
    return sorted(str(path.parent.relative_to(home)) for path in home.glob("*/*/run.json"))


def test_the_list(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All runs by pipeline, the newest first; names and `--keep` choose."""
    assert home.is_dir()
    churn = [("churn/3", "done"), ("churn/2", "unfinished"), ("churn/1", "done")]
    assert listed([], capsys) == [*churn, ("wine/1", "done")]
    assert listed(["churn"], capsys) == churn
    assert listed(["wine/1"], capsys) == [("wine/1", "done")]
    assert listed(["--keep", "1"], capsys) == churn[1:]
    assert main(["runs", "wnie"]) == 2
    assert "did you mean `wine`?" in capsys.readouterr().err


def test_deletion(home: Path) -> None:
    """What is spared and what is at work stays; what is named goes."""
    assert main(["runs", "--delete"]) == 2
    assert main(["runs", "--keep", "1", "--delete"]) == 0
    assert left(home) == ["churn/2", "churn/3", "wine/1"]
    assert main(["runs", "churn", "--delete"]) == 0
    assert left(home) == ["churn/2", "wine/1"]
    assert main(["runs", "churn/2", "--delete"]) == 0
    assert left(home) == ["wine/1"]


def test_only_own_run_folders(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Links, folders that others can write, and folders without a record are no runs."""
    put(tmp_path / "elsewhere" / "1", 0)
    (home / "churn" / "linked").symlink_to(tmp_path / "elsewhere" / "1")
    (home / "all").symlink_to(tmp_path / "elsewhere")
    (home / "churn" / "mine").mkdir()
    (home / "churn" / "1").chmod(0o777)
    put(home / "churn" / "later", 5)
    record = home / "churn" / "later" / "run.json"
    record.write_text(record.read_text().replace('"version": 1', '"version": 99'))
    assert main(["runs", "churn", "wine", "--delete"]) == 0
    capsys.readouterr()
    assert left(home) == ["all/1", "churn/1", "churn/2", "churn/later", "churn/linked"]
    assert (home / "churn" / "mine").is_dir()
    assert listed([], capsys) == [("churn/2", "unfinished")]


def test_what_cannot_be_deleted(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason is that of the system."""

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(shutil, "rmtree", refuse)
    assert main(["runs", "wine", "--delete"]) == 2
    assert "cannot delete wine/1: permission denied" in capsys.readouterr().err
    assert "wine/1" in left(home)
