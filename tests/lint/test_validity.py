"""What nbformat is asked, and what it cannot answer."""

import json
from typing import Any

import pytest
from notebooks import cell, notebook, to_bytes

from kale_tag.lint.validity import invalid_notebook
from kale_tag.notebook.read import read_notebook


def said(data: bytes) -> list[str]:
    """The messages on a notebook."""
    return [one.message for one in invalid_notebook(read_notebook(data, "nb.ipynb"))]


def test_a_number_that_python_cannot_read() -> None:
    """Nobody can ask nbformat."""
    data = to_bytes(notebook([cell("x")])).replace(b": null", b": " + b"9" * 5000)
    assert said(data) == []


def test_a_version_to_come() -> None:
    """It is judged as the newest that nbformat knows."""
    value: dict[str, Any] = {**notebook([cell("x")]), "nbformat_minor": 99}
    assert said(json.dumps(value).encode()) == ["not a valid notebook: 'id' is a required property"]


def test_what_nbformat_has_no_words_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the words are those of the schema."""

    def speechless(*_: object) -> None:
        raise TypeError

    monkeypatch.setattr("nbformat.validator.iter_validate", speechless)
    value = notebook([{**cell("x"), "cell_type": "odd"}])
    (message,) = said(to_bytes(value))
    assert message.startswith("not a valid notebook: data.cells[0]")
