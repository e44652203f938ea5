"""A patch applied to a notebook, or the reason why it does not fit; and the inverse of a patch."""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kale_tag.diagnostics import Diagnostic, UserError, error, warning
from kale_tag.notebook.json_value import same, shown, value_of
from kale_tag.notebook.model import MISSING, Notebook, first_line
from kale_tag.notebook.read import read_notebook
from kale_tag.notebook.splice import ProofError
from kale_tag.plan.apply import Applied, Choose, with_changes
from kale_tag.plan.plan import Plan
from kale_tag.plan.read_patch import Operation, Patch, Path, cell_of, in_metadata, pointer
from kale_tag.spec.model import Change


@dataclass(frozen=True, slots=True)
class Stale(Exception):  # noqa: N818  not an error of the program; becomes a `UserError`
    """An operation that does not fit the notebook any more."""

    operation: Operation
    message: str
    remark: str  # the present value or cell
    note: str = ""  # where the cell is now
    reanchor: str = ""  # what `--reanchor` would do about it


class Anchors:
    """The cells of a patch, each with the `test` operations that identify it."""

    def __init__(self, patch: Patch, notebook: Notebook) -> None:
        """Collect the guards of *patch*, and the ids and sources of *notebook*."""
        self.notebook = notebook
        self.changed_code: list[Diagnostic] = []  # warnings of cells that were found nevertheless
        self.guards: dict[int, list[Operation]] = {}
        changed: dict[int, Operation] = {}
        for one in patch.operations:
            if one.identifies and one.cell is not None:
                self.guards.setdefault(one.cell, []).append(one)
            for cell in map(cell_of, one.written):
                if cell is not None:
                    changed.setdefault(cell, one)
        self.unguarded = {cell: one for cell, one in changed.items() if cell not in self.guards}
        self.by_key: dict[tuple[str, object], list[int]] = {}
        for index in range(len(notebook.types)):
            for key in (("id", notebook.id_of(index)), ("source", notebook.source(index))):
                self.by_key.setdefault(key, []).append(index)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """A warning for cells that the patch changes without identifying them."""
        if not self.unguarded:
            return ()
        cells = ", ".join(map(str, sorted(self.unguarded)))
        return (
            warning(
                "unguarded",
                f"the patch does not test which cell it changes (cell {cells})",
                next(iter(self.unguarded.values())).label,
                help="a patch of `kale-tag plan` tests the id or the source of each cell",
            ),
        )

    def find(self, *, reanchor: bool, by_id: bool) -> tuple[dict[int, int], list[Stale]]:
        """For each cell of the patch its present number; the cells that cannot be found.

        *reanchor* looks for a cell elsewhere; *by_id* accepts other code in a cell with the id.
        """
        where: dict[int, int] = {}
        stale: list[Stale] = []
        for cell, guards in sorted(self.guards.items()):
            found = self._find(cell, guards, reanchor=reanchor, by_id=by_id)
            if isinstance(found, Stale):
                stale.append(found)
            else:
                where[cell] = found
        stale += self._confused(where)
        if any(old != new for old, new in where.items()):
            stale += (
                Stale(one, f"cell {cell} may be another one", "other cells have moved")
                for cell, one in self.unguarded.items()
            )
        return where, stale

    def _find(
        self, cell: int, guards: list[Operation], *, reanchor: bool, by_id: bool
    ) -> "int | Stale":
        """The number of one cell now, by its id if that is tested, else by its source."""
        first, *others = sorted(guards, key=lambda one: one.path[-1] != "id")
        candidates = self.by_key.get(_key(first), [])
        alone = len(candidates) == 1 and str(_key(first)[1]).strip() != ""
        if cell in candidates:
            now = cell
        elif reanchor and alone:
            (now,) = candidates
        else:
            return self._elsewhere(cell, first, candidates, movable=alone)
        for other in others:
            if now in self.by_key.get(_key(other), []):
                continue
            line = f"it is now `{first_line(self.notebook.source(now))}`"
            if not by_id:
                hint = "accepts a cell that has other code now"
                return Stale(other, f"cell {cell} has other code", line, reanchor=hint)
            if reanchor and (elsewhere := self.by_key.get(_key(other))):
                note = f"cell {elsewhere[0]} has the code of the patch"
                return Stale(
                    other, f"the cell with the id of cell {cell} has other code", line, note
                )
            self.changed_code.append(
                warning(
                    "changed-code",
                    f"the code of cell {now} of {self.notebook.name} has changed since the review",
                    other.value_label.with_text(line),
                )
            )
        return now

    def _elsewhere(
        self, cell: int, guard: Operation, candidates: list[int], *, movable: bool
    ) -> Stale:
        note = f"no cell has its {guard.path[-1]}"
        if movable:
            note = f"it is cell {candidates[0]} now"
        elif candidates:
            note = f"it may be any of the cells {', '.join(map(str, candidates[:9]))} now"
        hint = "follows cells that have moved" if movable else ""
        return Stale(guard, *self._there(cell, guard), note, hint)

    def _there(self, cell: int, guard: Operation) -> tuple[str, str]:
        count = len(self.notebook.types)
        if cell >= count:
            has = "one cell, 0" if count == 1 else f"{count} cells, counted from 0"
            return f"there is no cell {cell}", f"it has {has}"
        line = f"cell {cell} is now `{first_line(self.notebook.source(cell))}`"
        if guard.path[-1] == "id":
            name = self.notebook.id_of(cell)
            line += f", id `{name}`" if name else ", without an id"
        return f"cell {cell} is another one", line

    def _confused(self, where: Mapping[int, int]) -> list[Stale]:
        """Cells whose id or source another cell shares that the patch does not know."""
        stale = []
        taken: dict[int, int] = {}
        known = {*where.values()}
        for cell, now in where.items():
            guard = min(self.guards[cell], key=lambda one: one.path[-1] != "id")
            if now in taken:
                message = f"cells {taken[now]} and {cell} cannot be distinguished"
                stale.append(Stale(guard, message, f"both would be cell {now}"))
            taken[now] = cell
            if others := [x for x in self.by_key[_key(guard)] if x not in known]:
                message = f"cell {cell} is no longer the only one with its {guard.path[-1]}"
                stale.append(Stale(guard, message, f"cell {others[0]} has it too"))
        return stale


