"""Real notebooks: what a rule asks for changes in each, and nothing else in any."""

import json
import re
from pathlib import Path

import jsonpatch
import pytest
from notebooks import canonical

from kale_tag.cli import main
from kale_tag.diagnostics import Source, UserError
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook
from kale_tag.plan.apply import apply_spec
from kale_tag.plan.patch import operations
from kale_tag.spec.model import Target
from kale_tag.spec.read import read_spec
from specs import VARIABLES, no_base, spec_of

BROKEN = 12  # nbformat 2 and 3, and what is no JSON: see MANIFEST.tsv of the corpus


def untagged_code_cell(notebook: Notebook) -> int | None:
    """The first code cell without tags."""
    for index in notebook.code:
        metadata = notebook.metadata_of(index)
        if not (isinstance(metadata, dict) and "tags" in metadata):
            return index
    return None


def test_one_tag_each(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One step tag on one cell of every notebook, by the command: the rest of each is as it was."""
    specs: list[str] = []
    before: dict[Path, bytes] = {}
    cells: dict[Path, int] = {}
    for source in sorted(corpus.glob("*.ipynb")):
        data = source.read_bytes()
        path = tmp_path / source.name
        path.write_bytes(data)
        before[path] = data
        try:
            index = untagged_code_cell(read_notebook(data, source.name))
        except UserError:
            index = 0
        if index is not None:
            cells[path] = index
            spec = tmp_path / f"{len(specs)}.yaml"
            pattern = re.sub(r"([\[\]*?])", r"[\1]", path.name)
            spec.write_text(
                f"version: 1\nnotebooks: ['{pattern}']\n"
                f"cells: [{{index: {index}, step: added_by_test}}]\n"
            )
            specs.append(str(spec))

    assert main(["apply", *specs]) == 2

    out, err = capsys.readouterr()
    changed = {path for path, data in before.items() if path.read_bytes() != data}
    failed = cells.keys() - changed
    assert f"{len(changed)} changed, 0 unchanged, {len(failed)} failed" in out
    assert len(failed) == BROKEN
    for path in failed:
        assert f"--> {path}" in err, f"{path.name} is not named"
    assert err.count("error[") == len(failed)
    like_nbformat = 0
    for path in changed:
        old, new = json.loads(before[path]), json.loads(path.read_bytes())
        cell = old["cells"][cells[path]]
        cell["metadata"] = {**(cell.get("metadata") or {}), "tags": ["step:added_by_test"]}
        assert new == old
        if canonical(json.loads(before[path])) == before[path]:
            like_nbformat += 1
            assert path.read_bytes() == canonical(old)
    assert like_nbformat > 140

    stats = {path: path.stat().st_mtime_ns for path in changed}
    assert main(["apply", *specs, "-q"]) == 2
    assert {path: path.stat().st_mtime_ns for path in changed} == stats


HEAVY = """
legacy: keep
unmatched: skip
pipeline:
  pipeline_name: p-${stem}
  experiment_name: corpus
  docker_image: null
  volumes: [{name: data, mount_point: /data, type: pvc}]
  steps_defaults: {limits: {cpu: 500m}}
cells:
  - {source: '^\\s*(import|from) ', tag: imports, expect: any}
  - {source: '(?s)\\A(?!.*^\\s*(import|from) ).*^def ', tag: functions, expect: any, add: slow}
  - {heading: '(?i)data', not: {source: '^(\\s*(import|from) |def )'}, step: data, expect: any,
     limits: {memory: 2Gi}, image: 'python:3.12'}
"""


@pytest.mark.slow
@pytest.mark.parametrize("fast", [False, True])
def test_a_heavy_spec(corpus: Path, fast: bool) -> None:  # noqa: FBT001
    """What is written equals the JSON Patch of the plan, applied by the jsonpatch package."""
    spec = spec_of(HEAVY)
    target = Target(VARIABLES, spec.pipeline)
    done = 0
    for path in sorted(corpus.glob("*.ipynb")):
        data = path.read_bytes()
        try:
            made = apply_spec(spec, data, path.name, target, fast=fast)
        except UserError:
            continue
        done += 1
        old = json.loads(data.decode("utf-8-sig"))
        patched = jsonpatch.apply_patch(old, operations(made.plan.changes, made.notebook))
        assert made.data is not None
        assert json.loads(made.data.decode("utf-8-sig")) == patched
        again = apply_spec(spec, made.data, path.name, target, fast=fast)
        assert again.data is None
        if canonical(old) == data:
            assert made.data == canonical(patched)
    assert done > 280


def test_untag_everything(corpus: Path) -> None:
    """The spec in `specs/untag.yaml` leaves no Kale tag in any notebook, and all other tags."""
    text = (Path(__file__).parents[2] / "specs" / "untag.yaml").read_text("utf-8")
    spec = read_spec(Source("untag.yaml", text), no_base)
    kales = re.compile(
        r"(step|prev|block|limit|label|annotation|secret|image|cache|report|notebook):.*|skip|imports"
        r"|functions|pipeline-parameters|pipeline-metrics"
    )
    seen = 0
    for path in sorted(corpus.glob("*.ipynb")):
        data = path.read_bytes()
        try:
            made = apply_spec(spec, data, path.name, Target(VARIABLES), fast=False)
        except UserError:
            continue
        old, new = json.loads(data), json.loads(data if made.data is None else made.data)
        for before, after in zip(old["cells"], new["cells"], strict=True):
            tags = (before.get("metadata") or {}).get("tags") or []
            left = (after.get("metadata") or {}).get("tags") or []
            seen += tags != left
            if isinstance(tags, str):  # one notebook is wrong on purpose
                assert left == tags
                continue
            assert left == [tag for tag in tags if not kales.fullmatch(tag)]
    assert seen > 400
