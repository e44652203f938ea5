"""What an upgrade from Kale 0.x warns of that no lint of `check` finds: one function a warning.

As with lints, the name of a function is the code, and its docstring is the page of the docs.
"""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kale_tag.diagnostics import Diagnostic, Label, listed, warning
from kale_tag.kale.settings import Path

IN_A_SPEC = "in a spec with `legacy: upgrade`, for one notebook or for all"


@dataclass(frozen=True, slots=True)
class Loss:
    """What Kale 2 has no equivalent for: the setting at *path*, and what to do about it."""

    path: Path
    code: str
    message: str
    help: str


def papermill_tag(index: int, text: str, at: Label) -> Diagnostic:
    """Finds a tag of papermill's, whose cell Kale 0.x ran before every step.

    Why: Kale 2 stops at the tag; so the cell is tagged `imports` too, and runs before every step as
    it did. But no run of the pipeline can be given other values.

    Mend: If these are parameters of the pipeline, `kale-tag apply kale:papermill old.ipynb` makes
    them so. Else there is nothing to do.

    Example:
    ```python old.ipynb
    # %% tags=parameters
    rate = 0.1
    # %% tags=block:train
    model = fit(rate)
    ```
    """
    command = shlex.join(["kale-tag", "apply", "kale:papermill", at.source.name])
    return warning(
        "papermill-tag",
        f"cell {index}: Kale 0.x ran `{text}` before every step; so it is `imports` now",
        at,
        help=f"if these are parameters of the pipeline: {command}",
    )


def dropped_tag(index: int, text: str, at: Label) -> Diagnostic:
    """Finds a tag `in:` or `out:`, which named the variables that a step reads and gives.

    Why: Kale 2 stops at it, and finds the variables itself, in the code. One that the tag names and
    no step above sets is not there any more.

    Mend: Look whether the variable goes where it should: `kale-tag graph old.ipynb` shows it. If it
    does not, set it in a step above the one that needs it.

    Example:
    ```python old.ipynb
    # %% tags=block:load,out:people
    people = read()
    ```
    """
    command = shlex.join(["kale-tag", "graph", at.source.name])
    return warning(
        "dropped-tag",
        f"cell {index}: Kale 2 has no tag `{text}`; it finds out itself what steps read and give",
        at,
        help=f"see in the code that a step above gives the variable; {command} shows what does",
    )


def name_collision(
    index: int, old: str, new: str, at: Sequence[Label], other: tuple[str, int]
) -> Diagnostic:
    """Finds two steps whose names would be one, as Kale 2 takes them.

    Why: Kale 2 takes lower-case letters, digits and `_` in a name: `load-data` and `load_data` are
    the same to it, and two steps of one name are one step. So the second gets a number, here and
    wherever a step waits for it.

    Mend: If you want a better name, give it in a spec: `legacy: upgrade` and
    `rename: {load-data: load_again}`. After the upgrade, `kale-tag rename load_data_2 load_again`
    does it.

    Example:
    ```python old.ipynb
    # %% tags=block:load_data
    people = read()
    # %% tags=block:load-data
    cities = read()
    ```
    """
    wanted, cell = other
    return warning(
        "name-collision",
        f"cell {index}: step `{old}` is `{new}` now, since `{wanted}` is the step of cell {cell}",
        at[0],
        also=at[1:],
        help=f"`rename: {{{old}: NAME}}` in a spec with `legacy: upgrade` gives it another",
    )


def old_image() -> Loss:
    """Finds a `docker_image`, which is the `base_image` of all steps now.

    Why: The steps of Kale 2.3 need Python 3.11 or newer in their image, those of
    `kale-tag compile` 3.9. An image that was made for Kale 0.x seldom has it, and the first step
    fails.

    Mend: Name another image, or none: Kale's own choice is python:3.12. A spec does it in all
    notebooks at once, and the warning is gone:

    ```yaml
    version: 1
    legacy: upgrade
    notebooks: [notebooks/]
    pipeline: {base_image: null}
    ```

    Example:
    ```python old.ipynb
    # %metadata {"kubeflow_notebook": {"docker_image": "python:3.7"}}
    # %% tags=block:train
    model = fit()
    ```
    """
    return Loss(
        ("docker_image",),
        "old-image",
        "`docker_image` is `base_image` now, and the steps of Kale 2.3 need Python 3.11 or newer, "
        "which an image for Kale 0.x seldom has",
        f"`pipeline: {{base_image: IMAGE}}` {IN_A_SPEC}; `null` stands for Kale's own choice, "
        "python:3.12",
    )


