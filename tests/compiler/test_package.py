"""Packages: what KFP's own protos, loader and compiler say of them, and what we refuse."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from packages import check, compiled, documents, inlined, older
from pipelines import FULL, NESTED, RUNTIME, TWO_INNER, chain, code, pipeline, step

from kale_tag.compiler.package import package
from kale_tag.compiler.package_text import Origin, as_text
from kale_tag.compiler.step_command import MARK, SIGNS
from kale_tag.diagnostics import Label, Source, UserError
from kale_tag.kale.pipeline import (
    NewClaim,
    Parameter,
    Pipeline,
    PodOptions,
    Secret,
    SecurityContext,
    StepSettings,
    SubPipeline,
    Volume,
)

GOLDEN = Path(__file__).parent / "golden"
ORIGIN = Origin((("demo.ipynb", "0" * 64), ("demo.yaml", "1" * 64)), "kale-tag compile demo.yaml")
PACKAGES = {
    "full": FULL,
    "nested": NESTED,
    "inner": TWO_INNER,
    "one": pipeline(step("only", "print('hi')")),
}


def text_of(one: Pipeline) -> str:
    """The package of *one* as a file."""
    return as_text(package(one, RUNTIME), one, ORIGIN, "yaml")


def step_of(spec: dict[str, Any], name: str) -> tuple[str, dict[str, Any]]:
    """CELLS and SPEC of a step, the marks for `{{` and `$` taken back."""
    container = spec["deploymentSpec"]["executors"][f"exec-{name}"]["container"]
    _, _, _, first = container["command"]
    _, told, placeholder, *more = container["args"]
    assert placeholder == "{{$}}"
    cells = "".join([first, *more])
    for key, sign in reversed(SIGNS.items()):
        mark = json.loads(told).get(key, sign)
        cells, told = cells.replace(mark, sign), told.replace(mark, sign)
    made = json.loads(told)
    return cells, {key: value for key, value in made.items() if key not in SIGNS}


def refusals(one: Pipeline) -> list[str]:
    """Codes and messages of what stops the package of *one*."""
    with pytest.raises(UserError) as caught:
        package(one, RUNTIME)
    return [f"{diagnostic.code}: {diagnostic.message}" for diagnostic in caught.value.diagnostics]


@pytest.mark.parametrize("name", PACKAGES)
def test_golden(name: str, request: pytest.FixtureRequest) -> None:
    """Packages are what they were, byte for byte; `--update` writes them anew."""
    text = text_of(PACKAGES[name])
    path = GOLDEN / f"{name}.pipeline.yaml"
    if request.config.getoption("--update"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())
    assert path.read_bytes().decode() == text


@pytest.mark.parametrize("one", [*PACKAGES.values(), chain(30)], ids=[*PACKAGES, "chain"])
def test_kfp_takes_it(one: Pipeline) -> None:
    """KFP's protos, Kubernetes' part of them and the SDK's loader read every package."""
    check(text_of(one))


def test_json_and_manifest() -> None:
    """The other formats hold the same documents."""
    made = package(FULL, RUNTIME)
    as_json = json.loads(as_text(made, FULL, ORIGIN, "json"))
    assert as_json == {"pipeline_spec": made.spec, "platform_spec": made.platform}
    one = PACKAGES["one"]
    alone = package(one, RUNTIME)
    assert json.loads(as_text(alone, one, ORIGIN, "json")) == alone.spec

    head, version = documents(as_text(made, FULL, ORIGIN, "manifest"))
    assert head == {
        "apiVersion": "pipelines.kubeflow.org/v2beta1",
        "kind": "Pipeline",
        "metadata": {"name": "demo"},
        "spec": {"description": FULL.description},
    }
    assert version["spec"]["pipelineSpec"] == made.spec
    assert version["spec"]["platformSpec"] == made.platform
    assert version["spec"]["pipelineName"] == "demo"
    other = documents(as_text(alone, one, ORIGIN, "manifest"))[1]
    assert version["metadata"]["name"] != other["metadata"]["name"]
    again = documents(as_text(package(FULL, RUNTIME), FULL, ORIGIN, "manifest"))[1]
    assert again["metadata"] == version["metadata"]


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_same_bytes_for_every_hash_seed(seed: str) -> None:
    """The order of sets and the like reaches no package."""
    program = (
        "import sys\nfrom pipelines import FULL, RUNTIME\n"
        "from kale_tag.compiler.package import package\n"
        "from kale_tag.compiler.package_text import Origin, as_text\n"
        f"sys.stdout.write(as_text(package(FULL, RUNTIME), FULL, {ORIGIN!r}, 'yaml'))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        check=True,
        env={
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONIOENCODING": "utf-8",
        },
    )
    assert done.stdout == (GOLDEN / "full.pipeline.yaml").read_bytes()


