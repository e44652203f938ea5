"""The command line: options, exit codes, streams, start-up."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from notebooks import from_percent

from kale_tag import __main__ as started
from kale_tag import __version__, cli
from kale_tag.cli import COMMANDS, command, main, options_of, read_plainly, typer_app, usage
from kale_tag.diagnostics import UserError
from kale_tag.notebook.splice import splice

SPEC = "version: 1\ncells:\n  - {source: fit, step: train}\n"
NOTEBOOK = from_percent("# %%\nmodel.fit(x)\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a spec and a notebook that it changes, made the current one."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "a.ipynb").write_bytes(NOTEBOOK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kale_tag(
    *words: str, at: Path, stdin: bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """The program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "kale_tag", *words],
        cwd=at,
        input=stdin,
        capture_output=True,
        check=False,
        env={**os.environ, **(env or {})},
    )


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the version of the package, and so does `-V`."""
    for words in (["--version"], ["-V"], ["--version", "plan"]):
        assert main(words) == 0
        assert capsys.readouterr().out == f"kale-tag {__version__}\n"


def test_no_notebook_for_git(folder: Path) -> None:
    """The short way of `git textconv` leaves it to the long one to say why."""
    done = kale_tag("git", "textconv", "--", "nothing.ipynb", at=folder)
    assert done.returncode == 2
    assert b"error[not-read]: cannot read nothing.ipynb: no such file" in done.stderr


def test_a_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing can be done in it."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["plan"]) == 2
    assert "the current folder does not exist any more" in capsys.readouterr().err


def test_too_deep_for_python(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever it happens, it is no bug of ours."""

    def deep(_: list[str]) -> int:
        raise RecursionError

    monkeypatch.setattr(cli, "_run", deep)
    assert main(["plan"]) == 2
    assert "error[too-deep]: the input is nested too deeply" in capsys.readouterr().err


