"""Input that nobody writes on purpose: a diagnostic with its notebook, and the others go on."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from notebooks import cell, notebook, to_bytes

from kale_tag.cli import main
from kale_tag.kale.settings import FIELDS, KATIB_FIELDS, SECURITY_FIELDS, VOLUME_FIELDS
from kale_tag.notebook.read import read_notebook, read_whole
from kale_tag.upgrade import OLD

SPEC = "version: 1\ncells:\n  - {source: '^x', step: load, expect: any}\n"
GOOD = [cell("x = 1", metadata={"tags": ["step:load"]}), cell("y = x", metadata={"tags": []})]
SETTINGS = {"pipeline_name": "p", "experiment_name": "e"}
ALL_SETTINGS: dict[str, Any] = {
    **dict.fromkeys((*FIELDS, *OLD, "volumes"), ""),
    "experiment": {"id": "", "name": ""},
    "katib_metadata": dict.fromkeys(KATIB_FIELDS, ""),
    "security_context": dict.fromkeys(SECURITY_FIELDS, ""),
    "steps_defaults": [""],
    "volumes": [dict.fromkeys(VOLUME_FIELDS, "")],
}
"""Each setting, and each part of one."""


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


_NO_TAGS = b'"metadata": {\n    "tags": []\n   }'

NOTEBOOKS = {
    "bad_source, a list": with_source([["a"]]),
    "bad_source, null": with_source([None]),
    "bad_source, a number": with_source([3]),
    "deep_setting": with_settings(nested(400)),
    "deeper setting": with_settings(nested(900)),
    "no cells": with_metadata("{}"),
    "metalist": with_metadata("[]"),
    "metadata_list": good().replace(b'"metadata": {\n  "k', b'"metadata": [], "was": {\n  "k'),
    "deep metadata": with_metadata('{"a": ' + nested(500) + "}"),
    "deep500": good().replace(b'"tags": []', b'"tags": [], "a": ' + nested(500).encode()),
    "a version that is none": good().replace(b'"nbformat": 4', b'"nbformat": {"a": [1]}'),
    "null as metadata": good().replace(_NO_TAGS, b'"metadata": null'),
    "g1, no metadata": good().replace(_NO_TAGS + b",", b""),
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
    ["git", "merge", "good.ipynb", "odd.ipynb", ".merge_file_b", "a.ipynb", "7"],
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a good notebook and a spec."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "good.ipynb").write_bytes(good())
    (tmp_path / ".merge_file_b").write_bytes(good().replace(b"step:load", b"step:fetch"))
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
    "open lists": "[" * 200_000,
    "tags_text": '[{"op": "replace", "path": "/cells/0/metadata/tags", "value": "step:load"}]',
    "null_metadata": '[{"op": "replace", "path": "/cells/0/metadata", "value": null}]',
    "remove_metadata": '[{"op": "remove", "path": "/cells/0/metadata"}]',
    "surrogate_name": '[{"op": "test", "path": "/metadata", "value": 1, '
    '"notebook": "\\ud800.ipynb"}]',
    "an operation is a list": '[[{"op": "add"}], [1], []]',
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
        nbformat.validate(json.loads((folder / "good.ipynb").read_text()))


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


def test_a_long_sum(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """sum520: an expression of any length that Python compiles has its place in a pipeline."""
    names = [f"x{number}" for number in range(600)]
    cells = [("step:a", "\n".join(f"{name} = 1" for name in names))]
    cells += [("step:b prev:a", f"z = {' + '.join(names)}\nprint(z)")]
    cells += [("pipeline-parameters", f"rate = {' + '.join(['1'] * 600)}")]
    made = [cell(source, metadata={"tags": tags.split()}) for tags, source in cells]
    (folder / "sum.ipynb").write_bytes(to_bytes(notebook(made, kubeflow_notebook=SETTINGS)))

    for command in ("check", "compile", "extract"):
        assert main([command, "sum.ipynb"]) == 0, capsys.readouterr()
        assert "too-deep" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("start", "repeated", "end"),
    [
        ("x = 1", "\r", "y = 2"),
        ("x = 1", "\n ", "\ny = 2"),
        ("def f(*x):\n    return x\na = [1]\nf(", "*a, ", ")"),
    ],
    ids=["carriage returns", "empty lines", "starred arguments"],
)
def test_long_cells(folder: Path, start: str, repeated: str, end: str) -> None:
    """Four times as much takes some four times as long, and not sixteen times."""
    seconds = []
    for number in (4_000, 16_000):
        source = start + repeated * number + end
        made = [cell(source, metadata={"tags": ["step:a"]})]
        (folder / "long.ipynb").write_bytes(to_bytes(notebook(made, kubeflow_notebook=SETTINGS)))
        before = time.process_time()
        assert main(["check", "long.ipynb"]) in {0, 1}
        seconds.append(time.process_time() - before)
    assert seconds[1] < 8 * seconds[0] + 1


def test_copies_of_copies(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each doubles the value; before the memory is full they are too many."""
    copies = [
        {"op": "copy", "from": "/metadata/b", "path": f"/metadata/b/k{number}"}
        for number in range(40)
    ]
    add = {"op": "add", "path": "/metadata/b", "value": {"a": "x"}}
    (folder / "a.patch.json").write_text(json.dumps([add, *copies]))

    assert main(["apply", "a.patch.json", "good.ipynb"]) == 2
    assert "error[too-many-values]" in capsys.readouterr().err
    assert (folder / "good.ipynb").read_bytes() == good()


