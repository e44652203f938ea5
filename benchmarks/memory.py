"""Peak memory of `kale-tag apply` on a huge notebook, as a multiple of the notebook's size.

python benchmarks/memory.py [--megabytes 100]

Each command runs in a process of its own; what the same command needs for a tiny notebook is taken
off. Two notebooks are made, seeded: one of figures, as large notebooks are, one of short lines.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator

from common import SPEC, naive, program_env, workspace

ENGINE = """
import sys
from kale_tag.commands.shared import batch
batch.FAST_COUNT, batch.FAST_BYTES = {limits}
from kale_tag.cli import main
sys.exit(main())
"""
"""Starts the command with an engine fixed: it is otherwise chosen by the amount of work."""

LAUNCH = """
import os, sys
null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=null)
_, status, use = os.wait4(pid, 0)
print(status, use.ru_maxrss)
"""
"""Starts a program from a small process: Linux counts the peak of the starter as the program's."""

COMMANDS = {
    "kale-tag, msgspec": [sys.executable, "-c", ENGINE.format(limits="0, 0"), "apply"],
    "kale-tag, json": [sys.executable, "-c", ENGINE.format(limits="1 << 60, 1 << 60"), "apply"],
    "naive script": naive(),
}


def figures(chance: random.Random) -> dict[str, object]:
    from base64 import b64encode  # noqa: PLC0415

    image = b64encode(chance.randbytes(150_000)).decode() + "\n"
    return {"data": {"image/png": image}, "metadata": {}, "output_type": "display_data"}


def lines(chance: random.Random) -> dict[str, object]:
    text = [f"epoch {number}: loss {chance.random():.5f}\n" for number in range(60)]
    return {"name": "stdout", "output_type": "stream", "text": text}


def cells(size: int, output: Callable[[random.Random], dict[str, object]]) -> Iterator[str]:
    """The texts of code cells of *size* bytes altogether; three in a hundred are tagged."""
    chance = random.Random(3)
    while size > 0:
        source = "plt.show()" if chance.random() < 0.03 else "print(history)\n# done"
        cell = {
            "cell_type": "code",
            "execution_count": None,
            "id": f"{chance.getrandbits(48):012x}",
            "metadata": {},
            "outputs": [output(chance)],
            "source": source.splitlines(keepends=True),
        }
        text = json.dumps(cell, indent=1)
        size -= len(text)
        yield text


def write_notebook(path: str, texts: Iterator[str]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write('{\n "cells": [\n')
        file.write(next(texts))
        file.writelines(f",\n{text}" for text in texts)
        file.write('\n ],\n "metadata": {},\n "nbformat": 4,\n "nbformat_minor": 5\n}\n')


def peak(words: list[str], env: dict[str, str]) -> int:
    """The most memory, in bytes, that the program has held."""
    launch = [sys.executable, "-S", "-c", LAUNCH, *words]
    found = subprocess.run(launch, env=env, capture_output=True, text=True, check=True).stdout
    status, kilobytes = found.split()
    assert status == "0", words
    return int(kilobytes) * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=100)
    size = parser.parse_args().megabytes * 1_000_000
    with workspace() as folder:
        env = program_env(folder)
        spec, path = (os.path.join(folder, name) for name in ("spec.yaml", "notebook.ipynb"))
        with open(spec, "w", encoding="utf-8") as file:
            file.write(SPEC)
        for output in (figures, lines):
            results = {}
            for name, words in COMMANDS.items():
                write_notebook(path, cells(1_000, lines))
                peak([*words, spec, path], env)  # compiles
                write_notebook(path, cells(1_000, lines))
                tiny = peak([*words, spec, path], env)
                write_notebook(path, cells(size, output))
                big = os.path.getsize(path)
                results[name] = peak([*words, spec, path], env) - tiny, tiny, big
            print(f"\n{output.__name__}: {big / 1e6:,.0f} MB")
            print(f"{'':20}{'MB above tiny':>14}{'x its size':>12}{'tiny MB':>9}")
            for name, (above, tiny, big) in results.items():
                print(f"{name:20}{above / 1e6:14,.0f}{above / big:12.2f}{tiny / 1e6:9.0f}")


if __name__ == "__main__":
    main()
