"""What the benchmarks share: one piece of work, notebooks to do it on, and CPU times."""

import contextlib
import gc
import json
import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence

from kale_tag import files
from kale_tag.diagnostics import Source, UserError
from kale_tag.plan.apply import apply_spec
from kale_tag.spec.model import Spec, Target
from kale_tag.spec.read import read_spec

SPEC = r"""version: 1
cells:
  - {source: '^\s*(?:import|from)\s+\w+', tag: imports, expect: any}
  - {source: 'plt\.(?:show|plot)', add: plots, expect: any}
  - {source: '\.(?:fit|predict)\(', add: model, expect: any}
"""
"""Three patterns, looked for in all code cells; in a median notebook five cells match."""

TARGET = Target({"stem": "notebook", "name": "notebook.ipynb", "dir": ".", "parent": "."})
SIZES = {"small": (10_000, 100_000), "large": (1_000_000, 10_000_000)}
HERE = os.path.dirname(os.path.abspath(__file__))


def the_spec() -> Spec:
    """`SPEC`, read."""
    return read_spec(Source("spec.yaml", SPEC), lambda name, _label: Source(name))


def corpus(folder: str | None) -> str:
    """The folder to take notebooks from: *folder*, else that in KALE_TAG_CORPUS."""
    found = folder or os.environ.get("KALE_TAG_CORPUS")
    if not found or not os.path.isdir(found):
        sys.exit("name a folder of notebooks, or set KALE_TAG_CORPUS")
    return found


@contextlib.contextmanager
def workspace() -> Iterator[str]:
    """A temporary folder, in memory where the system has that, so that no disk blurs the times."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.path.isdir(memory) else None) as folder:
        yield folder


def contents(folder: str) -> list[bytes]:
    """Every notebook below *folder* that both sides can work on, in an order that is always so."""
    spec, found = the_spec(), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nbformat has much to say of old notebooks
        for name in files.notebooks_in(folder):
            data = files.read(name).data
            if _is_usable(spec, data):
                found.append(data)
    random.Random(1).shuffle(found)
    return found


def drawn(found: Sequence[bytes], size: str, count: int) -> tuple[list[bytes], int]:
    """*count* notebooks of a size; where there are too few large ones, the rest is made.

    Also how many were made.
    """
    low, high = SIZES[size]
    sample = [data for data in found if low <= len(data) < high][:count]
    if size == "small" or len(sample) == count:
        return sample, 0
    chance = random.Random(2)
    bases = [data for data in found if SIZES["small"][0] <= len(data) < low]
    made = [
        grown(data, chance.randrange(low, 4 * low), chance) for data in bases[: count - len(sample)]
    ]
    return sample + made, len(made)


def grown(data: bytes, size: int, chance: random.Random) -> bytes:
    """The notebook *data* with cells added whose outputs bring it to *size* bytes or little more.

    Figures, tables and printed lines, seven to two to one in bytes, none of which is tagged.
    """
    notebook = json.loads(data)
    left = size - len(data)
    while left > 0:
        output = chance.choices((_figure, _table, _lines), (7, 2, 1))[0](chance)
        left -= len(json.dumps(output))
        cell = {
            "cell_type": "code",
            "execution_count": 1,
            "metadata": {},
            "outputs": [output],
            "source": ["show(\n", "    result\n", ")"],
        }
        if notebook.get("nbformat_minor", 0) >= 5:
            cell["id"] = f"{chance.getrandbits(32):08x}"
        notebook["cells"].append(cell)
    return json.dumps(notebook, indent=1, ensure_ascii=False).encode() + b"\n"


def write_all(paths: Sequence[str], data: Sequence[bytes]) -> None:
    """Give each path its bytes; there may be more of these."""
    for path, content in zip(paths, data, strict=False):
        with open(path, "wb") as file:
            file.write(content)


def cpu_of(work: Callable[[], object]) -> float:
    """The CPU time, in seconds, that *work* takes in this process."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def cpu_of_program(words: Sequence[str], env: dict[str, str]) -> tuple[float, float, int]:
    """CPU time (it and its children), elapsed time and exit code of a program that prints."""
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    start = time.perf_counter()
    pid = os.posix_spawn(words[0], list(words), env, file_actions=null)
    _, status, use = os.wait4(pid, 0)
    elapsed = time.perf_counter() - start
    return use.ru_utime + use.ru_stime, elapsed, os.waitstatus_to_exitcode(status)


def program_env(folder: str) -> dict[str, str]:
    """The environment of a program that finds everything compiled, as it does where installed.

    The compiled files go to *folder*: a source tree is not littered, and a variable that forbids
    them does not count against anybody.
    """
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return env | {"PYTHONPYCACHEPREFIX": os.path.join(folder, "pycache")}


def kale_tag() -> list[str]:
    """How to start the command as it is installed beside this Python."""
    return [sys.executable, os.path.join(os.path.dirname(sys.executable), "kale-tag")]


def naive() -> list[str]:
    """How to start the naive script."""
    return [sys.executable, os.path.join(HERE, "naive.py")]


def shuffled(items: Sequence[str], round_number: int) -> list[str]:
    """*items* in another order each round, so that none always runs behind the same other."""
    return random.Random(round_number).sample(items, len(items))


def spread(times: Sequence[float]) -> float:
    """How far the times of one thing lie apart, over their median."""
    return (max(times) - min(times)) / statistics.median(times)


def _is_usable(spec: Spec, data: bytes) -> bool:
    # Whether nbformat reads it, both sides give it the same tags, and there are any.
    import nbformat  # noqa: PLC0415  slow to import, and not every program here needs it
    from naive import rules_of, tag_cells  # noqa: PLC0415

    try:
        ours = apply_spec(spec, data, "notebook.ipynb", TARGET, fast=False).data
        nbformat.reads(data.decode(), as_version=4)
        notebook = json.loads(data)
        if ours is None or notebook["nbformat"] != 4:
            return False
        tag_cells(notebook["cells"], rules_of(SPEC))
    except (UserError, ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError):
        return False
    return _tags(json.loads(ours)) == _tags(notebook)


def _tags(notebook: dict[str, list[dict[str, dict[str, list[str]]]]]) -> list[list[str]]:
    return [sorted(cell["metadata"].get("tags", [])) for cell in notebook["cells"]]


def _figure(chance: random.Random) -> dict[str, object]:
    import base64  # noqa: PLC0415

    image = base64.b64encode(chance.randbytes(chance.randrange(10_000, 120_000))).decode()
    data = {"image/png": image + "\n", "text/plain": ["<Figure size 640x480 with 1 Axes>"]}
    return {"data": data, "metadata": {}, "output_type": "display_data"}


def _table(chance: random.Random) -> dict[str, object]:
    rows = chance.randrange(300, 1_500)
    lines = [f"      <td>{chance.random():.6f}</td>\n" for _ in range(rows)]
    data = {"text/html": ["<table>\n", *lines, "</table>"], "text/plain": ["a table"]}
    return {"data": data, "metadata": {}, "output_type": "display_data"}


def _lines(chance: random.Random) -> dict[str, object]:
    count = chance.randrange(200, 800)
    text = [f"epoch {n}: loss {chance.random():.5f}\n" for n in range(count)]
    return {"name": "stdout", "output_type": "stream", "text": text}
