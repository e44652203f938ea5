"""Runs the documents under pipelines/: notebooks, and the pipelines or faults they make.

A document is Markdown: `python` blocks are notebooks in percent form (see `notebooks.py`), one
`nb.ipynb`, others with their path behind `python`; a `json` block holds the options of `compile`;
the `text` block that follows says what comes of it. `pytest --update` writes these; read the diff.
"""

import re
from pathlib import Path

import pytest
from cases import BLOCK
from pipelines_of import DOCUMENTS, in_words, options_of

from kale_tag.kale.settings import CompileOptions


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_pipelines(document: Path, request: pytest.FixtureRequest) -> None:
    """Each notebook of the document makes the pipeline that it shows."""
    text = document.read_text("utf-8")
    notebook, options, shown = "", CompileOptions(), 0
    others: dict[str, str] = {}
    local: tuple[str, ...] = ()

    def made(block: re.Match[str]) -> str:
        nonlocal notebook, others, options, local, shown
        language, _, name = block["info"].strip().partition(" ")
        if language == "python":
            if name:
                others[name] = block["body"]
            else:
                notebook = block["body"]
        elif language == "json":
            options, local = options_of(block["body"])
        elif language == "text":
            shown += 1
            said = in_words(notebook, options, others, local)
            notebook, others, options, local = "", {}, CompileOptions(), ()
            return f"{block['fence']}text\n{said}{block['fence']}\n"
        return block[0]

    result = BLOCK.sub(made, text)
    if request.config.getoption("--update"):
        document.write_text(result, "utf-8")
    assert shown, "a document without a text block shows nothing"
    assert result == text
