"""Compiled packages run, on KFP's own local runner, with the real runtime."""

import ast
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from packages import check
from pipelines import FULL, NESTED, TWO_INNER, pipeline, step

from kale_tag.compiler.package import package
from kale_tag.compiler.package_text import Origin, as_text
from kale_tag.compiler.step_command import load_runtime, pack
from kale_tag.kale.pipeline import Parameter, Pipeline

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from kfp import components, local  # type: ignore[import-untyped]

REAL = load_runtime()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs a pipeline; what its steps printed."""
    monkeypatch.setenv("KALE_TAG_NO_PIP", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()

    def runs(one: Pipeline, **arguments: Any) -> str:
        text = as_text(package(one, REAL), one, Origin((), "kale-tag"), "yaml")
        check(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"))
            components.load_component_from_text(text)(**arguments)
        assert list((tmp_path / "tmp").iterdir()) == [], "a step leaves nothing behind"
        return capfd.readouterr().out

    return runs


def test_the_runtime_is_fit_for_a_package() -> None:
    """Nothing in it is taken for a placeholder or for the name of a Python."""
    for text in (REAL.whole(), pack(REAL.whole())):
        assert "{{" not in text
        assert "python3" not in text
        assert len(text.encode()) < 131_071


def test_everything(run: Any, tmp_path: Path) -> None:
    """Parameters, artifacts, variables that are changed, metrics and reports arrive."""
    out = run(FULL, n_rows=4)
    assert "    4 {rows}" in out
    assert "[0, 1, 2]" in out
    assert "0.0 {'k': [1, 2.5, True], 'y': {}}" in out or "3e-07" in out
    (made,) = (tmp_path / "root").iterdir()
    model = json.loads((made / "train" / "model").read_text())
    assert model == pytest.approx(3e-07)
    assert "<h1>train</h1>" in (made / "train" / "kale_tag_report").read_text()
    assert not (made / "report" / "kale_tag_report").exists()


def test_a_pipeline_inside(run: Any) -> None:
    """Artifacts and parameters go into a sub-pipeline and out of it; its own defaults hold."""
    assert "12.0" in run(NESTED, alpha=2.0)


def test_a_pipeline_after_another(run: Any) -> None:
    """What one sub-pipeline gives is what another takes, changes and gives, with no parameter."""
    assert "x is 20" in run(TWO_INNER)


HOSTILE = r"""
text = QQQ'{{$}}' {{workflow.name}} {{=1+1}} {{{x}}} \n \\ \t SSS  SSSQQQ
width = 3
print("says", len(text), "{{$.inputs}}", f"{{{width}}} {{x}} {width:>{width}}", "{~ {^", "é😀")
print("lines", len("\u2028\r\x0b".splitlines()), "python" "3", "/kfp-" "workspace")
""".replace("QQQ", '"' * 3).replace("SSS", "'" * 3)


def test_hostile_code(run: Any) -> None:
    """No placeholder, brace or quote in a cell is changed on the way."""
    made: dict[str, Any] = {}
    exec(HOSTILE, made)
    out = run(pipeline(step("class", HOSTILE)))
    said = f"says {len(made['text'])} {{{{$.inputs}}}} {{3}} {{x}}   3 {{~ {{^ é😀"
    assert said in out
    assert "lines 3 python3 /kfp-workspace" in out


DOLLARS = """\
price = "$(HOME) $$ $$$ $$(x) ~^"
print("price", price, len(price))
get_ipython().system('echo at $(pwd) "$(echo in $(echo in))"')
"""


def test_dollars(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Kubernetes would expand arrives as it is written."""
    monkeypatch.chdir(tmp_path)
    out = run(pipeline(step("a", DOLLARS), notebook="a$(b)$$.ipynb"))
    assert "price $(HOME) $$ $$$ $$(x) ~^ 23" in out
    assert f"at {tmp_path} in in" in out
    assert "<p>a$(b)$$.ipynb" in next((tmp_path / "root").glob("*/a/kale_tag_report")).read_text()


def test_packed(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline whose runtime is packed runs as well as any."""
    monkeypatch.setattr("kale_tag.compiler.package.MUCH", 0)
    assert "12.0" in run(NESTED, alpha=2.0)


def test_much_code(run: Any) -> None:
    """100 kB of source run."""
    source = "total = 0\n" + "total += len('é{{x}}')\n" * 4500 + "print('total', total)\n"
    assert len(source.encode()) > 100_000
    assert "total 27000" in run(pipeline(step("big", source)))


def test_odd_names(run: Any) -> None:
    """Names that KFP does not take are the notebook's own again inside of a step."""
    one = pipeline(
        step("a", "_größe = _n + 1\nn = 5", parameters=("_n",), outs={"_größe": "Model"}),
        step(
            "b",
            "n += _größe",
            prev=("a",),
            parameters=("n",),
            ins={"_größe": "a"},
            outs={"n": "Model"},
        ),
        step("c", "print('n is', n, _größe)", prev=("a", "b"), ins={"n": "b", "_größe": "a"}),
        parameters=(Parameter("_n", "int", 1), Parameter("n", "int", 10)),
    )
    assert "n is 12 2" in run(one)


def test_parts_share_no_name() -> None:
    """The parts are one program: a name that two of them define would be the later one's."""
    found: dict[str, str] = {}
    for part, text in load_runtime().parts.items():
        for node in ast.parse(text).body:
            names = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            for target in node.targets if isinstance(node, ast.Assign) else ():
                names += [one.id for one in ast.walk(target) if isinstance(one, ast.Name)]
            for name in {*names} - {"Unpickler"}:  # of which `values` has a plainer one
                assert found.setdefault(name, part) == part, f"{name}: {found[name]} and {part}"
