"""The Python API: each function gives what its command prints."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from notebooks import from_percent

from kale_tag import api
from kale_tag.commands.apply import ApplyOptions
from kale_tag.commands.apply import apply as apply_command
from kale_tag.diagnostics import UserError

SPEC = """\
version: 1
pipeline: {pipeline_name: demo}
cells:
  - {source: '^x', step: load}
  - {source: print, step: show, prev: load}
"""
NOTEBOOK = from_percent("# %%\nx = 1\n# %%\nprint(x)\n")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a spec and a notebook that it changes, made the current one."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "a.ipynb").write_bytes(NOTEBOOK)
    monkeypatch.chdir(tmp_path)


def test_plan_and_apply() -> None:
    """`plan` gives patches and writes nothing; `apply` writes, and then nothing is left."""
    (planned,) = api.plan("spec.yaml", "a.ipynb")
    assert (planned.name, planned.changed, planned.cells) == ("a.ipynb", True, {0, 1})
    assert {one["op"] for one in json.loads(planned.patch)} == {"test", "add"}
    assert planned.value[0]["cells"][0]["added"] == ["step:load"]  # type: ignore[index]
    assert Path("a.ipynb").read_bytes() == NOTEBOOK

    (applied,) = api.apply("spec.yaml", "a.ipynb")
    by_api = Path("a.ipynb").read_bytes()
    assert applied.patch == planned.patch
    assert not api.plan("spec.yaml", "a.ipynb")[0].changed

    Path("a.ipynb").write_bytes(NOTEBOOK)
    assert apply_command(ApplyOptions(paths=["spec.yaml", "a.ipynb"])) == 0
    assert Path("a.ipynb").read_bytes() == by_api


def test_check() -> None:
    """`check` gives the findings on the notebook and its spec."""
    assert {one.diagnostic.code for one in api.check("spec.yaml", "a.ipynb")} == {
        "setting-drift",
        "tag-drift",
    }
    api.apply("spec.yaml", "a.ipynb")
    assert api.check("spec.yaml", "a.ipynb") == []


def test_diff() -> None:
    """`diff` compares two notebooks."""
    Path("b.ipynb").write_bytes(NOTEBOOK)
    api.apply("spec.yaml", "b.ipynb")
    (one,) = api.diff("a.ipynb", "b.ipynb")
    assert one.diff
    (same,) = api.diff("a.ipynb", "a.ipynb")
    assert not same.diff


def test_extract() -> None:
    """`extract` gives the spec that makes the tags; it proposes one for a notebook without."""
    api.apply("spec.yaml", "a.ipynb")
    tagged = Path("a.ipynb").read_bytes()
    Path("made.yaml").write_text(api.extract("a.ipynb"))
    Path("a.ipynb").write_bytes(NOTEBOOK)
    api.apply("made.yaml", "a.ipynb")
    assert Path("a.ipynb").read_bytes() == tagged

    Path("b.ipynb").write_bytes(NOTEBOOK)
    assert "A proposal" in api.extract("b.ipynb")


def test_compile() -> None:
    """`compile` gives packages and writes none."""
    (text,) = api.compile("spec.yaml", "a.ipynb").values()
    assert "pipelineInfo: {name: demo}" in text
    assert not [*Path().glob("*.pipeline.*")]


def test_run() -> None:
    """`run` gives the record of the run."""
    done = api.run("spec.yaml", "a.ipynb", folder="out")
    assert done.state == "done"
    assert [step.title for step in done.steps] == ["load", "show"]


@pytest.mark.parametrize("call", [api.plan, api.apply, api.check, api.compile])
def test_unusable_input(call: object) -> None:
    """What cannot be used raises `UserError` with each problem."""
    Path("spec.yaml").write_text("version: 1\ncells: 3\n")
    with pytest.raises(UserError) as caught:
        call("spec.yaml", "missing.ipynb")  # type: ignore[operator]
    assert caught.value.diagnostics


def test_imports_nothing_until_used() -> None:
    """Importing the API imports none of the commands."""
    program = "import sys; from kale_tag import api; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not [name for name in done.stdout.split() if name.startswith("kale_tag.commands")]


def test_what_cannot_be_compiled_or_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The diagnostics are in the exception, or printed."""
    Path("bad.ipynb").write_bytes(from_percent("# %% tags=step:load\nprint(y)\n"))
    with pytest.raises(UserError, match="uses `y`, which no step before it defines"):
        api.compile("bad.ipynb")
    with pytest.raises(UserError, match=r"the pipeline of bad.ipynb was not run"):
        api.run("bad.ipynb", folder="out")
    assert "error[undefined-name]" in capsys.readouterr().err
