"""Kale 2.3.0 itself: what it reads in notebooks, and why it refuses them."""

import fcntl
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ORACLE = ROOT.parent / "shared" / "oracle" / "kale_ir.py"
KALE = "kubeflow-kale==2.3.0"

OTHER_REASONS = re.compile(
    r"SyntaxError|IndentationError|Flakes reported|primitive|single variable assignments|None value"
    r"|must be comprised|just print statements|could not find a notebook|consumes '"
    r"|Cycle detected in the composition|is expected to (?:produce|consume)"
)
"""What Kale says where code is wrong, or a file is missing: nothing that tags could mend."""


def python_with_kale() -> Path:
    """A Python that has Kale 2.3.0, in a virtual environment that is made when it is needed."""
    if not ORACLE.exists():
        pytest.skip("the oracle is not beside the project")
    home = Path(os.environ.get("KALE_TAG_KALE", ROOT / ".venv-kale"))
    python = home / "bin" / "python"
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:  # tests run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "ready").exists():
            subprocess.run([sys.executable, "-m", "venv", home], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", KALE], check=True)
            (home / "ready").touch()
    return python


def seen(kale: Path, *notebooks: Path) -> list[dict[str, Any]]:
    """The pipelines that Kale sees in notebooks."""
    done = subprocess.run(
        [kale, ORACLE, "--compact", *notebooks], capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)
    return found if isinstance(found, list) else [found]
