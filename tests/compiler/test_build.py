"""Runs the documents under pipelines/: notebooks, and the pipelines or faults they make.

A document is Markdown: `python` blocks are notebooks in percent form (see `notebooks.py`), one
`nb.ipynb`, others with their path behind `python`; a `json` block holds the options of `compile`;
the `text` block that follows says what comes of it. `pytest --update` writes these; read the diff.
"""

import json
import re
from pathlib import Path

import pytest
from pipelines_of import in_words

from kale_tag.kale.settings import CompileOptions, StepOptions

DOCUMENTS = sorted((Path(__file__).parent.parent / "pipelines").glob("*.md"))
BLOCK = re.compile(
    r"^(?P<fence>```+)(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=fence)\n", re.MULTILINE | re.DOTALL
)


def options_of(text: str) -> tuple[CompileOptions, tuple[str, ...]]:
    """The options that a `json` block holds, and the modules beside the notebook."""
    values = json.loads(text)
    local = tuple(values.pop("local", ()))
    steps = {name: StepOptions(**one) for name, one in values.pop("steps", {}).items()}
    return CompileOptions(steps=steps, **values), local


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
