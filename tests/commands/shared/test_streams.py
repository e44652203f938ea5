"""Output is not the work: what becomes of standard streams never changes what is written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from notebooks import from_percent

KALE_TAG = f"{sys.executable} -m kale_tag"
COUNT = 40
ALL = f"{COUNT} changed"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A spec that changes each of many notebooks."""
    (tmp_path / "s.yaml").write_text("version: 1\ncells: [{source: x, tag: skip}]\n")
    for number in range(COUNT):
        (tmp_path / f"a{number}.ipynb").write_bytes(from_percent("# %%\nx = 1\n"))
    return tmp_path


def changed(folder: Path) -> int:
    """How many notebooks are tagged."""
    return sum(b'"skip"' in path.read_bytes() for path in folder.glob("*.ipynb"))


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command run by bash; its exit code is that of kale-tag."""
    words = ["bash", "-c", f"{command.replace('kale-tag', KALE_TAG)}; exit ${{PIPESTATUS[0]}}"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("command", "lost"),
    [
        ("kale-tag apply -v s.yaml . | head -1", ""),
        ("kale-tag apply s.yaml . --jobs 2 -v | head -1", ""),
        ("kale-tag apply s.yaml . --all-or-nothing -v | true", ""),
        ("kale-tag apply s.yaml . >/dev/full", "no space left on device"),
        ("kale-tag apply s.yaml . >&-", "bad file descriptor"),
        ("kale-tag apply s.yaml . 2>&-", ""),
        ("kale-tag apply s.yaml . 2>/dev/full", ""),
        ("kale-tag apply s.yaml . <&-", ""),
        ("kale-tag apply s.yaml . <&- >&- 2>&-", ""),
    ],
)
def test_the_work_is_done(folder: Path, command: str, lost: str) -> None:
    """Every notebook is changed, exit code 0; what is lost is said where it can be."""
    done = shell(command, folder)

    assert done.returncode == 0
    assert changed(folder) == COUNT
    assert ("error[not-written]: cannot write standard output" in done.stderr) == bool(lost)
    assert lost in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("kale-tag apply s.yaml - <a0.ipynb >/dev/full", 2),
        ("kale-tag apply s.yaml - <a0.ipynb >&-", 2),
        ("kale-tag apply s.yaml - <&-", 2),
        ("kale-tag plan s.yaml . >/dev/full", 2),
        ("kale-tag schema >/dev/full", 2),
        ("kale-tag schema | true", 0),
        ("kale-tag schema s.yaml", 2),
        ("kale-tag apply s.yaml . --interactive <&-", 0),
        ("mkdir gone; cd gone; rmdir ../gone; kale-tag plan ../s.yaml ../a0.ipynb", 2),
    ],
)
def test_what_is_only_printed(folder: Path, command: str, code: int) -> None:
    """Where the output is the work, losing it is an error; no case is a bug of ours."""
    done = shell(command, folder)

    assert done.returncode == code
    assert changed(folder) == 0
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) == bool(code)


SIGNALS = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]
WAYS = ["--jobs=2", "--all-or-nothing", "-q"]


@pytest.mark.parametrize(
    ("number", "option"),
    [
        pytest.param(number, way, marks=[pytest.mark.slow] * (SIGNALS.index(number) != at))
        for at, way in enumerate(WAYS)
        for number in SIGNALS
    ],
)
def test_interrupted(folder: Path, number: signal.Signals, option: str) -> None:
    """Each signal ends the work as Ctrl-C does: no half notebook, no litter, no traceback."""
    large = from_percent("# %%\nx = 1\n" + "# %%\ny = 2\n" * 2000)
    for path in folder.glob("*.ipynb"):
        path.write_bytes(large)
    process = subprocess.Popen(
        [sys.executable, "-m", "kale_tag", "apply", "s.yaml", ".", option],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    while process.poll() is None and not changed(folder) and not list(folder.glob(".*")):
        time.sleep(0.02)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=60)

    assert process.returncode in {0, 130}
    assert "Traceback" not in err
    assert list(folder.glob(".*.tmp")) == []
