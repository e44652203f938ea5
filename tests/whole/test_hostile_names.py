"""Names are data: no output form passes on what a terminal, a shell or GitHub would obey."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from notebooks import from_percent

from kale_tag.cli import main
from kale_tag.diagnostics import pasted

NAMES = (
    "a\n::error file=x::pwned.ipynb",
    "\x1b[31mred\x07\r.ipynb",
    "c1\x9b2J\u202eevil.ipynb",
    "-q.ipynb",
    "$(touch PWN) x;y`id`.ipynb",
    "<img src=x onerror=alert(1)>|a|.ipynb",
)
BAD = {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), "\u202e"} - {"\n"}
NOTEBOOK = (
    "# %% tags=imports\nimport no_such_package\n# %%\nx = 1\n"
    "# %% tags=step:b\x1b[31m\n# %% tags=step:a,secret:\n::error::tag\x9b\nprint(2)\n"
)
SPEC = "version: 1\ncells:\n  - {source: x = 1, step: load}\n"
GRAPH = "# %% tags=step:a\nx = 1\n# %% tags=step:b,prev:a\nprint(x)\n"

COMMANDS = (
    "plan spec.yaml PATHS",
    "plan spec.yaml --explain --verbose PATHS",
    "plan spec.yaml --diff PATHS",
    "plan spec.yaml --format json PATHS",
    "plan spec.yaml --format markdown PATHS",
    "plan spec.yaml -o patches/ PATHS",
    "apply patches/",
    "apply spec.yaml PATHS --verbose",
    "revert patches/",
    "check PATHS",
    "check PATHS --format github",
    "check PATHS --format sarif",
    "check PATHS --format json",
    "rename b c PATHS",
    "rename b c PATHS --format json",
    "diff first second",
    "diff first second --format markdown",
    "diff first second --format json",
    "extract PATHS -o specs/",
    "extract PATHS",
    "compile PATHS -o out/",
    "compile PATHS -o out/ --check",
    *(f"graph PATHS --format {form}" for form in ("text", "mermaid", "dot", "svg")),
    "upgrade PATHS",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_form_passes_names_on(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Notebooks that compile and notebooks with errors, all of them called something hostile."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(SPEC)
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        for name in NAMES:
            text = GRAPH if folder == "first" else NOTEBOOK
            (tmp_path / folder / name).write_bytes(from_percent(text))
            (tmp_path / name).write_bytes(from_percent(text))
    if "patches" in command and "-o" not in command:
        main(["plan", "spec.yaml", "-o", "patches/", "--", *NAMES])
        capfd.readouterr()
    paths = ["first", "second", *(f"./{name}" for name in NAMES)]
    words = [one for word in command.split() for one in (paths if word == "PATHS" else [word])]
    assert main(words) in {0, 1, 2}
    out, err = capfd.readouterr()
    shown = out + err
    assert shown
    if "--diff" in words:  # the bytes of the notebooks, as `diff` prints them
        return
    assert {one for one in shown if one in BAD} == set()
    obeyed = [line for line in shown.splitlines() if line.startswith("::error file=x")]
    assert obeyed == []
    assert "::error::tag" not in shown.splitlines()
    if words[-1] in {"svg", "markdown", "mermaid"}:
        assert "<img" not in re.sub(r"(`+).*?\1", "", out)  # in Markdown, code is text
    if words[-1] in {"json", "sarif"}:
        json.loads(out)
    assert not (tmp_path / "PWN").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_hint_can_be_pasted(name: str, tmp_path: Path) -> None:
    """A shell that runs the hint opens the file of that name."""
    (tmp_path / name).write_text("content")
    shell = ["bash", "-c", pasted("cat", [name])]
    assert subprocess.run(shell, cwd=tmp_path, check=True, capture_output=True).stdout == b"content"
    assert sorted(one.name for one in tmp_path.iterdir()) == [name]


def test_a_hint_has_a_dashed_name_behind_two_dashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hint of `plan` applies what was planned, also to a notebook called like an option."""
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(SPEC)
    Path("-q.ipynb").write_bytes(from_percent("# %%\nx = 1\n"))
    main(["plan", "spec.yaml", "--", "-q.ipynb"])
    hint = capsys.readouterr().out.rpartition("To write it: ")[2]
    assert hint == "kale-tag apply -- spec.yaml -q.ipynb\n"
    assert main(shlex.split(hint)[1:]) == 0
    assert b"step:load" in Path("-q.ipynb").read_bytes()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("# %% tags=block:a\nx = 1\n", "check upgrade"),
        ("# %% tags=block:a\nx = 1\n", "extract upgrade"),
        ("# %%\nx = 1\n", "compile extract"),
    ],
)
def test_hints_of_findings_can_be_pasted(
    code: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The commands that findings advise quote the notebook, too."""
    monkeypatch.chdir(tmp_path)
    Path("$(touch PWN) x.ipynb").write_bytes(from_percent(code))
    run, advised = words.split()
    main([run, "$(touch PWN) x.ipynb"])
    assert f"`kale-tag {advised} '$(touch PWN) x.ipynb'`" in "".join(capsys.readouterr())
