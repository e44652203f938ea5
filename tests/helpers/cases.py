"""Markdown that shows files, commands and what they print: read, run and compared.

The files are fenced blocks whose info is language and name; a `python` block is a notebook in
percent form (see `notebooks.py`). A `console` block holds `$ kale-tag ...` and what follows:
standard output, standard error, and `[exit N]` unless it is 0. `$ diff FILE` shows how a file
differs from what it was at the start of the document.
"""

import difflib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from notebooks import from_percent

from kale_tag.cli import main

CASES = Path(__file__).parent.parent / "cases"
BLOCK = re.compile(
    r"^(?P<fence>```+)(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=fence)\n", re.MULTILINE | re.DOTALL
)


def write_files(text: str, folder: Path) -> dict[str, bytes]:
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


def check(
    document: Path, folder: Path, capsys: pytest.CaptureFixture[str], *, update: bool
) -> dict[str, bytes]:
    """Runs the console blocks of *document* in *folder*; its files as they are at the start."""
    text = document.read_text("utf-8")
    start = write_files(text, folder)
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
    if update:
        document.write_text(result, "utf-8")
    assert consoles, "a document without a console block shows nothing"
    assert result == text
    return start
