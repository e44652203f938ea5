"""How the CPU time of `check` and `compile` grows with the steps of a notebook.

python benchmarks/growth.py [--rounds 3]

The notebooks are the chains of `compile.py`. From the best time of each length that for one step is
taken off, which is mostly the start of Python. KFP does not take packages of the longest chains:
`compile` then ends with that error, after all of its work.
"""

import argparse
import math
from collections.abc import Sequence
from itertools import pairwise

from common import cpu_of_program, kale_tag, program_env, workspace
from compile import chain

STEPS = (1, 150, 600, 1500)
TICK = 0.01
"""Seconds; on a busy machine the shortest notebook may seem to take longer than another."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print(f"{'CPU s of':10}" + "".join(f"{steps:>8}" for steps in STEPS[1:]) + "   grows as")
    with workspace() as folder:
        env = program_env(folder)
        for steps in STEPS:
            with open(f"{folder}/{steps}.ipynb", "wb") as file:
                file.write(chain(steps, f"chain-{steps}"))
        for command in ("check", "compile"):
            times = []
            for steps in STEPS:
                words = [*kale_tag(), command, f"{folder}/{steps}.ipynb"]
                words += ["-o", f"{folder}/{steps}.yaml"] if command == "compile" else []
                found = [cpu_of_program(words, env) for _ in range(rounds)]
                assert all(code in {0, 1, 2} for _, _, code in found), words
                times.append(min(cpu for cpu, _, _ in found))
            print(row(command, times))


def row(command: str, times: Sequence[float]) -> str:
    """The line of the table for *command*, which took *times* for `STEPS`."""
    more = [max(time - times[0], TICK) for time in times[1:]]
    grown = [
        f"n^{math.log(slow / fast) / math.log(long / short):.2f}"
        for (fast, slow), (short, long) in zip(pairwise(more), pairwise(STEPS[1:]), strict=True)
    ]
    return "   ".join([f"{command:10}" + "".join(f"{one:8.2f}" for one in more), *grown])


if __name__ == "__main__":
    main()
