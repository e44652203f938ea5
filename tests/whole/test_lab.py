"""What JupyterLab with Kale 2.3 writes, kale-tag writes.

The notebooks in `lab/` were made by clicks in JupyterLab 4.6 with Kale's panel; each spec says
which clicks. The panel also puts an empty `"tags": []` on cells that nobody touched: noise, and the
only thing taken out of the goldens. And it gives an empty cell that becomes a reference two lines
of comment: code, which kale-tag never writes, so they are put into the input.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from notebooks import to_bytes

from kale_tag.cli import main

LAB = Path(__file__).parent / "lab"


def _golden(name: str) -> Any:
    value = json.loads((LAB / f"{name}.ipynb").read_bytes())
    for cell in value["cells"]:
        if cell["metadata"].get("tags") == []:
            del cell["metadata"]["tags"]
    return value


def _input(name: str, golden: Any) -> Any:
    value = json.loads((LAB / f"{name}.ipynb").read_bytes())
    for cell, wanted in zip(value["cells"], golden["cells"], strict=True):
        if not cell["source"]:
            cell["source"] = wanted["source"]
    return value


@pytest.mark.parametrize(
    ("start", "golden"),
    [
        ("untagged", "ui_minimal"),
        ("untagged", "ui_full"),
        ("composition_untagged", "ui_composition"),
    ],
)
def test_writes_what_the_panel_writes(start: str, golden: str, tmp_path: Path) -> None:
    """From the untagged notebook a spec makes, byte for byte, what the panel made by clicks."""
    wanted = _golden(golden)
    notebook = tmp_path / f"{golden}.ipynb"
    notebook.write_bytes(to_bytes(_input(start, wanted)))

    assert main(["apply", str(LAB / f"{golden}.yaml"), str(notebook), "-q"]) == 0

    assert notebook.read_bytes() == to_bytes(wanted)


@pytest.mark.parametrize("golden", ["ui_minimal", "ui_full", "ui_composition"])
def test_leaves_what_the_panel_wrote(golden: str, tmp_path: Path) -> None:
    """A notebook as the panel wrote it is as its spec says, empty `tags` and all."""
    notebook = tmp_path / f"{golden}.ipynb"
    notebook.write_bytes((LAB / f"{golden}.ipynb").read_bytes())

    assert main(["apply", str(LAB / f"{golden}.yaml"), str(notebook), "-q"]) == 0

    assert notebook.read_bytes() == (LAB / f"{golden}.ipynb").read_bytes()
