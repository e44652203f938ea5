"""One notebook's way: bytes, plan, new bytes, and the two proofs that come before every write."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from kale_tag.diagnostics import UserError
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook
from kale_tag.notebook.splice import ProofError, prove, same, splice
from kale_tag.plan.apply_patch import apply_patch
from kale_tag.plan.invert_patch import inverted
from kale_tag.plan.plan import Plan, plan, unsettled
from kale_tag.plan.read_patch import Patch
from kale_tag.spec.change import Change, Target
from kale_tag.spec.model import Spec

Choose = Callable[[Notebook, Plan], tuple[Change, ...]]
"""Gives those changes of a plan that shall be made."""


@dataclass(frozen=True, slots=True)
class Retagged:
    """The plan of the spec or patch named, and the proven bytes that carry it out.

    *data* is None where nothing changes.
    """

    spec: str
    notebook: Notebook
    plan: Plan
    data: bytes | None


def retag(  # noqa: PLR0913  what a spec, a notebook and a run each bring
    spec: Spec,
    data: bytes,
    name: str,
    target: Target,
    *,
    fast: bool,
    watch: Callable[[], AbstractContextManager[object]] = nullcontext,
    choose: Choose | None = None,
) -> Retagged:
    """The notebook *data* as *spec* says, or as far as *choose* wants it.

    Proof 1: the new bytes, read again, are the old value with the planned metadata, and every byte
    outside of it is the same. Proof 2: planning again changes nothing of what was to change. Raises
    `UserError` for what is wrong with the spec or the notebook, `ProofError` when we are wrong.
    *watch* is entered while the patterns of the spec run; it may raise TimeoutError.
    """
    notebook = read_notebook(data, name, fast=fast)
    with watch():
        made = plan(spec, notebook, target)
    if choose is not None and made.changes:
        made = replace(made, changes=choose(notebook, made))
    if not made.changes:
        return Retagged(spec.source.name, notebook, _with_rest(made, spec, notebook), None)
    proven = carry_out(notebook, made.changes)
    made = _with_rest(made, spec, proven)
    with watch():
        again = plan(spec, proven, target, made)
    if choose is not None:
        chosen = {change.holder for change in made.changes}
        again = replace(again, changes=tuple(c for c in again.changes if c.holder in chosen))
    if again.changes:
        diagnostic = unsettled(spec, again)
        raise (
            diagnostic
            if diagnostic is not None
            else ProofError(f"{name}: planning again finds changes")
        )
    return Retagged(spec.source.name, notebook, made, proven.data)


def _with_rest(made: Plan, spec: Spec, result: Notebook) -> Plan:
    """*made* with a warning for each thing that an upgrade leaves to be mended in *result*."""
    if spec.legacy != "upgrade":
        return made
    from kale_tag.upgrade.remaining import left_to_fix  # noqa: PLC0415  needed for upgrades only

    silenced = spec.ignore or {}
    rest = [diagnostic for diagnostic in left_to_fix(result) if diagnostic.code not in silenced]
    if made.changes:
        note = "as the upgrade leaves it; the line number is that of the new file"
        rest = [replace(diagnostic, notes=(*diagnostic.notes, note)) for diagnostic in rest]
    return replace(made, warnings=(*made.warnings, *rest))


def carry_out(notebook: Notebook, changes: Iterable[Change]) -> Notebook:
    """The notebook with *changes*, in new bytes that are proven to be that and nothing else.

    Raises `ProofError`.
    """
    wanted = {change.holder: change.after for change in changes}
    return prove(notebook, splice(notebook, wanted), wanted)


def repatch(  # noqa: PLR0913  what a patch, a notebook and a run each bring
    patch: Patch,
    data: bytes,
    name: str,
    *,
    fast: bool,
    undo: bool = False,
    reanchor: bool = False,
    choose: Choose | None = None,
) -> Retagged:
    """The notebook *data* with *patch* applied, or undone; unchanged where that was done before.

    Proof 1 is that of `retag`. Proof 2: the patch the other way round leads back to the old values.
    Raises `UserError` where the notebook has moved on, `ProofError` when we are wrong.
    """
    notebook = read_notebook(data, name, fast=fast)
    back = patch if undo else _inverted_or_none(patch)
    try:
        way = inverted(patch) if undo else patch
        made = apply_patch(way, notebook, reanchor=reanchor)
    except UserError:
        if back is not None and _fits(back, notebook, reanchor=reanchor):
            return Retagged(patch.source.name, notebook, Plan(name), None)  # it was done before
        raise
    done = Plan(name, made.changes, warnings=made.warnings, moved=made.moved)
    if not made.changes:
        return Retagged(patch.source.name, notebook, done, None)
    proven = carry_out(notebook, made.changes)
    if back is not None:
        _prove_back(back, proven, made.changes, reanchor=reanchor)
    if choose is not None:
        done = replace(done, changes=choose(notebook, done))
        proven = carry_out(notebook, done.changes)
    return Retagged(patch.source.name, notebook, done, proven.data if done.changes else None)


def _inverted_or_none(patch: Patch) -> Patch | None:
    try:
        return inverted(patch)
    except UserError:
        return None  # a patch that was not made by us may be impossible to undo


def _fits(patch: Patch, notebook: Notebook, *, reanchor: bool) -> bool:
    try:
        apply_patch(patch, notebook, reanchor=reanchor)
    except UserError:
        return False
    return True


def _prove_back(back: Patch, new: Notebook, changes: Iterable[Change], *, reanchor: bool) -> None:
    """Proof that *back* takes *changes*, which have made *new*, back again."""
    try:
        undone = apply_patch(back, new, reanchor=reanchor).changes
    except UserError as exc:
        raise ProofError(f"{new.name}: the patch cannot be undone: {exc}") from exc
    found = {change.holder: change.after for change in undone}
    wanted = {change.holder: change.before for change in changes}
    if found.keys() != wanted.keys() or not all(same(found[one], wanted[one]) for one in wanted):
        raise ProofError(f"{new.name}: undoing the patch does not give the old notebook")