BY_HAND = """
from kfp import compiler, dsl, kubernetes

def container(image="python:3.12"):
    return dsl.ContainerSpec(image=image, command=["sh"], args=["x"])

@dsl.container_component
def load(n: int, data: dsl.Output[dsl.Dataset], kale_tag_report: dsl.Output[dsl.HTML]):
    return container("python:3.11")

@dsl.container_component
def train(data: dsl.Input[dsl.Dataset], model: dsl.Output[dsl.Model],
          kale_tag_metrics: dsl.Output[dsl.Metrics], kale_tag_report: dsl.Output[dsl.HTML]):
    return container()

@dsl.container_component
def tell(tag: str = None):
    return container()

@dsl.container_component
def grow(kale_tag_report: dsl.Output[dsl.HTML]):
    return container()

def settings(task):
    task.set_caching_options(False)
    kubernetes.set_security_context(
        task, run_as_user=1000, run_as_group=0, run_as_non_root=True)
    task.set_env_variable("HOME", "/tmp")

@dsl.pipeline(name="inner")
def inner(work_claim: str, more_claim: str):
    task = grow()
    kubernetes.mount_pvc(task, "disk", "/disk")
    kubernetes.mount_pvc(task, work_claim, "/work")
    kubernetes.mount_pvc(task, more_claim, "/more")
    settings(task)

@dsl.pipeline(name="demo", description="By hand",
              pipeline_config=dsl.PipelineConfig(ttl_seconds_after_finished=60))
def demo(n: int = 3, unused: str = "", tag: str = None):
    work = kubernetes.CreatePVC(
        access_modes=["ReadWriteOnce"], size="5Gi", pvc_name_suffix="-work",
        storage_class_name="fast", annotations={"a": "b"}).set_caching_options(False)
    more = kubernetes.CreatePVC(
        access_modes=["ReadWriteMany"], size="1Mi", pvc_name_suffix="-more",
    ).set_caching_options(False)
    first = load(n=n)
    first.set_cpu_limit("2").set_memory_request("512Mi")
    first.set_cpu_request("500m").set_memory_limit("1Gi")
    first.set_accelerator_type("amd.com/gpu").set_accelerator_limit(2)
    second = train(data=first.outputs["data"]).set_retry(2).set_display_name("Train it")
    kubernetes.use_secret_as_env(second, "key", {"token": "TOKEN"})
    kubernetes.mount_pvc(first, "disk", "/disk")
    kubernetes.mount_pvc(second, "disk", "/disk")
    third = tell(tag=tag).after(first, second)
    kubernetes.mount_pvc(third, "disk", "/disk")
    kubernetes.add_pod_annotation(third, "a", "b:c")
    kubernetes.add_pod_label(third, "team", "ml")
    for task in first, second, third:
        kubernetes.mount_pvc(task, work.outputs["name"], "/work")
        kubernetes.mount_pvc(task, more.outputs["name"], "/more")
        settings(task)
    rest = inner(work_claim=work.outputs["name"], more_claim=more.outputs["name"])
    rest.after(third).set_caching_options(False)
    kubernetes.mount_pvc(third, "own", "/own")
    kubernetes.add_node_selector(third, "pool", "gpu")
    kubernetes.add_toleration(
        third, key="gpu", operator="Equal", value="yes", effect="NoSchedule")
    kubernetes.set_image_pull_secrets(third, ["registry"])
    kubernetes.set_image_pull_policy(third, "Always")
    kubernetes.use_config_map_as_env(third, "settings", {"level": "LEVEL"})
    kubernetes.use_config_map_as_volume(third, "files", "/etc/files")
    kubernetes.set_timeout(third, 30)
    third.set_env_variable("LOG", "debug")

if __name__ == "__main__":
    compiler.Compiler().compile(demo, "demo.yaml")
"""


