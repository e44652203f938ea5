"""The pipeline as KFP's DSL compiles, with kfp itself, to the package that we write."""

import ast
import json
import keyword
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packages import compiled, documents, inlined, older
from pipelines import FULL, NESTED, POD_OPTIONS, RUNTIME, TWO_INNER, chain, code, pipeline, step

from kale_tag.compiler.dsl import cannot_compile, literal, to_dsl
from kale_tag.compiler.package import package
from kale_tag.compiler.package_text import to_yaml
from kale_tag.kale.pipeline import (
    Code,
    NewClaim,
    Parameter,
    Pipeline,
    Secret,
    SecurityContext,
    Step,
    StepSettings,
    Volume,
)

EXAMPLES = {
    "full": replace(
        FULL,
        parameters=(
            *FULL.parameters[:2],
            Parameter("title", "str", 'it\'s "déjà"'),
            Parameter("cfg", "dict", {"k": [1, 2.5, True], "y": {}}),
            FULL.parameters[4],
        ),
    ),
    "nested": NESTED,
    "optional": replace(
        NESTED,
        steps=(
            step("first", "print(limit, tag)", parameters=("limit", "tag"), outs={"x": "Model"}),
            *NESTED.steps,
        ),
        parameters=(
            Parameter("alpha", "float", None),
            Parameter("limit", "int", None),
            Parameter("tag", "str", "a"),
        ),
    ),
    "two inner": TWO_INNER,
    "claims": replace(
        NESTED,
        volumes=(
            Volume("disk", "/disk"),
            Volume("work", "/w", new=NewClaim("5Gi", "ReadWriteOnce", "fast", {"a": "b"})),
            Volume("my-data", "/d", new=NewClaim("1Gi")),
        ),
    ),
    "chain": chain(5),
    "blank": pipeline(
        replace(step("a"), code=(code(2, "\n \n"), code(3, "x = 1"))),
        replace(step("c"), code=(code(6, ""),)),
        shared=(code(0, "\n", "imports"),),
    ),
    "files": pipeline(
        replace(step("a", "import b"), files=(Code(-1, "x = 1", "x = 1", "file", "b.py"),))
    ),
    "signs": pipeline(step("a", "print('$(HOME) $$ $x {{y}} {^')"), notebook="n$$.ipynb"),
    "odd names": pipeline(
        step("class", "x = 1", outs={"x": "Dataset", "_größe": "Model"}, parameters=("dsl",)),
        step("dsl", "x", prev=("class",), ins={"x": "class", "_größe": "class"}),
        step("_list", "pass", prev=("class", "dsl"), parameters=("list",), outs={"list": "Model"}),
        step("demo_task", parameters=("train", "_class", "_None")),
        parameters=(
            Parameter("dsl", "str", "a"),
            Parameter("list", "list", [1, "b"]),
            Parameter("train", "bool", True),
            Parameter("_class", "int", 0),
            Parameter("_None", "float", -0.5),
        ),
    ),
}


BY_HAND = pipeline(
    Step(
        "load",
        (code(1, "rows = [limit] * count"),),
        outs={"rows": "Dataset"},
        parameters=("count", "limit"),
        settings=StepSettings(
            image="python:3.11",
            limits={"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"},
            requests={"cpu": "500m", "memory": "1G"},
            pod={"label": {"team": "ml"}, "annotation": {"example.com/note": "x y"}},
            secrets=(Secret("PASSWORD", "db", "password"),),
            env={"LEVEL": "debug"},
            cache=False,
            retries=2,
            timeout=600,
            display_name="Load the rows",
            pod_options=replace(
                POD_OPTIONS, config_maps={"DEPTH": "settings/level", "/etc/app": "files"}
            ),
        ),
    ),
    Step(
        "train",
        (code(2, "score = len(rows) * rate"),),
        prev=("load",),
        ins={"rows": "load"},
        parameters=("rate", "title"),
        metrics=("score",),
        settings=StepSettings(report=False),
    ),
    Step("publish", (code(3, "print(1)"),), ("train",), settings=StepSettings(report=False)),
    name="features",
    description="All that there is",
    parameters=(
        Parameter("count", "int", 3),
        Parameter("rate", "float", 0.5),
        Parameter("limit", "int", None),
        Parameter("title", "str", None),
    ),
    volumes=(
        Volume(
            "work", "/work", new=NewClaim("5Gi", storage_class="fast", annotations={"owner": "ml"})
        ),
    ),
    security=SecurityContext(1000, 100, run_as_non_root=True),
)


