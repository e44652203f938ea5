"""The core alone, in an empty environment: small, and all commands but `run` and `submit` work."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from notebooks import from_percent

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS, BYTES = 30, 25_000_000
SPEC = """\
version: 1
notebooks: [a.ipynb]
pipeline: {pipeline_name: p, experiment_name: e}
cells: [{source: '^x', step: load}, {source: '^print', step: show, prev: load}]
"""
NOTEBOOK = from_percent("# %%\nx = 1\n# %%\nprint(x)\n")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `kale-tag` of a virtual environment that has the wheel, and nothing else."""
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("runs against an installed wheel")
    folder = tmp_path_factory.mktemp("light")
    wheels, venv = folder / "dist", folder / "venv"
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(wheels), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [str(venv / "bin" / "python"), "-m", "pip"]
    subprocess.run([*pip, "install", "--quiet", *wheels.glob("*.whl")], check=True)
    return venv / "bin" / "kale-tag"


def test_count_and_size(program: Path) -> None:
    """At most 30 distributions and 25 MB, those of the environment itself not counted."""
    (site,) = (program.parents[1] / "lib").glob("python*/site-packages")
    found = [
        one
        for one in metadata.distributions(path=[str(site)])
        if one.name not in {"pip", "setuptools"}
    ]
    files = [Path(str(one.locate_file(file))) for one in found for file in one.files or ()]
    size = sum(path.stat().st_size for path in files if path.suffix != ".pyc" and path.exists())
    names = {one.name for one in found}
    assert "kale-tag" in names
    assert not names & {"kfp", "kubernetes", "pydantic"}
    assert len(found) <= DISTRIBUTIONS, sorted(names)
    assert size <= BYTES, f"{size:,} bytes"


def test_commands(program: Path, tmp_path: Path) -> None:
    """Tagging, checking, drawing and compiling work; `run` and `submit` print what they lack."""
    (tmp_path / "kale-tag.yaml").write_text(SPEC)
    (tmp_path / "a.ipynb").write_bytes(NOTEBOOK)
    (tmp_path / "old.ipynb").write_bytes(NOTEBOOK)
    plain = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def kale_tag(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *words], cwd=tmp_path, env=plain, capture_output=True, text=True, check=False
        )

    for words in (
        ["plan"],
        ["plan", "--help"],
        ["apply"],
        ["check"],
        ["diff", "old.ipynb", "a.ipynb", "--format", "markdown"],
        ["graph", "a.ipynb", "--format", "svg"],
        ["extract", "a.ipynb"],
        ["compile", "a.ipynb"],
    ):
        done = kale_tag(*words)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.pipeline.yaml").exists()
    for command in ("run", "submit"):
        done = kale_tag(command, "a.ipynb")
        assert done.returncode == 2
        first, hint, *rest = done.stderr.strip().splitlines()
        assert (
            first
            == f"error[no-kfp]: `{command}` needs kfp and jinja2 and psutil, not installed here"
        )
        assert hint.endswith("-m pip install 'kale-tag[kfp]'")
        assert not rest