def _key(guard: Operation) -> tuple[str, object]:
    """The id or source that a guard tests; a source as one text."""
    value = guard.value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "".join(value)
    return guard.path[-1], value if isinstance(value, str) else repr(value)


SHOWN = 5
"""How many cells a message names."""


def apply_patch(
    patch: Patch, notebook: Notebook, *, reanchor: bool = False, by_id: bool = False
) -> Plan:
    """The changes that *patch* makes in *notebook*.

    Stricter than RFC 6902, so that no wrong cell is changed: an `add` must not replace a member,
    and where a cell is identified by its id or source, the patch must know every cell that has it.
    *reanchor* finds cells that have moved by their id, or by their source if they have none; like
    *by_id*, it accepts other code in a cell with the id. Raises `UserError` where the notebook has
    changed since the patch was made.
    """
    anchors = Anchors(patch, notebook)
    where, stale = anchors.find(reanchor=reanchor, by_id=reanchor or by_id)
    failed = {diagnostic.operation.cell for diagnostic in stale}
    document = _document(patch, notebook, where)
    touched: dict[int | None, Operation] = {}
    copied = 0
    for one in patch.operations:
        cell = one.cell
        if one.identifies or (cell in failed and cell is not None):
            continue
        try:
            moved_one = _moved(one, where)
            if one.op == "copy":
                copied += len(_as_json(_value_at(moved_one.origin, document)))
                if copied > COPIED:
                    raise UserError.of(
                        "too-many-values",
                        f"the copies in this patch are longer than {COPIED:,} characters",
                        one.label,
                        help="copy fewer or smaller values",
                    )
            _run(moved_one, document)
        except RecursionError:
            message = f"the value of this `{one.op}` is nested too deeply to be used"
            hint = "look for a bracket that is repeated by mistake"
            raise UserError.of("too-deep", message, one.label, help=hint) from None
        except Stale as exc:
            stale.append(replace(exc, operation=one))
            failed.add(cell)
            continue
        for written in map(cell_of, one.written):
            touched[None if written is None else where.get(written, written)] = one
    if stale:
        raise UserError(_diagnostic(notebook, stale))
    changes = tuple(_changes(touched, document, notebook, whole=not by_id))
    moved = {old: new for old, new in where.items() if old != new}
    changed_code = () if by_id else anchors.changed_code
    warnings = (*anchors.warnings, *changed_code)
    return Plan(notebook.name, changes, warnings=warnings, moved=moved)


