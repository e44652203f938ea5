"""What an upgrade from Kale 0.x warns of that no lint of `check` finds: one function a warning.

As with lints, the name of a function is the code, and its docstring is the page of the docs.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from kale_tag.diagnostics import Diagnostic, Label, listed, warning
from kale_tag.fields.yaml_tree import Path

IN_A_SPEC = "in a spec with `legacy: upgrade`, for one notebook or for all"


@dataclass(frozen=True, slots=True)
class Loss:
    """What Kale 2 has no equivalent for: the setting at *path*, and what to do about it."""

    path: Path
    code: str
    message: str
    help: str


def papermill_tag(index: int, text: str, at: Label) -> Diagnostic:
    """A tag of papermill's, whose cell Kale 0.x ran before every step."""
    command = shlex.join(["kale-tag", "apply", "kale:papermill", at.source.name])
    return warning(
        "papermill-tag",
        f"cell {index}: Kale 0.x ran `{text}` before every step; so it is `imports` now",
        at,
        help=f"if these are parameters of the pipeline: {command}",
    )


def dropped_tag(index: int, text: str, at: Label) -> Diagnostic:
    """A tag `in:` or `out:`, which named the variables that a step reads and gives."""
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
    """Two steps whose names would be one, as Kale 2 takes them."""
    wanted, cell = other
    return warning(
        "name-collision",
        f"cell {index}: step `{old}` is `{new}` now, since `{wanted}` is the step of cell {cell}",
        at[0],
        also=at[1:],
        help=f"`rename: {{{old}: NAME}}` in a spec with `legacy: upgrade` gives it another",
    )


def old_image() -> Loss:
    """A `docker_image`, which is the `base_image` of all steps now."""
    return Loss(
        ("docker_image",),
        "old-image",
        "`docker_image` is `base_image` now, and the steps of Kale 2.3 need Python 3.11 or newer, "
        "which an image for Kale 0.x seldom has",
        f"`pipeline: {{base_image: IMAGE}}` {IN_A_SPEC}; `null` stands for Kale's own choice, "
        "python:3.12",
    )


def no_snapshots(asked: Sequence[Path]) -> Loss:
    """Settings that asked for snapshots of volumes."""
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
    """A notebook that asked for an experiment of Katib's."""
    return Loss(
        ("katib_run",),
        "no-katib",
        "Kale 2.3 runs no Katib experiments: `katib_run` does nothing",
        "write the experiment for Katib yourself, and set `pipeline: {katib_run: false}` in a spec",
    )


def dropped_setting(key: str, why: str, hint: str) -> Loss:
    """A setting that Kale 2.3 does not take, and that is removed."""
    return Loss((key,), "dropped-setting", f"`{key}` {why}", hint)


def ipython_syntax(index: int, text: str, at: Label) -> Diagnostic:
    """A line that IPython takes and Python does not, in a cell that a step runs."""
    return warning(
        "ipython-syntax",
        f"cell {index}: Kale 2.3 stops at `{text}`, which is IPython and not Python",
        at,
        help="move such lines into a cell tagged `skip`, write them in Python, or compile with "
        "`kale-tag compile`, which takes most of them",
    )
