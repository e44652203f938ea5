"""Compiling tagged notebooks: whole processes, against `kale --nb` of Kale 2.3.

python benchmarks/compile.py [--kale .venv-kale/bin/kale] [--rounds 5]

The notebooks are chains of steps of five lines each; every step takes a variable and gives one.
Kale needs an environment of its own: python -m venv .venv-kale; .venv-kale/bin/pip install
kubeflow-kale==2.3.0
"""

import argparse
import json
import os
import statistics
import subprocess

import yaml
from common import cpu_of_program, kale_tag, program_env, shuffled, workspace

STEPS = (10, 50, 100, 200, 500)
MANY = 100


def chain(steps: int, name: str) -> bytes:
    """A tagged notebook of *steps* steps, one after the other."""
    cells = [_cell(["imports"], "import math\nimport json")]
    cells.append(_cell(["pipeline-parameters"], "scale = 2\ntitle = 'rows'"))
    for number in range(steps):
        tags = [f"step:s{number}"] + ([f"prev:s{number - 1}"] if number else [])
        given = f"data_{number - 1}" if number else "range(10)"
        cells.append(_cell(tags, _source(number, given)))
    settings = {"pipeline_name": name, "experiment_name": "bench"}
    return json.dumps(
        {
            "cells": cells,
            "metadata": {"kubeflow_notebook": settings},
            "nbformat": 4,
            "nbformat_minor": 4,
        }
    ).encode()


def _source(number: int, given: str) -> str:
    return (
        f"# step {number}\nrows = [math.sqrt(x * scale) for x in {given}]\n"
        f"total = sum(rows)\nprint(title, {number}, f'{{total:.3f}}')\n"
        f"data_{number} = [x + total for x in rows]"
    )


def _cell(tags: list[str], source: str) -> dict[str, object]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": tags},
        "outputs": [],
        "source": source.splitlines(keepends=True),
    }


def timed(
    commands: dict[str, list[str]], env: dict[str, str], rounds: int
) -> dict[str, tuple[float, float]]:
    """The medians of CPU time and elapsed time of each command, which take turns."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name in shuffled(list(commands), number):
            cpu, elapsed, code = cpu_of_program(commands[name], env)
            assert code == 0, f"{name}: exit code {code}"
            if number:  # the first round compiles and warms up
                times[name].append((cpu, elapsed))
    return {
        name: tuple(statistics.median(column) for column in zip(*values, strict=True))
        for name, values in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kale", default=".venv-kale/bin/kale")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    kale = os.path.abspath(asked.kale)
    ours = [*kale_tag(), "compile", "-q"]
    with workspace() as folder:
        env = program_env(folder)
        os.chdir(folder)
        for steps in (5, *STEPS):
            _write(f"chain{steps}.ipynb", chain(steps, f"chain{steps}"))
        os.mkdir("many")
        for number in range(MANY):
            _write(f"many/n{number:03}.ipynb", chain(5, f"many-{number}"))
        times = timed(
            {
                "kale, 5 steps": [kale, "--nb", "chain5.ipynb"],
                "kale-tag, 5 steps": [*ours, "chain5.ipynb"],
                f"kale-tag, {MANY} notebooks": [*ours, "many"],
            },
            env,
            asked.rounds,
        )
        print(f"load {os.getloadavg()[0]:.1f}\n{'':26}{'CPU s':>8}{'s':>8}{'kale ÷':>8}")
        base = times["kale, 5 steps"]
        for name, (cpu, elapsed) in times.items():
            print(f"{name:26}{cpu:8.2f}{elapsed:8.2f}{base[0] / cpu:8.1f}")
        grow = timed(
            {str(steps): [*ours, f"chain{steps}.ipynb"] for steps in STEPS}, env, asked.rounds
        )
        least = times["kale-tag, 5 steps"][0]
        print(f"\n{'steps':>8}{'CPU s':>8}{'ms a step above 5':>20}")
        for name, (cpu, _) in grow.items():
            print(f"{name:>8}{cpu:8.2f}{(cpu - least) * 1e3 / (int(name) - 5):20.2f}")
        _sizes(kale, ours, env)


def _sizes(kale: str, ours: list[str], env: dict[str, str]) -> None:
    packages: dict[str, list[int]] = {"kale": [], "kale-tag": []}
    expanded: dict[str, list[float]] = {"kale": [], "kale-tag": []}
    for steps in (10, 50):
        subprocess.run(
            [kale, "--nb", f"chain{steps}.ipynb", "--pipeline_name", f"c{steps}"],
            env=env,
            check=True,
            capture_output=True,
        )
        packages["kale"].append(os.path.getsize(f".kale/c{steps}.pipeline.yaml"))
        subprocess.run([*ours, f"chain{steps}.ipynb"], env=env, check=True)
        packages["kale-tag"].append(os.path.getsize(f"chain{steps}.pipeline.yaml"))
        expanded["kale"].append(_expanded(f".kale/c{steps}.pipeline.yaml", steps))
        expanded["kale-tag"].append(_expanded(f"chain{steps}.pipeline.yaml", steps))
    cells = len(_source(30, "data_29")) + len("import math\nimport json")
    print(f"\n{'bytes':10}{'10 steps':>10}{'50 steps':>10}{'one more step':>16}  (cells: {cells})")
    for name, (small, large) in packages.items():
        print(f"{name:10}{small:10,}{large:10,}{(large - small) / 40:16,.0f}")
    print(f"\n{'bytes a step in the cluster':28}{'10 steps':>10}{'50 steps':>10}")
    for name, (small, large) in expanded.items():
        print(f"{name:28}{small:10,.0f}{large:10,.0f}")


def _expanded(path: str, steps: int) -> float:
    """Bytes that KFP's server writes into the workflow for a step: aliases put in, JSON in JSON."""
    with open(path, encoding="utf-8") as file:
        spec = next(yaml.load_all(file, yaml.CSafeLoader))
    executors = spec["deploymentSpec"]["executors"].values()
    texts = (json.dumps(one["container"], ensure_ascii=False) for one in executors)
    return sum(len(json.dumps(text, ensure_ascii=False).encode()) for text in texts) / steps


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


if __name__ == "__main__":
    main()
