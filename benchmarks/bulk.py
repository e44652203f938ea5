"""CPU time of the whole command on a folder of many notebooks.

python benchmarks/bulk.py [DIR] [--count 1500] [--rounds 3]

The notebooks of DIR (or KALE_TAG_CORPUS) that both sides can work on are copied until there are
*count* of them. One process each, but for `--jobs 2`; the elapsed time is given beside the CPU time
because that is what `--jobs` is for, and means little on a busy machine.
"""

import argparse
import os
import statistics

from common import (
    SPEC,
    contents,
    corpus,
    cpu_of_program,
    kale_tag,
    naive,
    program_env,
    shuffled,
    spread,
    workspace,
    write_all,
)

NAIVE = "naive script"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dir", nargs="?")
    parser.add_argument("--count", type=int, default=1_500)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    found = contents(corpus(asked.dir))
    data = [found[number % len(found)] for number in range(asked.count)]
    with workspace() as folder:
        env, notebooks = program_env(folder), os.path.join(folder, "notebooks")
        os.mkdir(notebooks)
        spec = os.path.join(folder, "spec.yaml")
        with open(spec, "w", encoding="utf-8") as file:
            file.write(SPEC)
        paths = [os.path.join(notebooks, f"{number:05}.ipynb") for number in range(len(data))]
        commands = {
            "kale-tag apply": [*kale_tag(), "apply", "--quiet", spec, notebooks],
            "kale-tag apply --jobs 2": [*kale_tag(), "apply", "-q", "-j", "2", spec, notebooks],
            NAIVE: [*naive(), spec, notebooks],
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        write_all(paths[:1], data[:1])
        for words in commands.values():
            cpu_of_program(words, env)  # compiles
        for number in range(asked.rounds):
            for name in shuffled(list(commands), number):
                write_all(paths, data)
                cpu, elapsed, code = cpu_of_program(commands[name], env)
                assert code == 0, f"{name}: exit code {code}"
                times[name].append((cpu, elapsed))
        size = sum(map(len, data)) / 1e6
        print(f"{len(data):,} notebooks, {size:,.0f} MB, load {os.getloadavg()[0]:.1f}")
        base = statistics.median(cpu for cpu, _ in times[NAIVE])
        print(f"{'':26}{'CPU s':>8}{'µs each':>9}{'naive ÷':>9}{'spread':>8}{'elapsed s':>11}")
        for name, pairs in times.items():
            cpu = statistics.median(cpu for cpu, _ in pairs)
            elapsed = statistics.median(elapsed for _, elapsed in pairs)
            print(
                f"{name:26}{cpu:8.2f}{cpu / len(data) * 1e6:9.0f}{base / cpu:9.1f}"
                f"{spread([cpu for cpu, _ in pairs]):8.0%}{elapsed:11.2f}"
            )


if __name__ == "__main__":
    main()
