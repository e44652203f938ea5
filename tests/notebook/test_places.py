"""Labels of a notebook's parts, and the same in its file."""

import json

from kale_tag.diagnostics import Label, Span, error
from kale_tag.notebook.places import Places, cell_label, in_files, tag_label
from kale_tag.notebook.read import read_notebook

CELL = {
    "cell_type": "code",
    "metadata": {"tags": ["step:a", "prev:b"]},
    "source": ["x = 1\n", "y = x\n"],
}
SETTINGS = {"kubeflow_notebook": {"volumes": [{"name": "data", "mount_point": "data"}]}}
DATA = json.dumps({"cells": [CELL], "metadata": SETTINGS, "nbformat": 4, "nbformat_minor": 5})
NOTEBOOK = read_notebook(DATA.encode(), "nb.ipynb")


def in_file(label: Label) -> str:
    """What the label covers in the file."""
    found = in_files(error("x", "x", label), {"nb.ipynb": Places(NOTEBOOK)}).labels[0]
    assert found.source.cell is None
    assert found.text == label.text
    assert found.span is not None
    return found.source.text[found.span.start : found.span.end]


def test_labels_in_a_cell_become_labels_in_the_file() -> None:
    """A tag, a piece of code, and the cell as a whole."""
    code = cell_label(NOTEBOOK, 0)
    assert in_file(tag_label(NOTEBOOK, 0, 1, "why")) == '"prev:b"'
    assert in_file(Label(code.source, Span(6, 7), "why")) == "y"
    assert in_file(code) == '"x = 1\\n"'


def test_a_label_in_the_settings_is_found_in_another_text_of_the_notebook() -> None:
    """It carries its route; where the other text has no such value, the nearest one is meant."""
    path = ("kubeflow_notebook", "volumes", 0, "mount_point")
    label = Places(NOTEBOOK).metadata(None, path)
    assert in_file(label) == '"mount_point": "data"'
    wider = read_notebook(DATA.replace('"data"', '"more"').encode(), "nb.ipynb")
    there = Places(wider).in_file(label)
    assert there.span is not None
    assert there.source.text[there.span.start : there.span.end] == '"mount_point": "more"'