def test_as_kfp_compiles_it(tmp_path: Path) -> None:
    """A pipeline written by hand in KFP's DSL is the same IR as ours, command and args apart."""
    ours = pipeline(
        step(
            "load",
            outs={"data": "Dataset"},
            parameters=("n",),
            settings=StepSettings(
                image="python:3.11",
                limits={"cpu": "2", "memory": "1Gi", "amd.com/gpu": "2"},
                requests={"memory": "512Mi", "cpu": "500m"},
            ),
        ),
        step(
            "train",
            prev=("load",),
            ins={"data": "load"},
            outs={"model": "Model"},
            metrics=("score",),
            settings=StepSettings(
                retries=2, display_name="Train it", secrets=(Secret("TOKEN", "key", "token"),)
            ),
        ),
        step(
            "tell",
            prev=("load", "train"),
            parameters=("tag",),
            settings=StepSettings(
                report=False,
                pod={"annotation": {"a": "b:c"}, "label": {"team": "ml"}},
                timeout=30,
                env={"LOG": "debug"},
                pod_options=PodOptions(
                    {"pool": "gpu"},
                    ({"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},),
                    ("registry",),
                    "Always",
                    {"LEVEL": "settings/level", "/etc/files": "files"},
                    {"/own": "own"},
                ),
            ),
        ),
        SubPipeline("inner", pipeline(step("grow"), notebook="inner.ipynb"), prev=("tell",)),
        description="By hand",
        parameters=(
            Parameter("n", "int", 3),
            Parameter("unused", "str", ""),
            Parameter("tag", "str", None),
        ),
        volumes=(
            Volume("disk", "/disk"),
            Volume("work", "/work", new=NewClaim("5Gi", "ReadWriteOnce", "fast", {"a": "b"})),
            Volume("more", "/more", new=NewClaim("1Mi")),
        ),
        security=SecurityContext(1000, 0, run_as_non_root=True),
        caching=False,
        ttl=60,
    )
    theirs = older(inlined(*compiled(BY_HAND, tmp_path)))
    assert inlined(*documents(text_of(ours))) == theirs


def test_what_a_step_is_told() -> None:
    """Names, parameters, inputs and outputs reach the runtime; what is empty is left out."""
    spec = check(text_of(FULL))
    cells, told = step_of(spec, "train")
    assert told == {
        "step": "train",
        "notebook": "demo.ipynb",
        "cells": [["imports", 0, 2], ["functions", 1, 3], ["step", 8, 2]],
        "params": {"alpha": "float"},
        "in": ["rows"],
        "out": ["model"],
        "metrics": {"score": "score"},
        "metrics_artifact": "kale_tag_metrics",
        "report": "kale_tag_report",
    }
    assert cells.splitlines()[:3] == ["# %% imports, cell 0", "import json", "import math"]
    assert cells.splitlines()[-3] == "# %% step train, cell 8"
    assert step_of(spec, "report")[1]["names"] == {"_seed": "seed"}
    assert "report" not in step_of(spec, "report")[1]


def test_cells_without_code() -> None:
    """Cells of which nothing is left are left out; a step of nothing else is a step still."""
    blank = pipeline(
        replace(step("a"), code=(code(2, "\n \n"), code(3, "x = 1"))),
        replace(step("b"), code=(code(4, ""), code(5, "# nothing"))),
        replace(step("c"), code=(code(6, " "),)),
        shared=(code(0, "\n", "imports"),),
    )
    spec = check(text_of(blank))
    assert step_of(spec, "a")[1]["cells"] == [["step", 3, 1]]
    assert step_of(spec, "b")[1]["cells"] == [["step", 5, 1]]
    assert step_of(spec, "c")[1]["cells"] == [["step", 6, 1]]


def test_names_of_artifacts() -> None:
    """A variable that goes in and comes out has two names, as it must have in KFP's DSL."""
    spec = check(text_of(FULL))
    clean = spec["components"]["comp-clean"]
    assert list(clean["inputDefinitions"]["artifacts"]) == ["rows_in"]
    assert "rows" in clean["outputDefinitions"]["artifacts"]
    assert step_of(spec, "clean")[1]["in_names"] == {"rows": "rows_in"}


def test_a_parameter_that_a_step_changes() -> None:
    """The parameter goes in under another name than the variable comes out."""
    one = pipeline(
        step("a", "n += 1", parameters=("n",), outs={"n": "Dataset"}),
        step("b", "n", prev=("a",), ins={"n": "a"}),
        parameters=(Parameter("n", "int", 1),),
    )
    spec = check(text_of(one))
    assert step_of(spec, "a")[1]["in_names"] == {"n": "n_in"}
    assert list(spec["root"]["inputDefinitions"]["parameters"]) == ["n"]


def test_reserved_outputs() -> None:
    """A variable may be called as our own outputs are."""
    one = pipeline(
        step(
            "a",
            outs={"kale_tag_report": "Dataset", "kale_tag_metrics": "Model"},
            metrics=("kale_tag_metrics",),
        )
    )
    told = step_of(check(text_of(one)), "a")[1]
    assert told["report"] == "kale_tag_report_2"
    assert told["metrics_artifact"] == "kale_tag_metrics_2"


@pytest.mark.parametrize("one", [NESTED, TWO_INNER, PACKAGES["one"]])
def test_keys_of_tasks(one: Pipeline) -> None:
    """No two tasks of a run have one key, and KFP up to 2.5 finds each by its key."""
    spec = check(text_of(one))
    dags = [part["dag"] for part in (spec["root"], *spec["components"].values()) if "dag" in part]
    tasks = [entry for dag in dags for entry in dag["tasks"].items()]
    assert len({key for key, _ in tasks}) == len(tasks)
    assert [task["taskInfo"]["name"] for _, task in tasks] == [key for key, _ in tasks]


def test_every_prev_is_an_edge() -> None:
    """A `prev` without data is an edge too, inside of sub-pipelines as well."""
    inner = pipeline(step("a"), step("b", prev=("a",)))
    spec = check(text_of(pipeline(SubPipeline("sub", inner), step("c", prev=("sub",)))))
    tasks = spec["components"]["comp-sub"]["dag"]["tasks"]
    assert tasks["sub--b"]["dependentTasks"] == ["sub--a"]
    assert spec["root"]["dag"]["tasks"]["c"]["dependentTasks"] == ["sub"]


HOSTILE = [
    "''' \"\"\" \\ \\n {{x}} {{{y}}} {{{{z}}}} {x!r} {{$}} {{workflow.name}} {{=1+1}}",
    "{~ {^ {` {| {? {{",
    "{{" * 7 + "{",
    "{~{{{~{{",
    "a\r\nb\rc",
    "\ta\n\tb",
    "😀 \u2028 \u2029 \x85 \x0c \x1b[0m é \ufeff",
    "# trailing  \n\n  \n",
    "",
    "\n\n",
    "---\n...\n%YAML",
    'python3 $0 `id` $(id) "$@"',
    "!echo $(pwd) $(HOME) $$ $$$(x)$$ $",
    "$$ ~~ ~^ ~` ~| ~? ~! {$(x) {{$$ ~$(",
    "~$$!~$($(",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", ["a", "class", "import", "_x", "x9"])
def test_hostile_cells(text: str, name: str) -> None:
    """Whatever a cell holds arrives as it is, and nothing in it is taken for a placeholder."""
    one = pipeline(step(name, text), notebook="n{{b}}.ipynb")
    cells, told = step_of(check(text_of(one)), name.strip("_"))
    assert told["notebook"] == "n{{b}}.ipynb"
    lines = cells.split("\n")
    assert lines[0] == f"# %% step {name}, cell 1"
    assert "\n".join(lines[1 : 1 + told["cells"][0][2]]) == text.rstrip("\n")


def test_what_a_step_adds_to_the_file() -> None:
    """At most 1.2 kB, its cells and the program of kale-tag not counted."""
    added = len(text_of(chain(21))) - len(text_of(chain(20)))
    cells, _ = step_of(check(text_of(chain(21))), "s20")
    assert added - len(cells) < 1200


@pytest.mark.parametrize(
    ("line", "fits", "fails"),
    [("x = 1\n", 18_000, 19_000), ("'<a>&'\n", 5_600, 5_800), ("'é'\n", 21_000, 22_000)],
)
def test_size_of_a_container(line: str, fits: int, fails: int) -> None:
    """A driver gets it as JSON of Go in one argument; `\\n` has two bytes there, `<` has six."""
    check(text_of(pipeline(step("big", line * fits))))
    (message,) = refusals(pipeline(step("big", line * fails)))
    assert message.startswith("step-too-large: the container of step `big` is 13")
    assert message.endswith("Kubeflow Pipelines can start 131,071")


def test_size_of_a_container_before_2_14() -> None:
    """Argo has it twice in one variable there."""
    one = pipeline(step("big", "x = 1\n" * 9_000), kfp_version=(2, 5))
    assert refusals(one)[0].endswith("Kubeflow Pipelines can start 60,000 before 2.14")
    check(text_of(replace(one, kfp_version=(2, 14))))


@pytest.mark.parametrize(("length", "parts"), [(119_000, 1), (39_600, 3)])
def test_size_of_parameters(length: int, parts: int) -> None:
    """All values go to a driver in one argument, and to a step with its artifacts."""
    values = tuple(Parameter(f"p{n}", "str", "a" * length, AT) for n in range(parts))
    check(text_of(pipeline(step("a"), parameters=values)))
    more = replace(values[0], default="a" * (length + 3_000))
    (message,) = refusals(pipeline(step("a"), parameters=(more, *values[1:])))
    assert message.startswith("pipeline-too-large: the defaults of the parameters are 12")


def test_a_thousand_cells() -> None:
    """So many cells are no trouble."""
    cells = tuple(code(number, f"x{number} = {number}") for number in range(1000))
    told = step_of(check(text_of(pipeline(replace(step("a"), code=cells)))), "a")[1]
    assert len(told["cells"]) == 1000


AT = Label(Source("nb.ipynb", "x", 3))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"limits": {"memory": "2GB"}}, "`2GB` is not a quantity of Kubernetes"),
        ({"limits": {"memory": "512m"}}, "no container starts with that"),
        ({"limits": {"memory": "2"}}, "no container starts with that"),
        ({"limits": {"cpu": "500M"}}, "500,000,000 CPUs"),
        ({"limits": {"cpu": "0"}}, "not an amount of CPU"),
        ({"limits": {"cpu": "0.1m"}}, "less than a thousandth"),
        ({"limits": {"nvidia.com/gpu": "one"}}, "`one` is not a quantity"),
        ({"limits": {"nvidia.com/gpu": "0.5"}}, "not a whole number of devices"),
        ({"limits": {"nvidia.com/gpu": "1", "amd.com/gpu": "1"}}, "one type a step"),
        ({"limits": {"gpu": "1"}}, "`gpu`, which no cluster knows"),
        ({"requests": {"nvidia.com/gpu": "1"}}, "devices by limit alone"),
        ({"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}, "more cpu (2) than its limit (1)"),
        ({"image": " python"}, "contains a space"),
        ({"pod": {"label": {"a": "b c"}}}, "cannot be `b c`"),
        ({"pod": {"label": {"a": "x" * 64}}}, "up to 63"),
        ({"pod": {"label": {"a/b/c": "x"}}}, "cannot be the name of a label"),
        ({"pod": {"annotation": {"-a": "x"}}}, "cannot be the name of an annotation"),
        (
            {"pod": {"annotation": {"a": "{{workflow.name}}"}}},
            "which Kubeflow Pipelines and Argo replace",
        ),
        ({"env": {"A": "{{x"}}, "the environment variable `A` contains `{{`"),
        ({"env": {"1A": "x"}}, "cannot be the name of an environment variable"),
        ({"env": {"A": "\0"}}, "a character that cannot be passed"),
        (
            {"env": {"A": "x"}, "secrets": (Secret("A", "s", "k"),)},
            "from `env` and from the secret",
        ),
        ({"env": {"A": "a$$b"}}, "the environment variable `A` contains `$$`"),
        ({"env": {"A": "x-$(KFP_POD_NAME)"}}, "contains `$(KFP_POD_NAME)`, which Kubernetes"),
        ({"pod": {"annotation": {"a": "$(X)"}}}, "contains `$(X)`"),
        ({"display_name": "{{x}}"}, "the display name of step `a` contains"),
    ],
)
def test_refused_settings(settings: dict[str, Any], said: str) -> None:
    """What a cluster would refuse, or mean otherwise, is refused with its place."""
    one = pipeline(step("a", settings=StepSettings(**settings), label=AT))
    with pytest.raises(UserError) as caught:
        package(one, RUNTIME)
    (diagnostic,) = caught.value.diagnostics
    assert said in diagnostic.message
    assert diagnostic.labels == (AT,)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (pipeline(step("a_b"), step("a__b")), "have one name in Kubeflow Pipelines: `a-b`"),
        (pipeline(step("train"), step("train_driver")), "both have a task `train-driver`"),
        (pipeline(step("a_driver"), step("a")), "both have a task `a-driver`"),
        (pipeline(step("_1a")), "needs a letter before digits"),
        (pipeline(step("demo")), "has the name of the pipeline"),
        (pipeline(step("_")), "needs a letter in it"),
        (pipeline(step("a" * 130)), "is too long"),
        (pipeline(step("a", packages=("x{{y}}",))), "a requirement or index of pip contains"),
        (pipeline(step("a"), description="{{x}}"), "the description of the pipeline contains"),
        (pipeline(step("a"), volumes=(Volume("v", "data"),)), "must start with `/`"),
        (
            pipeline(step("a"), volumes=(Volume("v", "/d"), Volume("w", "/d/"))),
            "have the same mount point",
        ),
    ],
)
def test_refused_pipelines(one: Pipeline, said: str) -> None:
    """Names that clash and texts that no program takes are refused."""
    (message,) = refusals(one)
    assert said in message


