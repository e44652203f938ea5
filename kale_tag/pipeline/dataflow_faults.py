"""What can be wrong with the variables of a pipeline, in words."""

from collections.abc import Sequence

from kale_tag.diagnostics import Diagnostic, error, suggest
from kale_tag.pipeline.facts import Read, Spot


def undefined(  # noqa: PLR0913  one for each part of the message
    name: str,
    step: str,
    read: Read,
    through: str,
    binder: tuple[str, Spot, bool] | None,
    known: Sequence[str],
) -> Diagnostic:
    """A step uses a name that no step before it binds.

    *binder* is a step that does, where, and whether the user can put it before *step*.
    """
    how = f" through `{through}`" if through else ""
    message = f"step `{step}` uses `{name}`{how}, which no step before it defines"
    if binder is None:
        help_ = suggest(name, known, "")
        if name.strip("_") == "" or name in {"In", "Out"}:
            help_ = "results of other cells are not kept: give them names"
        elif not help_.startswith("did you mean"):
            help_ = f"bind `{name}` in a step, and name that step in `prev`"
        return error("undefined-name", message, read.spot.label(), help=help_)
    other, spot, possible = binder
    cell = spot.cell.code.cell
    note = f"step `{other}` (cell {cell}) defines `{name}`, but `{step}` does not run after it"
    if not possible:
        note = f"step `{other}` (cell {cell}) defines `{name}`, but it runs after `{step}`"
    return error(
        "undefined-name",
        message,
        read.spot.label(),
        notes=[note],
        help=f"add `prev: {other}` to `{step}`" if possible else "",
    )


def two_givers(
    name: str, who: str, read: Read, givers: Sequence[tuple[str, Spot | None]]
) -> Diagnostic:
    """Two steps change a variable side by side, and a later one reads it."""
    steps = " and ".join(f"`{step}`" for step, _ in givers)
    first, *others = (step for step, _ in givers)
    return error(
        "two-givers",
        f"{who} uses `{name}`, which {steps} both change, and neither runs after the other",
        read.spot.label("which of them is meant?"),
        also=[spot.label(f"changed by `{step}`") for step, spot in givers if spot is not None],
        help=f"let one run after the other (`prev: {first}` on `{others[-1]}`), "
        "or give the variables two names",
    )


def deleted(name: str, step: str, read: Read, by: str, spot: Spot) -> Diagnostic:
    """A step uses a name that the step before has deleted."""
    return error(
        "deleted-name",
        f"step `{step}` uses `{name}`, which step `{by}` deletes",
        read.spot.label(),
        also=[spot.label("deleted here")],
        help=f"take out the `del`, or let `{step}` not run after `{by}`",
    )


def shared_needs(name: str, read: Read, step: str | None) -> Diagnostic:
    """A cell that every step runs first uses what there is not yet."""
    notes = [f"step `{step}` binds it, after the shared cells have run"] if step else []
    return error(
        "undefined-name",
        f"a cell that runs in front of every step uses `{name}`, which is not defined there",
        read.spot.label(),
        notes=notes,
        help="move this code into a step, or into a function that steps call",
    )
