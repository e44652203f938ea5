"""Pipelines made by hand, for the tests of what is made of them."""

from typing import Any

from kale_tag.compiler.step_command import Runtime
from kale_tag.kale.pipeline import (
    Code,
    CodeKind,
    Parameter,
    Pipeline,
    PodOptions,
    Secret,
    SecurityContext,
    Step,
    StepSettings,
    SubPipeline,
    Volume,
)

RUNTIME = Runtime({"ipython": "import os\n", "step": "import sys\nprint(sys.argv[1:])\n"})
"""In place of the real one where it does not matter."""


def code(cell: int, source: str, kind: CodeKind = "step") -> Code:
    """A cell of plain Python."""
    return Code(cell, source, source, kind)


def step(name: str, source: str = "pass\n", **more: Any) -> Step:
    """A step of one cell, cell 1."""
    return Step(name, (code(1, source),), **more)


def pipeline(*steps: Step | SubPipeline, **more: Any) -> Pipeline:
    """A pipeline named `demo`."""
    given = {"name": "demo", "notebook": "nb/demo.ipynb", "steps": steps} | more
    return Pipeline(**given)


POD_OPTIONS = PodOptions(
    node_selector={"pool": "gpu"},
    tolerations=(
        {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
        {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": "60"},
    ),
    image_pull_secrets=("registry", "other"),
    image_pull_policy="Always",
    config_maps={"LEVEL": "settings/level", "/etc/app": "app-files"},
    volumes={"/models": "models"},
)

SHARED = (
    code(0, "import json\nimport math", "imports"),
    code(1, 'def half(x):\n    """A half."""\n    return x / 2', "functions"),
)

FULL = pipeline(
    Step(
        "load_data",
        (
            code(3, "rows = list(range(n_rows))\nprint(f'{n_rows:>5} {{rows}}')"),
            code(4, "rows[:3]"),
        ),
        outs={"rows": "Dataset"},
        parameters=("n_rows",),
        packages=("pandas>=2", "pyarrow"),
        settings=StepSettings(
            image="python:3.11",
            limits={"cpu": "500m", "memory": "2Gi", "nvidia.com/gpu": "1"},
            requests={"cpu": "0.25", "memory": "1G"},
            pod={"label": {"team": "ml"}, "annotation": {"example.com/url": "http://x:80/y"}},
            secrets=(Secret("USER", "db", "user"), Secret("PASSWORD", "db", "password")),
            env={"LOG": "debug"},
            cache=False,
            retries=3,
            timeout=600,
            display_name="Load the data",
            pod_options=POD_OPTIONS,
        ),
    ),
    Step(
        "clean",
        (code(6, "rows = [half(row) for row in rows]"),),
        prev=("load_data",),
        ins={"rows": "load_data"},
        outs={"rows": "Dataset"},
    ),
    Step(
        "train",
        (code(8, "model = sum(rows) * alpha\nscore = math.sqrt(model)"),),
        prev=("clean",),
        ins={"rows": "clean"},
        outs={"model": "Model"},
        parameters=("alpha",),
        metrics=("score",),
    ),
    Step(
        "report",
        (code(10, "print(title, model, cfg)"),),
        prev=("train", "load_data"),
        ins={"model": "train"},
        parameters=("title", "cfg", "_seed"),
        settings=StepSettings(report=False),
    ),
    description="What it does,\nin two lines",
    experiment="trials",
    parameters=(
        Parameter("n_rows", "int", 10),
        Parameter("alpha", "float", 1e-07),
        Parameter("title", "str", 'it\'s "déjà"\n'),
        Parameter("cfg", "dict", {"k": [1, 2.5, True], "y": {}}),
        Parameter("_seed", "int", -1),
    ),
    shared=SHARED,
    volumes=(Volume("data", "/data", "KALE_VOLUME_DATA"),),
    security=SecurityContext(65534, 0, run_as_non_root=True),
    ttl=3600,
    pip_index_urls=("https://packages.example.com/simple", "https://example.com/simple"),
)

INNER = pipeline(
    Step(
        "clean",
        (code(1, "table = [x * 2 for x in rows]"),),
        ins={"rows": ""},
        outs={"table": "Dataset"},
    ),
    Step(
        "split",
        (code(2, "train_rows = table[:cut]\nrest = table[cut:]"),),
        prev=("clean",),
        ins={"table": "clean"},
        outs={"train_rows": "Dataset"},
        parameters=("cut", "alpha"),
    ),
    name="features",
    notebook="nb/features.ipynb",
    parameters=(Parameter("cut", "int", 2), Parameter("alpha", "float", 9.0)),
)

NESTED = pipeline(
    step("load", "rows = [1, 2, 3]", outs={"rows": "Dataset"}),
    SubPipeline(
        "features",
        INNER,
        prev=("load",),
        ins={"rows": "load"},
        outs={"train_rows": "Dataset"},
        parameters=("alpha",),
    ),
    step(
        "clean",
        "total = sum(train_rows) * alpha\nprint(total)",
        prev=("features",),
        ins={"train_rows": "features"},
        parameters=("alpha",),
    ),
    step("notify", "print('done')", prev=("features",)),
    parameters=(Parameter("alpha", "float", 0.5),),
)

TWO_INNER = pipeline(
    SubPipeline(
        "first",
        pipeline(step("make", "x = 4", outs={"x": "Dataset"}), notebook="a.ipynb"),
        outs={"x": "Dataset"},
    ),
    SubPipeline(
        "second",
        pipeline(
            step("grow", "x *= n", ins={"x": ""}, parameters=("n",), outs={"x": "Dataset"}),
            notebook="b.ipynb",
            parameters=(Parameter("n", "int", 5),),
        ),
        prev=("first",),
        ins={"x": "first"},
        outs={"x": "Dataset"},
    ),
    step("tell", "print('x is', x)", prev=("second",), ins={"x": "second"}),
)


def chain(length: int) -> Pipeline:
    """A chain of *length* steps, each of which takes one variable and gives one."""
    steps = []
    for number in range(length):
        before = {"prev": (f"s{number - 1}",), "ins": {f"v{number - 1}": f"s{number - 1}"}}
        steps.append(
            step(
                f"s{number}",
                f"v{number} = {f'v{number - 1}' if number else 0} + 1",
                outs={f"v{number}": "Dataset"},
                **(before if number else {}),
            )
        )
    return pipeline(*steps)