def _changes(
    touched: Mapping[int | None, Operation],
    document: dict[str, object],
    notebook: Notebook,
    *,
    whole: bool,
) -> Iterator[Change]:
    """The changes in *document*; with *whole* none that makes a valid notebook invalid."""
    for holder in sorted(touched, key=lambda one: (one is None, one or 0)):
        path: Path = () if holder is None else ("cells", str(holder))
        after = _value_at((*path, "metadata"), document)
        before = notebook.metadata_of(holder)
        if same(before, after):
            continue
        at = touched[holder].value_label
        if after is not MISSING and after is not None and not isinstance(after, dict):
            raise UserError.of(
                "bad-value",
                "the patch replaces `metadata` by a value that is not an object",
                at,
                help="Jupyter could not read the notebook any more",
            )
        if whole and not spoils(before) and (what := spoils(after)):
            raise UserError.of(
                "bad-value",
                f"the patch gives `{what}` a value that no valid notebook has there",
                at,
                help="Jupyter could refuse to open the notebook",
            )
        yield Change(holder, before, after)


def _document(patch: Patch, notebook: Notebook, where: Mapping[int, int]) -> dict[str, object]:
    """What the operations read and change: metadata, or the whole notebook where they need it."""
    asked = [one for one in patch.operations if not one.identifies]
    if not all(in_metadata(one.path) for one in asked):
        document = value_of(notebook.data)
        assert isinstance(document, dict)
        return document
    holders = {cell_of(path) for one in asked for path in (one.path, one.origin)} - {None}
    cells: dict[str, object] = {}  # by their numbers: the paths to them are the same as in a list
    for cell in (where.get(holder, holder) for holder in holders if holder is not None):
        if cell < len(notebook.types):
            cells[str(cell)] = _owner(notebook, cell)
    return {**_owner(notebook, None), "cells": cells}


def _owner(notebook: Notebook, holder: int | None) -> dict[str, object]:
    metadata = notebook.metadata_of(holder)
    return {} if metadata is MISSING else {"metadata": copy.deepcopy(metadata)}


def _moved(one: Operation, where: Mapping[int, int]) -> Operation:
    def path(old: Path) -> Path:
        if old[:1] != ("cells",) or len(old) < 2:
            return old
        return "cells", str(where.get(int(old[1]), old[1])), *old[2:]

    moved = path(one.path), path(one.origin)
    return one if moved == (one.path, one.origin) else replace(one, path=moved[0], origin=moved[1])


def _run(one: Operation, document: dict[str, object]) -> None:
    """Apply one operation to *document*. Raises `Stale` where it does not fit."""
    import jsonpatch  # noqa: PLC0415  slow to import, needed for patches on disk only

    present = _value_at(one.path, document)
    owner, what = _owner_and_key(one.path)
    gone = f"{owner} has no {what}", "it is gone"
    if one.op == "test":
        if present is MISSING:
            raise Stale(one, *gone)
        if not same(present, one.value):
            raise Stale(one, f"{owner} has another value of {what}", f"now {shown(present)}")
        return
    comes = one.op in {"add", "copy", "move"}
    if comes and present is not MISSING and isinstance(_value_at(one.path[:-1], document), dict):
        raise Stale(one, f"{owner} has {what} already", f"now {shown(present)}")
    if one.op in {"replace", "remove"} and present is MISSING:
        raise Stale(one, *gone)
    plain = {"op": one.op, "path": pointer(one.path)}
    if one.origin:
        plain["from"] = pointer(one.origin)
    if one.value is not MISSING:
        # A copy: later operations may change it in the document.
        plain["value"] = copy.deepcopy(one.value)  # type: ignore[assignment]
    try:
        jsonpatch.JsonPatch([plain]).apply(document, in_place=True)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError) as exc:
        raise Stale(one, f"{owner} has no place for {what}", str(exc)) from None


def _value_at(path: Path, document: object) -> object:
    """The value at *path*, `MISSING` where there is none."""
    value = document
    for part in path:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isascii() and part.isdigit():
            if part != str(int(part[:18])) or int(part) >= len(value):
                return MISSING
            value = value[int(part)]
        else:
            return MISSING
    return value


def _owner_and_key(path: Path) -> tuple[str, str]:
    """The owner of the value at *path*, and its path in the owner, for messages."""
    owner, inner = ("the notebook", path) if path[0] != "cells" else (f"cell {path[1]}", path[2:])
    if inner[:1] == ("metadata",) and len(inner) > 1:
        inner = inner[1:]
    return owner, f"`{'/'.join(inner)}`"


COPIED = 1_000_000
"""The most characters that the `copy` operations of a patch add: copies of copies double."""

_as_json = json.JSONEncoder(default=repr).encode


_TYPES: dict[str, type] = {
    "tags": list,
    "name": str,
    "format": str,
    "collapsed": bool,
    "jupyter": dict,
    "execution": dict,
    "kernelspec": dict,
    "language_info": dict,
    "orig_nbformat": int,
    "title": str,
    "authors": list,
}
"""The types that nbformat demands of keys in metadata."""

