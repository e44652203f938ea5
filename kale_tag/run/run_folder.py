"""The files of a run.

    run.json  package.yaml  report.html  logs/STEP.log  artifacts/STEP/NAME  kfp.log

While the pipeline runs, the artifacts are in work/, where KFP's runner puts them.
"""

import contextlib
import dataclasses
import glob
import hashlib
import json
import os
import shutil
from typing import Any

from kale_tag.compiler.read_package import PackageTask
from kale_tag.run.run_record import Output, RunOutcome, StepInputs, StepOutcome

RECORD = "run.json"
VERSION = 1


def read_run(folder: str) -> RunOutcome | None:
    """The run in *folder*, or None if there is none that can be read."""
    try:
        with open(os.path.join(folder, RECORD), encoding="utf-8") as file:
            value = json.load(file)
        return _run_of(value, folder) if value["version"] == VERSION else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_run(run: RunOutcome) -> None:
    """Write the record of *run* into its folder."""
    value = {"version": VERSION, "state": run.state, **dataclasses.asdict(run)}
    del value["folder"]
    path = os.path.join(run.folder, RECORD)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
    os.replace(f"{path}.new", path)


def earlier_runs(folder: str) -> list[RunOutcome]:
    """The runs in *folder*, the newest first."""
    paths = glob.glob(os.path.join(glob.escape(folder), "*", RECORD))
    runs = [run for path in paths if (run := read_run(os.path.dirname(path))) is not None]
    return sorted(runs, key=lambda run: run.started, reverse=True)


def work_of(folder: str, task: str) -> str:
    """The folder in which KFP's runner lets *task* write, "" before it exists."""
    found = glob.glob(os.path.join(glob.escape(folder), "work", "*", task))
    return found[0] if found else ""


def outputs_of(folder: str, task: PackageTask) -> tuple[Output, ...]:
    """The outputs of *task*, once it has ended. An incomplete file is removed."""
    work = work_of(folder, task.id)
    metadata: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
        with open(os.path.join(work, "executor_output.json"), encoding="utf-8") as file:
            given = json.load(file)["artifacts"]
        metadata = {name: one["artifacts"][0].get("metadata", {}) for name, one in given.items()}
    found = []
    for name in task.outputs:
        path = os.path.join(work, name)
        own = metadata.get(name, {})
        if name in task.variables and "sha256" not in own:
            with contextlib.suppress(OSError):
                os.remove(path)
            continue
        size = os.path.getsize(path) if work and os.path.isfile(path) else 0
        digest = own.get("sha256") or (digest_of(path) if size else "")
        if size or digest or own:
            found.append(Output(name, task.variables.get(name, ""), size, str(digest), own))
    return tuple(found)


def keep_artifacts(folder: str) -> None:
    """Move the artifacts of a run that has ended to their final folder."""
    for path in glob.glob(os.path.join(glob.escape(folder), "work", "*", "")):
        with contextlib.suppress(OSError):
            os.rename(path, os.path.join(folder, "artifacts"))
    for name in ("work", "earlier"):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    for path in glob.glob(
        os.path.join(glob.escape(folder), "artifacts", "*", "executor_output.json")
    ):
        os.remove(path)


def digest_of(path: str) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _run_of(value: dict[str, Any], folder: str) -> RunOutcome:
    steps = []
    for one in value["steps"]:
        outputs = tuple(Output(**output) for output in one["outputs"])
        given = one["given"] and StepInputs(**one["given"])
        steps.append(StepOutcome(**{**one, "outputs": outputs, "given": given}))
    return RunOutcome(
        value["pipeline"],
        folder,
        value["started"],
        value["seconds"],
        value["parameters"],
        tuple(steps),
    )
