"""How many steps fit into one run: bytes of the workflow with its status.

python benchmarks/workflow.py [--cells 1500]

Argo ends a run whose specification and status have more than 1 MiB. Nothing here runs on a cluster:
the bytes are the estimate of `large-package`, which a test compares with a model of Argo.
"""

import argparse
import importlib.util
import json
import random
import re
import sys
import tempfile
from pathlib import Path

import yaml

from kale_tag.compiler.build import build
from kale_tag.compiler.limits import WORKFLOW, workflow_size
from kale_tag.compiler.package import Package, package
from kale_tag.compiler.step_command import load_runtime
from kale_tag.diagnostics import Label
from kale_tag.kale.settings import CompileOptions
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.read import read_notebook

KINDS = ("plain", "functions", "handed on", "two variables", "frames", "changed")
"""No step defines a function; each does, and uses it; each passes one on to the next step; none
does, but each passes on two variables; two frames of pandas; two lists that the next step changes.
"""

_WORDS = re.findall(
    "[a-z]+",
    """
    account amount balance batch bounds branch bucket budget campaign category chunk city
    column country created currency customer delay delta device discount distance duration
    epoch error event factor field fraction frame gender group height index invoice item
    label latitude level limit longitude margin market median method metric model month
    number offset order outlier parcel payment period person price product profit quantile
    quantity quarter range ratio reading record region result revenue rolling route sample
    score season segment sensor series share shift signal skew slope source status store
    supplier target tariff ticket total user value variant vendor visit volume weather week
    weight width window year zone
    """,
)


def cells_of(number: int, size: int, kind: str) -> str:
    """A cell of *size* bytes that uses the variable of the step before and defines its own.

    Its lines are as different as those of real cells, which gzip packs to a third.
    """
    chance = random.Random(number)
    before = f"v{number - 1}"
    lines = []
    if kind in {"functions", "handed on"}:
        lines = ["def clean(rows):", "    return [row * 2 for row in rows]", ""]
    elif kind in {"two variables", "changed"}:
        lines = [f"w{number} = [*w{number - 1}]" if number else "w0 = [0]"]
    elif kind == "frames":
        made = f"w{number - 1}.dropna()" if number else "pd.DataFrame({'a': [1]})"
        lines = ["import pandas as pd", f"w{number} = {made}"]
    if kind == "changed" and number:
        lines += [f"w{number - 1}.append(1)", f"{before}.append(2)"]
    if kind in {"plain", "two variables", "changed"}:
        made = f"[row * 2 for row in {before}]"
    elif kind == "frames":
        made = f"{before}.fillna(w{number - 1})"
    elif kind == "handed on":
        made = f"[{before}[0], *clean({before}[1:])]"
    else:
        made = f"clean({before})"
    first = {"handed on": "[clean, 2, 3]", "frames": "w0.copy()"}.get(kind, "[1, 2, 3]")
    lines.append(f"v{number} = {made if number else first}")
    while (left := size - sum(len(line) + 1 for line in lines)) > 0:
        one, two, three, four = chance.sample(_WORDS, 4)
        count = chance.randrange(1000)
        forms = (
            f"{one}_{two} = [{three} * {count / 100} for {three} in v{number}[:{count % 7}]]",
            f'{one} = {{"{two}": len(v{number}), "{three}_{four}": {count}}}',
            f'print("{one} {two} of the {three}:", sum(v{number}[1:]) / {count + 1})',
            f"# The {one} is the {two} of each {three}, without the {four}.",
            f"assert sorted(v{number}[1:])[{count % 2}] < {count}_000, '{one} by {two}'",
        )
        line = chance.choice(forms)
        lines.append(line if len(line) < left else "#" + "x" * (left - 2))
    return "\n".join(lines) + "\n"


def ours(steps: int, size: int, kind: str = "plain") -> Package:
    """The package of a chain of *steps* steps, compiled from a notebook."""
    cells = [
        {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {"tags": [f"step:s{number}", *([f"prev:s{number - 1}"] if number else [])]},
            "outputs": [],
            "source": cells_of(number, size, kind),
        }
        for number in range(steps)
    ]
    settings = {"pipeline_name": "chain"}
    notebook = {
        "cells": cells,
        "metadata": {"kubeflow_notebook": settings},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    read = read_notebook(json.dumps(notebook).encode(), "chain.ipynb")
    return package(build(read, CompileOptions(), _no_other).pipeline, load_runtime())


def _no_other(path: str, _: Label) -> Notebook:
    raise FileNotFoundError(path)


def of_the_sdk(steps: int, size: int) -> int:
    """The same of lightweight components of KFP's SDK, compiled by it."""
    text = "from kfp import dsl\n"
    for number in range(steps):
        body = "".join(
            f"    {line}\n" for line in cells_of(number, size, "plain").splitlines() if line
        )
        inner = f", i: dsl.Input[dsl.Artifact]):\n    v{number - 1} = eval(open(i.path).read())"
        text += (
            f"\n@dsl.component(base_image='python:3.12')\ndef s{number}(o: dsl.Output[dsl.Artifact]"
        )
        text += f"{inner if number else '):'}\n{body}    open(o.path, 'w').write(repr(v{number}))\n"
    text += "\n@dsl.pipeline(name='chain')\ndef chain():\n    t0 = s0()\n"
    for number in range(1, steps):
        text += f"    t{number} = s{number}(i=t{number - 1}.outputs['o'])\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "chain_of_sdk.py")
        path.write_text(text, "utf-8")
        found = importlib.util.spec_from_file_location("chain_of_sdk", path)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        from kfp import compiler  # noqa: PLC0415  slow to import

        compiler.Compiler().compile(module.chain, str(path.with_suffix(".yaml")))
        spec = yaml.safe_load(path.with_suffix(".yaml").read_text("utf-8"))
    return workflow_size(spec)


def most_steps(size: int, kind: str) -> int:
    """The longest chain that fits."""
    low, high = 1, 200
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if ours(middle, size, kind).size <= WORKFLOW else (low, middle)
    return low


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1500, help="bytes of cells a step")
    size = parser.parse_args().cells
    print(f"{'steps':>5} {'with status':>12} {'a step':>7} {'to the SDK':>11}")
    for steps in (10, 30, 60, 100):
        own = ours(steps, size).size
        print(f"{steps:>5} {own:>12,} {own // steps:>7,} {own / of_the_sdk(steps, size):>11.2f}")
    for kind in KINDS:
        print(f"{most_steps(size, kind)} steps of {size} bytes fit into {WORKFLOW:,} bytes: {kind}")


if __name__ == "__main__":
    sys.exit(main())