def test_is_what_the_sdk_makes(tmp_path: Path) -> None:
    """A pipeline with all features, written by hand for KFP's SDK, is field by field ours."""
    module = Path(__file__).parent.joinpath("golden", "features.py.txt").read_text("utf-8")
    theirs = older(inlined(*compiled(module, tmp_path)))
    ours = inlined(*documents(to_yaml(package(BY_HAND, RUNTIME).documents)))
    assert ours == theirs


@pytest.mark.parametrize("one", EXAMPLES.values(), ids=EXAMPLES)
def test_compiles_to_the_same(one: Pipeline, tmp_path: Path) -> None:
    """kfp makes the same IR of it, command and args apart."""
    theirs = compiled(to_dsl(one, RUNTIME), tmp_path)
    ours = documents(to_yaml(package(one, RUNTIME).documents))
    assert inlined(*ours) == older(inlined(*theirs))


@pytest.mark.parametrize("one", EXAMPLES.values(), ids=EXAMPLES)
def test_runs_the_same(one: Pipeline, tmp_path: Path) -> None:
    """Its containers are given the same script, cells, runtime and step."""
    theirs = compiled(to_dsl(one, RUNTIME), tmp_path)[0]["deploymentSpec"]["executors"]
    ours = documents(to_yaml(package(one, RUNTIME).documents))[0]["deploymentSpec"]["executors"]

    def said(executors: dict[str, Any]) -> list[Any]:
        parts = [
            (one["container"]["command"], one["container"]["args"])
            for one in executors.values()
            if "command" in one["container"]  # not those that create claims
        ]
        steps = [
            {**json.loads(args[1]), "in": json.loads(args[1]).get("in", [])} for _, args in parts
        ]
        plain = [
            (*"".join(command).split(), args[0], *args[2:], json.dumps(step, sort_keys=True))
            for (command, args), step in zip(parts, steps, strict=True)
        ]
        return sorted(plain)

    assert said(ours) == said(theirs)


def test_literals_keep_the_text() -> None:
    """Whatever the cell holds, its literal is the cell again, behind one line break."""
    cells = [
        "x = 1\n",
        "'''a'''\n",
        "'''a''' + \"\"\"b\"\"\"\n",
        "x = '\\n'  # \\\n",
        "# ends with '\n",
        'f"{x!r:>{width}}" + "{{}}"\n',
        "\tx\r\n",
        "# \u2028 \x0c 😀 \x85\n",
        "\n\nx\n",
    ]
    for text in cells:
        assert ast.literal_eval(literal(text)) == f"\n{text}"


def test_readable() -> None:
    """Ordinary cells stand in it line for line."""
    source = 'def f(x):\n    """Why."""\n    return x.split("\\n")\n'
    text = to_dsl(pipeline(replace(step("train"), code=(code(3, source),))), RUNTIME)
    assert f"    ('step', 3, r'''\n{source}'''),\n" in text
    assert "@dsl.container_component\ndef train(kale_tag_report: dsl.Output[dsl.HTML]):" in text
    assert not keyword.iskeyword("train")


def test_what_kfp_cannot_compile() -> None:
    """Defaults on which kfp stops are warned of."""
    none = Parameter("none", "list", [1, {"a": None}])
    one = replace(FULL, parameters=(*FULL.parameters, none))
    assert [diagnostic.message.split("`")[1] for diagnostic in cannot_compile(one)] == [
        "title",
        "none",
    ]