def no_snapshots(asked: Sequence[Path]) -> Loss:
    """Finds settings that asked for snapshots of volumes.

    Why: Kale 0.x took a snapshot before each step, where the cluster had Rok. Kale 2.3 takes none,
    and says nothing.

    Mend: If nobody goes back to the snapshots, there is nothing to do. Else let a step write what
    must be kept to another place, or have the cluster take snapshots of the claims.

    Example:
    ```python old.ipynb
    # %metadata {"kubeflow_notebook": {"autosnapshot": true, "snapshot_volumes": true}}
    # %% tags=block:train
    model = fit()
    ```
    """
    names = [*dict.fromkeys(str(path[-1]) for path in asked)]
    does = "do" if names[1:] else "does"
    return Loss(
        asked[0],
        "no-snapshots",
        f"Kale 2.3 takes no snapshots: {listed(names)} {does} nothing",
        "nothing to do, unless somebody goes back to them: then let a step write a copy, or the "
        "cluster take snapshots of the claim",
    )


def no_katib() -> Loss:
    """Finds a notebook that asked for an experiment of Katib's.

    Why: Kale 0.x made one of the pipeline and `katib_metadata`. Kale 2.3 makes the pipeline alone,
    and says nothing.

    Mend: Write the experiment for Katib yourself; what a trial varies are the cells tagged
    `pipeline-parameters`. Then say `pipeline: {katib_run: false}` in a spec.

    Example:
    ```python old.ipynb
    # %metadata {"kubeflow_notebook": {"katib_run": true}}
    # %% tags=block:train
    model = fit()
    ```
    """
    return Loss(
        ("katib_run",),
        "no-katib",
        "Kale 2.3 runs no Katib experiments: `katib_run` does nothing",
        "write the experiment for Katib yourself, and say `pipeline: {katib_run: false}` in a spec",
    )


def dropped_setting(key: str, why: str, hint: str) -> Loss:
    """Finds a setting that Kale 2.3 does not take as it stands, and that is taken away.

    Why: Kale 2.3 would stop, or its steps fail: at a `docker_image` beside a `base_image`, at a
    `marshal_path` other than its own, at a `katib_metadata` with other keys than it knows.

    Mend: The message says why the setting goes. Mostly there is nothing to do; the old value stands
    in Git.

    Example:
    ```python old.ipynb
    # %metadata {"kubeflow_notebook": {"marshal_path": "/data/marshal"}}
    # %% tags=block:train
    model = fit()
    ```
    """
    return Loss((key,), "dropped-setting", f"`{key}` {why}", hint)


def ipython_syntax(index: int, text: str, at: Label) -> Diagnostic:
    """Finds a line that IPython takes and Python does not, in a cell that a step runs.

    Why: Kale 2.3 reads cells as Python, and stops at the first such line. `kale-tag compile` takes
    them, but for magics that need a Jupyter kernel.

    Mend: Move such lines into a cell tagged `skip`, or write them in Python. Or compile with
    kale-tag.

    Example:
    ```python old.ipynb
    # %% tags=block:load
    files = !ls
    ```
    """
    return warning(
        "ipython-syntax",
        f"cell {index}: Kale 2.3 stops at `{text}`, which is IPython and not Python",
        at,
        help="move such lines into a cell tagged `skip`, write them in Python, or compile with "
        "`kale-tag compile`, which takes most of them",
    )


WARNINGS: tuple[Callable[..., Diagnostic | Loss], ...] = (
    papermill_tag,
    dropped_tag,
    name_collision,
    old_image,
    no_snapshots,
    no_katib,
    dropped_setting,
    ipython_syntax,
)
