"""Input that nobody writes on purpose: a diagnostic with its notebook, and the others go on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from notebooks import cell, notebook, to_bytes

from kale_tag.cli import main
from kale_tag.notebook.read import read_notebook, read_whole

SPEC = "version: 1\ncells:\n  - {source: '^x', step: load, expect: any}\n"
GOOD = [cell("x = 1", metadata={"tags": ["step:load"]}), cell("y = x", metadata={"tags": []})]
SETTINGS = {"pipeline_name": "p", "experiment_name": "e"}


def nested(depth: int) -> str:
    """JSON that is so deep."""
    return "[" * depth + "]" * depth


def good() -> bytes:
    """A notebook with one step."""
    return to_bytes(notebook(GOOD, kubeflow_notebook=SETTINGS))


def with_source(source: object) -> bytes:
    """A notebook with that source in its first cell."""
    value = notebook([{**GOOD[0], "source": source}, GOOD[1]], kubeflow_notebook=SETTINGS)
    return to_bytes(value)


def with_settings(text: str) -> bytes:
    """A notebook with that JSON in a setting."""
    return good().replace(b'"pipeline_name": "p"', b'"pipeline_name": ' + text.encode())


def with_metadata(text: str) -> bytes:
    """A notebook with no cells and that metadata."""
    return f'{{"cells": [], "metadata": {text}, "nbformat": 4, "nbformat_minor": 5}}'.encode()


SUM = " + ".join(f"x{n}" for n in range(520))

NOTEBOOKS = {
    "a list in a source": with_source([["a"]]),
    "null in a source": with_source([None]),
    "a number in a source": with_source([3]),
    "a long sum": with_source("\n".join([*(f"x{n} = {n}" for n in range(520)), f"z = {SUM}"])),
    "a deep setting": with_settings(nested(400)),
    "a deeper setting": with_settings(nested(900)),
    "no cells": with_metadata("{}"),
    "metadata is a list": with_metadata("[]"),
    "deep metadata": with_metadata('{"a": ' + nested(500) + "}"),
    "null as metadata": good().replace(b'"metadata": {\n    "tags": []\n   }', b'"metadata": null'),
}
COMMANDS = (
    ["check", "."],
    ["check", ".", "--format", "json"],
    ["check", ".", "--format", "sarif"],
    ["check", ".", "--format", "github"],
    ["check", ".", "--jobs", "2"],
    ["plan", "spec.yaml", "."],
    ["plan", "spec.yaml", ".", "--format", "json", "--explain"],
    ["plan", "kale:untag", ".", "--diff"],
    ["plan", "kale:upgrade", "."],
    ["graph", "good.ipynb", "odd.ipynb"],
    ["diff", ".", "other", "--format", "json"],
    ["rename", "load", "fetch", "."],
    ["extract", "good.ipynb", "odd.ipynb", "-o", "specs/"],
    ["compile", "good.ipynb", "odd.ipynb", "-o", "packages/"],
    ["apply", "spec.yaml", "."],
    ["git", "merge", "good.ipynb", "odd.ipynb", "good.ipynb", "a.ipynb", "7"],
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a good notebook and a spec."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "good.ipynb").write_bytes(good())
    (tmp_path / "other").mkdir()
    return tmp_path


@pytest.mark.parametrize("odd", NOTEBOOKS)
def test_an_odd_notebook(folder: Path, odd: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command reports it or takes it; none ends, and none prints a traceback."""
    for command in COMMANDS:
        (folder / "odd.ipynb").write_bytes(NOTEBOOKS[odd])
        code = main(command)
        out, err = capsys.readouterr()
        assert code in {0, 1, 2}, (command, err)
        assert "internal-error" not in out + err, command
        if "json" in command:
            json.loads(out)
    assert b"step:load" in (folder / "good.ipynb").read_bytes()
    assert (folder / "packages" / "good.pipeline.yaml").exists()
    assert list((folder / "specs").iterdir())


PATCHES = {
    "deep lists": f'[{{"op": "add", "path": "/metadata/n", "value": {nested(900)}}}]',
    "deep objects": '[{"op": "add", "path": "/metadata/n", "value": '
    + '{"a": ' * 400
    + "1"
    + "}" * 400
    + "}]",
    "half a character": '[{"op": "add", "path": "/metadata/\\ud800", "value": "\\udc00"}]',
}


@pytest.mark.parametrize("patch", PATCHES)
def test_an_odd_patch(folder: Path, patch: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same with patches."""
    (folder / "a.patch.json").write_text(PATCHES[patch])
    for command in (
        ["plan", "a.patch.json", "good.ipynb", "--format", "json"],
        ["rename", "load", "fetch", "a.patch.json"],
        ["apply", "a.patch.json", "good.ipynb"],
        ["revert", "a.patch.json", "good.ipynb"],
    ):
        assert main(command) in {0, 2}, command
        out, err = capsys.readouterr()
        assert "internal-error" not in out + err


def fail_on(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """*function*, with a bug that shows on the notebook *name*."""

    def failing(data: bytes, called: str, *rest: Any, **more: Any) -> Any:
        if called == name:
            raise ZeroDivisionError("a slip of ours")
        return function(data, called, *rest, **more)

    return failing


@pytest.mark.parametrize(
    ("command", "reader"),
    [
        (["check", "bug.ipynb", "good.ipynb"], "check.read_whole"),
        (["check", ".", "--format", "json"], "check.read_whole"),
        (["check", ".", "--format", "sarif"], "check.read_whole"),
        (["check", ".", "--format", "github"], "check.read_whole"),
        (["check", ".", "--jobs", "2"], "check.read_whole"),
        (["extract", "bug.ipynb", "good.ipynb", "-o", "specs/"], "extract.read_whole"),
        (["compile", "bug.ipynb", "good.ipynb"], "shared.pipelines.read_notebook"),
        (["graph", "bug.ipynb", "good.ipynb"], "shared.pipelines.read_notebook"),
        (["diff", ".", "other"], "diff.read_notebook"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bug_stops_one_notebook(
    folder: Path,
    command: list[str],
    reader: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What nobody foresaw is the error of one notebook, with where to report it; exit code 3."""
    (folder / "bug.ipynb").write_bytes(good())
    right = read_whole if reader.endswith("read_whole") else read_notebook
    monkeypatch.setattr(f"kale_tag.commands.{reader}", fail_on("bug.ipynb", right))

    assert main(command) == 3
    out, err = capsys.readouterr()
    assert "a bug in kale-tag stopped the work on bug.ipynb: ZeroDivisionError" in out + err
    assert "/issues" in out + err or "sarif" in command
    assert "Traceback" not in out + err
    if "json" in command:
        assert json.loads(out)["summary"]["notebooks"] == 1
    if "sarif" in command:
        assert "internal-error" in json.dumps(json.loads(out)["runs"])
    if command[0] == "compile":
        assert (folder / "good.pipeline.yaml").exists()
    if command[0] == "extract":
        assert [path.name for path in (folder / "specs").iterdir()] == ["good.yaml"]
