"""A new tag of Kale's language is one entry in one table: everything else follows."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from notebooks import from_percent

import kale_tag

TABLE = "kale/tags.py"
BEFORE = '        _switch("cache", '
ENTRY = """\
        Kind(
            "node",
            "setting",
            (TagPart("node label", _POD_KEY, _KEY_RULE), TagPart("node value", ".*", _LINE)),
            key=0,
            spec_key="nodes",
            pod=("nodeSelector", "labels", "add_node_selector"),
            about="Where the step runs.",
        ),
"""
NOTEBOOK = "# %%\nx = 1\n# %%\nprint(x)\n"
SPEC = """\
version: 1
cells:
  - {index: 0, step: load, cache: disabled, nodes: {disk: ssd}, image: 'python:3.12'}
  - {index: 1, step: show, prev: load}
pipeline: {pipeline_name: new-tag, experiment_name: new-tag, steps_defaults: {nodes: {zone: a}}}
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A folder with a copy of the package whose table has one entry more."""
    package = tmp_path / "package" / "kale_tag"
    shutil.copytree(Path(kale_tag.__file__).parent, package)
    text = (package / TABLE).read_text("utf-8")
    assert text.count(BEFORE) == 1
    (package / TABLE).write_text(text.replace(BEFORE, ENTRY + BEFORE), "utf-8")
    (tmp_path / "nb.ipynb").write_bytes(from_percent(NOTEBOOK))
    (tmp_path / "spec.yaml").write_text(SPEC, "utf-8")
    return tmp_path


def run(folder: Path, *words: str) -> str:
    """What the command prints, run with the copy."""
    done = subprocess.run(
        [sys.executable, "-m", "kale_tag", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "package")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_one_entry_is_found_everywhere(folder: Path) -> None:
    """Specs, tags in the panel's order, checks, the package, `extract`, the schema and merging."""
    run(folder, "apply", "spec.yaml", "nb.ipynb")
    written = json.loads((folder / "nb.ipynb").read_bytes())
    tags = written["cells"][0]["metadata"]["tags"]
    assert tags == ["step:load", "image:python:3.12", "node:disk:ssd", "cache:disabled"]
    assert written["metadata"]["kubeflow_notebook"]["steps_defaults"] == ["node:zone:a"]
    assert run(folder, "check", "nb.ipynb", "--format", "json")

    run(folder, "compile", "nb.ipynb", "-o", "nb.yaml")
    assert "nodeSelector" in (folder / "nb.yaml").read_text("utf-8")
    package = run(folder, "compile", "nb.ipynb", "--format", "json", "-o", "-")
    platform = json.loads(package)["platform_spec"]["platforms"]["kubernetes"]
    executors = platform["deploymentSpec"]["executors"]
    assert executors["exec-load"]["nodeSelector"] == {"labels": {"zone": "a", "disk": "ssd"}}
    assert executors["exec-show"]["nodeSelector"] == {"labels": {"zone": "a"}}
    run(folder, "compile", "nb.ipynb", "--dsl", "nb.py", "-o", "nb.yaml")
    assert ".add_node_selector(load_task, 'disk', 'ssd')" in (folder / "nb.py").read_text("utf-8")
    unit = json.loads(run(folder, "graph", "nb.ipynb", "--format", "json"))["steps"][0]
    assert unit["nodes"] == {"zone": "a", "disk": "ssd"}

    extracted = run(folder, "extract", "nb.ipynb")
    assert "nodes: {disk: ssd}" in extracted
    assert "zone: a" in extracted
    schema = json.loads(run(folder, "schema"))
    assert schema["definitions"]["rule"]["properties"]["nodes"] == {"$ref": "#/definitions/nodes"}
    defaults = schema["definitions"]["pipeline"]["properties"]["steps_defaults"]["anyOf"][0]
    assert "nodes" in defaults["properties"]


def test_two_sides_of_a_merge_can_change_it(folder: Path) -> None:
    """Of a new setting with a key there is one a cell, as of a limit; the order is the panel's."""
    script = (
        "import json\n"
        "from kale_tag.compare.merge_tags import merge_tags\n"
        "from kale_tag.compare.merge_tags import Versions\n"
        "base = ['step:a', 'node:disk:hdd', 'cache:enabled']\n"
        "ours = ['step:a', 'node:disk:ssd', 'cache:enabled']\n"
        "theirs = ['step:a', 'node:zone:b', 'node:disk:hdd', 'cache:disabled']\n"
        "merged = merge_tags(Versions(base, ours, theirs))\n"
        "print(json.dumps([merged.versions[1], len(merged.conflicts)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "package")},
        capture_output=True,
        text=True,
        check=True,
    )
    merged, conflicts = json.loads(done.stdout)
    assert sorted(merged) == ["cache:disabled", "node:disk:ssd", "node:zone:b", "step:a"]
    assert (merged[0], merged[-1], conflicts) == ("step:a", "cache:disabled", 0)
