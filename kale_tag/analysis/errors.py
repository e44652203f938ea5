"""Errors of the variables of a pipeline."""

import re
from dataclasses import dataclass

from kale_tag.analysis.model import Read, Spot
from kale_tag.diagnostics import Diagnostic, error, warning


@dataclass(frozen=True, slots=True)
class Binder:
    """A step that binds a name which another step uses."""

    step: str
    spot: Spot  # where it binds the name
    relation: (
        str  # to the user: it could run `before`, runs `after`, is `below`, or `inside` another
    )


def undefined(
    name: str,
    step: str,
    read: Read,
    through: str,
    binder: Binder | None,
) -> Diagnostic:
    """A step uses a name that no step before it binds."""
    how = f" through `{through}`" if through else ""
    message = f"step `{step}` uses `{name}`{how}, which no step before it defines"
    if _is_result(name):
        message = f"step `{step}` uses `{name}`, in which Jupyter keeps the results of cells"
    if binder is None:
        return error("undefined-name", message, read.spot.label(), help=_how_to_bind(name))
    where = {
        "after": f"but it runs after `{step}`",
        "below": f"but it is below `{step}`",
    }.get(binder.relation, f"but `{step}` does not run after it")
    remedy = {
        "before": f"add `prev: {binder.step}` to `{step}`",
        "below": f"move it above `{step}`, and add `prev: {binder.step}` to that",
    }.get(binder.relation, "")
    cell = binder.spot.cell.code.cell
    return error(
        "undefined-name",
        message,
        read.spot.label(),
        notes=[f"step `{binder.step}` (cell {cell}) defines `{name}`, {where}"],
        help=remedy,
    )


def _how_to_bind(name: str) -> str:
    if _is_result(name):
        return "a pipeline does not keep them: give the result a name"
    return f"bind `{name}` in a step, and name that step in `prev`"


def _is_result(name: str) -> bool:
    return re.fullmatch(r"_+|_i*\d*|In|Out", name) is not None


def missed_change(  # noqa: PLR0913, PLR0917  all that the message names
    used: str,
    changed: str,
    step: str,
    read: Read,
    by: str,
    spot: Spot | None,
    *,
    certain: bool,
) -> Diagnostic:
    """A step uses a variable that a step above changes, on which it does not depend."""
    how = f"`{used}`" if used == changed else f"`{used}`, which shares an object with `{changed}`"
    which = "which" if used == changed else "and that"
    message = (
        f"step `{step}` uses {how}, {which} step `{by}` above it {{}}, but does not depend on "
        f"`{by}`"
    )
    at = read.spot.label()
    also = [] if spot is None else [spot.label(f"changed by `{by}`")]
    remedy = f"add `prev: {by}` to `{step}`, or give one of the two another name"
    if certain:
        return error("missed-change", message.format("changes"), at, also=also, help=remedy)
    return warning("possible-change", message.format("may change"), at, also=also, help=remedy)


def deleted(name: str, step: str, read: Read, by: str, spot: Spot) -> Diagnostic:
    """A step uses a name that an earlier step has deleted."""
    return error(
        "deleted-name",
        f"step `{step}` uses `{name}`, which step `{by}` deletes",
        read.spot.label(),
        also=[spot.label("deleted here")],
        help=f"remove the `del`, or do not let `{step}` run after `{by}`",
    )


def shared_needs(name: str, read: Read, step: str | None) -> Diagnostic:
    """A shared cell uses a name that is not defined there."""
    notes = [f"step `{step}` binds it, after the shared cells have run"] if step else []
    return error(
        "undefined-name",
        f"a shared cell, which runs before every step, uses `{name}`, which is not defined there",
        read.spot.label(),
        notes=notes,
        help="move this code into a step, or into a function that steps call",
    )
