"""Runs every case under cases/: files, commands, and exactly what they print.

A case is Markdown: a title, a sentence of why, the files as fenced blocks whose info is language
and name (a `python` block is a notebook in percent form, see `notebooks.py`), and `console` blocks of
`$ kale-tag ...` with what follows: standard output, standard error, `[exit N]` unless it is 0.
`$ diff FILE` shows how a file differs from what it was at the start of the case.

`pytest --update` writes what is printed into the cases; read the diff before you commit it.
"""

import difflib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from notebooks import from_percent

from kale_tag.cli import main

CASES = Path(__file__).parent / "cases"
BLOCK = re.compile(
    r"^(?P<fence>```+)(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=fence)\n", re.MULTILINE | re.DOTALL
)


def _files(text: str, folder: Path) -> dict[str, bytes]:
    """Writes the files of a case; their content by name."""
    made = {}
    for block in BLOCK.finditer(text):
        language, _, name = block["info"].strip().partition(" ")
        if not name or language == "console":
            continue
        body = block["body"]
        data = from_percent(body) if language == "python" else body.encode()
        made[name] = data
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return made


def _run(command: str, start: dict[str, bytes], capsys: pytest.CaptureFixture[str]) -> str:
    program, *words = shlex.split(command)
    if program == "diff":
        return "".join(_diff(words[0], start[words[0]]))
    assert program == "kale-tag", f"a case runs kale-tag and diff, not {program}"
    code = main(words)
    out, err = capsys.readouterr()
    end = f"[exit {code}]\n" if code else ""
    return f"{out}{err.removesuffix(chr(10)) if err.endswith(chr(10) * 2) else err}{end}"


def _diff(name: str, start: bytes) -> Iterator[str]:
    before = start.decode().splitlines(keepends=True)
    after = Path(name).read_bytes().decode().splitlines(keepends=True)
    for line in difflib.unified_diff(before, after, n=1):
        if not line.startswith(("---", "+++")):
            yield line if line.endswith("\n") else f"{line}\n"


@pytest.mark.parametrize(
    "case", sorted(CASES.rglob("*.md")), ids=lambda path: str(path.relative_to(CASES))
)
def test_case(
    case: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """Each console block of a case is what the program prints."""
    text = case.read_text("utf-8")
    start = _files(text, tmp_path)
    monkeypatch.chdir(tmp_path)
    consoles = 0

    def ran(block: re.Match[str]) -> str:
        nonlocal consoles
        if block["info"].strip() != "console":
            return block[0]
        consoles += 1
        commands = [line for line in block["body"].splitlines() if line.startswith("$ ")]
        shown = "".join(f"{line}\n{_run(line[2:], start, capsys)}" for line in commands)
        return f"{block['fence']}console\n{shown}{block['fence']}\n"

    result = BLOCK.sub(ran, text)
    if request.config.getoption("--update"):
        case.write_text(result, "utf-8")
    assert consoles, "a case without a console block shows nothing"
    assert result == text
