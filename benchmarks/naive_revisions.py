"""The script that people write instead: each notebook of both commits through `git show`, nbformat.

python benchmarks/naive_revisions.py A B
"""

import subprocess
import sys
import warnings

import nbformat


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], check=True, capture_output=True)
    return done.stdout.decode()


def tags(revision: str, name: str) -> list[list[str]]:
    notebook = nbformat.reads(git("show", f"{revision}:{name}"), as_version=4)
    return [cell.metadata.get("tags", []) for cell in notebook.cells]


def main() -> None:
    warnings.simplefilter("ignore")
    before, after = sys.argv[1:]
    changed = 0
    for name in git("diff", "--name-only", before, after, "--", "*.ipynb").splitlines():
        pairs = zip(tags(before, name), tags(after, name), strict=True)
        changed += sum(old != new for old, new in pairs)
    print(f"{changed} cells")


if __name__ == "__main__":
    main()
