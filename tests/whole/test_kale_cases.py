"""What Kale 2.3.0 makes of small inputs, and what we do: the same, or better for a reason given.

`kale_cases.json` was made by running Kale; nothing in it is written by hand.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from kale_words import compare, in_kales_words
from notebooks import cell, notebook, to_bytes
from pipelines_of import build_pipeline

from kale_tag.code.facts import read_facts
from kale_tag.code.source import Parsed, read_code
from kale_tag.compiler.parameters import read_metrics, read_parameters
from kale_tag.compiler.requirements import requirements
from kale_tag.compiler.settings import env_name
from kale_tag.diagnostics import Label, UserError
from kale_tag.kale.checks import tag_errors
from kale_tag.kale.pipeline import Pipeline, Step
from kale_tag.kale.settings import CompileOptions
from kale_tag.kale.view import TaggedNotebook
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook

CASES = json.loads(Path(__file__).with_name("kale_cases.json").read_text("utf-8"))

READS_ONLY = (
    "a step that only defines a function needs its variables where the function is called, and a "
    "step that only reads a variable does not give it again"
)
NO_EDGE = "a variable that no step before gives is refused, where Kale fails in the pod (G7)"

DIFFERENCES = {
    "dep-free-variable": (READS_ONLY, ["step2 ins -x", "step2 outs -x"]),
    "dep-inner-function-free-variable": (
        "nothing calls the inner function, so nothing reads the variable",
        ["step1 outs -x", "step2 ins -x", "step2 outs -x", "step3 ins -x"],
    ),
    "dep-try-except": (READS_ONLY, ["step2 ins -x -y", "step2 outs -x -y"]),
    "dep-recursive-different-steps": (READS_ONLY, ["step2 ins -foo -x", "step2 outs -foo -x"]),
    "dep-recursive-branch": (
        READS_ONLY,
        [
            "step_l ins -x",
            "step_l outs -x",
            "step_r ins -y",
            "step_r outs -y",
            "step_m ins -bar -foo -x -y",
            "step_m outs -bar -foo -x -y",
        ],
    ),
    "diamond": (READS_ONLY, ["b outs -x"]),
    "function-default": (
        "a default value is evaluated where the function is made; its name is not needed later",
        ["a outs -k", "b ins -k"],
    ),
    "import-in-step": (
        "modules are no artifacts: the step that uses one imports it again",
        ["a outs -math", "b ins -math", "b blocks 2 for 1"],
    ),
    "parameter-shadows": (
        "the value that a step gives a parameter goes on, as in the notebook (P7)",
        ["a outs +x", "b ins +x", "b params -x"],
    ),
    "star-import": (
        "`import *` does not end the search for variables (D4)",
        ["a outs +x", "b ins +x"],
    ),
    "cells-metrics-last-user": (
        "the step that computes a metric reports it, not the last one that reads it",
        ["a metrics +acc", "b metrics -acc"],
    ),
    "join-two-writers": (
        "Kale takes the alphabetically first of two writers, not the last in the notebook (D2)",
        ["b outs -x", "c outs +x"],
    ),
    "cells-reserved-step-name": (
        "`step:skip` and `step:imports` are steps of these names (T8)",
        ["steps +imports +skip"],
    ),
}
"""Where ours differs from Kale's result: why, and how."""

REFUSED = {
    "golden-mount_pvc": (NO_EDGE, "undefined-name"),
    "comp-plain-unaffected": (NO_EDGE, "undefined-name"),
}
"""What Kale compiles and we refuse, why, and with which fault."""


def _notebook(cells: list[dict[str, Any]], name: str, **metadata: Any) -> Notebook:
    made = []
    for one in cells:
        own = {"tags": one["tags"]} if one.get("tags") else {}
        if "notebook_path" in one:
            own["notebook_path"] = one["notebook_path"]
        made.append(cell(one["source"], one["type"], metadata=own))
    settings = {"kubeflow_notebook": metadata} if metadata else {}
    return read_notebook(to_bytes(notebook(made, **settings)), name)


def built(case: dict[str, Any]) -> Pipeline:
    """Our pipeline of a case."""
    others = case.get("extra_notebooks", {})

    def load(path: str, _: Label) -> Notebook:
        return _notebook(others[path], path)

    root = _notebook(case["cells"], "p.ipynb", **case.get("metadata", {}))
    return build_pipeline(root, CompileOptions(), load)


@pytest.mark.parametrize("case", CASES["notebooks"], ids=lambda case: case["id"])
def test_notebook(case: dict[str, Any]) -> None:
    """Same steps, order, edges, variables, parameters and metrics, but for the listed."""
    expected = case["expect"]
    if "error" in expected or case["id"] in REFUSED:
        with pytest.raises(UserError) as refused:
            built(case)
        codes = {diagnostic.code for diagnostic in refused.value.diagnostics}
        assert "error" in expected or codes == {REFUSED[case["id"]][1]}
        return

    ours = in_kales_words(built(case))

    assert ours["parameters"] == expected["parameters"]
    _, differences = DIFFERENCES.get(case["id"], ("", []))
    assert compare(ours["steps"], expected["steps"]) == differences


def test_the_differences_are_those_of_cases() -> None:
    """No entry of the tables is left over, and what Kale's facts call wrong is among them."""
    names = {case["id"] for case in CASES["notebooks"]}
    wrong = {case["id"] for case in CASES["notebooks"] if case["agree"] is not True}
    same = {"fan-out-without-data", "cells-self-prev", "cells-later-config-ignored"}

    assert DIFFERENCES.keys() | REFUSED.keys() <= names
    assert wrong - same <= DIFFERENCES.keys() | REFUSED.keys()


