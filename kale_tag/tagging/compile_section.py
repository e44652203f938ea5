"""The `compile` section of a spec: what Kale has no tag for, read by the compiler only.

Nothing of it is ever written into a notebook.
"""

from kale_tag.tagging.form import Form
from kale_tag.tagging.yaml_tree import Node

ARTIFACTS = ("Dataset", "Model", "Metrics", "HTML", "Artifact")
KEYS = ("packages", "pip_index_urls", "artifacts", "steps")
STEP_KEYS = ("display_name", "env", "packages", "requests", "retries", "timeout")


def read_compile(form: Form, node: Node) -> dict[str, object]:
    """The section as plain values.

    `packages` and `pip_index_urls` are lists of text, `artifacts` maps a variable to an artifact
    type, `steps` maps a step to `display_name`, `env` and `requests` (mappings of text),
    `packages`, `retries` (a count) and `timeout` (seconds).
    """
    values = form.record(node, KEYS, "`compile`")
    section: dict[str, object] = {
        key: _texts(form, values[key], key) for key in KEYS[:2] if key in values
    }
    if "artifacts" in values:
        section["artifacts"] = {
            name.text: form.choice(value, ARTIFACTS, f"`{name.text}`")
            for name, value in form.mapping(values["artifacts"], "`artifacts`")
        }
    if "steps" in values:
        section["steps"] = {
            name.text: _step(form, value)
            for name, value in form.mapping(values["steps"], "`steps`")
        }
    return section


def _step(form: Form, node: Node) -> dict[str, object]:
    values = form.record(node, STEP_KEYS, "a step of `compile`")
    step: dict[str, object] = {}
    for key, value in values.items():
        match key:
            case "packages":
                step[key] = _texts(form, value, key)
            case "retries" | "timeout":
                step[key] = form.number(value, f"`{key}`", 0 if key == "retries" else 1)
            case "display_name":
                step[key] = form.text(value, f"`{key}`")
            case _:
                read = form.quantity if key == "requests" else form.written
                step[key] = {
                    name.text: read(text, f"`{name.text}`")
                    for name, text in form.mapping(value, f"`{key}`")
                }
    return step


def _texts(form: Form, node: Node, key: str) -> list[str]:
    texts = (form.text(item, f"each of `{key}`") for item in form.items(node, f"`{key}`"))
    return [text for text in texts if text is not None]
