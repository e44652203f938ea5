"""What users read is written in the words of the field, and names nothing that is not there."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import BLOCK

from kale_tag.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kale_tag"

RETIRED = {
    r"giv(?:er|ers)|tak(?:er|ers)": "producer, consumer",
    r"faults?": "error, finding, diagnostic",
    r"says?|said|tells?|told": "is, report, show, print; in a spec: write",
    r"waits for": "depends on",
    r"mend(?:s|ed|ing)?": "fix",
    r"anew": "again",
    r"stands?(?! for\b|-in\b)|stood": "is",
    r"shares? with|behind a name|alters? together|carriers?": "alias, points to, may mutate",
    r"of (?:ours|kale's)(?! [a-z])": "kale-tag's, Kale's",
    r"shall": "must, will",
    r"heed(?:s|ed)?": "read",
    r"(?:machine|step|file|host) is (?:called|named so)|who you are": "not found, requires ...",
}
"""Words that users had to read twice, and the words instead."""


def _strings(path: Path) -> Iterator[str]:
    """What a module may print: its strings of several words, and the docstrings of commands."""
    tree = ast.parse(path.read_text("utf-8"))
    helps = COMMANDS if path.parent == PACKAGE / "commands" else ()
    skipped = set()
    for node in ast.walk(tree):
        bodies = [getattr(node, field, []) for field in ("body", "orelse", "finalbody")]
        for one in [one for body in bodies if isinstance(body, list) for one in body]:
            is_text = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
            if is_text and getattr(node, "name", "") not in helps:
                skipped.add(one.value)
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    for value in (node.value for node in constants if node not in skipped):
        if isinstance(value, str) and " " in value:
            yield value


def _descriptions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (value[key] for key in value if key == "description" and " " in value[key])
        yield from (text for one in value.values() for text in _descriptions(one))


def _printed(path: Path) -> Iterator[str]:
    """What the commands of a case print, without the lines of files that they show."""
    for block in BLOCK.finditer(path.read_text("utf-8")):
        if block["info"].strip() == "console":
            yield re.sub(r"(?m)^(?:\$|\s*\d* *\||[-+ ] ).*$", "", block["body"])


def _texts() -> Iterator[tuple[str, str]]:
    """Each file that users read something of, with all of that."""
    cargo = PACKAGE / "step_runtime"
    for path in sorted(PACKAGE.rglob("*.py")):
        if cargo not in path.parents:
            yield str(path.relative_to(ROOT)), "\n".join(_strings(path))
    schema = json.loads((PACKAGE / "spec/schema.json").read_text("utf-8"))
    yield "kale_tag/spec/schema.json", "\n".join(_descriptions(schema))
    pages = [*PACKAGE.glob("rules/*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")]
    pages += [*ROOT.glob("specs/*"), *ROOT.glob("examples/*.md"), *ROOT.glob("benchmarks/*.md")]
    for path in sorted(pages):
        yield str(path.relative_to(ROOT)), path.read_text("utf-8")
    for path in sorted((ROOT / "tests" / "cases").rglob("*.md")):
        yield str(path.relative_to(ROOT)), "\n".join(_printed(path))


def test_no_retired_words() -> None:
    """Messages, help, printed results and docs use the words of the field."""
    found: list[str] = []
    pattern = re.compile(rf"\b(?:{'|'.join(RETIRED)})\b", re.IGNORECASE)
    for name, text in _texts():
        found += [f"{name}: {one[0]}" for one in pattern.finditer(text)]

    assert found == []


def _tracked() -> Iterator[tuple[str, str]]:
    """Each text file of the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("no work tree of Git")
    for name in listed.stdout.decode().split("\0")[:-1]:
        path = ROOT / name
        if path.is_file():
            yield name, path.read_bytes().decode("utf-8", "replace")


NOWHERE: set[str] = set()


@pytest.mark.parametrize(
    ("pattern", "homes"),
    [  # each pattern is written such that it does not match itself
        (r"\bfact[s]/[a-z]+\.md", NOWHERE),
        (
            r"py[p]i\.org|python[h]osted\.org|py[p]i\.python|registry\.np[m]js|np[m]js\.com",
            NOWHERE,
        ),
        (r"github\.com/kale-ta[g]|kale-tag/kale-ta[g]", {"kale_tag/__init__.py"}),
    ],
    ids=["files that are not here", "hosts of registries", "the address of the project"],
)
def test_names_nothing_else(pattern: str, homes: set[str]) -> None:
    """No file cites what is not in the repository; the project's address has one home."""
    named = {name for name, text in _tracked() if re.search(pattern, text)}

    assert named <= homes
