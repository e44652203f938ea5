"""CPU time of whole commands on one notebook, as multiples of a bare Python.

python benchmarks/startup.py [DIR] [--rounds 15]

`-qv` is a command line that the short way of `cli` leaves to typer: the difference is what the
short way saves. The notebooks are the two of DIR (or KALE_TAG_CORPUS) nearest to 30 kB and 1.7 MB;
the larger one is grown from the smaller where DIR has none of its size.
"""

import argparse
import os
import random
import re
import statistics
import subprocess
import sys

from common import (
    SPEC,
    contents,
    corpus,
    cpu_of_program,
    grown,
    kale_tag,
    naive,
    program_env,
    shuffled,
    spread,
    workspace,
    write_all,
)

BARE = "python -c pass"
NAIVE = "naive script"
SIZES = {"30 kB": 30_000, "1.7 MB": 1_700_000}


def notebooks(folder: str) -> dict[str, bytes]:
    found = contents(folder)
    nearest = {
        label: min(found, key=lambda data, size=size: abs(len(data) - size))
        for label, size in SIZES.items()
    }
    if len(nearest["1.7 MB"]) < 1_000_000:
        nearest["1.7 MB"] = grown(nearest["30 kB"], SIZES["1.7 MB"], random.Random(1))
    return nearest


def measure(
    commands: dict[str, list[str]], data: bytes, path: str, env: dict[str, str], rounds: int
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 2):
        for name in shuffled(list(commands), number):
            write_all([path], [data])
            cpu, _, code = cpu_of_program(commands[name], env)
            assert code == 0, f"{name}: exit code {code}"
            if number > 1:  # the first two rounds compile and warm up
                times[name].append(cpu)
    return times


def imports(command: list[str], env: dict[str, str]) -> list[tuple[int, int, str]]:
    """What each import of *command* takes: alone, with what it imports, its name."""
    words = [command[0], "-X", "importtime", *command[1:]]
    text = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stderr
    found = re.findall(r"import time:\s+(\d+) \|\s+(\d+) \| +(\S+)", text)
    return [(int(own), int(total), name) for own, total, name in found]


def show_imports(command: list[str], env: dict[str, str]) -> None:
    runs = [imports(command, env) for _ in range(7)]
    names = [name for _, _, name in runs[0]]
    columns: dict[str, list[tuple[int, int]]] = {name: [] for name in names}
    for run in runs:
        for own, total, name in run:
            if name in columns:
                columns[name].append((own, total))
    median = {
        name: tuple(statistics.median(values) for values in zip(*pairs, strict=True))
        for name, pairs in columns.items()
    }
    whole = sum(own for own, _ in median.values())
    print(f"\nimports of plan: {len(names)} modules, {whole / 1e3:.1f} ms elapsed; the dearest ten")
    print(f"{'alone ms':>9}{'with all it imports':>21}")
    for name, (own, total) in sorted(median.items(), key=lambda one: -one[1][0])[:10]:
        print(f"{own / 1e3:9.1f}{total / 1e3:21.1f}  {name}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dir", nargs="?")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    with workspace() as folder:
        env = program_env(folder)
        spec, path = (os.path.join(folder, name) for name in ("spec.yaml", "notebook.ipynb"))
        with open(spec, "w", encoding="utf-8") as file:
            file.write(SPEC)
        commands = {
            BARE: [sys.executable, "-c", "pass"],
            "kale-tag apply": [*kale_tag(), "apply", spec, path],
            "kale-tag plan": [*kale_tag(), "plan", spec, path],
            "plan, read by typer": [*kale_tag(), "plan", "-qv", spec, path],
            "kale-tag --version": [*kale_tag(), "--version"],
            "kale-tag --help": [*kale_tag(), "--help"],
            NAIVE: [*naive(), spec, path],
        }
        for label, data in notebooks(corpus(asked.dir)).items():
            times = measure(commands, data, path, env, asked.rounds)
            median = {name: statistics.median(values) for name, values in times.items()}
            print(f"\n{label} ({len(data):,} bytes), load {os.getloadavg()[0]:.1f}")
            print(f"{'':22}{'CPU ms':>8}{'x bare':>8}{'÷ naive':>9}{'spread':>8}")
            for name, cpu in median.items():
                print(
                    f"{name:22}{cpu * 1e3:8.1f}{cpu / median[BARE]:8.2f}"
                    f"{cpu / median[NAIVE]:9.2f}{spread(times[name]):8.0%}"
                )
        write_all([path], [data])
        show_imports(commands["kale-tag plan"], env)


if __name__ == "__main__":
    main()
