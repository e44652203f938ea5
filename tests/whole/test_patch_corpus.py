"""Patches of real notebooks: applied, reverted, and applied after the cells have moved."""

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
from notebooks import to_bytes

from kale_tag.cli import main

HERE = Path(__file__).parent
PACKAGES = ("fast-json-patch@3", "rfc6902@5")

BROKEN = 13  # nbformat 2 and 3, what is no JSON, tags that are a text: see the corpus' MANIFEST

# Settings, other tools' tags, cells that are told apart and cells that are not, tags that go.
SPEC = """
version: 1
legacy: keep
unmatched: skip
pipeline:
  pipeline_name: corpus
  experiment_name: corpus
  docker_image: null
  steps_defaults: {limits: {cpu: 500m}}
cells:
  - {source: '^\\s*(import|from) ', tag: imports, expect: any}
  - {source: '(?s)\\A(?!.*^\\s*(import|from) ).*^def ', tag: functions, expect: any, add: slow}
  - {heading: '(?i)data', not: {source: '^(\\s*(import|from) |def )'}, step: data, expect: any,
     limits: {memory: 2Gi}, image: 'python:3.12'}
"""


@pytest.fixture
def folder(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the corpus, the current folder, with a spec."""
    (tmp_path / "nb").mkdir()
    for source in corpus.glob("*.ipynb"):
        (tmp_path / "nb" / source.name).write_bytes(source.read_bytes())
    (tmp_path / "spec.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every notebook."""
    return {path.name: path.read_bytes() for path in sorted((folder / "nb").iterdir())}


def value(data: bytes) -> Any:
    """The value of a notebook."""
    return json.loads(data.decode("utf-8-sig"))


def patches(folder: Path) -> dict[str, Any]:
    """The patch of each notebook, by its name."""
    found = (folder / "patches").rglob("*.patch.json")
    return {path.name.removesuffix(".patch.json"): json.loads(path.read_bytes()) for path in found}


@pytest.mark.slow
def test_there_and_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Patches give what the spec gives and what the jsonpatch package gives; revert undoes them."""
    before = contents(folder)
    assert main(["plan", "spec.yaml", "nb", "-o", "patches/", "-q"]) == 2
    written = patches(folder)
    assert contents(folder) == before
    texts = {path: path.read_bytes() for path in (folder / "patches").rglob("*.json")}
    assert main(["plan", "spec.yaml", "nb", "-o", "patches/", "-q"]) == 2
    assert {path: path.read_bytes() for path in texts} == texts

    assert main(["apply", "patches/", "-q"]) == 0

    after = contents(folder)
    changed = {name for name, data in after.items() if data != before[name]}
    assert changed == written.keys()
    assert len(changed) == len(before) - BROKEN
    for name, patch in written.items():
        assert value(after[name]) == jsonpatch.apply_patch(value(before[name]), patch)
        (folder / "nb" / name).write_bytes(before[name])
    assert main(["apply", "spec.yaml", "nb", "-q"]) == 2
    assert contents(folder) == after

    assert main(["revert", "patches/", "-q"]) == 0

    reverted = contents(folder)
    in_layout = 0
    for name in changed:
        assert value(reverted[name]) == value(before[name])
        if to_bytes(value(before[name])) == before[name]:
            in_layout += 1
            assert reverted[name] == before[name]
    assert in_layout > 140
    capsys.readouterr()


Numbered = tuple[int | None, dict[str, Any]]
"""A cell and its number before, None for a new one."""


def edited(cells: list[Numbered], generator: random.Random) -> list[Numbered]:
    """*cells* after one to three of them were inserted, deleted or moved."""
    for _ in range(generator.randint(1, 3)):
        kind = generator.choice(["insert", "delete", "move"])
        cell = cells.pop(generator.randrange(len(cells))) if cells and kind != "insert" else None
        if kind == "insert":
            source = [f"inserted = {generator.random()}"]
            cell = None, {"cell_type": "code", "metadata": {}, "source": source, "outputs": []}
        if cell is not None and kind != "delete":
            cells.insert(generator.randint(0, len(cells)), cell)
    return cells


@pytest.mark.parametrize("reanchor", [False, True])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.slow
def test_never_a_wrong_cell(
    folder: Path,
    seed: int,
    reanchor: bool,  # noqa: FBT001
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Cells are inserted, deleted and moved between plan and apply: refused, or the same cells."""
    generator = random.Random(seed)
    originals = contents(folder)
    assert main(["plan", "spec.yaml", "nb", "-o", "patches/", "-q"]) == 2
    wanted: dict[str, list[Any]] = {}
    numbers: dict[str, list[int | None]] = {}
    for name, patch in patches(folder).items():
        document = value(originals[name])
        planned = jsonpatch.apply_patch(document, patch)
        wanted[name] = [cell.get("metadata") for cell in planned["cells"]]
        cells = edited([*enumerate(document["cells"])], generator)
        numbers[name] = [number for number, _ in cells]
        document["cells"] = [cell for _, cell in cells]
        (folder / "nb" / name).write_bytes(to_bytes(document))
    start = contents(folder)

    main(["apply", "patches/", "-q", *(["--reanchor"] if reanchor else [])])

    applied = refused = 0
    for name, before in numbers.items():
        data = (folder / "nb" / name).read_bytes()
        if data == start[name]:
            refused += 1
            continue
        applied += 1
        old, new = value(start[name])["cells"], value(data)["cells"]
        for number, one, other in zip(before, old, new, strict=True):
            expected = one.get("metadata") if number is None else wanted[name][number]
            assert other.get("metadata") == expected, name
    assert refused > 40
    assert applied > (100 if reanchor else 3)
    assert capsys.readouterr().err.count("error[stale-patch]") == refused


@pytest.fixture(scope="module")
def node() -> Path:
    """A folder in which Node finds the packages; made when it is needed."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm")
    home = Path(os.environ.get("KALE_TAG_NODE", HERE.parents[1] / ".venv-node"))
    home.mkdir(exist_ok=True)
    if not all((home / "node_modules" / name.split("@")[0]).exists() for name in PACKAGES):
        words = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home)]
        subprocess.run([*words, *PACKAGES], check=True)
    return home


@pytest.mark.slow
def test_others_agree(
    folder: Path,
    node: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two implementations of the npm registry apply every patch, and get what we wrote."""
    before = contents(folder)
    assert main(["plan", "spec.yaml", "nb", "-o", "patches", "-q"]) == 2
    assert main(["apply", "patches", "-q"]) == 0
    capsys.readouterr()
    program = node / "apply_patches.mjs"  # packages are looked for beside it
    shutil.copy(HERE / program.name, program)
    (folder / "before").mkdir()
    lines = []
    for name, data in before.items():
        patch = folder / "patches" / "nb" / f"{name}.patch.json"
        if patch.exists():
            (folder / "before" / name).write_bytes(data)
            lines.append(f"{folder / 'before' / name}\t{patch}\t{folder / 'nb' / name}")

    done = subprocess.run(
        ["node", program], input="\n".join(lines), capture_output=True, text=True, check=True
    )

    assert len(lines) > 280
    assert done.stdout == f"applied {2 * len(lines)}\n"
