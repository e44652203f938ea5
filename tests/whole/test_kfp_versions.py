"""Pipelines run with the oldest KFP SDK that we name, and with the newest there is."""

import subprocess
import sys
from pathlib import Path

import pytest
from runs import command, environment, put

ROOT = Path(__file__).parents[2]

NOTEBOOK = """
# %% tags=imports
import math
# %% tags=pipeline-parameters
count = 3
options = {"python3": [1, 2.5, True]}
# %% tags=step:load
rows = [math.sqrt(n) for n in range(count)]
text = "python3 {{$}} /kfp-workspace"
print(text, options)
# %% tags=step:train,prev:load
total = sum(rows)
assert text == "python" "3 {" "{$}} /kfp-" "workspace", text
# %% tags=pipeline-metrics
print(total)
"""


@pytest.mark.slow
@pytest.mark.parametrize("version", ["kfp==2.9.0", "kfp<3"])
def test_kfp(version: str, tmp_path: Path) -> None:
    """Runs, failing ones, a pipeline in a pipeline, and one that installs what it needs."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    packages = [version, "jinja2", "jsonpatch", "psutil", "pyyaml", "msgspec", "networkx", "rich"]
    packages += ["ruamel.yaml", "typer"]
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    path = put(tmp_path, NOTEBOOK)

    def kale_tag(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(python), *command(*words)[1:]],
            cwd=tmp_path,
            env=environment(PYTHONPATH=str(ROOT)),
            capture_output=True,
            text=True,
            check=False,
        )

    done = kale_tag("run", path.name, "-p", "count=5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "total  6.14626  (train)" in done.stdout
    again = kale_tag("run", path.name, "-p", "count=5", "--from", "train")
    assert "1 step done, 1 from an earlier run" in again.stdout, again.stderr
    put(tmp_path, NOTEBOOK.replace("total = ", "total = 1 / 0 + "))
    failed = kale_tag("run", path.name, "-p", "count=5", "--from", "train")
    assert failed.returncode == 1
    assert "ZeroDivisionError" in failed.stderr
    inner = kale_tag("run", ROOT / "examples" / "composition")
    assert inner.returncode == 0, inner.stdout + inner.stderr
    assert "5 steps done" in inner.stdout

    path = put(tmp_path, "# %% tags=step:load\nimport iniconfig\n", name="needs")
    missing = kale_tag("run", path.name)
    assert missing.returncode == 2
    assert f"help: {python} -m pip install iniconfig" in missing.stderr
    installed = kale_tag("run", path.name, "--install")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert kale_tag("run", path.name).returncode == 0
