"""Apply a spec or a patch to one notebook: new bytes, proven before anyone writes them."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from kale_tag.diagnostics import UserError
from kale_tag.notebook.json_value import same
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook
from kale_tag.notebook.splice import ProofError, prove, splice
from kale_tag.plan.apply_patch import apply_patch, inverted
from kale_tag.plan.plan import Plan, plan, unsettled
from kale_tag.plan.read_patch import Patch
from kale_tag.spec.model import Change, Spec, Target

Choose = Callable[[Notebook, Plan], tuple[Change, ...]]
"""Selects the changes of a plan to make."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A spec or patch applied to a notebook."""

    spec: str  # the name of the spec or patch
    notebook: Notebook  # before the changes
    plan: Plan
    data: bytes | None  # the proven new bytes; None where nothing changes


def apply_spec(  # noqa: PLR0913  what a spec, a notebook and a run each bring
    spec: Spec,
    data: bytes,
    name: str,
    target: Target,
    *,
    fast: bool,
    watch: Callable[[], AbstractContextManager[object]] = nullcontext,
    choose: Choose | None = None,
) -> Applied:
    """The notebook *data* with the changes of *spec*, or those of them that *choose* selects.

    Proof 1: the new bytes, read again, are the old value with the planned metadata, and all bytes
    outside of it are the same. Proof 2: planning again finds no changes. Raises `UserError` for an
    error in the spec or the notebook, `ProofError` for a bug of ours. *watch* is entered while the
    patterns of the spec run; it may raise TimeoutError.
    """
    notebook = read_notebook(data, name, fast=fast)
    with watch():
        made = plan(spec, notebook, target)
    if choose is not None and made.changes:
        made = replace(made, changes=choose(notebook, made))
    if not made.changes:
        return Applied(spec.source.name, notebook, _with_rest(made, spec, notebook), None)
    proven = with_changes(notebook, made.changes)
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
    return Applied(spec.source.name, notebook, made, proven.data)


def _with_rest(made: Plan, spec: Spec, result: Notebook) -> Plan:
    """*made* with a warning for each problem that an upgrade leaves to the user in *result*."""
    if spec.legacy != "upgrade":
        return made
    from kale_tag.upgrade.remaining import left_to_fix  # noqa: PLC0415  needed for upgrades only

    silenced = spec.ignore or {}
    rest = [diagnostic for diagnostic in left_to_fix(result) if diagnostic.code not in silenced]
    if made.changes:
        note = "the line number is that of the upgraded file"
        rest = [replace(diagnostic, notes=(*diagnostic.notes, note)) for diagnostic in rest]
    return replace(made, warnings=(*made.warnings, *rest))


def with_changes(notebook: Notebook, changes: Iterable[Change]) -> Notebook:
    """The notebook with *changes*, proven to differ in nothing else. Raises `ProofError`."""
    wanted = {change.holder: change.after for change in changes}
    return prove(notebook, splice(notebook, wanted), wanted)


def apply_patch_to(  # noqa: PLR0913  what a patch, a notebook and a run each bring
    patch: Patch,
    data: bytes,
    name: str,
    *,
    fast: bool,
    undo: bool = False,
    reanchor: bool = False,
    choose: Choose | None = None,
) -> Applied:
    """The notebook *data* with *patch* applied, or reverted; unchanged where that is already so.

    Proof 1 is that of `apply_spec`. Proof 2: the inverse patch gives the old values back. Raises
    `UserError` where the patch does not fit the notebook, `ProofError` for a bug of ours.
    """
    notebook = read_notebook(data, name, fast=fast)
    back = patch if undo else _inverted_or_none(patch)
    try:
        way = inverted(patch) if undo else patch
        made = apply_patch(way, notebook, reanchor=reanchor)
    except UserError:
        if back is not None and _fits(back, notebook, reanchor=reanchor):
            return Applied(patch.source.name, notebook, Plan(name), None)  # already applied
        raise
    done = Plan(name, made.changes, warnings=made.warnings, moved=made.moved)
    if not made.changes:
        return Applied(patch.source.name, notebook, done, None)
    proven = with_changes(notebook, made.changes)
    if back is not None:
        _prove_back(back, proven, made.changes, reanchor=reanchor)
    if choose is not None:
        done = replace(done, changes=choose(notebook, done))
        proven = with_changes(notebook, done.changes)
    return Applied(patch.source.name, notebook, done, proven.data if done.changes else None)


def _inverted_or_none(patch: Patch) -> Patch | None:
    try:
        return inverted(patch)
    except UserError:
        return None  # a patch of another program may not be reversible


def _fits(patch: Patch, notebook: Notebook, *, reanchor: bool) -> bool:
    try:
        apply_patch(patch, notebook, reanchor=reanchor)
    except UserError:
        return False
    return True


def _prove_back(back: Patch, new: Notebook, changes: Iterable[Change], *, reanchor: bool) -> None:
    """Prove that *back* undoes *changes*, which have made *new*."""
    try:
        undone = apply_patch(back, new, reanchor=reanchor).changes
    except UserError as exc:
        raise ProofError(f"{new.name}: the patch cannot be undone: {exc}") from exc
    found = {change.holder: change.after for change in undone}
    wanted = {change.holder: change.before for change in changes}
    if found.keys() != wanted.keys() or not all(same(found[one], wanted[one]) for one in wanted):
        raise ProofError(f"{new.name}: undoing the patch does not give the old notebook")
