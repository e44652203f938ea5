"""CPU time of `kale-tag diff` between two commits, against `git show` for each file and nbformat.

python benchmarks/revisions.py [DIR] [--notebooks 300] [--changed 60] [--rounds 5]

A repository of notebooks of DIR (or KALE_TAG_CORPUS); between its two commits some of them are
tagged anew. Both sides print how many cells differ in tags, and must agree.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys

from common import (
    HERE,
    contents,
    corpus,
    cpu_of_program,
    kale_tag,
    program_env,
    shuffled,
    workspace,
)

OURS = "kale-tag diff"
NAIVE = "git show, nbformat"
BARE = "python -c pass"


def git(*words: str, at: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=at, check=True, capture_output=True)


def repository(folder: str, found: list[bytes], count: int, changed: int) -> None:
    """Two commits: *count* notebooks, and *changed* of them with another tag on every code cell."""
    git("init", "-q", "-b", "main", at=folder)
    names = [f"{number:04}.ipynb" for number in range(count)]
    values = [json.loads(found[number % len(found)]) for number in range(count)]
    chosen = set(random.Random(3).sample(range(count), changed))
    for step in ("one", "two"):
        for number, (name, value) in enumerate(zip(names, values, strict=True)):
            for cell in value["cells"] if number in chosen else ():
                if cell["cell_type"] == "code":
                    cell["metadata"]["tags"] = [f"step:{step}"]
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                json.dump(value, file, indent=1, ensure_ascii=False)
        git("add", "-A", at=folder)
        git("commit", "-qm", step, at=folder)


def cells_changed(words: list[str], folder: str, env: dict[str, str]) -> int:
    text = subprocess.run(words, cwd=folder, env=env, capture_output=True, check=True).stdout
    if words[-1].endswith("json"):
        return sum(len(one["cells"]) for one in json.loads(text)["notebooks"])
    return int(text.split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dir", nargs="?")
    parser.add_argument("--notebooks", type=int, default=300)
    parser.add_argument("--changed", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with workspace() as folder:
        env = program_env(folder)
        tree = os.path.join(folder, "tree")
        os.mkdir(tree)
        repository(tree, contents(corpus(asked.dir)), asked.notebooks, asked.changed)
        commands = {
            OURS: [*kale_tag(), "diff", "HEAD~1", "HEAD"],
            NAIVE: [sys.executable, os.path.join(HERE, "naive_revisions.py"), "HEAD~1", "HEAD"],
            BARE: [sys.executable, "-c", "pass"],
        }
        told = {OURS: [*commands[OURS], "--format=json"], NAIVE: commands[NAIVE]}
        counts = {name: cells_changed(words, tree, env) for name, words in told.items()}
        assert counts[OURS] == counts[NAIVE] > 0, counts
        times: dict[str, list[float]] = {name: [] for name in commands}
        elapsed: dict[str, list[float]] = {name: [] for name in commands}
        os.chdir(tree)
        for number in range(asked.rounds):
            for name in shuffled(list(commands), number):
                cpu, wall, code = cpu_of_program(commands[name], env)
                assert code == 0, f"{name}: exit code {code}"
                times[name].append(cpu)
                elapsed[name].append(wall)
        os.chdir(HERE)
    print(f"{asked.notebooks} notebooks, {asked.changed} changed, {counts[OURS]} cells;", end=" ")
    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"{'':20}{'CPU ms':>8}{'x bare':>8}{'naive ÷':>9}{'elapsed ms':>12}")
    median = {name: statistics.median(values) for name, values in times.items()}
    for name, cpu in median.items():
        wall = statistics.median(elapsed[name])
        ratios = f"{cpu / median[BARE]:8.1f}{median[NAIVE] / cpu:9.1f}"
        print(f"{name:20}{cpu * 1e3:8.0f}{ratios}{wall * 1e3:12.0f}")


if __name__ == "__main__":
    main()
