"""One notebook's way: bytes, plan, new bytes, and the two proofs that come before every write."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from kale_tag.notebook import Notebook
from kale_tag.read_notebook import read_notebook
from kale_tag.splice import ProofError, prove, splice
from kale_tag.tagging.change import Target
from kale_tag.tagging.model import Spec
from kale_tag.tagging.plan import Plan, plan, unsettled


@dataclass(frozen=True, slots=True)
class Retagged:
    """The plan of the spec named, and the proven bytes that carry it out; None for no change."""

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
) -> Retagged:
    """The notebook *data* as *spec* says.

    Proof 1: the new bytes, read again, are the old value with the planned metadata, and every byte
    outside of it is the same. Proof 2: planning again changes nothing. Raises `UserError` for what
    is wrong with the spec or the notebook, `ProofError` when we are wrong. *watch* is entered while
    the patterns of the spec run; it may raise TimeoutError.
    """
    notebook = read_notebook(data, name, fast=fast)
    with watch():
        made = plan(spec, notebook, target)
    if not made.changes:
        return Retagged(spec.source.name, notebook, made, None)
    wanted = {change.holder: change.after for change in made.changes}
    new = splice(notebook, wanted)
    proven = prove(notebook, new, wanted)
    with watch():
        again = plan(spec, proven, target, made)
    if again.changes:
        fault = unsettled(spec, again)
        raise fault if fault is not None else ProofError(f"{name}: planning again finds changes")
    return Retagged(spec.source.name, notebook, made, new)
