"""The examples: planned, applied, and compared with what is expected."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonpatch
import nbformat
import pytest
from runs import environment, newest, run

from kale_tag.cli import main
from kale_tag.run import run_record

EXAMPLES = Path(__file__).parents[2] / "examples"
EXPECTED = Path(__file__).parent / "examples"

COMMANDS = {
    "hello": ["hello/hello.yaml", "hello/hello.ipynb"],
    "parameters": ["parameters/parameters.yaml", "parameters/parameters.ipynb"],
    "churn": ["churn/churn.yaml", "churn/churn.ipynb"],
    "team": ["team"],
    "composition": ["composition"],
    "wine": ["wine/wine.yaml"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the examples, the current folder."""
    copy = tmp_path / "examples"
    shutil.copytree(EXAMPLES, copy)
    monkeypatch.chdir(copy)
    return copy


def test_every_example_is_tested(folder: Path) -> None:
    """Each folder of examples is in the list above, and in the README of the examples."""
    readme = (folder / "README.md").read_text("utf-8")
    names = {path.name for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._"}
    assert names == {*COMMANDS, "docs"}
    assert all(f"## {name}:" in readme for name in names - {"docs"})


@pytest.mark.parametrize("name", COMMANDS)
def test_plan(
    name: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    """The plan of an example is the one that was reviewed, and planning writes nothing."""
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}

    assert main(["plan", *COMMANDS[name], "-v", "--explain"]) == 0

    out, err = capsys.readouterr()
    assert err == ""
    expected = EXPECTED / f"{name}.txt"
    if request.config.getoption("--update"):
        expected.write_text(out, "utf-8")
    assert out == expected.read_text("utf-8")
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("name", COMMANDS)
def test_apply(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is written is what nbformat writes for the patched notebook; twice is once."""
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*.ipynb"))}
    assert main(["plan", *COMMANDS[name], "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    patches = {
        folder / notebook["notebook"]: notebook["plans"][0]["patch"]
        for notebook in document["notebooks"]
    }
    assert all(patches.values())

    assert main(["apply", *COMMANDS[name]]) == 0

    for path, old in before.items():
        if path not in patches:
            assert path.read_bytes() == old
            continue
        patched = jsonpatch.apply_patch(json.loads(old), patches[path])
        notebook = nbformat.from_dict(patched)  # type: ignore[no-untyped-call]
        nbformat.validate(notebook)
        text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
        assert path.read_bytes().decode() == text + "\n"
    after = {path: path.stat().st_mtime_ns for path in before}
    assert main(["apply", *COMMANDS[name]]) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == after


RUNS = {
    "hello": ["hello/hello.yaml", "hello/hello.ipynb", "--compare"],
    "wine": ["wine/wine.yaml", "--compare"],
    "parameters": ["parameters/parameters.yaml", "--compare"],
    "churn": ["churn/churn.yaml", "--compare"],
    "daily": ["team/team.yaml", "team/sales/daily_report.ipynb", "--compare"],
    "weekly": ["team/team.yaml", "team/sales/weekly_report.ipynb", "--compare"],
    "support": ["team/team.yaml", "team/support/ticket_stats.ipynb", "--compare"],
    "composition": ["composition"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_run(name: str, folder: Path) -> None:
    """Every example runs, and leaves the variables that its notebook leaves."""
    done = run(folder, *RUNS[name], DB_PASSWORD="secret")
    assert done.code == 0, done.out + done.err
    assert set(done.states.values()) == {"done"}
    assert ("none differs" in done.out) == ("--compare" in RUNS[name])
    for task in done.record.steps:
        assert (done.folder / "artifacts" / task.task / "kale_tag_report").exists()


@pytest.mark.slow
def test_demo(tmp_path: Path) -> None:
    """The demo ends with a pipeline that ran: all types of parameters, metrics, a page."""
    demo = [sys.executable, str(EXAMPLES / "demo.py"), str(tmp_path / "demo")]
    done = subprocess.run(demo, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "7 steps done" in done.stdout
    assert "none differs" in done.stdout
    assert "best_auc" in done.stdout
    page = (tmp_path / "demo" / "churn.html").read_text("utf-8")
    assert page.count("<iframe") == 7
    record = run_record.read_run(str(newest(tmp_path / "demo")))
    assert record is not None
    kinds = {type(value).__name__ for value in record.parameters.values()}
    assert kinds == {"int", "float", "str", "bool", "list", "dict"}
