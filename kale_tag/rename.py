"""A step renamed in the text of a spec or a patch.

Only the word itself is replaced; layout, comments and quotes stay. In a spec that is in rules,
values of `rename` and keys of `compile.steps`; in a patch, in every tag that it tests or writes.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kale_tag.diagnostics import Diagnostic, Label, Source, Span, error, warning
from kale_tag.fields.yaml_tree import (
    Mapping,
    Node,
    Scalar,
    Sequence,
    entries_of,
    items_of,
    plain,
    read_yaml,
    value_of,
)
from kale_tag.kale import tags
from kale_tag.notebook.json_scan import items_at, last, members_at
from kale_tag.notebook.json_value import same, value_at
from kale_tag.notebook.model import MISSING
from kale_tag.notebook.splice import ProofError
from kale_tag.plan.read_patch import Patch, read_patch
from kale_tag.spec import template


@dataclass(frozen=True, slots=True)
class Edit:
    """One replaced word."""

    label: Label  # the place of the word
    what: str  # the key of the spec
    before: str  # the old word
    after: str  # the new word
    text: str = ""  # the new text at the place, with quotes


@dataclass(frozen=True, slots=True)
class Renamed:
    """A text with its edits."""

    source: Source  # before the edits
    edits: tuple[Edit, ...] = ()  # in the order of the text
    look: tuple[Diagnostic, ...] = ()  # places left to the user
    steps: dict[str, Label] = field(default_factory=dict)  # named steps, with their first place

    @property
    def text(self) -> str:
        """The new text."""
        text = self.source.text
        for edit in reversed(self.edits):
            span = edit.label.span
            assert span is not None  # every edit replaces a word
            text = text[: span.start] + edit.text + text[span.end :]
        return text

    @property
    def renamed(self) -> Source:
        """The new text, as a file of the same name."""
        return Source(self.source.name, self.text)


def collisions(
    steps: dict[str, Label], old: str, new: str, whose: str, *, is_patch: bool = False
) -> Iterator[Diagnostic]:
    """Why *old* cannot become *new*: *whose* *steps*, by name, have both."""
    if old in steps and new in steps:
        yield error(
            "rename-collision",
            f"`{old}` cannot become `{new}`: {whose} has both steps",
            steps[new].with_text(f"`{new}`"),
            also=[steps[old].with_text(f"`{old}`")],
            help="apply it first, or make it again"
            if is_patch
            else "renaming would make one step of two",
        )


def in_order(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """*edits* in the order of the text, each place once: an alias leads to its anchor again."""
    by_place: dict[tuple[int, int], Edit] = {}
    for edit in edits:
        by_place.setdefault(_place(edit.label), edit)
    return tuple(by_place[start] for start in sorted(by_place))


def _place(label: Label) -> tuple[int, int]:
    assert label.span is not None
    return label.span.start, label.span.end


_NOT_TEXT = ("null", "true", "false")  # names of steps that YAML reads as other values


def rename_in_spec(source: Source, old: str, new: str) -> Renamed:
    """The spec in *source* with the step *old* called *new*.

    Names made by a pattern, and patterns that contain *old*, are left to the user (`look`). Raises
    `UserError` where the text is not YAML, `ProofError` where the result would be wrong.
    """
    root = read_yaml(source)
    if not isinstance(root, Mapping):
        return Renamed(source)
    edits: list[Edit] = []
    look: list[Diagnostic] = []
    steps: dict[str, Label] = {}
    mentioned = re.compile(rf"(?<![a-z0-9_]){re.escape(old)}(?![a-z0-9_])").search
    for what, node in _names(root):
        if not isinstance(node, Scalar):
            continue
        value = node.value if isinstance(node.value, str) else ""
        if what in {"step", "notebook"} and value:
            steps.setdefault(value, node.label)
        if what == PATTERN and mentioned(node.text):
            look.append(_look(f"this pattern contains `{old}`; it is not changed", node))
        elif what == OLD_NAME and node.text in {old, new}:
            look.append(_look(f"`rename` has `{node.text}`, a name in the notebooks", node))
        elif what in {PATTERN, OLD_NAME}:
            continue
        elif what != KEY and template.has_holes(value) and _can_become(value, old):
            look.append(_look(f"this may produce the name `{old}`; it is not changed", node))
        elif node.text == old and (value or what == KEY) and node.label.span is not None:
            edits.append(Edit(node.label, what, old, new, _spelt(node.label, new)))
    made = Renamed(source, in_order(edits), tuple(look), steps)
    _prove(made, root)
    return made


KEY, OLD_NAME, PATTERN = "compile.steps", "a name in notebooks", "a pattern"


def _names(root: Mapping) -> Iterator[tuple[str, Node | None]]:
    """Every place of a spec that may name a step, and the key that it belongs to."""
    for rule in items_of(value_of(root, "cells")):
        yield "step", value_of(rule, "step")
        yield "notebook", value_of(value_of(rule, "notebook"), "name")
        yield from (("prev", name) for name in _one_or_more(value_of(rule, "prev")))
        selector: Node | None = rule
        while selector is not None:
            yield PATTERN, value_of(selector, "tagged")
            selector = value_of(selector, "not")
        yield from ((PATTERN, pattern) for pattern in _one_or_more(value_of(rule, "remove")))
    for key, value in entries_of(value_of(root, "rename")):
        yield OLD_NAME, key
        yield "rename", value
    steps = value_of(value_of(root, "compile"), "steps")
    yield from ((KEY, key) for key, _ in entries_of(steps))


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
    """*new* in the quotes at *label*, or in some if YAML needs them."""
    span = label.span
    assert span is not None
    first = label.source.text[span.start]
    quote = first if first in "'\"" else "'" if new in _NOT_TEXT else ""
    return f"{quote}{new}{quote}"


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


def rename_in_patch(source: Source, old: str, new: str) -> Renamed:
    """The patch in *source* with the step *old* called *new*.

    Raises `UserError` where it is not a patch, `ProofError` where the result would be wrong.
    """
    patch = read_patch(source)
    edits: list[Edit] = []
    steps: dict[str, Label] = {}
    for label, tag in _tags(patch):
        if not tag.startswith("prev:"):
            for name in tags.names_in(tag):
                steps.setdefault(name, label)
        if (text := tags.renamed(tag, {old: new})) != tag:
            written = json.dumps(text, ensure_ascii=source.text.isascii())
            edits.append(Edit(label, "", tag, text, written))
    made = Renamed(source, in_order(edits), (), steps)
    _prove_patch(patch, made, {old: new})
    return made


def _tags(patch: Patch) -> Iterator[tuple[Label, str]]:
    """Every tag in the values of *patch*, with the place of its text."""
    text = patch.source.text
    for operation in patch.operations:
        span = operation.value_label.span
        if operation.path[:1] != ("cells",) or operation.value is MISSING or span is None:
            continue
        match operation.path[2:]:
            case ("metadata",) if text.startswith("{", span.start):
                member = last(members_at(text, span.start)[0], "tags")
                start = None if member is None else member.start
            case ("metadata", "tags"):
                start = span.start
            case ("metadata", "tags", _):
                value, end = value_at(text, span.start)
                if isinstance(value, str):
                    yield Label(patch.source, Span(span.start, end)), value
                continue
            case _:
                continue
        if start is not None and text.startswith("[", start):
            for item in items_at(text, start)[0]:
                if isinstance(item.value, str):
                    yield Label(patch.source, Span(item.start, item.end)), item.value


def _prove_patch(old: Patch, made: Renamed, names: dict[str, str]) -> None:
    """Prove that the new text is the old patch with only tags renamed."""
    new = read_patch(made.renamed)
    if len(new.operations) != len(old.operations) or not all(
        (one.op, one.path, one.origin) == (other.op, other.path, other.origin)
        and same(_expected_value(one.path[2:], one.value, names), other.value)
        for one, other in zip(old.operations, new.operations, strict=True)
    ):
        raise ProofError(f"{made.source.name}: renaming would make another patch of it")


def _expected_value(path: tuple[str, ...], value: object, names: dict[str, str]) -> object:
    if path[:1] != ("metadata",):
        return value
    if path == ("metadata",) and isinstance(value, dict) and "tags" in value:
        return {**value, "tags": _expected_value(("metadata", "tags"), value["tags"], names)}
    if path[1:2] != ("tags",):
        return value
    if isinstance(value, list):
        return [tags.renamed(tag, names) if isinstance(tag, str) else tag for tag in value]
    return tags.renamed(value, names) if path[2:] and isinstance(value, str) else value
