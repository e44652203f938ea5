"""CPU time of writing, applying and undoing patches for many notebooks.

python benchmarks/patches.py [DIR] [--rounds 3]

Against the script that people would write: `json` reads, the jsonpatch package applies, `json`
writes. It proves nothing and lays every file out anew. One process each, on copies of the notebooks
of DIR (or KALE_TAG_CORPUS).
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

from common import (
    HERE,
    SPEC,
    contents,
    corpus,
    cpu_of_program,
    kale_tag,
    program_env,
    shuffled,
    spread,
    workspace,
    write_all,
)

NAIVE = "naive script, apply"


def naive(patches: str) -> None:
    import jsonpatch  # noqa: PLC0415  what the script costs, not the benchmark

    for patch in Path(patches).rglob("*.patch.json"):
        path = patch.relative_to(patches).with_name(patch.name.removesuffix(".patch.json"))
        notebook = json.loads(path.read_text("utf-8"))
        done = jsonpatch.apply_patch(notebook, json.loads(patch.read_text("utf-8")))
        path.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dir", nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--naive", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.naive:
        naive(asked.naive)
        return
    data = contents(corpus(asked.dir))
    with workspace() as folder:
        env = program_env(folder)
        os.chdir(folder)
        os.mkdir("nb")
        Path("spec.yaml").write_text(SPEC, "utf-8")
        paths = [f"nb/{number:05}.ipynb" for number in range(len(data))]
        script = [sys.executable, os.path.join(HERE, "patches.py"), "--naive", "patches"]
        commands = {
            "kale-tag plan -o": [*kale_tag(), "plan", "-q", "spec.yaml", "nb", "-o", "patches"],
            "kale-tag apply": [*kale_tag(), "apply", "-q", "patches"],
            "kale-tag revert": [*kale_tag(), "revert", "-q", "patches"],
            NAIVE: script,
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        write_all(paths, data)
        for words in commands.values():
            cpu_of_program(words, env)  # compiles
        for number in range(asked.rounds):
            for name in shuffled(list(commands), number):
                write_all(paths, data)
                if name == "kale-tag revert":
                    cpu_of_program(commands["kale-tag apply"], env)
                cpu, _, code = cpu_of_program(commands[name], env)
                assert code == 0, f"{name}: exit code {code}"
                times[name].append(cpu)
        size = sum(map(len, data)) / 1e6
        print(f"{len(data):,} notebooks, {size:,.0f} MB, load {os.getloadavg()[0]:.1f}")
        base = statistics.median(times[NAIVE])
        print(f"{'':22}{'CPU s':>8}{'µs each':>9}{'naive ÷':>9}{'spread':>8}")
        for name, found in times.items():
            cpu = statistics.median(found)
            each = cpu / len(data) * 1e6
            print(f"{name:22}{cpu:8.2f}{each:9.0f}{base / cpu:9.1f}{spread(found):8.0%}")


if __name__ == "__main__":
    main()
