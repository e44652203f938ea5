"""Kale 2.3.0 and we on every tagged notebook of the corpus: the same, but for what is listed."""

import contextlib
import json
import os
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from kale_oracle import ORACLE
from kale_words import compare, in_kales_words
from pipelines_of import build_pipeline

from kale_tag.diagnostics import Label, UserError
from kale_tag.kale.pipeline import Pipeline, Step
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook

pytestmark = pytest.mark.slow

DIFFERENCES: dict[str, list[str]] = {
    # A step that only reads a variable does not give it again: who bound it does.
    "*candies_sharing*": ["kid2 outs -kid1"],
    "*digit*recognizer*orig*": ["modeling outs -X_test -y_test"],
    "*telco-customer-churn-kale*": ["catboost_modeling outs -y_test"],
    # The step that computes a metric reports it, not the last one that reads it.
    "Ya-shh*candies_sharing*": [
        "kid1 metrics +kid1",
        "kid2 metrics +kid2",
        "kid3 metrics -kid1 -kid2",
    ],
    # A slice of an array is a view of it, and travels with it.
    "*dog-breed.ipynb": ["detect_dogs ins +train_files", "detect_dogs outs +train_files"],
    "*dog-breed__at*": ["detect_dogs ins +train_files", "detect_dogs outs +train_files"],
    # A step takes the parameters that it uses, not those of functions that it does not call.
    "*digit-recognizer-kale*": [
        "modeling outs -X_test -y_test",
        "prediction params -BATCH_SIZE -CONV_DIM1 -CONV_DIM2 -EPOCHS -LR",
    ],
    "*taxicab_pipeline.ipynb": [
        "train outs -trns_output",
        "eval params -HIDDEN_LAYER_SIZE -STEPS",
        "result params -HIDDEN_LAYER_SIZE -STEPS",
    ],
    "*taxicab_pipeline__at*": ["result params -HIDDEN_LAYER_SIZE -STEPS"],
    "*dog-breed-v2*": [
        "data_processing params -BATCH_SIZE -IMG_SIZE",
        "custom_evaluation params -LR -NUMBER_OF_NODES",
        "vgg16_evaluation params -LR",
        "renet50_evaluation params -EPOCHS -LR",
    ],
    # Data frames of a `functions` cell that steps change: what they change goes on, as in the
    # notebook. With Kale each step reads the files again and `featureengineering` has no columns.
    "*titanic_dataset_ml__at-c69f8ea8*": [
        "datapreprocessing outs +test_df +train_df",
        "dataconversion ins +test_df +train_df",
        "dataconversion outs +test_df +train_df",
        "featureengineering ins +test_df +train_df",
        "featureengineering outs +train_df",
        "randomforest ins +train_df",
        "logisticregression ins +train_df",
        "naivebayes ins +train_df",
        "svm ins +train_df",
        "decisiontree ins +train_df",
    ],
}
"""Patterns of names, and the lines that may differ there."""

REFUSED = {
    "*base_example_pytorch__at-9652ec84*": "undefined-name",  # a variable of an untagged cell
    "*dog-breed-v2__at-beb3b7f6*": "undefined-name",  # a function of a cell tagged `skip`
    "*base__Example__at-72dedc4f*": "undefined-name",  # steps without `prev`
}
"""What Kale compiles, and what would fail in the pod."""


def _tags(notebook: Path) -> list[str]:
    try:
        cells = json.loads(notebook.read_text("utf-8")).get("cells", [])
    except ValueError:
        return []
    listed = [one.get("metadata", {}).get("tags") or [] for one in cells]
    return [tag for tags in listed for tag in tags if isinstance(tag, str)]


def _ours(path: Path) -> Pipeline:
    """Our pipeline, with `block:` read as `step:` as `--retag` does.

    Volumes that a package cannot make are taken out: Kale passes over them, we refuse.
    """
    value = json.loads(path.read_text("utf-8"))
    settings = value["metadata"].get("kubeflow_notebook", {})
    if "volumes" in settings:
        settings["volumes"] = [one for one in settings["volumes"] if one.get("type") == "pvc"]
    for cell in value["cells"]:
        tags = cell.get("metadata", {}).get("tags")
        if tags:
            cell["metadata"]["tags"] = [
                f"step:{tag[6:]}" if tag.startswith("block:") else tag for tag in tags
            ]

    def load(other: str, _: Label) -> Notebook:
        return read_notebook(Path(other).read_bytes(), other)

    notebook = read_notebook(json.dumps(value).encode(), str(path))
    return build_pipeline(notebook, CompileOptions(), load)


def _blocks(pipeline: Pipeline) -> dict[str, list[str]]:
    # Without imports that a step repeats; Kale reads no magics, so all other code is as written.
    return {
        step.name: [
            one.source.strip()
            for one in step.code
            if one.kind == "step" and one.python.strip() == one.source.strip()
        ]
        for step in pipeline.steps
        if isinstance(step, Step)
    }


def test_the_corpus(kale: Path, corpus: Path) -> None:
    """Steps, their cells, order, edges, parameters with values, and the variables between steps."""
    notebooks = [
        path
        for path in sorted(corpus.glob("*.ipynb"))
        if any(tag.startswith(("step:", "block:")) for tag in _tags(path))
    ]
    options = ["--compact", "--strip", "--retag"]
    done = subprocess.run(
        [kale, ORACLE, *options, *notebooks],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert len(found) == len(notebooks) > 50

    same, wrong, used = 0, {}, set()
    for path, theirs in zip(notebooks, found, strict=True):
        if not theirs["ok"]:
            with contextlib.suppress(UserError):  # a pipeline, or faults: never a traceback
                _ours(path)
            continue
        same += 1
        refused = [code for name, code in REFUSED.items() if fnmatch(path.name, name)]
        if refused:
            with pytest.raises(UserError) as raised:
                _ours(path)
            assert {one.code for one in raised.value.diagnostics} == set(refused)
            continue
        pipeline = _ours(path)
        ours = in_kales_words(pipeline)
        assert ours["parameters"] == theirs["parameters"], path.name
        allowed = {
            (name, line)
            for name, lines in DIFFERENCES.items()
            if fnmatch(path.name, name)
            for line in lines
        }
        differences = compare(ours["steps"], theirs["steps"])
        used |= {entry for entry in allowed if entry[1] in differences}
        if more := set(differences) - {line for _, line in allowed}:
            wrong[path.name] = more
        blocks = {step["name"]: step["source"] for step in theirs["steps"]}
        assert _blocks(pipeline) == {
            name: [one.strip() for one in source] for name, source in blocks.items()
        }, path.name

    assert wrong == {}
    assert same > 50
    every = {(name, line) for name, lines in DIFFERENCES.items() for line in lines}
    assert used == every, "a line of the table that no notebook needs"
