"""A plan as a JSON Patch (RFC 6902): plain operations, each guarded by `test`."""

import json
from collections.abc import Iterator, Mapping

from kale_tag.notebook import MISSING, Notebook
from kale_tag.splice import same
from kale_tag.steps import SETTINGS_KEY
from kale_tag.tagging.change import Change
from kale_tag.tagging.plan import Plan
from kale_tag.tagging.select import first_line

Operation = dict[str, object]


def operations(plan: Plan, notebook: Notebook) -> list[Operation]:
    """The patch that makes *notebook* as planned, for every JSON Patch tool.

    Before the operations of a cell stands a `test` of its id, or of its source where it has no id,
    and before each value that goes a `test` of that value. `comment` members, which RFC 6902 says
    are ignored, name the cell's first line and the rules.
    """
    if not plan.changes:
        return []
    cells = json.loads(notebook.data.decode("utf-8-sig"))["cells"]
    found: list[Operation] = []
    for change in plan.changes:
        holder = change.holder
        if holder is None:
            found += _differences("/metadata", change)
            continue
        anchor = "id" if "id" in cells[holder] else "source"
        rules = ", ".join(rule.place for rule in change.rules)
        line = first_line(notebook.source(holder))
        if anchor in cells[holder]:
            guard = _operation("test", f"/cells/{holder}/{anchor}", cells[holder][anchor])
            found.append({**guard, "comment": f"{line} ({rules})" if rules else line})
        found += _differences(f"/cells/{holder}/metadata", change)
    return found


def _differences(path: str, change: Change) -> Iterator[Operation]:
    """The operations that turn the metadata at *path* from before to after."""
    before = change.before
    if before is MISSING:
        yield _operation("add", path, change.after)
    elif not isinstance(before, dict):
        yield _operation("test", path, before)
        yield _operation("replace", path, change.after)
    else:
        yield from _entries(path, before, change.after)


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


def _operation(op: str, path: str, value: object = MISSING) -> Operation:
    named: Operation = {"op": op, "path": path}
    return named if value is MISSING else {**named, "value": value}
