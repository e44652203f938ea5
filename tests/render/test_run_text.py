"""What is said of steps and their logs."""

from types import SimpleNamespace
from typing import Any

import pytest

from kale_tag.render import run_text
from kale_tag.render.text import Style
from kale_tag.run.run_record import StepOutcome

CHAIN = b"""\
before
Traceback (most recent call last):
  File "a", line 1
KeyError: 1

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b", line 2
ValueError: 2
"""


@pytest.mark.parametrize(
    ("number", "words"), [(3.21, "3.2 s"), (100, "1 min 40 s"), (3725, "1 h 02 min")]
)
def test_times(number: float, words: str) -> None:
    """The larger a time, the coarser it is shown."""
    assert run_text.seconds(number) == words


def test_last_words() -> None:
    """A chain of exceptions is whole, and what is too long is cut in its middle."""
    assert run_text.last_words(CHAIN) == CHAIN.decode().removeprefix("before\n").rstrip()
    long = b"Traceback (most recent call last):\n" + b"".join(b"%d\n" % n for n in range(999))
    lines = run_text.last_words(long).split("\n")
    assert lines[0].startswith("Traceback")
    assert "[...]" in lines
    assert lines[-1] == "998"


def test_a_signal_without_a_name() -> None:
    """It has a number."""
    task: Any = SimpleNamespace(cells=(), notebook="nb.ipynb")
    step = StepOutcome("load", "load", "failed", code=-35)
    assert "killed by the signal 35" in run_text.failure(step, task, b"", "log", full=False).message


def test_a_place_that_the_notebook_has_not() -> None:
    """Code that gives itself the name of a cell has no place in it."""
    task: Any = SimpleNamespace(cells=(), notebook="nb.ipynb")
    step = StepOutcome("load", "load", "failed", code=1)
    log = b'Traceback (most recent call last):\n  File "nb.ipynb, cell 7", line 1\nValueError: 2\n'
    assert run_text.failure(step, task, log, "log", full=False).labels == ()


def test_attempts() -> None:
    """A step that was tried again says so."""
    step = StepOutcome("load", "load", "done", attempts=2)
    assert "attempt 2" in run_text.step_line(step, 4, Style(), plain=True, now=1.0)