@pytest.mark.parametrize(
    ("default", "said"),
    [
        (10**17 + 1, "would lose digits"),
        ([1, {"a": 2**60}], "would lose digits"),
        (float("nan"), "JSON has no number"),
        ({1: "a"}, "its key 1 is not text"),
        ({"k" * 500: 1}, "a key of 500 characters"),
        ((1, 2), "cannot be a tuple"),
        ("{{x}}", "contains `{{`"),
        ({"a": ["{{"]}, "contains `{{`"),
        ("a$$b", "contains `$$`, which Kubernetes replaces"),
        (["$(HOSTNAME)"], "contains `$(HOSTNAME)`"),
    ],
)
def test_refused_parameters(default: object, said: str) -> None:
    """A default that would arrive as something else is refused."""
    one = pipeline(step("a"), parameters=(Parameter("p", "dict", default, AT),))
    (message,) = refusals(one)
    assert said in message


def test_all_faults_at_once() -> None:
    """One run shows everything."""
    bad = StepSettings(limits={"cpu": "x", "memory": "y"}, pod={"label": {"-": "x"}})
    assert len(refusals(pipeline(step("a", settings=bad), step("demo", settings=bad)))) == 7


def test_warned_of() -> None:
    """What KFP cannot express is left out with a warning."""
    settings = StepSettings(limits={"ephemeral-storage": "10Gi", "hugepages-2Mi": "4Mi"})
    made = package(pipeline(step("a", settings=settings, label=AT)), RUNTIME)
    assert [one.code for one in made.warnings] == ["not-expressible"] * 2
    assert all(one.labels == (AT,) for one in made.warnings)
    assert "resources" not in json.dumps(made.spec)


