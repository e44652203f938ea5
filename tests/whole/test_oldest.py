"""The oldest supported versions of our libraries do what the newest do, byte by byte.

They are in a virtual environment of its own, made when needed.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from notebooks import from_percent

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv-oldest"
TESTS = Path(__file__).parent.parent
NEVER_IMPORTED = {"kfp", "kfp-server-api"}
"""What only commands need that talk to a cluster."""

pytestmark = pytest.mark.slow


def bounds() -> list[str]:
    """The oldest versions that pyproject.toml allows, as requirements."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = [re.fullmatch(r"([\w.-]+)>=([\w.]+).*", one) for one in project["dependencies"]]
    assert None not in found
    return [f"{one[1]}=={one[2]}" for one in found if one and one[1] not in NEVER_IMPORTED]


@pytest.fixture(scope="module")
def oldest() -> Path:
    """A Python that has the oldest versions."""
    python = HOME / "bin" / "python"
    wanted = "\n".join(bounds())
    ready = HOME / "ready"
    if not ready.exists() or ready.read_text("utf-8") != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", HOME], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *bounds()], check=True)
        ready.write_text(wanted, "utf-8")
    return python


def worked(python: Path | str, folder: Path) -> tuple[str, dict[str, str]]:
    """What kale-tag prints when *python* runs it on the examples, and a digest of every file."""
    folder.mkdir()
    for name in ("hello", "parameters", "churn", "team", "composition"):
        shutil.copytree(ROOT / "examples" / name, folder / name)
    (folder / "defects").mkdir()
    blocks = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
    for document in sorted((TESTS / "defects").glob("*.md")):
        for number, block in enumerate(blocks.finditer(document.read_text("utf-8"))):
            path = folder / "defects" / f"{document.stem}{number:02}.ipynb"
            path.write_bytes(from_percent(block[1]))
    done = subprocess.run(
        [python, TESTS / "helpers" / "oldest.py", folder],
        capture_output=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stderr.decode()
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return done.stdout.decode(), files


def test_the_oldest_versions_do_the_same(oldest: Path, tmp_path: Path) -> None:
    """Every command prints the same and leaves the same bytes."""
    old, old_files = worked(oldest, tmp_path / "old")
    new, new_files = worked(sys.executable, tmp_path / "new")
    codes = re.findall(r"^\$ kale-tag (\w+).*?^\[exit (\d+)\]$", old, re.MULTILINE | re.DOTALL)
    assert {one for one in codes if one[1] != "0"} == {("compile", "2")}, "some defects are refused"
    assert old.count("$ kale-tag") > 40
    assert sum(name.endswith(".pipeline.yaml") for name in old_files) > 50
    assert old == new
    assert old_files == new_files
