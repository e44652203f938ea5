"""A step renamed in a saved patch: in every tag that it tests or writes."""

import json
from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic, Label, Source, Span
from kale_tag.kale import tags
from kale_tag.notebook.json_scan import items_at, last, members_at
from kale_tag.notebook.json_value import same, value_at
from kale_tag.notebook.model import MISSING
from kale_tag.notebook.splice import ProofError
from kale_tag.plan.read_patch import Patch, read_patch
from kale_tag.rename.edits import Edit, Renamed, collisions, in_order


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
    _prove(patch, made, {old: new})
    return made


def patch_diagnostics(renamed: Renamed, old: str, new: str) -> Iterator[Diagnostic]:
    """The reason why the step cannot be renamed: the patch has a step of the new name."""
    return collisions(renamed, old, new, "patch", help="apply it first, or make it again")


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


def _prove(old: Patch, made: Renamed, names: dict[str, str]) -> None:
    """Prove that the new text is the old patch with only tags renamed."""
    new = read_patch(made.renamed)
    if len(new.operations) != len(old.operations) or not all(
        (one.op, one.path, one.origin) == (other.op, other.path, other.origin)
        and same(_expected(one.path[2:], one.value, names), other.value)
        for one, other in zip(old.operations, new.operations, strict=True)
    ):
        raise ProofError(f"{made.source.name}: renaming would make another patch of it")


def _expected(path: tuple[str, ...], value: object, names: dict[str, str]) -> object:
    if path[:1] != ("metadata",):
        return value
    if path == ("metadata",) and isinstance(value, dict) and "tags" in value:
        return {**value, "tags": _expected(("metadata", "tags"), value["tags"], names)}
    if path[1:2] != ("tags",):
        return value
    if isinstance(value, list):
        return [tags.renamed(tag, names) if isinstance(tag, str) else tag for tag in value]
    return tags.renamed(value, names) if isinstance(value, str) else value
