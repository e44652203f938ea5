"""Folders of runs, and what a run takes from an earlier one."""

import os
from pathlib import Path

import pytest

from kale_tag.run.reuse import Reuse, RunPlace, lay_ready
from kale_tag.run.run_record import Output, StepOutcome


def test_two_runs_in_one_second(tmp_path: Path) -> None:
    """Each has a folder of its own."""
    places = [RunPlace(str(tmp_path / "runs" / "now"), [], str(tmp_path)) for _ in range(3)]
    for place in places:
        place.open({})
    assert [os.path.basename(place.folder) for place in places] == ["now", "now-2", "now-3"]


def test_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files cannot be linked, they are copied; what has no file is left out."""

    def link(*_: str) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", link)
    (tmp_path / "old/artifacts/load").mkdir(parents=True)
    (tmp_path / "old/artifacts/load/x").write_bytes(b"1")
    outputs = tuple(Output(name) for name in ("x", "metrics"))
    step = StepOutcome("load", "load", "done", outputs=outputs)
    lay_ready(str(tmp_path / "new"), {"load": Reuse(step, str(tmp_path / "old"))})
    assert (tmp_path / "new/earlier/load/x").read_bytes() == b"1"
    assert not (tmp_path / "new/earlier/load/metrics").exists()