def test_help_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`kale-tag help` is `kale-tag --help`."""
    shown = []
    for word in ("help", "--help"):
        assert main([word]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]


@pytest.mark.parametrize("words", [["--help"], ["-h"], *([name, "--help"] for name in COMMANDS)])
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every help page says what the command does, and a command's shows an example to paste."""
    assert main(words) == 0

    out = capsys.readouterr().out
    assert "Usage: kale-tag" in out
    if words[0] in COMMANDS:
        assert f"kale-tag {words[0]}" in out.split("Options:")[0].partition("\n\n")[2]
    else:
        assert all(f"  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["aply"], "no command `aply`"),
        (["--verson"], "did you mean `--version`?"),
        (["plan", "--dif"], "did you mean `--diff`?"),
        (["plan", "-qZ"], "`kale-tag plan` has no option `-Z`"),
        (["apply", "--format", "xml"], "`--format` takes text or json, not `xml`"),
        (["plan", "--jobs", "many"], "`--jobs` takes a whole number, not `many`"),
        (["plan", "-qj", "many"], "`--jobs` takes a whole number, not `many`"),
        (["plan", "--jobs"], "write --jobs N"),
        (["plan", "-qv", "--format", "jsn"], "did you mean `json`?"),
        (["plan", "--quiet=1"], "`--quiet` takes no value"),
        (["graph", "--format"], "write --format text|mermaid|dot|svg|json"),
        (["rename", "a"], "needs NEW"),
        (["git", "instal"], "did you mean `install`?"),
    ],
)
def test_usage_errors(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip on the command line is exit code 2 and a message, never a traceback."""
    assert main(words) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.startswith("error[")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_completion(tmp_path: Path) -> None:
    """What `--show-completion` prints makes bash complete commands, options and values."""
    program = tmp_path / "kale-tag"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m kale_tag "$@"\n')
    program.chmod(0o755)
    offered = {
        "ap": "apply",
        "plan --ex": "--explain --exit-code",
        "graph --format m": "mermaid",
        "git un": "uninstall",
    }
    script = 'eval "$(kale-tag --show-completion bash)"\n'
    for typed in offered:
        script += f"COMP_WORDS=(kale-tag {typed}) COMP_CWORD={len(typed.split())}\n"
        script += '_kale_tag_completion kale-tag\necho "${COMPREPLY[@]}"\n'
    env = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, env=env
    )
    assert done.stdout.splitlines() == [*offered.values()]


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["plan", "spec.yaml", "a.ipynb"],
        ["apply", "spec.yaml", "a.ipynb"],
        ["apply", "spec.yaml", "missing.ipynb"],
    ],
)
def test_imports_nothing_heavy(words: list[str], folder: Path) -> None:
    """One notebook is planned and applied without what is slow to import."""
    (folder / "a.ipynb").write_bytes(from_percent("# %%\nprint('fit')\n"))  # nothing is wrong
    program = (
        "import sys\n"
        "from kale_tag.cli import main\n"
        "main(sys.argv[1:])\n"
        "print('|', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )

    imported = set(done.stdout.rpartition("|")[2].split())
    heavy = {"kfp", "networkx", "nbformat", "jsonschema", "rich", "msgspec", "logging"}
    if words != ["--help"]:
        heavy |= {"typer", "pydantic", "pathlib", "importlib_metadata"}
    if (
        words[0] == "plan" or "a.ipynb" in words
    ):  # a missing file is compared with the names that there are
        heavy.add("difflib")
    # A plugin may have been imported at the start of Python by the environment itself.
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert imported & heavy <= {name.partition(".")[0] for name in bare.stdout.split()}


OPTIONS = [
    "plan",
    "apply",
    "--diff",
    "--explain",
    "--format",
    "--format=json",
    "--format=xml",
    "json",
    "text",
    "--jobs",
    "-j",
    "-j2",
    "--jobs=3",
    "2",
    "-1",
    "x",
    "-q",
    "--quiet",
    "-v",
    "-qv",
    "--verbose",
    "--color",
    "always",
    "--all-or-nothing",
    "--global",
    "--attributes",
    "--attributes=x",
    "install",
    "textconv",
    "--check",
    "--dsl",
    "--dsl=",
    "-o",
    "--output=out.yaml",
    "--output",
    "svg",
    "--",
    "-",
    "a.ipynb",
    "spec.yaml",
    "",
    "-x",
    "--quiet=1",
    "--help",
]


@functools.cache
def typer_commands() -> Any:
    """The commands as typer has them, by name."""
    import typer  # noqa: PLC0415  as in the program, only where it is needed

    return typer.main.get_command(typer_app()).commands  # type: ignore[attr-defined]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["plan", "apply", "graph", "compile", "git"]),
    st.lists(st.sampled_from(OPTIONS), max_size=6),
)
def test_the_quick_reader_agrees_with_typer(name: str, words: list[str]) -> None:
    """What the quick reader takes, typer reads in the same way."""
    commands = typer_commands()
    try:
        quick = read_plainly(command(name), words)
    except UserError:
        return
    if quick is None:
        return
    context = commands[name].make_context(name, list(words))
    full = {key: value for key, value in context.params.items() if value is not None}
    for argument in ("paths", "files"):
        assert quick.pop(argument, []) == list(full.pop(argument, None) or [])
    assert quick.items() <= full.items()
    defaults = {one.name: one.default for one in fields(options_of(command(name)))}
    assert {key: full[key] for key in full if key not in quick} == {
        key: value
        for key, value in defaults.items()
        if key not in {*quick, "paths", "action", "files"}
    }


def test_filter_mode(folder: Path) -> None:
    """A notebook on standard input comes back on standard output, changed or not, and alone."""
    done = kale_tag("apply", "spec.yaml", "-", at=folder, stdin=NOTEBOOK)
    assert done.returncode == 0
    assert b'"step:train"' in done.stdout

    again = kale_tag("apply", "spec.yaml", "-", at=folder, stdin=done.stdout)
    assert again.stdout == done.stdout

    broken = kale_tag("apply", "spec.yaml", "-", at=folder, stdin=b'{"cells": [')
    assert (broken.returncode, broken.stdout) == (2, b"")


def test_spec_on_standard_input(folder: Path) -> None:
    """`-` can be the spec as well."""
    done = kale_tag("apply", "-", "a.ipynb", at=folder, stdin=SPEC.encode())
    assert done.returncode == 0, done.stderr
    assert b'"step:train"' in (folder / "a.ipynb").read_bytes()


ODD = {
    "crlf.ipynb": NOTEBOOK.replace(b"\n", b"\r\n").removesuffix(b"\r\n"),
    "one_line.ipynb": json.dumps(json.loads(NOTEBOOK)).encode(),
    "indent4.ipynb": json.dumps(json.loads(NOTEBOOK), indent=4).encode(),
    "no_metadata.ipynb": b'{"cells": [{"cell_type": "code",\n "source": "fit()"}, {}\n]}',
    "many.ipynb": from_percent("# %% tags=a,b\nfit()\n# %%\nx\n# %%\nfit(1)\n" * 20),
}


def test_diff_is_what_git_applies(folder: Path) -> None:
    """`plan --diff` piped into `git apply` gives the same bytes as `apply`, in any layout."""
    (folder / "more.yaml").write_text(
        "version: 1\npipeline: {pipeline_name: p}\ncells: [{source: fit, step: train, image: x}]\n"
    )
    for name, data in ODD.items():
        (folder / name).write_bytes(data)
    start = {path: path.read_bytes() for path in folder.glob("*.ipynb")}
    shown = kale_tag("plan", "spec.yaml", "more.yaml", ".", "--diff", at=folder)
    assert shown.returncode == 0, shown.stderr

    for git in (["init", "-q"], ["apply", "--whitespace=nowarn", "-"]):
        subprocess.run(["git", *git], cwd=folder, input=shown.stdout, check=True)
    by_git = {path: path.read_bytes() for path in start}
    for path, data in start.items():
        path.write_bytes(data)
    assert kale_tag("apply", "spec.yaml", "more.yaml", ".", at=folder).returncode == 0

    assert by_git == {path: path.read_bytes() for path in start}
    assert all(by_git[path] != data for path, data in start.items())


def test_json_is_one_document(folder: Path) -> None:
    """With `--format json` standard output is one JSON document, faults included."""
    (folder / "bad.ipynb").write_bytes(b"[")
    done = kale_tag("plan", "spec.yaml", ".", "--format", "json", "--explain", at=folder)
    assert done.returncode == 2

    document: Any = json.loads(done.stdout)
    assert document["summary"] == {"changed": 1, "unchanged": 0, "failed": 1, "written": False}
    good, bad = document["notebooks"]
    assert good["plans"][0]["cells"][0]["added"] == ["step:train"]
    assert good["plans"][0]["explain"][0]["selects"] == [0]
    assert bad["failed"]
    assert document["diagnostics"][0]["places"][0]["file"] == "bad.ipynb"


def test_output_nobody_reads(folder: Path) -> None:
    """A reader that goes away early (`| head -1`) is no error."""
    for number in range(200):
        (folder / f"n{number}.ipynb").write_bytes(NOTEBOOK)
    program = f"{sys.executable} -m kale_tag plan spec.yaml . | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_any_name_can_be_printed(folder: Path) -> None:
    """A terminal that knows ASCII only, and file names that are no text at all, stop nothing."""
    (folder / "ñ😀.ipynb").write_bytes(NOTEBOOK)
    name = os.fsdecode(b"\xff.ipynb")
    (folder / name).write_bytes(b"{")
    done = kale_tag(
        "plan", "spec.yaml", ".", at=folder, env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_a_bug_is_called_a_bug(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When a proof fails nothing is written to that notebook, the others go on, exit code 3."""
    (folder / "b.ipynb").write_bytes(NOTEBOOK.replace(b"(x)", b"(y)"))

    def broken(notebook: Any, wanted: Any) -> bytes:
        right = splice(notebook, wanted)
        return right.replace(b"(y)", b"(z)")

    monkeypatch.setattr("kale_tag.plan.apply.splice", broken)
    assert main(["apply", "spec.yaml", "."]) == 3

    out, err = capsys.readouterr()
    assert b"step:train" in (folder / "a.ipynb").read_bytes()
    assert (folder / "b.ipynb").read_bytes() == NOTEBOOK.replace(b"(x)", b"(y)")
    assert "error[internal-error]: a bug in kale-tag stopped the work on b.ipynb: ProofError" in err
    assert "1 changed, 0 unchanged, 1 failed" in out


def test_an_unexpected_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any other exception is reported as a bug with its traceback, exit code 3."""

    def fail(_words: list[str]) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "_run", fail)
    assert main(["plan"]) == 3
    assert "This is a bug in kale-tag" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", ["1", "2", "7"])
def test_jobs(folder: Path, jobs: str) -> None:
    """However many processes work, the result and what is printed are the same."""
    for number in range(20):
        (folder / f"n{number:02}.ipynb").write_bytes(NOTEBOOK)
    (folder / "n10.ipynb").write_bytes(b"")
    done = kale_tag("apply", "spec.yaml", ".", "--jobs", jobs, "-v", at=folder)
    assert done.returncode == 2
    names = [path.name for path in sorted(folder.glob("*.ipynb")) if path.stat().st_size]
    shown = [line for line in done.stdout.decode().splitlines() if not line.startswith(" ")]
    assert shown == [
        *(f"changed {name}: 1 cell" for name in names),
        "20 changed, 0 unchanged, 1 failed",
    ]


@pytest.mark.parametrize("path", ["typo/*.ipynb", "typo.txt", "typo.ipynb", "empty"])
def test_a_slip_does_not_change_everything(folder: Path, path: str) -> None:
    """Where a notebook is named that is not there, the spec's own list does not take its place."""
    (folder / "empty").mkdir()
    (folder / "spec.yaml").write_text(f"{SPEC}notebooks: ['*.ipynb']\n")
    done = kale_tag("apply", "spec.yaml", path, at=folder)
    assert done.returncode == 2
    assert (folder / "a.ipynb").read_bytes() == NOTEBOOK


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_the_bar_and_the_results(folder: Path, command: str) -> None:
    """With a bar on the terminal, results still go to standard output, and only there."""
    for number in range(30):
        (folder / f"n{number}.ipynb").write_bytes(NOTEBOOK)
    program = (
        "import sys; from kale_tag.commands.shared import batch; batch.BAR_SECONDS = 0\n"
        "from kale_tag.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    ours, theirs = os.openpty()
    done = subprocess.run(
        [sys.executable, "-c", program, command, "spec.yaml", ".", "-v"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        check=True,
    )
    os.close(theirs)
    shown = os.read(ours, 1 << 20).decode()
    os.close(ours)
    assert "31 " in done.stdout.splitlines()[-2 if command == "plan" else -1]
    assert all(f"n{number}.ipynb" in done.stdout for number in range(30))
    assert "notebooks" in shown
    assert ".ipynb" not in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments are shown by what they are: NOTEBOOK, not `<list[str]>`; defaults once."""
    main([name, "--help"])
    shown = capsys.readouterr().out
    first, _, rest = shown.partition("\n")
    assert first == " ".join([f"Usage: kale-tag {name} [OPTIONS]", *usage(command(name))])
    assert f"\n  Examples:\n    kale-tag {name}" in rest
    assert "<" not in rest.partition("Arguments:")[2].partition("Options:")[0]
    options = re.split(r"\n  (?=-)", " ".join(rest.partition("Options:")[2].split("\n    ")))
    assert [one for one in options if one.lower().count("default") > 1] == []


def test_the_list_of_commands_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """No summary is cut off, on a terminal of 80 columns."""
    main(["--help"])
    assert "..." not in capsys.readouterr().out.partition("Commands:")[2]


def test_interrupted_while_it_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C during the imports prints no traceback."""

    def interrupt() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("kale_tag.cli.main", interrupt)
    assert started.main() == 130
    assert capsys.readouterr().err == "interrupted\n"
