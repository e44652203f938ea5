"""`kale-tag run --compare`: the plain notebook beside its pipeline."""

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace

from kale_tag import files
from kale_tag.commands.shared.packages import Loaded
from kale_tag.compiler.read_package import Compiled
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error
from kale_tag.kale.pipeline import SubPipeline
from kale_tag.notebook.read import read_notebook
from kale_tag.render import run_text
from kale_tag.render.style import Style
from kale_tag.run.compare.comparison import (
    check_nbclient,
    compare,
    notebook_cells,
    run_notebook,
    snapshot_of,
)
from kale_tag.run.run_record import RunComparison, RunOutcome

AGAIN = 2
"""How often the notebook runs again where something differs; dice may show the same twice."""


def check_comparable(loaded: Loaded) -> None:
    """Raise `UserError` where there is no plain notebook to compare with."""
    check_nbclient()
    at = Label(Source(loaded.name))
    if loaded.pipeline is None:
        message = f"{loaded.name} is a package; `--compare` runs the notebook beside it"
        raise UserError(error("no-notebook", message, at, help="name the notebook instead"))
    if not os.path.isfile(loaded.name):
        message = "the notebook comes from standard input; `--compare` runs it where it stands"
        raise UserError(error("no-notebook", message, help="name its file"))
    inner = next((one for one in loaded.pipeline.steps if isinstance(one, SubPipeline)), None)
    if inner is not None:
        message = f"{loaded.name} refers to another notebook, `{inner.name}`, so it is not whole "
        message += "when it is run from top to bottom"
        hint = f"compare {inner.pipeline.notebook} for itself"
        raise UserError(error("reference", message, at, help=hint))


def compare_runs(loaded: Loaded, package: Compiled, run: RunOutcome, timeout: int) -> RunComparison:
    """Run the notebook, and compare its variables with those at the end of the steps that are done.

    FOLDER/compare/pipeline has what these took down.
    """
    cells = _cells(loaded, package, run.parameters)
    home = os.path.join(run.folder, "compare")
    work = os.path.abspath(loaded.folder)
    done = {step.task for step in run.steps if step.state == "done"}
    reached = replace(package, tasks=tuple(task for task in package.tasks if task.id in done))
    steps, plain = (os.path.join(home, name) for name in ("pipeline", "notebook"))

    def execute(folder: str) -> tuple[Diagnostic, ...]:
        try:
            run_notebook(cells, loaded.name, work, folder, timeout)
        except UserError as exc:
            return exc.diagnostics
        return ()

    started = time.monotonic()
    diagnostics = execute(plain)
    spent = time.monotonic() - started
    if diagnostics:  # it did not come to the end of every step
        taken = (one for one in reached.tasks if os.path.exists(snapshot_of(plain, one)))
        reached = replace(reached, tasks=tuple(taken))
    found = compare(reached, plain, steps)
    others: list[str] = []
    while len(others) < AGAIN and any(one.verdict == "differs" for one in found):
        # What the notebook alone makes anew each time says nothing about the pipeline.
        others.append(os.path.join(home, f"again-{len(others)}"))
        execute(others[-1])
        found = compare(reached, plain, steps, others)
    shutil.rmtree(home, ignore_errors=True)
    return RunComparison(loaded.name, spent, len(reached.tasks), tuple(found), diagnostics)


def show(comparison: RunComparison, steps: int, style: Style, *, verbose: bool) -> None:
    """Print what differs in a pipeline of so many *steps*; with *verbose*, every variable."""
    print(f"\n{style.bold(comparison.notebook)}, {run_text.beside(comparison, steps)}")
    print(run_text.compared(comparison))
    shown = comparison.found if verbose else comparison.different
    for line in run_text.differences(shown, style):
        print(f"  {line}")
    if not verbose and (remarks := ", ".join(run_text.remarks(comparison))):
        print(style.dim(f"  {remarks} (--verbose names them)"))


def _cells(
    loaded: Loaded, package: Compiled, values: Mapping[str, object]
) -> list[tuple[int, str]]:
    notebook = read_notebook(files.read(loaded.name).data, loaded.name)
    sources = [cell.source if cell.cell_type == "code" else None for cell in notebook.cells]
    other = {
        one.name: values[one.name] for one in package.parameters if values[one.name] != one.default
    }
    overrides = "\n".join(f"{name} = {value!r}" for name, value in other.items())
    assert loaded.pipeline is not None
    places = [one.label.source.cell for one in loaded.pipeline.parameters if one.label]
    after = max((cell for cell in places if cell is not None), default=-1)
    return notebook_cells(sources, package, overrides, after)
