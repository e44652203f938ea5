"""What Kale 2.3.0 gets wrong each compiled and run here.

The documents under defects/ name the defects in their titles, `## D1: ...`. A `python` block is a
notebook in percent form (see `notebooks.py`), `nb.ipynb` unless a path stands behind; other blocks
with a path are files as they are. A `console` block says what is done and what comes of it:
`$ kale-tag ...` in this process, `$ run PACKAGE` starts the containers of a package as a cluster
would (see `launcher.py`). `pytest --update` writes what comes of it; read the diff.
"""

import re
import shlex
from pathlib import Path

import pytest
from cases import BLOCK
from launcher import Launcher
from notebooks import from_percent
from packages import check

from kale_tag.cli import main

DOCUMENTS = sorted((Path(__file__).parent.parent / "defects").glob("*.md"))
IDS = """
G1 G2 G3 G4 G5 G6 G7 G8 G9
D1 D2 D3 D4 D7 D8 D9 D11 D14 D16 D17 D18 D19 D20 D21 D22 D24 D25 D26 D27 D28
P1a P1b P1c P1d P2 P3 P4 P5 P6 P7 P8 P9
S1 S2 S3 S4 S5 S6 S7 S8 S9 S10
T1 T2 T3 T4 T5 T6 T7 T8 T11a T11b T11c T12
C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12
M1 M2 M3 M4 M5 M6
R1 R2 R3
X1 X2
"""
"""All of them, so that none is lost."""


def _sections(document: Path) -> list[str]:
    return re.split(r"^(?=## )", document.read_text("utf-8"), flags=re.MULTILINE)


def _title(section: str) -> str:
    return section.partition("\n")[0].removeprefix("## ")


CASES = [
    pytest.param(document, _title(section), id=f"{document.stem}: {_title(section)}")
    for document in DOCUMENTS
    for section in _sections(document)[1:]
]


def test_every_defect_has_a_case() -> None:
    """The titles of the cases name each defect once."""
    titles = [_title(section) for one in DOCUMENTS for section in _sections(one)[1:]]
    named = [name for title in titles for name in title.partition(":")[0].split(", ")]
    assert sorted(named) == sorted(IDS.split())


class Case:
    """A section of a document, at work in a folder of its own, the current one."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        self.files: set[str] = set()

    def block(self, block: re.Match[str]) -> str:
        """The block as it should be: a console block with what is printed now."""
        language, _, name = block["info"].strip().partition(" ")
        if language == "console":
            words = [line for line in block["body"].splitlines() if line.startswith("$ ")]
            said = "".join(f"{line}\n{self._do(shlex.split(line[2:]))}" for line in words)
            return f"{block['fence']}console\n{said}{block['fence']}\n"
        name = name or "nb.ipynb"
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        body = block["body"]
        path.write_bytes(from_percent(body) if language == "python" else body.encode())
        self.files.add(name)
        return block[0]

    def _do(self, words: list[str]) -> str:
        program, *rest = words
        if program == "run":
            text = Path(rest[0]).read_text("utf-8")
            check(text)
            return "".join(
                f"{line}\n" for line in Launcher(Path(rest[0]), Path("root").resolve()).account()
            )
        assert program == "kale-tag"
        code = main(rest)
        out, err = self.capsys.readouterr()
        said = out + (err[:-1] if err.endswith("\n\n") else err)
        return said + (f"[exit {code}]\n" if code else "")


@pytest.mark.parametrize(("document", "title"), CASES)
def test_defect(
    document: Path,
    title: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """What comes of a notebook is what its document says, and nothing else is left on the disk.

    So no code of a notebook runs while it is compiled (X1, X2), and no temporary folder stays (R3).
    """
    folder, temporary = tmp_path / "work", tmp_path / "tmp"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(temporary))
    section = next(one for one in _sections(document) if _title(one) == title)
    case = Case(folder, request.getfixturevalue("capsys"))

    result = BLOCK.sub(case.block, section)

    if request.config.getoption("--update"):
        text = document.read_text("utf-8")
        document.write_text(text.replace(section, result), "utf-8")
    assert "```console\n$ " in section
    assert result == section
    assert list(temporary.iterdir()) == []
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    written = {name for name in left if name.endswith(".pipeline.yaml")}
    assert left - written - case.files == {name for name in left if name.startswith("root/")}
