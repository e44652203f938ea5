"""What the benchmarks make of the times that they measured."""

import runpy
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_growth_on_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long notebook that seems faster than the shortest one is no reason to fail."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    row = runpy.run_path(str(BENCHMARKS / "growth.py"))["row"]
    assert row("check", [0.4, 0.5, 0.8, 1.4]).split() == (
        ["check", "0.10", "0.40", "1.00", "n^1.00", "n^1.00"]
    )
    assert row("check", [0.4, 0.3, 0.4, 0.5]).split()[1:4] == ["0.01", "0.01", "0.10"]
