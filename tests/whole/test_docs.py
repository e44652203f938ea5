"""The docs: generated pages are up to date, and what pages show is what the program prints."""

import re
import runpy
import shutil
from pathlib import Path

import pytest
from cases import BLOCK, check
from notebooks import from_percent

from kale_tag.cli import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples" / "docs"
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


def _shown() -> dict[Path, bytes]:
    """Each file that a page shows, as the examples have it."""
    made = {}
    for page in SHOWN:
        for block in BLOCK.finditer(page.read_text("utf-8")):
            language, _, name = block["info"].strip().partition(" ")
            if name and language != "console":
                body = block["body"]
                data = from_percent(body) if language == "python" else body.encode()
                made[EXAMPLES / page.stem / name] = data
    return made


def test_the_examples_have_what_pages_show(request: pytest.FixtureRequest) -> None:
    """Each notebook and spec of a page is a file, in the folder of the page, and no other is."""
    made = _shown()
    if request.config.getoption("--update"):
        for file, data in made.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)

    there = [path for path in EXAMPLES.rglob("*") if path.is_file()]
    assert {path: path.read_bytes() for path in there} == made


def test_the_picture_of_the_tutorial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The picture on the page is that of its pipeline."""
    monkeypatch.chdir(tmp_path)
    files = [str(EXAMPLES / "tutorial" / name) for name in ("coffee.yaml", "coffee.ipynb")]
    assert main(["graph", *files, "--format", "svg", "-o", "coffee.svg"]) == 0
    picture = DOCS / "images" / "coffee.svg"
    made = Path("coffee.svg").read_bytes()
    if request.config.getoption("--update"):
        picture.write_bytes(made)

    assert picture.read_bytes() == made


def test_the_run_of_the_tutorial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run that the tutorial shows is what is printed, but for times and the date."""
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.finditer((DOCS / "tutorial.md").read_text("utf-8"))
    for name in ("coffee.yaml", "coffee.ipynb"):
        shutil.copy(EXAMPLES / "tutorial" / name, name)
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


def test_modules_that_pages_name_are_there() -> None:
    """A path of a module or folder in code font is one in the package."""
    text = "".join(
        (DOCS / f"{name}.md").read_text("utf-8") for name in ("how-it-works", "contributing")
    )
    named = re.findall(r"`([a-z_/]+(?:/|\.py))`", text)
    homes = (ROOT, ROOT / "kale_tag")
    missing = [path for path in named if not any((home / path).exists() for home in homes)]
    tree = (DOCS / "how-it-works.md").read_text("utf-8").partition("```text\nkale_tag/\n")[2]
    shown = re.findall(r"(?m)^  ([a-z_]+(?:/|\.py)) ", tree.partition("```")[0])
    there = (ROOT / "kale_tag").iterdir()
    folders = {f"{path.name}/" for path in there if path.is_dir() and path.name[0] != "_"}

    assert missing == []
    assert folders == {one for one in shown if one.endswith("/")}


LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


def test_links_outside_the_site() -> None:
    """Files that are read in the repository link to files that are there; MkDocs does the rest."""
    pages = [ROOT / "README.md", *(ROOT / name / "README.md" for name in ("examples", "specs"))]
    links = [page.parent / one for page in pages for one in LINK.findall(page.read_text("utf-8"))]

    assert links
    assert [link for link in links if not link.exists()] == []


def test_nothing_comes_from_elsewhere() -> None:
    """No page, style or picture loads anything from another host."""
    for file in (*DOCS.rglob("*.md"), *DOCS.rglob("*.css"), *DOCS.rglob("*.svg")):
        assert not LOADS.search(file.read_text("utf-8")), file
