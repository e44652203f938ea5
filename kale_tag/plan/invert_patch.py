"""The patch that undoes a patch."""

from collections.abc import Iterator
from dataclasses import replace

from kale_tag.diagnostics import Diagnostic, UserError, error
from kale_tag.notebook.model import MISSING
from kale_tag.plan.read_patch import Operation, Patch, Path, in_metadata, pointer


def inverted(patch: Patch) -> Patch:
    """The patch that undoes *patch*: applied behind it, it gives back every value.

    Raises `UserError` with the operations that do not say what they take away: before a `replace`
    or `remove` a `test` must say what was there, as it does in the patches of `kale-tag plan`.
    """
    undo: list[list[Operation]] = []
    diagnostics: list[Diagnostic] = []
    known: dict[Path, object] = {}  # what tests have said and no operation has changed since
    for one in patch.operations:
        if one.op == "test":
            if in_metadata(one.path):  # nothing else is ever written
                known[one.path] = one.value
            continue
        back = [*_back(one, known)]
        if back:
            undo.append(back)
        else:
            diagnostics.append(_not_reversible(one))
        for path in one.written:
            known = {other: value for other, value in known.items() if not _overlap(other, path)}
    if diagnostics:
        raise UserError(*diagnostics)
    guards = _lasting(patch)
    backwards = (one for back in reversed(undo) for one in back)
    return Patch(patch.source, (*guards, *backwards), patch.notebook)


def _lasting(patch: Patch) -> Iterator[Operation]:
    """The tests that hold behind the patch as before it: nothing is written where they look."""
    written = {path for one in patch.operations for path in one.written}
    through = {path[:length] for path in written for length in range(len(path))}
    for one in patch.operations:
        if one.op == "test" and one.path not in through:
            above = (one.path[:length] for length in range(len(one.path) + 1))
            if not any(path in written for path in above):
                yield one


def _back(one: Operation, known: dict[Path, object]) -> Iterator[Operation]:
    """What undoes one operation, nothing where that cannot be known."""
    test = replace(one, op="test", origin=())
    match one.op:
        case "add" if one.path[-1] != "-":
            yield test
            yield replace(one, op="remove", value=MISSING)
        case "replace" if one.path in known:
            yield test
            yield replace(one, value=known[one.path])
        case "remove" if one.path in known:
            yield replace(one, op="add", value=known[one.path])
        case "copy" if one.path[-1] != "-":
            yield replace(one, op="remove", origin=())
        case "move" if one.path[-1] != "-":
            yield replace(one, path=one.origin, origin=one.path)
        case _:
            return


def _overlap(one: Path, other: Path) -> bool:
    """Whether one of the paths leads to, or through, the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _not_reversible(one: Operation) -> Diagnostic:
    path = pointer(one.path)
    appends = one.path[-1] == "-"
    return error(
        "not-reversible",
        f"`{one.op}` of `{path}` cannot be undone: "
        + (
            "the patch does not contain the place at which"
            if appends
            else "the old value is not in the patch"
        ),
        one.label,
        help="give the number of the item instead of `-`"
        if appends
        else f'add a test before it: {{"op": "test", "path": "{path}", "value": …}}',
    )
