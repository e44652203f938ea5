"""Changed lines, as Git counts them, for one tag in each notebook.

python benchmarks/noise.py [DIR]

The tag goes to the first code cell of each notebook of DIR (or KALE_TAG_CORPUS) that both sides
can tag: once by kale-tag, once by nbformat.
"""

import os
import subprocess
import sys
import warnings

import nbformat
from common import TARGET, corpus, workspace, write_all

from kale_tag import files
from kale_tag.diagnostics import Source, UserError
from kale_tag.plan.apply import apply_spec
from kale_tag.spec.read import read_spec


def by_kale_tag(data: bytes) -> bytes | None:
    text = f"version: 1\ncells: [{{index: {_first_code_cell(data)}, add: [noise]}}]\n"
    spec = read_spec(Source("spec.yaml", text), lambda name, _label: Source(name))
    return apply_spec(spec, data, "notebook.ipynb", TARGET, fast=False).data


def by_nbformat(data: bytes) -> bytes:
    notebook = nbformat.reads(data.decode(), as_version=4)
    cell = notebook.cells[_first_code_cell(data)]
    cell.metadata.setdefault("tags", []).append("noise")
    return f"{nbformat.writes(notebook)}\n".encode()


def _first_code_cell(data: bytes) -> int:
    cells = nbformat.reads(data.decode(), as_version=4).cells
    return next(number for number, cell in enumerate(cells) if cell.cell_type == "code")


def changed_lines(before: list[bytes], after: list[bytes]) -> int:
    with workspace() as folder:
        sides = [os.path.join(folder, side) for side in ("before", "after")]
        for side, data in zip(sides, (before, after), strict=True):
            os.mkdir(side)
            write_all([os.path.join(side, f"{n}.ipynb") for n in range(len(data))], data)
        words = ["git", "diff", "--no-index", "--numstat", *sides]
        shown = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    return sum(int(count) for line in shown.splitlines() for count in line.split("\t")[:2])


def main() -> None:
    warnings.simplefilter("ignore")  # nbformat has much to say of old notebooks
    ways = {"kale-tag": by_kale_tag, "nbformat": by_nbformat}
    before: list[bytes] = []
    after: dict[str, list[bytes]] = {name: [] for name in ways}
    for name in files.notebooks_in(corpus(sys.argv[1] if sys.argv[1:] else None)):
        data = files.read(name).data
        try:
            made = {way: tag(data) for way, tag in ways.items()}
        except (UserError, ValueError, AttributeError, nbformat.ValidationError, StopIteration):
            continue
        before.append(data)
        for way, written in made.items():
            after[way].append(written or data)
    print(f"{len(before)} notebooks")
    for way, data_of in after.items():
        print(f"{way:10}{changed_lines(before, data_of):>9,} changed lines")


if __name__ == "__main__":
    main()
