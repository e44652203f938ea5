"""The lints against Kale 2.3.0 itself: what it refuses is an error, what is no error it takes."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import BLOCK, CASES
from kale_oracle import OTHER_REASONS, seen
from notebooks import cell, from_percent, notebook, to_bytes

from kale_tag.diagnostics import UserError
from kale_tag.kale.checks import lint
from kale_tag.kale.view import TaggedNotebook
from kale_tag.notebook.read import read_notebook
from kale_tag.rules.registry import pages

pytestmark = pytest.mark.slow

REFUSED = {
    *("unknown-tag", "legacy-tag", "foreign-tag", "bad-tags", "two-steps", "no-step"),
    *("prev-without-step", "setting-without-step", "unknown-prev", "later-prev", "cycle"),
    *("step-after-metrics", "reference-without-path", "code-in-reference", "duplicate-name"),
    *("code-after-reference", "unknown-setting", "invalid-setting"),
}
"""The lints of what Kale refuses; the others are of what it silently gets wrong."""

FIRST_ONE = re.compile(r"has the tags .*`notebook:")
"""Of two references, or a reference and a step, Kale silently takes the first reference."""

STRICTER = re.compile(r"the pipeline name is empty")
"""Of a pipeline without a name, KFP takes that of the function that Kale writes: one for all."""


def corpus_notebooks(corpus: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(corpus.glob("*.ipynb")):
        yield path.name, path.read_bytes()


def shown_notebooks() -> Iterator[tuple[str, bytes]]:
    """The notebooks of the cases and of the docs."""
    texts = {path.stem: path.read_text("utf-8") for path in CASES.glob("check/*.md")}
    texts |= {code: page.bad + "\n" for code, page in pages().items()}
    for name, text in texts.items():
        for number, block in enumerate(BLOCK.finditer(text)):
            if block["info"].startswith("python "):
                yield f"{name}-{number}.ipynb", from_percent(block["body"])


TAGS = [
    *("skip", "imports", "functions", "pipeline-metrics", "step:a", "step:b", "step:c", "step:"),
    *("prev:a", "prev:b", "prev:c", "prev:d", "limit:nvidia.com/gpu:1", "label:x:y", "image:i:1"),
    *("step:imports", "step:A", "prev:", "cache:enabled", "report:maybe", "parameters", "slow"),
    *("block:a", "secret:s:k:E", "annotation:a:b:c", "limit:CPU:1", "notebook:sub", "notebook:"),
]
SETTINGS = {"pipeline_name": "p", "experiment_name": "e"}


def random_notebooks(count: int) -> Iterator[tuple[str, bytes]]:
    """Small notebooks whose tags are anything; half of them are nearly right."""
    chance = random.Random(4)
    for number in range(count):
        tags = TAGS if number % 2 else TAGS[:15]
        cells = []
        for at in range(chance.randint(1, 5)):
            made = chance.choices(tags, k=chance.choice([0, 1, 1, 2, 3]))
            if number % 4 < 2 and at < 2:
                made = [f"step:{'ab'[at]}", *made]
            metadata: dict[str, Any] = {"tags": made} if made else {}
            if "notebook:sub" in made and chance.random() < 0.8:
                metadata["notebook_path"] = "sub.ipynb"
            source = "" if "notebook:sub" in made and chance.random() < 0.8 else "x = 1"
            cells.append(cell(source, metadata=metadata))
        yield f"random-{number}.ipynb", to_bytes(notebook(cells, kubeflow_notebook=SETTINGS))


def disagreements(
    kale: Path, folder: Path, given: Iterator[tuple[str, bytes]]
) -> tuple[int, list[str]]:
    """How many notebooks were compared, and where Kale and the lints do not agree."""
    sub = notebook([cell("x = 1", metadata={"tags": ["step:one"]})], kubeflow_notebook=SETTINGS)
    for name in ("sub", "prepare", "publish", "other", "train", "report", "a", "b"):
        (folder / f"{name}.ipynb").write_bytes(to_bytes(sub))
    codes: dict[str, set[str]] = {}
    refused: dict[str, set[str]] = {}
    for name, data in given:
        try:
            diagnostics = [*lint(read_notebook(data, name))]
        except UserError:
            continue
        if not TaggedNotebook(read_notebook(data, name)).has_kale_tags:
            continue  # nobody means it to be a pipeline; Kale says that there is no step in it
        path = folder / name
        path.write_bytes(data)
        errors = [diagnostic for diagnostic in diagnostics if diagnostic.severity != "warning"]
        codes[name] = {diagnostic.code for diagnostic in errors}
        silent = any(
            FIRST_ONE.search(one.message) or STRICTER.search(one.message) for one in errors
        )
        refused[name] = set() if silent else codes[name] & REFUSED
        if "ignored-tag" in codes[name]:  # a `prev` that Kale does not read; `compile` does
            refused[name] -= {"unknown-prev", "later-prev", "cycle"}
    found = []
    for said in seen(kale, *(folder / name for name in codes)):
        name = said["notebook"]
        diagnostic = said.get("error")
        why = f"{diagnostic['type']}: {diagnostic['message']}" if diagnostic else ""
        if why and not codes[name] and not OTHER_REASONS.search(why):
            found.append(f"{name}: Kale refuses ({why}), we do not")
        elif not why and refused[name]:
            found.append(f"{name}: we refuse ({refused[name]}), Kale does not")
    return len(codes), found


def test_corpus(kale: Path, corpus: Path, tmp_path: Path) -> None:
    """Real notebooks, most of them of Kale 0.x."""
    count, found = disagreements(kale, tmp_path, corpus_notebooks(corpus))
    assert "\n".join(found) == ""
    assert count > 70


def test_cases_and_docs(kale: Path, tmp_path: Path) -> None:
    """What the cases and the docs show."""
    count, found = disagreements(kale, tmp_path, shown_notebooks())
    assert "\n".join(found) == ""
    assert count > 60


def test_any_tags(kale: Path, tmp_path: Path) -> None:
    """Tags at random, in any order."""
    count, found = disagreements(kale, tmp_path, random_notebooks(400))
    assert "\n".join(found) == ""
    assert count > 350


def test_repaired_corpus(kale: Path, corpus: Path, tmp_path: Path) -> None:
    """Real notebooks with the tags of Kale 2, so that more than the first fault is looked at."""

    def repaired() -> Iterator[tuple[str, bytes]]:
        for name, data in corpus_notebooks(corpus):
            try:
                value = json.loads(data.decode("utf-8-sig"))
            except ValueError:
                continue
            settings = value.get("metadata", {}).get("kubeflow_notebook")
            if not isinstance(settings, dict) or "cells" not in value:
                continue
            value["metadata"]["kubeflow_notebook"] = SETTINGS
            text = json.dumps(value).replace('"block:', '"step:')
            yield name, text.encode()

    count, found = disagreements(kale, tmp_path, repaired())
    assert "\n".join(found) == ""
    assert count > 70
