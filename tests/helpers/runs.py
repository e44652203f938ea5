"""`kale-tag run` on notebooks of a few lines, for tests."""

import contextlib
import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from notebooks import from_percent

from kale_tag.cli import main
from kale_tag.run.run_record import RunOutcome, read_run

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended: exit code, what was printed, and the record in its folder."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def record(self) -> RunOutcome:
        """The record."""
        found = read_run(str(self.folder))
        assert found is not None, self.err
        return found

    @property
    def states(self) -> dict[str, str]:
        """The state of each step."""
        return {step.title: step.state for step in self.record.steps}

    def log(self, step: str) -> bytes:
        """What a step printed."""
        return (self.folder / "logs" / f"{step}.log").read_bytes()

    def value(self, step: str, name: str) -> bytes:
        """The artifact of a variable."""
        return (self.folder / "artifacts" / step / name).read_bytes()


def put(folder: Path, percent: str, name: str = "nb", **settings: Any) -> Path:
    """Write a notebook of that pipeline name into *folder*."""
    given = {"pipeline_name": name, "experiment_name": "x"} | settings
    text = f"# %metadata {json.dumps({'kubeflow_notebook': given})}\n{percent}"
    path = folder / f"{name}.ipynb"
    path.write_bytes(from_percent(text))
    return path


def environment(**more: str) -> dict[str, str]:
    """The environment of a kale-tag of this work tree."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, **more}


def command(*words: object) -> list[str]:
    """The words that start kale-tag as a process of its own."""
    return [sys.executable, "-m", "kale_tag", *map(str, words)]


def run(at: Path, *words: object, keep: str = "out", **environ: str) -> Ran:
    """`kale-tag run WORDS --keep KEEP` in the folder *at*; the steps are processes, it is not."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        contextlib.chdir(at),
        mock.patch.dict(os.environ, environ),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = main(["run", *map(str, words), *(["--keep", keep] if keep else [])])
    shown, told = (one.buffer.getvalue().decode(errors="replace") for one in (out, err))
    assert code in {0, 1, 2}, told
    return Ran(code, shown, told, at / keep if keep else newest(at))


def newest(at: Path) -> Path:
    """The folder of the last run below *at*."""
    return max((at / ".kale-tag" / "runs").glob("*/*"))


def alive(mark: str) -> list[int]:
    """The processes whose command line has *mark* in it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if mark in words and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found
