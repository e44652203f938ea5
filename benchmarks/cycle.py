"""CPU time of the whole edit cycle, notebook by notebook, in bulk.

python benchmarks/cycle.py [DIR] [--rounds 9] [--count-small 100] [--count-large 20]

Each method works in a process of its own, as it does in life, and they take turns.

Read, find the cells, make new bytes, prove them twice, write; and the same where the tags are there
already, so that nothing is written. DIR holds notebooks; without it KALE_TAG_CORPUS names it.

The limit is what nobody can do without: read, parse (msgspec, skipping all but the sources), look
for the same patterns in the same sources, write the bytes atomically.
"""

import argparse
import multiprocessing
import os
import statistics
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

import msgspec
from common import (
    SPEC,
    TARGET,
    contents,
    corpus,
    cpu_of,
    drawn,
    shuffled,
    spread,
    the_spec,
    workspace,
    write_all,
)

from kale_tag import files
from kale_tag.commands.shared import batch
from kale_tag.commands.shared.targets import Targets, Task
from kale_tag.plan.apply import apply_spec

LIMIT = "limit: read, parse, match, write"
NAIVE = "nbformat (naive)"

Method = Callable[[Sequence[str]], None]


class Cell(msgspec.Struct, gc=False):
    """What the limit reads of a cell."""

    cell_type: str
    source: msgspec.Raw


class Notebook(msgspec.Struct, gc=False):
    """What the limit reads of a notebook."""

    cells: list[Cell]


METHODS: dict[str, Callable[[bool], Method]] = {
    "read, parse, write (no work at all)": lambda write: _limit(write=write, match=False),
    LIMIT: lambda write: _limit(write=write, match=True),
    "kale-tag, msgspec": lambda _write: _ours(fast=True),
    "kale-tag, msgspec, as apply runs it": lambda _write: _command(),
    "kale-tag, json": lambda _write: _ours(fast=False),
    NAIVE: lambda _write: _naive(),
}
"""What is compared; the argument says whether the limit writes."""


def _ours(*, fast: bool) -> Method:
    spec = the_spec()

    def run(paths: Sequence[str]) -> None:
        for path in paths:
            file = files.read(path)
            new = apply_spec(spec, file.data, path, TARGET, fast=fast).data
            if new is not None:
                files.stage(file, new).commit()

    return run


def _command() -> Method:
    spec = the_spec()

    def run(paths: Sequence[str]) -> None:
        tasks = [Task(path, [(spec, TARGET)]) for path in paths]
        how = batch.Work(lambda _outcome, _done: None, write=True, quiet=True)
        assert not any(one.failed for one in batch.run(Targets(tasks), how))

    return run


def _limit(*, write: bool, match: bool) -> Method:
    searches = [one.regex.search for rule in the_spec().rules for one in rule.selector.source]
    skip = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    parse = msgspec.json.Decoder(Notebook).decode
    read_source = msgspec.json.Decoder(str | list[str]).decode

    def match_all(data: bytes) -> None:
        for cell in parse(data).cells:
            if cell.cell_type == "code":
                source = read_source(cell.source)
                text = source if isinstance(source, str) else "".join(source)
                for search in searches:
                    search(text)

    def run(paths: Sequence[str]) -> None:
        for path in paths:
            data = _read(path)
            if match:
                match_all(data)
            else:
                skip(data)
            if write:
                _write(path, data)

    return run


def _naive() -> Method:
    from naive import rules_of, tag_file  # noqa: PLC0415  nbformat, for this process only

    rules = rules_of(SPEC)

    def run(paths: Sequence[str]) -> None:
        for path in paths:
            tag_file(path, rules)

    return run


def measure(
    paths: Sequence[str], start: Sequence[bytes], rounds: int, *, write: bool
) -> dict[str, list[float]]:
    """The CPU seconds that each method takes for a notebook, round by round."""
    context = multiprocessing.get_context("spawn")
    workers = {}
    for name in METHODS:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(name, paths, write, theirs), daemon=True)
        process.start()
        workers[name] = (process, ours)
    times: dict[str, list[float]] = {name: [] for name in METHODS}
    for number in range(rounds + 1):
        for name in shuffled(list(METHODS), number):
            write_all(paths, start)
            write_all(_before(paths), start)
            _, pipe = workers[name]
            pipe.send(True)
            took = pipe.recv()
            if number:  # the first round warms up
                times[name].append(took / len(paths))
    for process, pipe in workers.values():
        pipe.send(False)
        process.join()
    return times


def _work(name: str, paths: Sequence[str], write: bool, pipe: Connection) -> None:  # noqa: FBT001
    """Do the rounds of one method, whenever asked."""
    warnings.simplefilter("ignore")
    run = METHODS[name](write)
    while pipe.recv():
        run(
            _before(paths)
        )  # a process that has slept is slow at first, and bulk work does not sleep
        pipe.send(cpu_of(lambda: run(paths)))


def _before(paths: Sequence[str]) -> list[str]:
    """Copies to get going with."""
    return [f"{path}.before.ipynb" for path in paths[: max(len(paths) // 3, 1)]]


def show(title: str, times: dict[str, list[float]], size: float) -> None:
    median = {name: statistics.median(all_times) for name, all_times in times.items()}
    print(f"\n{title}, load {os.getloadavg()[0]:.1f}")
    print(f"{'':38}{'µs':>8}{'MB/s':>8}{'x limit':>9}{'naive ÷':>9}{'spread':>8}")
    for name, seconds in median.items():
        print(
            f"{name:38}{seconds * 1e6:8.0f}{size / seconds / 1e6:8.0f}"
            f"{seconds / median[LIMIT]:9.2f}{median[NAIVE] / seconds:9.1f}"
            f"{spread(times[name]):8.0%}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("dir", nargs="?")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--count-small", type=int, default=100)
    parser.add_argument("--count-large", type=int, default=20)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    found = contents(corpus(asked.dir))
    spec = the_spec()
    for size, count in (("small", asked.count_small), ("large", asked.count_large)):
        data, made = drawn(found, size, count)
        if not data:
            print(f"\nno {size} notebooks")
            continue
        done = [apply_spec(spec, one, "notebook.ipynb", TARGET, fast=True) for one in data]
        cells = statistics.mean(len(one.plan.changes) for one in done)
        mean = sum(map(len, data)) / len(data)
        grown = f", {made} of them grown from smaller ones" if made else ""
        print(
            f"\n{size}: {len(data)} notebooks{grown}, mean {mean / 1e3:,.0f} kB, "
            f"{cells:.1f} cells tagged"
        )
        with workspace() as folder:
            paths = [os.path.join(folder, f"{number}.ipynb") for number in range(len(data))]
            times = measure(paths, data, asked.rounds, write=True)
            show(f"{size}, edit", times, mean)
            tagged = [one.data for one in done if one.data is not None]
            times = measure(paths, tagged, asked.rounds, write=False)
            show(f"{size}, nothing to do", times, mean)


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, os.fstat(descriptor).st_size + 1)
    finally:
        os.close(descriptor)


def _write(path: str, data: bytes) -> None:
    temporary = f"{path}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
