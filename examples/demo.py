"""Plan and apply every example on copies, show what `git diff` would show, and run a training.

    python examples/demo.py FOLDER

What it prints are the commands that a person would type.
"""

import difflib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SPECS = ("hello/hello.yaml", "wine/wine.yaml", "parameters/parameters.yaml", "churn/churn.yaml")
FOLDERS = ("team", "composition")


def main(folder: Path) -> int:
    """Run the demo in *folder*; the exit code."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("*.py", "README.md", "docs"))
    before = {path: path.read_text("utf-8") for path in sorted(folder.rglob("*.ipynb"))}
    for spec in SPECS:
        notebook = spec.replace(".yaml", ".ipynb")
        _kale_tag("plan", spec, notebook, at=folder)
        _kale_tag("apply", spec, notebook, at=folder)
    for name in FOLDERS:
        _kale_tag("plan", name, at=folder)
        _kale_tag("apply", name, at=folder)
    lines = _changed_lines(before)
    print(f"\n{len(before)} notebooks in {folder}: {lines} changed lines, and not one of noise.")
    print(f"Have a look: diff {HERE}/hello/hello.ipynb {folder}/hello/hello.ipynb")
    _kale_tag("graph", "churn/churn.ipynb", at=folder)
    _kale_tag("run", "churn/churn.ipynb", "--compare", "--report", "churn.html", at=folder)
    print(f"\nThe page of that run: {folder}/churn.html")
    return 0


def _kale_tag(*words: str, at: Path) -> None:
    print(f"\n$ kale-tag {shlex.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "kale_tag", *words], cwd=at, check=True)


def _changed_lines(before: dict[Path, str]) -> int:
    count = 0
    for path, old in before.items():
        new = path.read_text("utf-8")
        diff = difflib.unified_diff(old.splitlines(), new.splitlines(), n=0)
        count += sum(line[:1] in "+-" and line[:3] not in {"+++", "---"} for line in diff)
    return count


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo")))
