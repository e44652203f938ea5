"""Any spec on any notebook: what holds for all of them."""

import copy
import json
from typing import Any

import jsonpatch
from hypothesis import example, given
from hypothesis import strategies as st
from notebook_strategies import FOREIGN, FUZZ, notebooks, settings_values
from notebooks import cell, notebook, to_bytes

from kale_tag.diagnostics import Diagnostic, Label, Source, UserError
from kale_tag.kale import tags
from kale_tag.plan.apply import apply_spec
from kale_tag.plan.patch import operations
from kale_tag.render.diagnostics import as_text
from kale_tag.render.text import Style
from kale_tag.spec.model import Spec, Target
from kale_tag.spec.read import read_spec

VARIABLES = {"stem": "my_nb", "name": "my_nb.ipynb", "dir": "a/b", "parent": "b"}

selectors = st.fixed_dictionaries(
    {},
    optional={
        "source": st.sampled_from(["load", "^(?P<w>load|fit)", "import", "x", ["fit", "def"]]),
        "index": st.sampled_from([0, -1, "0-2", [1, 3]]),
        "heading": st.sampled_from(["Load", "(?i)^(train)"]),
        "tagged": st.sampled_from(["step:(.+)", "(?:block|step):(.+)", "parameters", "skip"]),
        "not": st.sampled_from([{"source": "fit"}, {"tagged": "skip"}, {"index": 0}]),
    },
).filter(bool)
roles = st.sampled_from(
    [
        {"tag": "imports"},
        {"tag": "skip"},
        {"untag": True},
        {"step": "load"},
        {"step": "train", "prev": "load"},
        {"step": "train", "limits": {"cpu": 1}, "labels": {"team": "a"}},
        {"step": "train", "prev": ["load", "report"], "image": "python:3.12", "cache": "disabled"},
        {"step": "report", "prev": []},
        {"step": "report", "prev": "step-above"},
        {"step": "train", "prev": ["load", "step-above"]},
        {"notebook": {"name": "n", "path": "${stem}.ipynb"}},
        {"add": "mine"},
        {"remove": "param.*"},
        {"step": "load", "add": ["mine"], "remove": "remove-.*"},
    ]
)
rules = st.builds(
    lambda selector, role, expect: {**selector, **role, **expect},
    selectors,
    roles,
    st.sampled_from([{"expect": "any"}, {"expect": "any"}, {}]),
)
specs = st.fixed_dictionaries(
    {"version": st.just(1), "cells": st.lists(rules, max_size=4)},
    optional={
        "pipeline": settings_values,
        "unmatched": st.sampled_from(["keep", "untag", "skip", "error"]),
        "legacy": st.sampled_from(["keep", "error", "upgrade"]),
        "rename": st.sampled_from([{"old": "load"}, {"old": "new"}]),
    },
)


def read(value: dict[str, Any]) -> Spec:
    """The spec of a plain value: JSON is YAML."""

    def load(_path: str, _at: Label) -> Source:
        raise AssertionError

    return read_spec(Source("spec.yaml", json.dumps(value)), load)


def tags_in(one: dict[str, Any]) -> list[str]:
    """The tags of a cell."""
    return (one["metadata"] or {}).get("tags") or []


def without_metadata(value: dict[str, Any]) -> dict[str, Any]:
    """What kale-tag must never change."""
    bare = copy.deepcopy(value)
    for holder in (bare, *bare["cells"]):
        del holder["metadata"]
    return bare


def check_settings(
    wanted: dict[str, Any] | None, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Null removes, `experiment` follows `experiment_name`, what is not named stays."""
    if wanted is None:
        assert after["metadata"] == before["metadata"]
        return
    old = before["metadata"].get("kubeflow_notebook", {})
    new = after["metadata"].get("kubeflow_notebook", {})
    assert not {key for key, wish in wanted.items() if wish is None} & new.keys()
    if wanted.get("experiment_name"):
        assert new["experiment"]["name"] == new["experiment_name"] == wanted["experiment_name"]
    for key in old.keys() - wanted.keys() - {"experiment"}:
        assert new[key] == old[key]


TWICE = notebook([cell("load", metadata={"tags": ["parameters", "parameters", "block:load"]})])


@FUZZ
@example(value={"version": 1, "cells": [], "legacy": "upgrade"}, before=TWICE, fast=False)
@given(specs, notebooks(), st.booleans())
def test_what_always_holds(value: dict[str, Any], before: dict[str, Any], fast: bool) -> None:  # noqa: FBT001
    """A spec is refused with a message, or it makes a notebook that is as the spec says.

    Then nothing but metadata has changed; foreign tags are there in their order; Kale reads each
    tag list of a selected cell to its end; the patch of the plan says the same; and the second
    time there is nothing to do.
    """
    data = to_bytes(before)
    try:
        spec = read(value)
        made = apply_spec(spec, data, "my_nb.ipynb", Target(VARIABLES, spec.pipeline), fast=fast)
    except UserError:
        return
    after = json.loads(made.data or data)
    assert without_metadata(before) == without_metadata(after)
    assert jsonpatch.apply_patch(before, operations(made.plan.changes, made.notebook)) == after
    if made.data is not None:
        assert made.data == to_bytes(after)
    selected = {index for found in made.plan.selections for index in found.cells}
    owned = {
        index
        for found in made.plan.selections
        if found.rule.role is not None
        for index in found.cells
    }
    for index, (old, new) in enumerate(zip(before["cells"], after["cells"], strict=True)):
        foreign = [tag for tag in tags_in(old) if tag in FOREIGN]
        left = [tag for tag in tags_in(new) if tag in FOREIGN]
        assert left == foreign if index not in selected else set(left) <= set(foreign)
        if index in owned:
            kinds = [tags.is_kales(tag) for tag in tags_in(new)]
            assert kinds == sorted(kinds, reverse=True), "Kale's tags stand first"
            assert all(tags.parse(tag) for tag in tags_in(new) if tags.is_kales(tag))
        kept = value.get("unmatched", "keep") == "keep" or old["cell_type"] != "code"
        upgraded = value.get("legacy") == "upgrade"
        if index not in selected and kept and not upgraded and "rename" not in value:
            assert new == old
    if value.get("legacy") != "upgrade":  # see test_upgrade.py
        check_settings(value.get("pipeline"), before, after)

    again = apply_spec(
        spec, made.data or data, "my_nb.ipynb", Target(VARIABLES, spec.pipeline), fast=fast
    )
    assert again.data is None
    assert again.plan.changes == ()


@FUZZ
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_spec_or_a_message(text: str) -> None:
    """Whatever stands in a spec, reading it gives a spec or faults whose places lie in the text."""

    def load(_path: str, _at: Label) -> Source:
        raise UserError

    diagnostics: tuple[Diagnostic, ...] = ()
    try:
        read_spec(Source("spec.yaml", text), load)
    except UserError as refused:
        diagnostics = refused.diagnostics
    spans = [
        label.span
        for diagnostic in diagnostics
        for label in diagnostic.labels
        if label.span is not None
    ]
    assert all(0 <= span.start <= span.end <= len(text) for span in spans)
    assert all(as_text(diagnostic, Style()) for diagnostic in diagnostics)
