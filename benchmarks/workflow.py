"""How many steps fit into one run: bytes of the workflow, beside a package of KFP's own SDK.

python benchmarks/workflow.py [--cells 1500]

Argo ends a run whose specification and status have more than 1 MiB. Nothing here runs on a
cluster: the bytes are those of all containers as JSON inside JSON, times 1.58, which is what the
workflow had with its status when KFP's own compiler made it of packages of 50 to 100 steps.
"""

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

import yaml

from kale_tag.compiler.limits import KEPT, WORKFLOW, expanded_size
from kale_tag.compiler.package import package
from kale_tag.compiler.step_command import load_runtime
from kale_tag.kale.pipeline import Code, Pipeline, Step


def cells_of(number: int, size: int, *, function: bool = True) -> str:
    """A cell of *size* bytes that uses the variable of the step before and defines its own.

    With a *function* steps carry the program that takes functions to others, too.
    """
    lines = ["def clean(rows):", "    return [row * 2 for row in rows]", ""] if function else []
    made = f"clean(v{number - 1})" if function else f"[row * 2 for row in v{number - 1}]"
    lines.append(f"v{number} = {made}" if number else "v0 = [1, 2, 3]")
    while (left := size - sum(len(line) + 1 for line in lines)) > 0:
        line = f'print("mean of column {len(lines)}", sum(v{number}) / len(v{number}))  # shown'
        lines.append(line if len(line) < left else "#" + "x" * (left - 2))
    return "\n".join(lines) + "\n"


def ours(steps: int, size: int, *, function: bool = True) -> int:
    """Bytes of the containers of a chain of *steps* steps, compiled by kale-tag."""
    cells = [cells_of(number, size, function=function) for number in range(steps)]
    made = [
        Step(
            f"s{number}",
            (Code(number, cells[number], cells[number]),),
            prev=(f"s{number - 1}",) if number else (),
            ins={f"v{number - 1}": f"s{number - 1}"} if number else {},
            outs={f"v{number}": "Artifact"},
        )
        for number in range(steps)
    ]
    return package(Pipeline("chain", "chain.ipynb", steps=tuple(made)), load_runtime()).size


def of_the_sdk(steps: int, size: int) -> int:
    """The same of lightweight components of KFP's SDK, compiled by it."""
    text = "from kfp import dsl\n"
    for number in range(steps):
        body = "".join(f"    {line}\n" for line in cells_of(number, size).splitlines() if line)
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
    executors = spec["deploymentSpec"]["executors"].values()
    return sum(expanded_size(one["container"]) for one in executors)


def most_steps(size: int) -> int:
    """The longest chain that fits."""
    low, high = 1, 400
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if ours(middle, size) * KEPT <= WORKFLOW else (low, middle)
    return low


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1500, help="bytes of cells a step")
    size = parser.parse_args().cells
    print(f"{'steps':>5} {'containers':>11} {'with status':>12} {'a step':>7} {'to the SDK':>11}")
    for steps in (10, 30, 60, 100):
        own = ours(steps, size)
        kept, ratio = own * KEPT, own / of_the_sdk(steps, size)
        print(f"{steps:>5} {own:>11,} {kept:>12,.0f} {own // steps:>7,} {ratio:>11.2f}")
    print(f"{most_steps(size)} steps of {size} bytes of cells fit into {WORKFLOW:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
