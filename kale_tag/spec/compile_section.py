"""The `compile` section of a spec: options for the compiler, for which Kale has no tag.

They are never written into a notebook.
"""

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar

from kale_tag.fields.fields import Form
from kale_tag.fields.yaml_tree import Node
from kale_tag.kale.names import ENVIRONMENT_VARIABLE, KFP_VERSIONS, kfp_version
from kale_tag.kale.pipeline import PodOptions
from kale_tag.kale.settings import CompileOptions, StepOptions

CONFIG_MAP = re.compile(r"[a-z0-9][-a-z0-9.]*/[-._a-zA-Z0-9]+")
CLAIM = re.compile(r"[a-z0-9][-a-z0-9.]*")
CREDENTIALS = re.compile(r"[^/]*//[^/]*@")
INDEX_URL = (
    "leave the entry out, and give the steps the whole URL as `PIP_INDEX_URL` from a secret: "
    "`secrets: {PIP_INDEX_URL: pip-index/url}`"
)
ARTIFACTS = ("Dataset", "Model", "Metrics", "HTML", "Artifact")
KEYS = (
    *("packages", "distributions", "files", "pip_index_urls", "ttl", "artifacts", "steps"),
    "kfp_version",
)
POD_KEYS = tuple(one.name for one in fields(PodOptions))
STEP_KEYS = ("display_name", "env", "packages", "requests", "retries", "timeout", *POD_KEYS)
TOLERATION = {
    "key": (),
    "operator": ("Equal", "Exists"),
    "value": (),
    "effect": ("NoSchedule", "PreferNoSchedule", "NoExecute"),
}
"""Keys of a toleration, each with the words that it takes; none: any text."""

Options = TypeVar("Options", CompileOptions, StepOptions, PodOptions)


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
                    form.error("wrong-value", message, value.label, help=KFP_VERSIONS)
            case "packages" | "files":
                made[key] = _texts(form, value, key)
            case "pip_index_urls":
                items = form.items(value, f"`{key}`")
                urls = (_without_credentials(form, item) for item in items)
                made[key] = tuple(url for url in urls if url is not None)
            case "ttl":
                made[key] = form.number(value, "`ttl`", 1)
            case "distributions":
                made[key] = {
                    name.text: text
                    for name, one in form.mapping(value, "`distributions`")
                    if (text := form.string(one, f"`{name.text}`")) is not None
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
        if isinstance(new, PodOptions):
            changes[one.name] = _laid_over(old, new)
        elif isinstance(new, dict):
            changes[one.name] = {**old, **new}
        elif new is not None and new != "" and (new != () or one.name == "packages"):
            changes[one.name] = new
    return replace(base, **changes)


def _step(form: Form, node: Node) -> StepOptions:
    given = form.record(node, STEP_KEYS, "a step of `compile`")
    made: dict[str, Any] = {"labels": {(key, ""): value.label for key, value in given.items()}}
    pod: dict[str, Any] = {}
    for key, value in given.items():
        match key:
            case "tolerations":
                pod[key] = tuple(_toleration(form, one) for one in form.items(value, f"`{key}`"))
            case "image_pull_secrets":
                pod[key] = _texts(form, value, key)
            case "image_pull_policy":
                words = ("Always", "IfNotPresent", "Never")
                pod[key] = form.choice(value, words, f"`{key}`") or ""
            case "node_selector" | "config_maps" | "volumes":
                pod[key] = dict(_placed(form, value, key))
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
    return StepOptions(**made, pod=PodOptions(**pod))


def _placed(form: Form, node: Node, section: str) -> Iterator[tuple[str, str]]:
    """The entries of `node_selector`, `config_maps` or `volumes`."""
    for key, value in form.mapping(node, f"`{section}`"):
        text = form.written(value, f"`{key.text}`")
        folder = key.text.startswith("/") and ":" not in key.text
        source = CONFIG_MAP if section == "config_maps" and not folder else CLAIM
        if text is None:
            continue
        if section == "node_selector":
            yield key.text, text
        elif not folder and (section == "volumes" or not ENVIRONMENT_VARIABLE.fullmatch(key.text)):
            kinds = "a folder" if section == "volumes" else "an environment variable or a folder"
            message = f"`{key.text}` in `{section}` is not {kinds}"
            form.error("wrong-value", message, key.label, help="a folder begins with `/`")
        elif source.fullmatch(text) is None:
            wanted = "NAME/KEY" if source is CONFIG_MAP else "the name, in lower-case letters"
            message = f"`{text}` does not name what `{key.text}` holds"
            form.error("wrong-value", message, value.label, help=f"write {wanted}")
        else:
            yield key.text, text


def _toleration(form: Form, node: Node) -> dict[str, str]:
    """One toleration, by the names of KFP's fields."""
    keys = (*TOLERATION, "toleration_seconds")
    made: dict[str, str] = {}
    for key, value in form.record(node, keys, "a toleration").items():
        if key == "toleration_seconds":
            # A 64-bit integer of protobuf, which is text in JSON.
            made["tolerationSeconds"] = str(form.number(value, f"`{key}`", None))
        elif words := TOLERATION[key]:
            made[key] = form.choice(value, words, f"`{key}`") or ""
        else:
            made[key] = form.written(value, f"`{key}`") or ""
    if not made.get("key") and made.get("operator") != "Exists":
        message = "a toleration needs `key`, or `operator: Exists` for every taint"
        form.error("missing-key", message, node.label)
    return made


def _texts(form: Form, node: Node, key: str) -> tuple[str, ...]:
    texts = (form.text(item, f"each of `{key}`") for item in form.items(node, f"`{key}`"))
    return tuple(text for text in texts if text is not None)


def _without_credentials(form: Form, node: Node) -> str | None:
    url = form.text(node, "each of `pip_index_urls`")
    if url and CREDENTIALS.match(url):
        message = "the URL contains credentials, which the package would show"
        form.error("wrong-value", message, node.label, help=INDEX_URL)
    return url
