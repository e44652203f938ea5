"""The docs: generated pages are up to date, and what pages show is what the program prints."""

import re
import runpy
from pathlib import Path

import pytest
from notebooks import from_percent
from test_cases import BLOCK, check

DOCS = Path(__file__).parent.parent / "docs"
GENERATE = DOCS / "generate.py"
SHOWN = sorted(page for page in DOCS.rglob("*.md") if "```console\n" in page.read_text("utf-8"))
LOADS = re.compile(
    r"<script|<iframe|@import|(?:src|href|srcset)=[\"']?(?:https?:)?//|url\([\"']?(?:https?:)?//"
    r"|!\[[^\]]*\]\((?:https?:)?//"
)


def test_generated_pages_are_up_to_date() -> None:
    """The reference holds what `docs/generate.py` writes, and nothing else."""
    made = dict(runpy.run_path(str(GENERATE))["files"]())
    there = [*DOCS.glob("rules/*"), *DOCS.glob("reference/*")]
    assert {path: path.read_text("utf-8") for path in there} == made


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: str(page.relative_to(DOCS)))
def test_pages(
    page: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """Each console block of a page is what the program prints, in a work tree of Git."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    check(page, tmp_path, capsys, update=request.config.getoption("--update"))


def test_the_notebook_of_the_tutorial(request: pytest.FixtureRequest) -> None:
    """The notebook that the tutorial offers is the one that it shows."""
    blocks = BLOCK.finditer((DOCS / "tutorial.md").read_text("utf-8"))
    shown = next(one["body"] for one in blocks if one["info"] == "python coffee.ipynb")
    file = DOCS / "tutorial" / "coffee.ipynb"
    if request.config.getoption("--update"):
        file.write_bytes(from_percent(shown))
    assert file.read_bytes() == from_percent(shown)


def test_pages_are_found() -> None:
    """The tutorial and most how-to pages show what commands print."""
    names = {page.name for page in SHOWN}
    assert {"tutorial.md", "many.md", "review.md", "ci.md", "git.md", "cleaners.md"} <= names


def test_nothing_comes_from_elsewhere() -> None:
    """No page, style or picture loads anything from another host."""
    for file in (*DOCS.rglob("*.md"), *DOCS.rglob("*.css"), *DOCS.rglob("*.svg")):
        assert not LOADS.search(file.read_text("utf-8")), file