_NAMES = {"kernelspec": ("name", "display_name"), "language_info": ("name",)}
"""The texts that nbformat demands in values of metadata."""


def spoils(metadata: object) -> str:
    """What in *metadata* makes a notebook invalid, "" if nothing does."""
    if not isinstance(metadata, dict):
        return "metadata"
    for key, kind in _TYPES.items():
        value = metadata.get(key, MISSING)
        if value is MISSING:
            continue
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            return key
        names = [value.get(name) for name in _NAMES.get(key, ())] if isinstance(value, dict) else []
        if not all(isinstance(name, str) for name in names):
            return key
    tags = metadata.get("tags", [])
    texts = {tag for tag in tags if isinstance(tag, str) and tag and "," not in tag}
    return "" if len(texts) == len(tags) else "tags"


def _diagnostic(notebook: Notebook, stale: Sequence[Stale]) -> Diagnostic:
    first, *others = stale
    notes = [first.note] if first.note else []
    notes += [f"{one.message}: {one.note or one.remark}" for one in others[: SHOWN - 1]]
    if len(others) >= SHOWN:
        notes.append(f"and {len(others) - SHOWN + 1} more")
    new = "make a new plan: `kale-tag plan SPEC -o FOLDER`"
    hints = dict.fromkeys(one.reanchor for one in stale if one.reanchor)
    return error(
        "stale-patch",
        f"{notebook.name} has changed since this patch was made: {first.message}",
        first.operation.value_label.with_text(first.remark),
        notes=notes,
        help=f"`--reanchor` {' and '.join(hints)}; or {new}" if hints else new,
    )


def inverted(patch: Patch) -> Patch:
    """The patch that reverts *patch*.

    Raises `UserError` with the operations that cannot be reverted: before a `replace` or `remove`
    there must be a `test` of the old value, as in the patches of `kale-tag plan`.
    """
    undo: list[list[Operation]] = []
    diagnostics: list[Diagnostic] = []
    known: dict[Path, object] = {}  # tested values that no operation has changed since
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
    guards = _lasting_tests(patch)
    backwards = (one for back in reversed(undo) for one in back)
    return Patch(patch.source, (*guards, *backwards), patch.notebook)


def _lasting_tests(patch: Patch) -> Iterator[Operation]:
    """The tests that hold after the patch as before: nothing is written where they look."""
    written = {path for one in patch.operations for path in one.written}
    through = {path[:length] for path in written for length in range(len(path))}
    for one in patch.operations:
        if one.op == "test" and one.path not in through:
            above = (one.path[:length] for length in range(len(one.path) + 1))
            if not any(path in written for path in above):
                yield one


def _back(one: Operation, known: dict[Path, object]) -> Iterator[Operation]:
    """The operations that undo *one*; none where the old value is not known."""
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
            "the patch does not give the position"
            if appends
            else "the old value is not in the patch"
        ),
        one.label,
        help="give the number of the item instead of `-`"
        if appends
        else f'put a test before it: {{"op": "test", "path": "{path}", "value": …}}',
    )


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

    Proof 1 is that of `apply_spec`. Proof 2: the inverse patch gives the old values back. To undo a
    patch is safe where the code of a cell has changed since: only metadata is concerned. Raises
    `UserError` where the patch does not fit the notebook, `ProofError` for a bug of ours.
    """
    notebook = read_notebook(data, name, fast=fast)
    back = patch if undo else _inverted_or_none(patch)
    try:
        way = inverted(patch) if undo else patch
        done = apply_patch(way, notebook, reanchor=reanchor, by_id=undo)
    except UserError:
        if back is not None and _fits(back, notebook, reanchor=reanchor):
            return Applied(patch.source.name, notebook, Plan(name), None)  # already applied
        raise
    if not done.changes:
        return Applied(patch.source.name, notebook, done, None)
    proven = with_changes(notebook, done.changes)
    if back is not None:
        _prove_back(back, proven, done.changes, reanchor=reanchor)
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
        apply_patch(patch, notebook, reanchor=reanchor, by_id=True)
    except UserError:
        return False
    return True


def _prove_back(back: Patch, new: Notebook, changes: Iterable[Change], *, reanchor: bool) -> None:
    """Prove that *back* undoes *changes*, which have made *new*."""
    undone = apply_patch(back, new, reanchor=reanchor, by_id=True).changes
    found = {change.holder: change.after for change in undone}
    wanted = {change.holder: change.before for change in changes}
    if found.keys() != wanted.keys() or not all(same(found[one], wanted[one]) for one in wanted):
        raise ProofError(f"{new.name}: undoing the patch does not give the old notebook")
