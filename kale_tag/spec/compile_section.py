"""The `compile` section of a spec: options for the compiler, for which Kale has no tag.

They are never written into a notebook.
"""

from dataclasses import fields, replace
from typing import Any, TypeVar

from kale_tag.fields.fields import Form
from kale_tag.fields.yaml_tree import Node
from kale_tag.kale.names import KFP_VERSIONS, kfp_version
from kale_tag.kale.settings import CompileOptions, StepOptions

ARTIFACTS = ("Dataset", "Model", "Metrics", "HTML", "Artifact")
KEYS = ("packages", "distributions", "pip_index_urls", "ttl", "artifacts", "steps", "kfp_version")
STEP_KEYS = ("display_name", "env", "packages", "requests", "retries", "timeout")


Options = TypeVar("Options", CompileOptions, StepOptions)


def read_compile(form: Form, node: Node) -> CompileOptions:
    """The options in the section; what is wrong is noted in *form* and left out."""
    given = form.record(node, KEYS, "`compile`")
    made: dict[str, Any] = {"labels": {key: value.label for key, value in given.items()}}
    for key, value in given.items():
        match key:
            case "kfp_version":
                text = form.text(value, "`kfp_version`")
                made[key] = kfp_version(text or "")
                if text is not None and made[key] is None:
                    message = f"`kfp_version` cannot be `{text}`"
                    form.diagnostic("wrong-value", message, value.label, help=KFP_VERSIONS)
            case "packages" | "pip_index_urls":
                made[key] = _texts(form, value, key)
            case "ttl":
                made[key] = form.number(value, "`ttl`", 1)
            case "distributions":
                made[key] = {
                    name.text: text
                    for name, one in form.mapping(value, "`distributions`")
                    if (text := form.text(one, f"`{name.text}`")) is not None
                }
            case "artifacts":
                made[key] = {
                    name.text: kind
                    for name, one in form.mapping(value, "`artifacts`")
                    if (kind := form.choice(one, ARTIFACTS, f"`{name.text}`")) is not None
                }
            case _:
                made[key] = {
                    name.text: replace(_step(form, one), label=name.label)
                    for name, one in form.mapping(value, "`steps`")
                }
    return CompileOptions(**made)


def merged(base: CompileOptions, over: CompileOptions) -> CompileOptions:
    """*base* with *over* on top: mappings are merged, the steps key by key."""
    steps = {
        name: _laid_over(base.steps.get(name, StepOptions()), step)
        for name, step in over.steps.items()
    }
    return replace(_laid_over(base, over), steps={**base.steps, **steps})


def _laid_over(base: Options, over: Options) -> Options:
    changes: dict[str, Any] = {}
    for one in fields(over):
        old, new = getattr(base, one.name), getattr(over, one.name)
        if isinstance(new, dict):
            changes[one.name] = {**old, **new}
        elif new is not None and new != "" and (new != () or one.name == "packages"):
            changes[one.name] = new
    return replace(base, **changes)


def _step(form: Form, node: Node) -> StepOptions:
    given = form.record(node, STEP_KEYS, "a step of `compile`")
    made: dict[str, Any] = {"labels": {(key, ""): value.label for key, value in given.items()}}
    for key, value in given.items():
        match key:
            case "packages":
                made[key] = _texts(form, value, key)
            case "retries" | "timeout":
                made[key] = form.number(value, f"`{key}`", 0 if key == "retries" else 1)
            case "display_name":
                made[key] = form.text(value, f"`{key}`") or ""
            case _:
                read = form.quantity if key == "requests" else form.written
                made[key] = {
                    name.text: text
                    for name, one in form.mapping(value, f"`{key}`")
                    if (text := read(one, f"`{name.text}`")) is not None
                }
    return StepOptions(**made)


def _texts(form: Form, node: Node, key: str) -> tuple[str, ...]:
    texts = (form.text(item, f"each of `{key}`") for item in form.items(node, f"`{key}`"))
    return tuple(text for text in texts if text is not None)
