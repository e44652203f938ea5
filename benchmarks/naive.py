"""The script that people write instead: nbformat, and three patterns on every code cell.

python benchmarks/naive.py SPEC NOTEBOOK|FOLDER...
"""

import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import nbformat

Rules = list[tuple[re.Pattern[str], str]]


def rules_of(text: str) -> Rules:
    from ruamel.yaml import YAML  # noqa: PLC0415  the bulk benchmark imports the rest

    found = YAML(typ="safe", pure=True).load(text)
    return [
        (re.compile(rule["source"], re.MULTILINE), rule.get("tag") or rule["add"])
        for rule in found["cells"]
    ]


def tag_cells(cells: Sequence[Any], rules: Rules) -> bool:
    changed = False
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        source = cell["source"]
        text = source if isinstance(source, str) else "".join(source)
        for regex, tag in rules:
            if regex.search(text):
                tags = cell["metadata"].setdefault("tags", [])
                if tag not in tags:
                    tags.append(tag)
                    changed = True
    return changed


def tag_file(path: str, rules: Rules) -> bool:
    notebook = nbformat.read(path, as_version=4)
    changed = tag_cells(notebook.cells, rules)
    if changed:
        nbformat.write(notebook, path)
    return changed


def _paths(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if os.path.isdir(name):
            yield from (os.path.join(name, one) for one in sorted(os.listdir(name)))
        else:
            yield name


def main() -> None:
    warnings.simplefilter("ignore")
    with open(sys.argv[1], encoding="utf-8") as file:
        rules = rules_of(file.read())
    changed = sum(tag_file(path, rules) for path in _paths(sys.argv[2:]))
    print(f"{changed} changed")


if __name__ == "__main__":
    main()
