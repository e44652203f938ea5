"""A step renamed in a spec: in rules, values of `rename` and keys of `compile.steps`."""

import re
from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic, Label, Source, warning
from kale_tag.fields.yaml_tree import Mapping, Node, Scalar, Sequence, plain, read_yaml
from kale_tag.notebook.splice import ProofError
from kale_tag.rename.edits import Edit, Renamed, collisions, in_order
from kale_tag.spec import template

_NOT_TEXT = ("null", "true", "false")  # names of steps that YAML would take for something else


def rename_in_spec(source: Source, old: str, new: str) -> Renamed:
    """The spec in *source* with the step *old* called *new*.

    Names made by a pattern, and patterns that contain *old*, are left to the user (`look`). Raises
    `UserError` where the text is not YAML, `ProofError` where the result would be wrong.
    """
    root = read_yaml(source)
    if not isinstance(root, Mapping):
        return Renamed(source)
    found = _Names(old, new)
    found.visit(root)
    made = Renamed(source, in_order(found.edits), tuple(found.look), found.steps)
    _prove(made, root)
    return made


def rename_diagnostics(renamed: Renamed, old: str, new: str) -> Iterator[Diagnostic]:
    """The reason why the step cannot be renamed: another rule has the new name."""
    return collisions(renamed, old, new, "spec", help="renaming would make one step of two")


class _Names:
    """The places of a spec that name a step."""

    def __init__(self, old: str, new: str) -> None:
        self.old = old
        self.new = new
        self.edits: list[Edit] = []
        self.look: list[Diagnostic] = []
        self.steps: dict[str, Label] = {}

    def visit(self, root: Mapping) -> None:
        """Look at the whole spec."""
        parts = _entries(root)
        for rule in _items(parts.get("cells")):
            self._rule(_entries(rule))
        for key, value in _pairs(parts.get("rename")):
            if key.text in {self.old, self.new}:
                self.look.append(_look(f"`rename` has `{key.text}`, a name in the notebooks", key))
            self._name("rename", value)
        for key, _ in _pairs(_entries(parts.get("compile")).get("steps")):
            self._word("compile.steps", key)

    def _rule(self, rule: dict[str, Node]) -> None:
        self._defines(rule.get("step"), "step")
        self._defines(_entries(rule.get("notebook")).get("name"), "notebook")
        prev = rule.get("prev")
        for name in prev.items if isinstance(prev, Sequence) else (prev,):
            self._name("prev", name)
        self._selector(rule)
        for pattern in _one_or_more(rule.get("remove")):
            self._pattern(pattern)

    def _selector(self, selector: dict[str, Node]) -> None:
        self._pattern(selector.get("tagged"))
        if isinstance(inner := selector.get("not"), Mapping):
            self._selector(_entries(inner))

    def _defines(self, node: Node | None, what: str) -> None:
        self._name(what, node)
        if isinstance(node, Scalar) and isinstance(node.value, str):
            self.steps.setdefault(node.value, node.label)

    def _name(self, what: str, node: Node | None) -> None:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return
        if template.has_holes(node.value) and _can_become(node.value, self.old):
            self.look.append(
                _look(f"this may produce the name `{self.old}`; it is not changed", node)
            )
        else:
            self._word(what, node)

    def _word(self, what: str, node: Scalar) -> None:
        if node.text == self.old and node.label.span is not None:
            text = _spelt(node.label, self.new)
            self.edits.append(Edit(node.label, what, self.old, self.new, text))

    def _pattern(self, node: Node | None) -> None:
        mentions = rf"(?<![a-z0-9_]){re.escape(self.old)}(?![a-z0-9_])"
        if isinstance(node, Scalar) and re.search(mentions, node.text):
            self.look.append(_look(f"this pattern contains `{self.old}`; it is not changed", node))


def _look(message: str, node: Scalar) -> Diagnostic:
    return warning("look-here", message, node.label, help="change it by hand if it means the step")


def _can_become(text: str, name: str) -> bool:
    """Whether *text* can be *name* once its holes are filled."""
    holes = sorted(
        hole.span() for found in (template.variables, template.groups) for hole in found(text)
    )
    start, pattern = 0, ""
    for first, end in holes:
        pattern += re.escape(text[start:first]) + ".*"
        start = end
    return re.fullmatch(pattern + re.escape(text[start:]), name) is not None


def _spelt(label: Label, new: str) -> str:
    """*new* in the quotes that stand at *label*, in some if YAML needs them."""
    span = label.span
    assert span is not None
    first = label.source.text[span.start]
    quote = first if first in "'\"" else "'" if new in _NOT_TEXT else ""
    return f"{quote}{new}{quote}"


def _entries(node: Node | None) -> dict[str, Node]:
    return {key.text: value for key, value in _pairs(node)}


def _pairs(node: Node | None) -> tuple[tuple[Scalar, Node], ...]:
    return node.entries if isinstance(node, Mapping) else ()


def _items(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, Sequence) else ()


def _one_or_more(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, Sequence) else () if node is None else (node,)


def _prove(made: Renamed, root: Mapping) -> None:
    """Prove that the new text is the old spec with only the edited words changed."""
    if not made.edits:
        return
    places: dict[object, str] = {edit.label.span: edit.after for edit in made.edits}
    new = read_yaml(made.renamed)
    if new is None or plain(new) != _expected(root, places):
        raise ProofError(f"{made.source.name}: renaming would make another spec of it")


def _expected(node: Node, places: dict[object, str]) -> object:
    match node:
        case Scalar(label=label, value=value):
            return places.get(label.span, value)
        case Sequence(items=items):
            return [_expected(item, places) for item in items]
        case Mapping(entries=entries):
            return {
                places.get(key.label.span, key.text): _expected(value, places)
                for key, value in entries
            }