def test_none_in_a_parameter() -> None:
    """None inside of a default is what a cluster takes, and kfp on this machine does not."""
    one = pipeline(step("a"), parameters=(Parameter("p", "list", [None], AT),))
    (warning,) = package(one, RUNTIME).warnings
    assert (warning.code, warning.labels) == ("none-in-parameter", (AT,))
    check(text_of(one))


def test_texts_that_steps_share() -> None:
    """What many steps have alike stands once in a package, whatever their number."""
    text = text_of(chain(300))
    assert text.count(MARK) == 4, "an alias for 90 at most"
    assert len(documents(text)[0]["deploymentSpec"]["executors"]) == 300
    assert "&runtime" not in text_of(pipeline(step("one")))
    mixed = pipeline(*(step(f"s{n}", "get_ipython()" if n % 2 else "x") for n in range(4)))
    executors = check(text_of(mixed))["deploymentSpec"]["executors"].values()
    programs = [one["container"]["args"][0] for one in executors]
    assert programs == [RUNTIME.for_step("x", {}), RUNTIME.whole()] * 2


def test_a_large_pipeline_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime of many steps is packed, that of few never; where it begins is marked."""
    assert "import base64, bz2" not in text_of(chain(60))
    assert text_of(chain(3)).count(MARK) == 1
    monkeypatch.setattr("kale_tag.compiler.package.MUCH", 10_000)
    assert text_of(chain(100)).count("import base64, bz2") == 2


def test_dollars_in_what_pip_is_asked_for() -> None:
    """The shell gets them as they were written."""
    asked = ("a @ https://x/$$y/$(HOME)/$z'",)
    spec = check(text_of(pipeline(step("a", packages=asked))))
    start = spec["deploymentSpec"]["executors"]["exec-a"]["container"]["command"][2]
    install = next(line for line in start.splitlines() if "pip install" in line)
    _, _, words = install.partition("--no-warn-script-location ")
    printed = subprocess.check_output(["sh", "-c", f"printf %s {words}"], text=True)
    assert printed == asked[0]


def test_device_taken_back() -> None:
    """A count of 0 is no device."""
    settings = StepSettings(limits={"nvidia.com/gpu": "0", "amd.com/gpu": "1"})
    spec = check(text_of(pipeline(step("a", settings=settings))))
    wanted = spec["deploymentSpec"]["executors"]["exec-a"]["container"]["resources"]
    assert wanted["accelerator"]["resourceType"] == "amd.com/gpu"


def test_home() -> None:
    """A user without a home gets one, unless the notebook says another."""
    user = SecurityContext(65534)
    mine = StepSettings(env={"HOME": "/home/me"})
    spec = check(text_of(pipeline(step("a"), step("b", settings=mine), security=user)))
    homes = [
        one["container"]["env"][0]["value"] for one in spec["deploymentSpec"]["executors"].values()
    ]
    assert homes == ["/tmp", "/home/me"]


def test_header() -> None:
    """The header says what it is made of; nothing in it can end the comment."""
    one = replace(FULL, description="one\n\ntwo\x85three: {{ \u2028", experiment="x\ny: z")
    text = as_text(package(FULL, RUNTIME), one, ORIGIN, "yaml")
    head = text.partition("pipelineInfo:")[0]
    assert all(line.startswith("# ") for line in head.splitlines())
    assert "{{" not in head
    assert yaml.safe_load(head) is None
    assert f"# From: demo.ipynb sha256:{'0' * 64}\n" in head
    assert "# Made by: kale-tag compile demo.yaml\n" in head


def test_size_of_a_step() -> None:
    """A step costs its cells and at most 1.2 kB."""
    small, large = (text_of(chain(n)) for n in (10, 110))
    cells = sum(len(f"{' ' * 10}v{n} = v{n - 1} + 1\n") for n in range(10, 110))
    assert (len(large) - len(small) - cells) / 100 <= 1200
