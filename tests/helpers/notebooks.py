"""Notebooks from a few readable lines, for cases and tests.

`# %%` starts a code cell, `# %% [markdown]` another type. `id=load` and `tags=step:a,prev:b` may
stand behind; other metadata is given as JSON: `# %% {"tags": null}`.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

HEAD = re.compile(r"^# %%(?: \[(?P<kind>\w+)\])?(?P<rest>.*)$")


def cell(source: str, kind: str = "code", **more: Any) -> dict[str, Any]:
    """One cell as nbformat writes it."""
    made: dict[str, Any] = {"cell_type": kind, "metadata": {}, "source": source.splitlines(True)}
    if kind == "code":
        made |= {"execution_count": None, "outputs": []}
    return made | more


def notebook(cells: Sequence[dict[str, Any]], **metadata: Any) -> dict[str, Any]:
    """A notebook of version 4.5 if its cells have ids, else 4.4."""
    minor = 5 if cells and all("id" in one for one in cells) else 4
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}


def to_bytes(value: dict[str, Any]) -> bytes:
    """The bytes that nbformat and JupyterLab write."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, separators=(",", ": "))
    return f"{text}\n".encode()


def from_percent(text: str) -> bytes:
    """The notebook that percent text stands for."""
    cells: list[dict[str, Any]] = []
    lines: list[str] = []
    metadata: dict[str, Any] = {}

    def close() -> None:
        if cells:
            cells[-1]["source"] = "\n".join(lines).strip("\n").splitlines(True)
        lines.clear()

    for line in text.splitlines():
        if line.startswith("# %metadata "):
            metadata = json.loads(line.removeprefix("# %metadata "))
        elif (head := HEAD.match(line)) is None:
            lines.append(line)
        else:
            close()
            cells.append(_headed(head["kind"] or "code", head["rest"].strip()))
    close()
    return to_bytes(notebook(cells, **metadata))


def _headed(kind: str, rest: str) -> dict[str, Any]:
    made = cell("", kind)
    if rest.startswith("{"):
        return made | {"metadata": json.loads(rest)}
    for word in rest.split():
        key, _, value = word.partition("=")
        if key == "id":
            made["id"] = value
        elif key == "tags":
            made["metadata"] = {"tags": value.split(",")}
        else:
            raise ValueError(word)
    return made


def canonical(value: Any) -> bytes:
    """What nbformat writes; `test_splice.py` holds that against nbformat itself."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, separators=(",", ": "))
    return f"{text}\n".encode()