def test_links_that_lead_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`**` enters each folder once, links too; a notebook has one name."""
    (folder / "other" / "b.ipynb").write_bytes(good())
    for name in ("a", "b", "other/up"):
        (folder / name).symlink_to(folder, target_is_directory=True)
    elsewhere = folder.parent / f"{folder.name}-elsewhere"
    elsewhere.mkdir()
    (elsewhere / "c.ipynb").write_bytes(good())
    (folder / "other" / "there").symlink_to(elsewhere, target_is_directory=True)
    spec = SPEC.replace("cells", "notebooks: ['**/*.ipynb']\ncells", 1)
    (folder / "spec.yaml").write_text(spec)

    assert main(["plan", "spec.yaml", "--format", "json"]) == 0
    names = [one["notebook"] for one in json.loads(capsys.readouterr().out)["notebooks"]]
    assert names == ["good.ipynb", "other/b.ipynb", "other/there/c.ipynb"]


def test_a_pattern_is_stopped_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is out for the whole run, which then takes as long as with one notebook."""
    monkeypatch.setattr("kale_tag.commands.shared.batch.REGEX_SECONDS", 0.3)
    (folder / "spec.yaml").write_text(
        "version: 1\ncells:\n  - {source: '^(a+)+$', step: a, expect: any}\n"
    )
    for number in range(200):
        cells = [cell("a" * 60 + "b")]
        (folder / f"n{number}.ipynb").write_bytes(to_bytes(notebook(cells)))
    start = time.monotonic()

    assert main(["plan", "spec.yaml", *map(str, folder.glob("n*.ipynb"))]) == 2

    out, err = capsys.readouterr()
    assert err.count("error[endless-regex]") == 1
    assert "200 failed" in out
    assert time.monotonic() - start < 20  # and not a minute


def test_a_patch_stays_in_its_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A link does not lead a patch out, and `-` is a file."""
    outside = folder.parent / f"{folder.name}.ipynb"
    outside.write_bytes(good())
    (folder / "link.ipynb").symlink_to(outside)
    add = {"op": "add", "path": "/metadata/x", "value": 1}
    (folder / "a.patch.json").write_text(json.dumps([{**add, "notebook": "link.ipynb"}]))
    (folder / "b.patch.json").write_text(json.dumps([{**add, "notebook": "-"}]))
    (folder / "-").write_bytes(good())

    assert main(["apply", "a.patch.json"]) == 2
    assert "error[outside-folder]" in capsys.readouterr().err
    assert outside.read_bytes() == good()
    assert main(["apply", "a.patch.json", "link.ipynb"]) == 0
    assert main(["apply", "b.patch.json"]) == 0
    assert b'"x": 1' in (folder / "-").read_bytes()


@pytest.mark.skipif(os.getuid() != 0, reason="needs two users")
def test_a_folder_that_cannot_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is reported; the others are worked on."""
    (folder / "other" / "b.ipynb").write_bytes(good())
    commands = (["check", "."], ["check", "other"], ["plan", "spec.yaml"])
    for command in commands:
        main(command)  # imports what may lie in the home of root
    (folder / "other").chmod(0)
    spec = SPEC.replace("cells", "notebooks: ['**/*.ipynb']\ncells", 1)
    (folder / "spec.yaml").write_text(spec)
    for parent in (folder, folder.parent, folder.parent.parent):
        parent.chmod(0o755)
    os.seteuid(65534)
    try:
        for command in commands:
            capsys.readouterr()
            assert main(command) == 2
            assert "cannot read other: permission denied" in capsys.readouterr().err
    finally:
        os.seteuid(0)
        (folder / "other").chmod(0o755)


ODD: list[object] = [["pv"], {"a": 1}, 1.5]
ODDER: list[object] = [[], {}, True, None, "\x00"]


@pytest.mark.parametrize(
    "odd", [*ODD, *(pytest.param(odd, marks=pytest.mark.slow) for odd in ODDER)]
)
@pytest.mark.parametrize("command", ["upgrade", "check", "compile", "extract"])
def test_settings_of_any_type(
    tmp_path: Path, command: str, odd: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No value of a setting, or of a part of one, is a bug of a command."""
    monkeypatch.chdir(tmp_path)
    given: list[dict[str, object]] = []
    for key, whole in ALL_SETTINGS.items():
        given.append({key: odd})
        inner = whole[0] if isinstance(whole, list) else whole
        for part in inner if isinstance(inner, dict) else ():
            changed = {**inner, part: odd}
            given.append({key: [changed] if isinstance(whole, list) else changed})
    for number, one in enumerate(given):
        value = to_bytes(notebook(GOOD, kubeflow_notebook={**SETTINGS, **one}))
        Path(f"{number}.ipynb").write_bytes(value)
    assert main([command, "."]) < 3
