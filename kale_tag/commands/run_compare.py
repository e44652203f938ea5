"""`kale-tag run --compare`: the plain notebook beside its pipeline."""

import os
import shutil
import time
from collections.abc import Mapping

from kale_tag import files
from kale_tag.commands.load_package import Loaded
from kale_tag.commands.report import Report
from kale_tag.diagnostics import Label, Source, UserError, count, error
from kale_tag.pipeline.compiled import Compiled
from kale_tag.pipeline.model import SubPipeline
from kale_tag.pipeline.outcome import Compared
from kale_tag.read_notebook import read_notebook
from kale_tag.render.run_text import comparison, seconds
from kale_tag.render.style import Style
from kale_tag.runners.comparison import (
    check_nbclient,
    compare,
    notebook_cells,
    run_notebook,
)

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


def compare_runs(  # noqa: PLR0913, PLR0917  what a comparison is made of
    loaded: Loaded,
    package: Compiled,
    values: Mapping[str, object],
    folder: str,
    timeout: int,
    told: Report,
    *,
    quiet: bool,
) -> bool:
    """Run the notebook, and say how its variables compare; whether they are the same.

    FOLDER/compare/pipeline has what the steps took down.
    """
    cells = _cells(loaded, package, values)
    home = os.path.join(folder, "compare")
    work = os.path.abspath(loaded.folder)
    steps, plain = (os.path.join(home, name) for name in ("pipeline", "notebook"))
    started = time.monotonic()
    run_notebook(cells, loaded.name, work, plain, timeout)
    spent = time.monotonic() - started
    found = compare(package, plain, steps)
    others: list[str] = []
    while len(others) < AGAIN and any(one.verdict == "differs" for one in found):
        # What the notebook alone makes anew each time says nothing about the pipeline.
        others.append(os.path.join(home, f"again-{len(others)}"))
        run_notebook(cells, loaded.name, work, others[-1], timeout)
        found = compare(package, plain, steps, others)
    shutil.rmtree(home, ignore_errors=True)
    different = [one for one in found if one.verdict == "differs"]
    if not quiet:
        _print(found, different, loaded.name, spent, told.style)
    return not different


def _print(
    found: list[Compared], different: list[Compared], name: str, spent: float, style: Style
) -> None:
    print(f"\n{style.bold(name)}, run from top to bottom in {seconds(spent)}, beside the pipeline")
    for line in comparison(found, style):
        print(f"  {line}")
    total = len(found)
    if different:
        print(f"{len(different)} of {count(total, 'variable')} differ")
    else:
        print(f"{count(total, 'variable')}: none differs")


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
