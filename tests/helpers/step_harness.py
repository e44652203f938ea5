"""Runs the program of a step as the launcher of Kubeflow Pipelines does."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kale_tag.compiler.step_command import load_runtime

PYTHONS = {
    version: str(path)
    for version in ("3.9", "3.10", "3.12", "3.13", "3.14")
    for path in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
}
"""Other Pythons of this machine, by version."""

RUNTIME = load_runtime()

Cell = Sequence[str]
"""The source of a cell, or its kind and source."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a step left: its exit code, its log, its output file, the text of its report."""

    code: int
    out: str
    err: str
    artifacts: Mapping[str, Any]
    report: str

    @property
    def log(self) -> str:
        """Standard output and error."""
        return self.out + self.err

    def metadata(self, name: str) -> Any:
        """The metadata of one output artifact."""
        return self.artifacts[name].get("metadata")


def command(
    folder: Path,
    cells: Sequence[Cell],
    *,
    name: str = "train",
    params: Mapping[str, tuple[str, object]] | None = None,
    ins: Mapping[str, Any] | None = None,
    outs: Sequence[str] = (),
    metrics: Mapping[str, str] | None = None,
    python: str = sys.executable,
    spec: Mapping[str, object] | None = None,
    uri: str = "",
) -> list[str]:
    """The command line of a step; a cell is its source, or its kind and source.

    *ins* are artifacts that an earlier step left.
    """
    pairs = [("step", cell) if isinstance(cell, str) else cell for cell in cells]
    text, rows = "", []
    for number, (kind, cell) in enumerate(pairs):
        source = cell.rstrip("\n") + "\n"
        text += f"# %% {kind}, cell {number}\n{source}"
        rows.append([kind, number, source.count("\n")])
    full: dict[str, object] = {
        "step": name,
        "notebook": "churn.ipynb",
        "cells": rows,
        "params": {key: kind for key, (kind, _) in (params or {}).items()},
        "in": list(ins or ()),
        "out": list(outs),
        "metrics": dict(metrics or {}),
        "report": "kale_tag_report",
        **(spec or {}),
    }
    full = {key: value for key, value in full.items() if value not in ({}, [])}
    names = full.get("names", {})
    assert isinstance(names, dict)
    made = [names.get(out, out) for out in outs]
    made += ["kale_tag_report"] if "report" in full else []
    made += ["kale_tag_metrics"] if metrics else []
    given = {
        "inputs": {
            "parameterValues": {
                names.get(key, key): value for key, (_, value) in (params or {}).items()
            },
            "artifacts": {
                names.get(key, key): {"artifacts": [artifact]}
                for key, artifact in (ins or {}).items()
            },
        },
        "outputs": {
            "artifacts": {
                key: {
                    "artifacts": [
                        {
                            "name": key,
                            "type": {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"},
                            "uri": f"{uri or folder}/out/{key}",
                            "metadata": {},
                        }
                    ]
                }
                for key in made
            },
            "outputFile": str(folder / "meta" / "output_metadata.json"),
        },
    }
    spec_text = json.dumps(full)
    runtime = RUNTIME.for_step(text, full)
    return [python, "-u", "-c", runtime, spec_text, json.dumps(given), text]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a step."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return {**kept, **(extra or {})}


def result(folder: Path, ended: subprocess.CompletedProcess[bytes]) -> Ran:
    """What a step that has *ended* left in *folder*."""
    file, report = folder / "meta" / "output_metadata.json", folder / "out" / "kale_tag_report"
    made = json.loads(file.read_text("utf-8"))["artifacts"] if file.exists() else {}
    return Ran(
        ended.returncode,
        ended.stdout.decode("utf-8", "replace"),
        ended.stderr.decode("utf-8", "replace"),
        {key: value["artifacts"][0] for key, value in made.items()},
        report.read_text("utf-8") if report.exists() else "",
    )


def run(
    folder: Path, cells: Sequence[Cell], *, env: Mapping[str, str] | None = None, **rest: Any
) -> Ran:
    """Run a step in *folder*, which is made; `command` says what may be given."""
    folder.mkdir(exist_ok=True, parents=True)
    ended = subprocess.run(
        command(folder, cells, **rest),
        capture_output=True,
        env=environment(env),
        cwd=folder,
        timeout=300,  # a busy machine takes a minute to import Keras
        check=False,
    )
    return result(folder, ended)


def taken(ran: Ran, *names: str) -> dict[str, Any]:
    """Outputs of one step, as inputs of another."""
    return {name: ran.artifacts[name] for name in names}


def words(report: str) -> str:
    """The text of a report."""
    return re.sub(r"<style>.*?</style>|<[^>]+>", "", report, flags=re.DOTALL)
