"""Real notebooks run as pipelines: those of corpus_runs.md, with the results that stand there."""

import re
import shutil
from pathlib import Path

import pytest
from runs import Ran, run

DOCUMENT = Path(__file__).parent / "corpus_runs.md"
SECTION = re.compile(
    r"^## (?P<name>\S+\.ipynb)\n\n(?P<about>.*?)```yaml\n(?P<spec>.*?)```\n\n"
    r"    (?P<result>[^\n]+)$",
    re.MULTILINE | re.DOTALL,
)
CASES = list(SECTION.finditer(DOCUMENT.read_text("utf-8")))


def result_of(done: Ran) -> str:
    """`3 steps done; 9 variables: none differs`, without times."""
    assert done.code == 0, done.out + done.err
    steps = re.search(r"^(\d+ steps? done), in", done.out, re.MULTILINE)
    assert steps is not None
    compared = re.search(r"^\d+ variables?: none differs$", done.out, re.MULTILINE)
    random = "random: different each time the notebook runs" in done.out
    parts = [steps[1]]
    if compared:
        parts.append(compared[0])
    if random:
        parts.append("some are random")
    return "; ".join(parts)


def test_there_are_enough() -> None:
    """Ten notebooks at least."""
    assert len(CASES) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"][:60])
def test_notebook(
    case: re.Match[str], tmp_path: Path, corpus: Path, request: pytest.FixtureRequest
) -> None:
    """The notebook, tagged by its spec in memory, runs; its variables are those of the notebook."""
    shutil.copy(corpus / case["name"], tmp_path / "notebook.ipynb")
    (tmp_path / "spec.yaml").write_text(case["spec"])
    whole = "the whole notebook does not run" not in case["about"]
    words = ["--compare"] if whole and "scikit-learn still runs" not in case["about"] else []
    done = run(tmp_path, "spec.yaml", "notebook.ipynb", *words)
    result = result_of(done)
    if request.config.getoption("--update"):
        text = DOCUMENT.read_text("utf-8")
        new = case[0].removesuffix(case["result"]) + result
        DOCUMENT.write_text(text.replace(case[0], new), "utf-8")
    assert result == case["result"]