def test_settings_of_a_step() -> None:
    """Every setting that Kale reads from a step's tags, with the values that it reads."""
    case = next(case for case in CASES["notebooks"] if case["id"] == "config-all")
    (kale,) = case["expect"]["steps"]
    (step,) = built(case).steps

    assert isinstance(step, Step)
    found, config = step.settings, kale["config"]
    assert found.limits == config["limits"]
    assert found.pod == {"label": config["labels"], "annotation": config["annotations"]}
    assert found.image == config["base_image"]
    assert found.cache == config["enable_caching"]
    assert found.report == config["generate_html_report"]
    assert {one.env: {"secret_name": one.name, "secret_key": one.key} for one in found.secrets} == (
        config["secrets"]
    )


TAG_DIFFERENCES = {
    "random_value": "tags of other tools are left alone (T6)",
    "parameters": "tags of other tools are left alone (T6)",
    "limit:nvidia.com/mig-1g.5gb:1": "all resources of Kubernetes are taken (T4)",
}


@pytest.mark.parametrize("case", CASES["tags"], ids=lambda case: " ".join(case["tags"]) or "none")
def test_tags(case: dict[str, Any]) -> None:
    """What Kale refuses is refused, what it takes is taken with the same meaning."""
    found = TaggedNotebook(
        _notebook([{"type": "code", "tags": case["tags"], "source": ""}], "p.ipynb")
    )
    expected = case["expect"]
    ours = {diagnostic.code for diagnostic in tag_errors(found)} - {"no-step"}
    lenient = any(TAG_DIFFERENCES.get(tag) for tag in case["tags"])
    if "error" in expected:
        assert bool(ours) is not lenient
        return
    if len(expected["step_names"]) > 1 or case["tags"] in (["step:", "prev:a"], ["notebook:"]):
        return  # Kale refuses two steps later on, and reads no more of a step without a name
    unknown = {"reference-without-path", "unknown-prev", "repeated-setting"}  # found later
    assert ours <= unknown
    names = [step.name for step in found.outline.steps]
    blocks = [*names, *found.outline.shared]
    assert blocks == [*expected["step_names"], *expected["notebook_names"]]
    for step in found.outline.steps:
        prev = [one.tag.key for one in found.step_tags[step.name] if one.tag.kind == "prev"]
        assert prev == expected["prev_steps"]


PARAMETER_DIFFERENCES = {
    "a: int = 3": "annotations are honoured (P1)",
}


def _parsed(code: str) -> list[Parsed]:
    return [read_code("p.ipynb", 0, code)]


@pytest.mark.parametrize("case", CASES["parameters"], ids=lambda case: case["code"])
def test_parameters(case: dict[str, Any]) -> None:
    """Same names, types and values; same refusals, but for what is plainly a parameter."""
    found, diagnostics = read_parameters(_parsed(case["code"]))
    if "error" in case["expect"]:
        assert bool(diagnostics) is not bool(PARAMETER_DIFFERENCES.get(case["code"]))
    else:
        assert not diagnostics
        assert {one.name: [one.type, one.default] for one in found} == case["expect"]


METRIC_DIFFERENCES = {
    "print( a )": "blanks are Python's (M1)",
    "# c\nprint(a)": "remarks are no code (M1)",
    "print(a_)": "names are what Python takes",
    f"print({'a' * 65})": "names are what Python takes",
    "print(a__b)": "the name is the variable's (M5)",
}


@pytest.mark.parametrize("case", CASES["metrics"], ids=lambda case: case["code"][:30])
def test_metrics(case: dict[str, Any]) -> None:
    """Same variables, under their own names; same refusals but for blanks and remarks."""
    code, expected = case["code"], case["expect"]
    try:
        found, diagnostics = read_metrics(_parsed(code))
    except UserError:
        assert expected["error"] == "SyntaxError"
        return
    if "error" in expected:
        assert bool(diagnostics) is not (code in METRIC_DIFFERENCES)
    else:
        assert not diagnostics
        assert list(found) == list(expected.values())


@pytest.mark.parametrize("case", CASES["trailing_variable"], ids=lambda case: case["code"])
def test_trailing_variable(case: dict[str, Any]) -> None:
    """The bare name in the last line."""
    assert read_facts(_parsed(case["code"])).trailing == case["expect"]


PACKAGE_DIFFERENCES = {
    "import google.cloud.bigquery": ("google-cloud-bigquery",),  # `google` has nothing of it
    "import tomllib": (),  # of the standard library since Python 3.11
    "%matplotlib inline\nimport numpy": ("numpy",),  # Kale cannot read the cell
}


@pytest.mark.parametrize("case", CASES["packages"], ids=lambda case: case["code"])
def test_packages(case: dict[str, Any]) -> None:
    """Same distributions for the same imports, but for those that are not on PyPI."""
    code = case["code"]
    found = requirements(read_facts(_parsed(code)).modules, {})
    assert found == PACKAGE_DIFFERENCES.get(code, tuple(case["expect"]))


@pytest.mark.parametrize("case", CASES["env_var_names"], ids=lambda case: case["pvc"])
def test_env_var_names(case: dict[str, Any]) -> None:
    """The variable that tells where a volume is mounted."""
    assert env_name(case["pvc"]) == case["expect"]
