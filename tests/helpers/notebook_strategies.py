"""Notebooks made up by hypothesis: small ones, whose tags and settings are valid or nearly so."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from notebooks import cell, notebook

FUZZ = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

WORDS = ["load", "fit", "import os", "def f(): pass", "x = 1", ""]
STEPS = ["load", "train", "report"]
FOREIGN = ["parameters", "remove-cell", "a b", "é"]
KALES = [
    "imports",
    "skip",
    "step:load",
    "step:train",
    "step:old",
    "prev:load",
    "prev:old",
    "limit:cpu:1",
    "step:Bad",
    "image:x",
    "notebook:n",
]
LEGACY = ["block:load", "prev:a;b"]

tag_lists = st.lists(st.sampled_from(FOREIGN + KALES + LEGACY), max_size=4)
metadata: st.SearchStrategy[dict[str, Any] | None] = (
    st.fixed_dictionaries({}, optional={"tags": tag_lists, "notebook_path": st.just("n.ipynb")})
    | st.fixed_dictionaries({"tags": st.sampled_from([[], None]), "collapsed": st.just(True)})
    | st.just(None)
)
settings_values = st.fixed_dictionaries(
    {},
    optional={
        "pipeline_name": st.sampled_from(["p", "p-${stem}"]),
        "experiment_name": st.sampled_from(["e", None]),
        "docker_image": st.none(),
        "enable_caching": st.booleans(),
        "volumes": st.just([{"name": "v", "mount_point": "/v", "type": "pvc"}]),
        "steps_defaults": st.sampled_from([[], ["limit:cpu:1"], {"limits": {"cpu": 2}}, None]),
        "security_context": st.fixed_dictionaries({}, optional={"run_as_user": st.just(1000)}),
    },
)
present_settings = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "pipeline_name": st.sampled_from(["p", "q"]),
        "experiment_name": st.just("e"),
        "experiment": st.sampled_from([{"id": "7", "name": "e"}, {"id": "new", "name": "old"}]),
        "docker_image": st.just("img"),
        "enable_caching": st.sampled_from([True, 1, False]),
        "steps_defaults": st.sampled_from([[], ["limit:cpu:1"]]),
        "security_context": st.just({"run_as_user": 1, "run_as_group": 2}),
    },
)


@st.composite
def notebooks(draw: st.DrawFn) -> dict[str, Any]:
    """A notebook with tags of all kinds in all places."""
    cells = []
    for number in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["code", "code", "code", "markdown"]))
        words = WORDS if kind == "code" else ["# Load", "## Train\ntext", "text"]
        made = cell(draw(st.sampled_from(words)), kind, metadata=draw(metadata))
        if draw(st.booleans()):
            made["id"] = f"c{number}"
        cells.append(made)
    present = draw(present_settings)
    return notebook(cells, **({} if present is None else {"kubeflow_notebook": present}))
