"""`kale-tag run --compare`: a run of the pipeline compared with runs of its plain notebook."""

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace

from kale_tag import files
from kale_tag.compiler.read_package import Compiled
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error
from kale_tag.kale.pipeline import Pipeline, SubPipeline
from kale_tag.notebook.read import read_notebook
from kale_tag.run.compare.comparison import (
    check_nbclient,
    compare,
    notebook_cells,
    run_notebook,
    snapshot_of,
)
from kale_tag.run.run_record import RunComparison, RunOutcome

AGAIN = 2
"""How often the notebook runs again if something differs; dice may show the same twice."""


def check_comparable(name: str, pipeline: Pipeline | None) -> None:
    """Raise `UserError` if *name* is not a notebook that can run from top to bottom.

    *pipeline* is compiled from it, or None for a package.
    """
    check_nbclient()
    at = Label(Source(name))
    if pipeline is None:
        message = f"{name} is a package, but `--compare` runs the notebook too"
        raise UserError(error("no-notebook", message, at, help="name the notebook instead"))
    if not os.path.isfile(name):
        message = "`--compare` cannot run a notebook from standard input"
        raise UserError(error("no-notebook", message, help="name its file"))
    inner = next((one for one in pipeline.steps if isinstance(one, SubPipeline)), None)
    if inner is not None:
        message = f"{name} refers to another notebook in the step `{inner.name}`, so it cannot be "
        message += "run from top to bottom"
        hint = f"compare {inner.pipeline.notebook} by itself"
        raise UserError(error("reference", message, at, help=hint))


def compare_runs(
    name: str, pipeline: Pipeline, package: Compiled, run: RunOutcome, timeout: int
) -> RunComparison:
    """Run the notebook *name*, and compare its variables after each step that is done in *run*.

    FOLDER/compare/pipeline has the snapshots of the steps.
    """
    cells = _cells(name, pipeline, package, run.parameters)
    home = os.path.join(run.folder, "compare")
    work = os.path.abspath(os.path.dirname(name))
    done = {step.task for step in run.steps if step.state == "done"}
    reached = replace(package, tasks=tuple(task for task in package.tasks if task.id in done))
    steps, plain = (os.path.join(home, part) for part in ("pipeline", "notebook"))

    def execute(folder: str) -> tuple[Diagnostic, ...]:
        try:
            run_notebook(cells, name, work, folder, timeout)
        except UserError as exc:
            return exc.diagnostics
        return ()

    started = time.monotonic()
    diagnostics = execute(plain)
    spent = time.monotonic() - started
    if diagnostics:  # it did not reach the end of every step
        kept = (one for one in reached.tasks if os.path.exists(snapshot_of(plain, one)))
        reached = replace(reached, tasks=tuple(kept))
    found = compare(reached, plain, steps)
    others: list[str] = []
    while len(others) < AGAIN and any(one.verdict == "differs" for one in found):
        # A variable that differs between two runs of the notebook is random.
        others.append(os.path.join(home, f"again-{len(others)}"))
        execute(others[-1])
        found = compare(reached, plain, steps, others)
    shutil.rmtree(home, ignore_errors=True)
    return RunComparison(name, spent, len(reached.tasks), tuple(found), diagnostics)


def _cells(
    name: str, pipeline: Pipeline, package: Compiled, values: Mapping[str, object]
) -> list[tuple[int, str]]:
    notebook = read_notebook(files.read(name).data, name)
    sources = [cell.source if cell.cell_type == "code" else None for cell in notebook.cells]
    other = {
        one.name: values[one.name] for one in package.parameters if values[one.name] != one.default
    }
    overrides = "\n".join(f"{variable} = {value!r}" for variable, value in other.items())
    places = [one.label.source.cell for one in pipeline.parameters if one.label]
    after = max((cell for cell in places if cell is not None), default=-1)
    return notebook_cells(sources, package, overrides, after)
