"""The docs: generated pages are up to date, and what pages show is what the program prints."""

import re
import runpy
from pathlib import Path

import pytest
from cases import BLOCK, check
from notebooks import from_percent

from kale_tag.cli import main

DOCS = Path(__file__).parents[2] / "docs"
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


def test_the_tutorial_offers_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The notebook to download is the one on the page, and the picture is that of its pipeline."""
    monkeypatch.chdir(tmp_path)
    blocks = [*BLOCK.finditer((DOCS / "tutorial.md").read_text("utf-8"))]
    shown = {one["info"].partition(" ")[2]: one["body"] for one in blocks}
    notebook = from_percent(shown["coffee.ipynb"])
    Path("coffee.ipynb").write_bytes(notebook)
    Path("coffee.yaml").write_text(shown["coffee.yaml"], "utf-8")
    words = ["coffee.yaml", "coffee.ipynb", "--format", "svg", "-o", "coffee.svg"]
    assert main(["graph", *words]) == 0
    made = {
        DOCS / "tutorial" / "coffee.ipynb": notebook,
        DOCS / "images" / "coffee.svg": Path("coffee.svg").read_bytes(),
    }
    if request.config.getoption("--update"):
        for file, data in made.items():
            file.write_bytes(data)

    assert {file: file.read_bytes() for file in made} == made


def test_the_run_of_the_tutorial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run that the tutorial shows is what is printed, but for times and the date."""
    monkeypatch.chdir(tmp_path)
    blocks = [*BLOCK.finditer((DOCS / "tutorial.md").read_text("utf-8"))]
    shown = {one["info"].partition(" ")[2]: one["body"] for one in blocks}
    Path("coffee.ipynb").write_bytes(from_percent(shown["coffee.ipynb"]))
    Path("coffee.yaml").write_text(shown["coffee.yaml"], "utf-8")
    command = "$ kale-tag run coffee.ipynb\n"
    run = next(one["body"] for one in blocks if one["body"].startswith(command))

    assert main(["apply", "-q", "coffee.yaml"]) == 0
    assert main(["run", "coffee.ipynb"]) == 0
    out, err = capsys.readouterr()
    assert _timeless(err + out) == _timeless(run.removeprefix(command))


def _timeless(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d-\d{6}|\d+\.\d s", "~", text)


def test_pages_are_found() -> None:
    """The tutorial and most how-to pages show what commands print."""
    names = {page.name for page in SHOWN}
    assert {
        "tutorial.md",
        "many.md",
        "review.md",
        "ci.md",
        "git.md",
        "cleaners.md",
        "untagged.md",
    } <= names


def test_nothing_comes_from_elsewhere() -> None:
    """No page, style or picture loads anything from another host."""
    for file in (*DOCS.rglob("*.md"), *DOCS.rglob("*.css"), *DOCS.rglob("*.svg")):
        assert not LOADS.search(file.read_text("utf-8")), file
