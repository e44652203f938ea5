"""Runs every case under cases/ and the README: files, commands, and exactly what they print.

A case is Markdown: a title, a sentence of why, files and `console` blocks (see `helpers/cases.py`).

`pytest --update` writes what is printed into the cases; read the diff before you commit it.
"""

import difflib
import json
import textwrap
from importlib import resources
from pathlib import Path

import pytest
from cases import BLOCK, CASES, check

from kale_tag.cli import COMMANDS
from kale_tag.spec import rule

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
WINE = ROOT / "examples" / "wine"


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
    monkeypatch.chdir(tmp_path)
    check(case, tmp_path, capsys, update=request.config.getoption("--update"))


def test_readme(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """What the README shows is what the program prints, and its diff is a piece of the real one."""
    monkeypatch.chdir(tmp_path)
    name, spec = "wine.ipynb", "wine.yaml"
    start = (WINE / name).read_bytes()
    Path(name).write_bytes(start)
    check(README, tmp_path, capsys, update=request.config.getoption("--update"))

    shown = next(
        b["body"] for b in BLOCK.finditer(README.read_text("utf-8")) if b["info"] == "diff"
    )
    before = start.decode().splitlines(keepends=True)
    after = Path(name).read_text("utf-8").splitlines(keepends=True)
    assert shown in "".join(difflib.unified_diff(before, after))
    made = Path(spec).read_bytes()
    if request.config.getoption("--update"):
        (WINE / spec).write_bytes(made)
    assert (WINE / spec).read_bytes() == made
    line = README.read_text("utf-8").partition("```yaml\n")[2].partition("```")[0]
    assert textwrap.indent(textwrap.dedent(line), "  ") in made.decode()


def test_the_reference_names_everything() -> None:
    """Every command, key of a spec and exit code is in the reference."""
    text = "".join(page.read_text("utf-8") for page in ROOT.glob("docs/reference/*.md"))
    schema = json.loads(resources.files("kale_tag").joinpath("spec/schema.json").read_text("utf-8"))
    words = [f"kale-tag {name}" for name in COMMANDS]
    words += [f"`{key}`" for key in schema["properties"]]
    words += [f"`{key}`" for key in (*rule.SELECTORS, *rule.ROLES, *rule.SETTINGS, "add", "remove")]
    words += [f"| {code} |" for code in (0, 1, 2, 3, 130)]

    assert [word for word in words if word not in text] == []
