"""A patch applied to a notebook: which cells it means, what they get, or why it does not fit."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kale_tag.diagnostics import Diagnostic, UserError, error
from kale_tag.notebook.json_style import JsonStyle
from kale_tag.notebook.json_value import value_of
from kale_tag.notebook.model import MISSING, Notebook
from kale_tag.notebook.splice import same
from kale_tag.plan.anchors import Anchors, Stale
from kale_tag.plan.read_patch import Operation, Patch, Path, cell_of, in_metadata, pointer
from kale_tag.spec.change import Change

SHOWN = 5
"""How many cells a message names."""


@dataclass(frozen=True, slots=True)
class Patched:
    """What a patch changes in a notebook.

    *moved* gives the new number of each cell that was found elsewhere than the patch says.
    """

    changes: tuple[Change, ...]
    moved: Mapping[int, int]
    warnings: tuple[Diagnostic, ...] = ()


def apply_patch(patch: Patch, notebook: Notebook, *, reanchor: bool = False) -> Patched:
    """The changes that *patch* makes in *notebook*.

    More is asked than RFC 6902 asks, so that no wrong cell is ever changed: an `add` must not find
    a member there already, and where a cell is known by its id or source, the patch must know every
    cell that has it. *reanchor* looks for a cell that is not where it was by the same. Raises
    `UserError` where the notebook has moved on.
    """
    anchors = Anchors(patch, notebook)
    where, stale = anchors.find(reanchor=reanchor)
    failed = {diagnostic.operation.cell for diagnostic in stale}
    document = _document(patch, notebook, where)
    touched: dict[int | None, Operation] = {}
    for one in patch.operations:
        cell = one.cell
        if one.identifies or (cell in failed and cell is not None):
            continue
        try:
            _run(_moved(one, where), document)
        except Stale as exc:
            stale.append(replace(exc, operation=one))
            failed.add(cell)
            continue
        for written in map(cell_of, one.written):
            touched[None if written is None else where.get(written, written)] = one
    if stale:
        raise UserError(_diagnostic(notebook, stale))
    changes = []
    for holder in sorted(touched, key=lambda one: (one is None, one or 0)):
        path: Path = () if holder is None else ("cells", str(holder))
        after = _value_at((*path, "metadata"), document)
        before = notebook.metadata_of(holder)
        if not same(before, after):
            _check_metadata(touched[holder], after)
            changes.append(Change(holder, before, after))
    moved = {old: new for old, new in where.items() if old != new}
    return Patched(tuple(changes), moved, anchors.warnings)


def _document(patch: Patch, notebook: Notebook, where: Mapping[int, int]) -> dict[str, object]:
    """What the operations look at and change: metadata, or everything where they ask for more."""
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
    """Carry out one operation. Raises `Stale` where *document* is not as it was."""
    import jsonpatch  # noqa: PLC0415  slow to import, needed for patches on disk only

    present = _value_at(one.path, document)
    owner, what = _called(one.path)
    gone = f"{owner} has no {what}", "it is gone"
    if one.op == "test":
        if present is MISSING:
            raise Stale(one, *gone)
        if not same(present, one.value):
            raise Stale(one, f"{owner} has another value of {what}", f"now {_shown(present)}")
        return
    comes = one.op in {"add", "copy", "move"}
    if comes and present is not MISSING and isinstance(_value_at(one.path[:-1], document), dict):
        raise Stale(one, f"{owner} has {what} already", f"now {_shown(present)}")
    if one.op in {"replace", "remove"} and present is MISSING:
        raise Stale(one, *gone)
    plain = {"op": one.op, "path": pointer(one.path)}
    if one.origin:
        plain["from"] = pointer(one.origin)
    if one.value is not MISSING:
        # What comes into the document may be changed there by later operations.
        plain["value"] = copy.deepcopy(one.value)  # type: ignore[assignment]
    try:
        jsonpatch.JsonPatch([plain]).apply(document, in_place=True)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError) as exc:
        raise Stale(one, f"{owner} has no place for {what}", str(exc)) from None


def _value_at(path: Path, document: object) -> object:
    """What stands at *path*, `MISSING` where nothing does."""
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


def _called(path: Path) -> tuple[str, str]:
    """Who has what stands at *path*, and what that is, in words."""
    owner, inner = ("the notebook", path) if path[0] != "cells" else (f"cell {path[1]}", path[2:])
    if inner[:1] == ("metadata",) and len(inner) > 1:
        inner = inner[1:]
    return owner, f"`{'/'.join(inner)}`"


def _shown(value: object) -> str:
    text = JsonStyle(b"").text(value, None)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _check_metadata(one: Operation, after: object) -> None:
    if after is not MISSING and after is not None and not isinstance(after, dict):
        raise UserError(
            error(
                "bad-value",
                "metadata is an object; this patch would make something else of it",
                one.value_label,
                help="no notebook could be read any more",
            )
        )


def _diagnostic(notebook: Notebook, stale: Sequence[Stale]) -> Diagnostic:
    first, *others = stale
    notes = [first.note] if first.note else []
    notes += [f"{one.message}: {one.note or one.remark}" for one in others[: SHOWN - 1]]
    if len(others) >= SHOWN:
        notes.append(f"and {len(others) - SHOWN + 1} more")
    new = "make a new plan: `kale-tag plan SPEC -o FOLDER`"
    return error(
        "stale-patch",
        f"{notebook.name} has changed since this patch was made: {first.message}",
        first.operation.value_label.with_text(first.remark),
        notes=notes,
        help=f"`--reanchor` follows cells that have moved; or {new}"
        if any(one.movable for one in stale)
        else new,
    )
