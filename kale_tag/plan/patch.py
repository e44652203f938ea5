"""Changes in one notebook as a JSON Patch (RFC 6902): guarded operations, and their text."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kale_tag.kale.metadata import SETTINGS_KEY
from kale_tag.notebook.json_value import JsonStyle, decode, same
from kale_tag.notebook.model import MISSING, Notebook, first_line
from kale_tag.notebook.splice import ProofError
from kale_tag.spec.model import Change

Operation = dict[str, object]

ENDING = ".patch.json"
"""How the name of a patch file ends."""

NOTEBOOK = "notebook"
"""The member of the first operation that names the notebook; JSON Patch tools ignore it."""


def operations(changes: Iterable[Change], notebook: Notebook, path: str = "") -> list[Operation]:
    """The patch that makes *changes* in *notebook*, for every JSON Patch tool.

    Before the operations of a cell come `test` operations on its id and its source, and before
    each value that goes a `test` of that value. If no id tells the cell from others that have the
    same source, they are tested too, so that none of them can be taken for the cell. `comment`
    members, which RFC 6902 says are ignored, name the cell's first line and the rules. *path* is
    what the first operation calls the notebook.
    """
    found: list[Operation] = []
    guards = _Guards(notebook)
    wanted = list(changes)
    changed = {change.holder for change in wanted}
    for change in wanted:
        holder = change.holder
        if holder is None:
            found += _differences("/metadata", change)
            continue
        found += guards.of(holder, ", ".join(rule.place for rule in change.rules), changed)
        found += _differences(f"/cells/{holder}/metadata", change)
    if found and path:
        found[0] = {**found[0], NOTEBOOK: path}
    return found


def as_text(patch: Sequence[Operation]) -> str:
    """*patch* for a reviewer: one operation a line, a blank line before each other cell."""
    if not patch:
        return "[]\n"
    lines = []
    last = _holder(patch[0])
    for operation in patch:
        if _holder(operation) != last:
            last = _holder(operation)
            lines.append("")
        lines.append(f"  {_line(operation)},")
    return "\n".join(("[", *lines)).removesuffix(",") + "\n]\n"


def prove_patch(patch: Sequence[Operation], old: Notebook, new: Notebook) -> None:
    """Prove with the jsonpatch package that *patch* turns the metadata of *old* into that of *new*.

    Raises `ProofError`, or what jsonpatch raises.
    """
    import jsonpatch  # noqa: PLC0415  slow to import, needed for patches on disk only

    before, after = _touched(patch, old), _touched(patch, new)
    if not same(jsonpatch.JsonPatch(patch).apply(before, in_place=True), after):
        raise ProofError("the patch does not give the planned notebook")


def _source_value(notebook: Notebook, index: int) -> object:
    """The source of a cell as its file has it, text or a list of text; `MISSING` for none."""
    raw = notebook.raw_source(index)
    return decode(raw) if len(raw) else MISSING


def _touched(patch: Sequence[Operation], notebook: Notebook) -> dict[str, object]:
    """All that *patch* tests or changes, at its paths in the notebook."""
    cells = {}
    for cell in {_holder(one) for one in patch} - {""}:
        index = int(cell)
        parts = {
            "id": notebook.id_of(index),
            "source": _source_value(notebook, index),
            "metadata": copy.deepcopy(notebook.metadata_of(index)),
        }
        cells[cell] = {key: value for key, value in parts.items() if value is not MISSING}
    own = copy.deepcopy(notebook.metadata)
    return {"cells": cells, **({} if own is MISSING else {"metadata": own})}


class _Guards:
    """The `test` operations that identify a cell."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.by_id: dict[str | None, list[int]] = {}
        self.by_source: dict[str, list[int]] = {}
        for index in range(len(notebook.types)):
            self.by_id.setdefault(notebook.id_of(index), []).append(index)
            self.by_source.setdefault(notebook.source(index), []).append(index)
        self.done: set[int] = set()

    def of(self, index: int, rules: str, changed: set[int | None]) -> Iterator[Operation]:
        """The guards of one cell; equal cells among *changed* have their own."""
        line = first_line(self.notebook.source(index))
        comment = f"{line} ({rules})" if rules else line
        name = self.notebook.id_of(index)
        if name is not None and len(self.by_id[name]) == 1:
            yield _operation("test", f"/cells/{index}/id", name, comment)
            yield from self._source(index)
            return
        for twin in self.by_source[self.notebook.source(index)]:
            if twin not in changed:
                yield from self._source(twin, f"not this one: {line}" if line else "not this one")
        yield from self._source(index, comment)

    def _source(self, index: int, comment: str = "") -> Iterator[Operation]:
        source = _source_value(self.notebook, index)
        if index not in self.done and source is not MISSING:
            self.done.add(index)
            yield _operation("test", f"/cells/{index}/source", source, comment)


def _differences(path: str, change: Change) -> Iterator[Operation]:
    """The operations that turn the metadata at *path* from before to after."""
    before, after = change.before, change.after
    if before is MISSING:
        yield _operation("add", path, after)
    elif isinstance(before, dict) and isinstance(after, dict):
        yield from _entries(path, before, after)
    else:
        yield _operation("test", path, before)
        yield _operation("remove", path) if after is MISSING else _operation("replace", path, after)


def _entries(
    path: str, before: Mapping[str, object], after: Mapping[str, object]
) -> Iterator[Operation]:
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, MISSING), after.get(key, MISSING)
        if same(old, new):
            continue
        at = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
        if old is MISSING:
            yield _operation("add", at, new)
        elif key == SETTINGS_KEY and isinstance(old, dict) and isinstance(new, dict):
            yield from _entries(at, old, new)  # one operation a setting
        else:
            yield _operation("test", at, old)
            yield _operation("remove", at) if new is MISSING else _operation("replace", at, new)


def _operation(op: str, path: str, value: object = MISSING, comment: str = "") -> Operation:
    named: Operation = {"op": op, "path": path}
    if comment:
        named["comment"] = comment
    return named if value is MISSING else {**named, "value": value}


def _holder(operation: Operation) -> str:
    """The cell, or the notebook, that an operation is about."""
    parts = str(operation["path"]).split("/")
    return parts[2] if parts[1] == "cells" else ""


def _line(operation: Operation) -> str:
    # The value comes last: the source of a cell is longer than a line.
    text = JsonStyle(b"").text
    order = sorted(operation, key=lambda key: key == "value")
    return "{" + ", ".join(f'"{key}": {text(operation[key], None)}' for key in order) + "}"
