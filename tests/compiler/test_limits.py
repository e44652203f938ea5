"""How large a run is, beside a model of what Argo keeps of it."""

import runpy
from pathlib import Path

import pytest
from argo import workflow_size

from kale_tag.compiler.limits import ARGUMENT, WORKFLOW, check_dag, size_warnings
from kale_tag.diagnostics import DiagnosticCollector
from kale_tag.kale.pipeline import Pipeline

BENCHMARK = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "workflow.py"))
ours = BENCHMARK["ours"]


@pytest.mark.parametrize(
    ("steps", "size", "kind"),
    [
        (5, 1500, "plain"),
        (28, 1500, "functions"),
        (30, 4000, "plain"),
        (60, 400, "handed on"),
        (60, 1500, "frames"),
    ],
)
def test_the_estimate_is_that_of_the_model(steps: int, size: int, kind: str) -> None:
    """And a little above it where it matters: for pipelines whose runtime is packed."""
    made = ours(steps, size, kind)
    packed = "bz2" in made.spec["deploymentSpec"]["executors"]["exec-s0"]["container"]["args"][0]
    assert packed == (steps >= 30)
    assert 1.0 < made.size / workflow_size(made.spec) < 1.08


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        pytest.param(62, "plain", marks=pytest.mark.slow),
        pytest.param(62, "functions", marks=pytest.mark.slow),
        (62, "two variables"),
        pytest.param(60, "frames", marks=pytest.mark.slow),
        (55, "handed on"),
        (48, "changed"),
    ],
)
def test_steps_that_fit_into_a_run(steps: int, kind: str) -> None:
    """Sixty steps of 1.5 kB of cells run; some less if each hands functions on to the next.

    Or two variables that this changes, so that they have to go on sharing what they share.
    """
    made = ours(steps, 1500, kind)
    assert not [*size_warnings(made.size, "nb.ipynb")]
    assert workflow_size(made.spec) < WORKFLOW
    executors = made.spec["deploymentSpec"]["executors"].values()
    cells = [one["container"]["command"][3] for one in executors]
    assert min(map(len, cells)) > 1500
    assert all(("def clean" in text) == (kind in {"functions", "handed on"}) for text in cells)


def test_steps_that_do_not_fit() -> None:
    """The warning comes before Argo ends the run."""
    made = ours(67, 1500, "plain")
    (warning,) = size_warnings(made.size, "nb.ipynb")
    assert warning.code == "large-package"
    assert workflow_size(made.spec) > 0.95 * WORKFLOW


@pytest.mark.parametrize("over", [0, 1])
def test_tasks_that_do_not_fit(over: int) -> None:
    """All tasks of a pipeline are one argument of a driver."""
    found = DiagnosticCollector()
    size = ARGUMENT - len('{"dag":""}') + over
    check_dag({"dag": "x" * size}, Pipeline("p", "nb.ipynb"), found)
    assert [one.code for one in found.errors] == ["pipeline-too-large"] * over
