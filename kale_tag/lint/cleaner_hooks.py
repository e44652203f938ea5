"""The hooks in a configuration of pre-commit that start a cleaner."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kale_tag.diagnostics import Label, Source, UserError
from kale_tag.fields import yaml_tree
from kale_tag.fields.yaml_tree import Mapping, Node, Scalar
from kale_tag.lint.cleaner_words import Use, find, of_hook, split


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook: its name, and the words it runs a cleaner with, of which *args* have places.

    *args_at* is the place of the list of arguments, None where there is none. *patterns* say for
    which files it is: each has to match, or, where that is False, must not.
    """

    name: str
    at: Label
    use: Use
    args: tuple[tuple[str, Label], ...]
    patterns: tuple[tuple[str, bool], ...]

    def is_for(self, path: str) -> bool:
        """Whether it is for the file at *path*, which is relative to the top folder, with `/`."""
        return all(_matches(pattern, path) is wanted for pattern, wanted in self.patterns)


def hooks(source: Source) -> Iterator[Hook]:
    """The hooks of cleaners in a `.pre-commit-config.yaml`.

    What cannot be read has none: it is for pre-commit to complain.
    """
    try:
        root = yaml_tree.read_yaml(source)
    except UserError:
        return
    stages = _texts(_get(root, "default_stages"))
    for repo in _items(_get(root, "repos")):
        version = re.match(r"v?(\d+)", _text(_get(repo, "rev")))
        for node in _items(_get(repo, "hooks")):
            hook = _hook(root, node, int(version[1]) if version else None)
            if hook and (_texts(_get(node, "stages")) or stages) != ["manual"]:
                yield hook


def _hook(root: Node | None, node: Node, version: int | None) -> Hook | None:
    name = _get(node, "id")
    if not isinstance(name, Scalar):
        return None
    entry = _text(_get(node, "entry"))
    words = split(entry) if entry else of_hook(name.text, version)
    if words is None:
        return None
    args = [item for item in _items(_get(node, "args")) if isinstance(item, Scalar)]
    use = find([*words, *(arg.text for arg in args)], version)
    if use is None:
        return None
    patterns = [
        (_text(value), key == "files")
        for place in (root, node)
        for key in ("files", "exclude")
        if (value := _get(place, key)) is not None
    ]
    return Hook(
        name.text,
        name.label,
        use,
        tuple((arg.text, arg.label) for arg in args),
        tuple(patterns),
    )


def _matches(pattern: str, path: str) -> bool:
    try:
        return re.search(pattern, path) is not None
    except re.error:  # for pre-commit to complain about
        return True


def _get(node: Node | None, key: str) -> Node | None:
    if isinstance(node, Mapping):
        return next((value for name, value in node.entries if name.text == key), None)
    return None


def _items(node: Node | None) -> Sequence[Node]:
    return node.items if isinstance(node, yaml_tree.Sequence) else ()


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""


def _texts(node: Node | None) -> list[str]:
    return [_text(item) for item in _items(node)]
