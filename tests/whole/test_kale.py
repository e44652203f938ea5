"""Kale 2.3.0 itself reads what we wrote."""

import json
import shutil
from pathlib import Path

import pytest
from kale_oracle import seen

from kale_tag.cli import main

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def test_kale_reads_the_examples(kale: Path, tmp_path: Path) -> None:
    """Kale finds the steps and dependencies that the specs of the examples give."""
    copy = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", copy)
    assert main(["apply", f"{copy}/hello/hello.yaml", f"{copy}/hello/hello.ipynb"]) == 0
    for name in ("parameters", "team", "composition"):
        assert main(["apply", f"{copy}/{name}", "-q"]) == 0

    names = [
        "hello/hello",
        "parameters/parameters",
        "team/sales/daily_report",
        "team/sales/weekly_report",
        "team/support/ticket_stats",
        "composition/composition",
    ]
    pipelines = seen(kale, *(copy / f"{name}.ipynb" for name in names))

    assert [one.get("error") for one in pipelines] == [None] * len(names)
    steps = [
        {step["name"]: sorted(step["prev"]) for step in pipeline["steps"]} for pipeline in pipelines
    ]
    report = {"load": [], "summarise": ["load"], "publish": ["summarise"]}
    assert steps == [
        {"collect": [], "summarise": ["collect"]},
        {
            "load_orders": [],
            "summarise": ["load_orders"],
            "recommend": ["load_orders", "summarise"],
        },
        report,
        report,
        {"load": [], "summarise": ["load"], "alert": ["summarise"]},
        {"prepare": [], "train": ["prepare"], "predict": ["prepare", "train"]},
    ]
    assert [pipeline["pipeline_name"] for pipeline in pipelines] == [
        "hello",
        "corner-cafe",
        "sales-daily-report",
        "sales-weekly-report",
        "support-ticket-stats",
        "spring",
    ]


def test_kale_reads_every_setting(kale: Path, tmp_path: Path) -> None:
    """Limits, labels, annotations, secrets, image, cache and report arrive at Kale's step."""
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "version: 1\n"
        "pipeline: {pipeline_name: p, experiment_name: e, base_image: 'python:3.12',\n"
        "  volumes: [{name: data, mount_point: /data, type: pvc}],\n"
        "  steps_defaults: {labels: {team: ml}}}\n"
        "cells:\n"
        "  - source: x\n"
        "    step: train\n"
        "    limits: {nvidia.com/gpu: 1, memory: 2Gi}\n"
        "    labels: {tier: gold}\n"
        "    annotations: {owner: me}\n"
        "    secrets: {PASSWORD: db/password}\n"
        "    image: reg.io:5000/a/b:1\n"
        "    cache: disabled\n"
        "    report: disabled\n"
    )
    notebook = tmp_path / "a.ipynb"
    cell = {"cell_type": "code", "metadata": {}, "source": ["x = 1"], "outputs": []}
    value = {
        "cells": [{**cell, "execution_count": None}],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    notebook.write_text(json.dumps(value))
    assert main(["apply", str(spec), str(notebook), "-q"]) == 0

    (pipeline,) = seen(kale, notebook)

    assert pipeline["ok"], pipeline
    config = pipeline["steps"][0]["config"]
    assert config["limits"] == {"nvidia.com/gpu": "1", "memory": "2Gi"}
    assert config["labels"] == {"tier": "gold", "team": "ml"}
    assert config["annotations"] == {"owner": "me"}
    assert config["secrets"] == {"PASSWORD": {"secret_name": "db", "secret_key": "password"}}
    assert config["base_image"] == "reg.io:5000/a/b:1"
    assert config["enable_caching"] is False
    assert config["generate_html_report"] is False
