"""Apply a spec to one notebook: new bytes, proven before anyone writes them."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook
from kale_tag.notebook.splice import ProofError, prove, splice
from kale_tag.plan.plan import Plan, plan, unsettled
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
        raise unsettled(spec, again) or ProofError(f"{name}: planning again finds changes")
    return Applied(spec.source.name, notebook, made, proven.data)


def _with_rest(made: Plan, spec: Spec, result: Notebook) -> Plan:
    """*made* with a warning for each problem that an upgrade leaves to the user in *result*."""
    if spec.legacy != "upgrade":
        return made
    from kale_tag.upgrade import left_to_fix  # noqa: PLC0415  needed for upgrades only

    silenced = spec.ignore or {}
    rest = [diagnostic for diagnostic in left_to_fix(result) if diagnostic.code not in silenced]
    if made.changes:
        note = "the line number is that of the upgraded file"
        rest = [
            replace(one, notes=(*one.notes, note)) if any(at.span for at in one.labels) else one
            for one in rest
        ]
    return replace(made, warnings=(*made.warnings, *rest))


def with_changes(notebook: Notebook, changes: Iterable[Change]) -> Notebook:
    """The notebook with *changes*, proven to differ in nothing else. Raises `ProofError`."""
    wanted = {change.holder: change.after for change in changes}
    return prove(notebook, splice(notebook, wanted), wanted)
