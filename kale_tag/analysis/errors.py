"""Errors of the variables of a pipeline."""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from kale_tag.analysis.names import Read
from kale_tag.analysis.process_state import State, StateUse, fix_of, in_words, kind_of
from kale_tag.code.source import Spot
from kale_tag.diagnostics import Diagnostic, error, listed, warning


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


def lost_state(state: State, step: str, use: StateUse, users: Sequence[str]) -> Diagnostic:
    """Steps depend on a state of the process that *step* changes, and do not get it."""
    what, kind = in_words(state), kind_of(state)
    many = users[1:]
    spots = use.set_at or [spot for spot in [use.used_at] if spot is not None]
    does = f"{'changes' if state.change else 'sets'} {what}"
    does = does if use.set_at else f"draws from {what}"
    lost = "which depend on it, run in processes of their own" if many else ""
    lost = lost or "which depends on it, runs in a process of its own"
    remedy = "put it into an `imports` cell, which runs at the start of every step"
    if kind:
        lost = f"{'do' if many else 'does'} not get it, so that what depends on it may differ"
        remedy = f"add `prev: {step}`, or set it in each step that depends on it"
    if state.change:
        remedy = "pass the value on in a variable, or change it in each step that depends on it"
    if kind == "random":
        remedy = f"add `prev: {step}`, seed each step, or pass on a generator of your own"
    who = f"step{'s' if many else ''} {listed(users)}"
    message = f"step `{step}` {does}, and {who}{' ' if kind else ', '}{lost}"
    labels = [spot.label() for spot in spots[:5]]
    return warning("lost-state", message, labels[0], also=labels[1:], help=fix_of(state) or remedy)


def late_state(what: str, spot: Spot, steps: Sequence[str]) -> Diagnostic:
    """A shared cell sets a state below steps that set it, too, or depend on it."""
    which = f"step{'s' if steps[1:] else ''} {listed(steps)} above it"
    return warning(
        "late-shared-cell",
        f"this cell runs at the start of every step, so it sets {what} for {which}, too",
        spot.label(),
        help="move the cell up, or tag it as a part of a step",
    )


def deleted(name: str, step: str, read: Read, by: str, spot: Spot) -> Diagnostic:
    """A step uses a name that an earlier step has deleted."""
    where, remedy = "deleted here", f"remove the `del`, or move `{step}` above `{by}`"
    if isinstance(spot.node, ast.ExceptHandler):
        where = "deleted where this clause ends"
        remedy = f"keep it under another name in the `except` clause, such as `kept = {name}`"
    if not read.sure:  # the step is ready for a name that is not bound
        remedy = f"import names in place of `*` in the shared cell, which binds `{name}` again"
    return error(
        "deleted-name",
        f"step `{step}` uses `{name}`, which step `{by}` deletes",
        read.spot.label(),
        also=[spot.label(where)],
        help=remedy,
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
