"""Many files are replaced as one, even if the work is killed between two of them."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from notebooks import from_percent

from kale_tag import files
from kale_tag.cli import main
from kale_tag.commands.shared.journal import JOURNAL

OLD = from_percent("# %%\nx = 1\n")
COUNT = 6

KILLED = """
import os, sys
from kale_tag import cli, files
right, left = files.exchange, [int(sys.argv.pop(1))]
def exchange(*paths):
    left[0] -= 1
    if left[0] < 0:
        os._exit(9)
    right(*paths)
files.exchange = exchange
sys.exit(cli.main(sys.argv[1:]))
"""
"""The command line, killed after so many replacements."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a spec, and notebooks that it changes."""
    (tmp_path / "s.yaml").write_text("version: 1\ncells: [{source: x, tag: skip}]\n")
    for number in range(COUNT):
        (tmp_path / f"a{number}.ipynb").write_bytes(OLD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def changed() -> int:
    """How many notebooks are tagged."""
    return sum(path.read_bytes() != OLD for path in Path().glob("*.ipynb"))


def hidden() -> list[str]:
    """What is left besides the notebooks."""
    return sorted(name for name in os.listdir() if name.startswith("."))


def kill(after: int, *words: str) -> None:
    """Run a command line that is killed after so many replacements."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(after), *words], check=False)
    assert done.returncode == 9


@pytest.mark.parametrize("after", [0, 1, COUNT - 1])
@pytest.mark.parametrize(("option", "result"), [("--finish", COUNT), ("--undo", 0)])
def test_killed(
    folder: Path, after: int, option: str, result: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is half done is seen by the next call, and can be finished or undone."""
    kill(after, "apply", "s.yaml", ".", "--all-or-nothing", "-q")
    assert changed() == after

    assert main(["apply", "s.yaml", str(folder)]) == 2
    assert "error[unfinished]" in capsys.readouterr().err
    assert changed() == after

    assert main(["apply", option]) == 0
    assert changed() == result
    assert hidden() == []
    assert main(["apply", option]) == 2
    assert "error[nothing-unfinished]" in capsys.readouterr().err
    assert main(["apply", "s.yaml", ".", "--all-or-nothing"]) == 0


KILLED_ANYWHERE = """
import os, sys
from kale_tag import cli, files
left = [int(sys.argv.pop(1))]
def changes(event, values):
    if event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "exchange") or (
        event == "open" and values[2] & os.O_CREAT
    ):
        left[0] -= 1
        if left[0] < 0:
            os._exit(9)
right = files.exchange
def exchange(*paths):
    changes("exchange", paths)
    right(*paths)
files.exchange = exchange
sys.dont_write_bytecode = True
sys.addaudithook(changes)
sys.exit(cli.main(sys.argv[1:]))
"""
"""The command line, killed before its change of the disk with this number."""


@pytest.mark.slow
@pytest.mark.parametrize(("option", "result"), [("--finish", COUNT), ("--undo", 0)])
def test_killed_anywhere(folder: Path, option: str, result: int) -> None:
    """Before whatever change of the disk the kill comes: none is half, and nothing is left."""
    words = ["apply", "s.yaml", ".", "--all-or-nothing", "-q"]
    unfinished, returncode = 0, 9
    number = 0
    while returncode == 9:
        program = [sys.executable, "-c", KILLED_ANYWHERE, str(number), *words]
        returncode = subprocess.run(program, check=False).returncode
        if Path(JOURNAL).exists():
            unfinished += 1
            assert main(["apply", option]) == 0
            assert changed() == result
        assert changed() in {0, COUNT}
        assert main(["apply", "s.yaml", "."]) == 0
        assert changed() == COUNT
        assert hidden() == []
        for path in folder.glob("*.ipynb"):
            path.write_bytes(OLD)
        number += 1
    assert returncode == 0
    assert unfinished == 2 * COUNT + 1


@pytest.mark.usefixtures("folder")
def test_saved_after_the_kill(capsys: pytest.CaptureFixture[str]) -> None:
    """A notebook that somebody saved since is named, and nothing is done behind their back."""
    kill(3, "apply", "s.yaml", ".", "--all-or-nothing", "-q")
    replaced = next(path for path in sorted(Path().glob("*.ipynb")) if path.read_bytes() != OLD)
    replaced.write_bytes(b"{}")

    assert main(["apply", "--undo"]) == main(["apply", "--finish"]) == 2
    assert f"{replaced} has neither" in capsys.readouterr().err
    assert changed() == 3
    assert replaced.read_bytes() == b"{}"


@pytest.mark.usefixtures("folder")
def test_saved_in_the_last_moment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then all others are brought back: nothing was written."""
    right, calls = files.exchange, iter(range(100))

    def exchange(temporary: str, path: str) -> None:
        if next(calls) == 3:
            Path(path).write_bytes(b"theirs")
        right(temporary, path)

    monkeypatch.setattr(files, "exchange", exchange)
    assert main(["apply", "s.yaml", ".", "--all-or-nothing"]) == 2

    out, err = capsys.readouterr()
    assert "error[changed-meanwhile]" in err
    assert "nothing was written" in out
    assert changed() == 1
    assert b"theirs" in [path.read_bytes() for path in Path().glob("*.ipynb")]
    assert hidden() == []


@pytest.mark.usefixtures("folder")
def test_full_disk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What the system refuses is an error, and nothing was written."""
    right, calls = os.replace, iter(range(100))

    def replace(old: str, new: str) -> None:
        if next(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", new)
        right(old, new)

    monkeypatch.setattr(os, "replace", replace)
    assert main(["apply", "s.yaml", ".", "--all-or-nothing"]) == 2

    assert "error[not-written]: nothing was written: " in capsys.readouterr().err
    assert changed() == 0
    assert hidden() == []


@pytest.mark.usefixtures("folder")
def test_rename_is_whole_too() -> None:
    """`rename --write` replaces all files or none."""
    assert main(["apply", "s.yaml", ".", "-q"]) == 0
    for path in Path().glob("*.ipynb"):
        path.write_bytes(path.read_bytes().replace(b'"skip"', b'"step:load"'))
    before = {path: path.read_bytes() for path in Path().glob("*.ipynb")}
    kill(2, "rename", "load", "fetch", ".", "--write", "-q")
    assert main(["apply", "--undo"]) == 0
    assert {path: path.read_bytes() for path in Path().glob("*.ipynb")} == before
    assert hidden() == []


@pytest.mark.usefixtures("folder")
def test_leftovers() -> None:
    """Temporary files of a killed call go with the next one; those of one at work stay."""
    left = Path(".a0.ipynb.1f-2.kale-tag.tmp")
    left.write_bytes(b"half")
    Path(".mine.tmp").write_bytes(b"")
    staged = files.stage(files.read("a0.ipynb"), OLD)
    program = [sys.executable, "-m", "kale_tag", "apply", "s.yaml", "a1.ipynb", "-q"]
    subprocess.run(program, check=True)
    assert left.exists()  # this process works in the folder

    staged.discard()
    subprocess.run(program, check=True)
    assert hidden() == [".mine.tmp"]


@pytest.mark.parametrize("text", ['[{"spare": "%s"}]', '[{"path": "%s"}]', "[3]", "3", "{"])
def test_settled_by_others(folder: Path, text: str) -> None:
    """A file of that name that came with a repository deletes nothing but itself."""
    mine = folder / "mine.txt"
    mine.write_text("mine")
    Path(".kale-tag").mkdir()
    Path(".kale-tag", "settled.json").write_text(text.replace("%s", str(mine)))
    assert main(["apply", "s.yaml", ".", "-q"]) == 0
    assert changed() == COUNT
    assert mine.read_text() == "mine"
    assert hidden() == []
