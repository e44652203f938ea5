"""The cells of a notebook by what their tags make of them, and what is wrong with the tags."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kale_tag.diagnostics import Diagnostic, Label, error, suggest, warning
from kale_tag.kale import tags
from kale_tag.kale.metadata import tags_in
from kale_tag.kale.outline import Outline, first_code_line, outline
from kale_tag.kale.tags import Tag
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import cell_label

LIMIT = re.compile(r"limit:([A-Za-z0-9_\-./]+):([A-Za-z0-9_.+\-]+)")
"""Kubernetes knows more resources than Kale's grammar lets pass: `nvidia.com/mig-1g.5gb`."""

_WHOSE = ("prev", *tags.SETTING_KINDS)


@dataclass(frozen=True, slots=True)
class Given:
    """A tag, and the cell that has it."""

    tag: Tag
    cell: int


@dataclass(frozen=True, slots=True)
class Tagged:
    """The outline of a notebook with the tags of all cells of each step, and the faults."""

    notebook: Notebook
    outline: Outline
    given: dict[str, list[Given]]
    diagnostics: list[Diagnostic]
    warnings: list[Diagnostic]

    def prev(self, step: str) -> Iterator[Given]:
        """The `prev` tags of a step."""
        return (one for one in self.given[step] if one.tag.kind == "prev")


def parse_tag(text: str) -> Tag | None:
    """The tag, with all resources that Kubernetes knows."""
    if (tag := tags.parse(text)) is not None:
        return tag
    found = LIMIT.fullmatch(text)
    return None if found is None else Tag("limit", (found[1], found[2]))


def read_tagged(notebook: Notebook) -> Tagged:
    """What the tags make of *notebook*."""
    found = Tagged(notebook, outline(notebook), {}, [], [])
    for cell, kind in enumerate(notebook.types):
        if kind == "code":
            found.diagnostics.extend(_tag_diagnostics(notebook, cell))
    for step in found.outline.steps:
        given = found.given[step.name] = []
        for cell in step.cells:
            texts = tags_in(notebook.metadata_of(cell))
            given += [Given(tag, cell) for text in texts if (tag := parse_tag(text)) is not None]
    found.diagnostics.extend(_reference_diagnostics(found))
    _left_out(found)
    return found


def _tag_diagnostics(notebook: Notebook, cell: int) -> Iterator[Diagnostic]:
    metadata = notebook.metadata_of(cell)
    listed = metadata.get("tags", []) if isinstance(metadata, dict) else []
    at = cell_label(notebook, cell)
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        yield error("bad-tags", "the tags of a cell must be a list of text", at)
    elif not any(text in tags.SPECIAL for text in listed):  # Kale reads no further than to these
        for text in listed:
            if tags.is_legacy(text):
                yield error(
                    "legacy-tag",
                    f"`{text}` is a tag of Kale 0.x, which Kale 2 does not read",
                    at,
                    help=f"bring it to Kale 2 first, by `kale-tag upgrade {notebook.name}`",
                )
            elif tags.is_kales(text) and parse_tag(text) is None:
                yield _invalid(text, at)
        yield from _role_diagnostics([tag for text in listed if (tag := parse_tag(text))], at)


def _role_diagnostics(read: list[Tag], at: Label) -> Iterator[Diagnostic]:
    """Tags that do not go together."""
    steps = [tag for tag in read if tag.kind == "step"]
    references = [tag for tag in read if tag.kind == "notebook"]
    if len(steps) + len(references) > 1:
        both = " and ".join(f"`{tag}`" for tag in (*steps, *references))
        yield error("two-steps", f"a cell is one step, this one has {both}", at)
    elif references and references[0].parts == ("",):
        yield error("unknown-tag", "`notebook:` needs a name", at)
    for tag in read if not steps else ():
        if tag.kind in _WHOSE:
            yield error(
                "prev-without-step" if tag.kind == "prev" else "setting-without-step",
                f"`{tag}` stands on a cell that is no step",
                at,
                help="it belongs on a cell with a `step:` tag",
            )


def _invalid(text: str, at: Label) -> Diagnostic:
    kind, _, rest = text.partition(":")
    parts = tags.KINDS[kind].parts
    form = ":".join((kind, *(f"<{part.name}>" for part in parts)))
    words = rest.split(":", len(parts) - 1)
    if len(words) == len(parts):
        for word, part in zip(words, parts, strict=True):
            if re.fullmatch(part.pattern, word) is None:
                better = (
                    tags.valid_name(word) if part.pattern == tags.NAME or kind == "step" else ""
                )
                return error(
                    "unknown-tag",
                    f"`{text}` is no tag that Kale takes: the {part.name} must be {part.rule}",
                    at,
                    help=f"write `{kind}:{better}`" if better else "",
                )
    return error("unknown-tag", f"`{text}` is no tag that Kale takes", at, help=f"write `{form}`")


def _reference_diagnostics(found: Tagged) -> Iterator[Diagnostic]:
    notebook = found.notebook
    for step in found.outline.steps:
        own = [
            (cell, tag)
            for cell in step.cells
            for text in tags_in(notebook.metadata_of(cell))
            if (tag := parse_tag(text)) is not None and tag.kind in {"step", "notebook"}
        ]
        kinds = {tag.kind for _, tag in own if tag.parts != ("",)}
        references = [cell for cell, tag in own if tag.kind == "notebook"]
        if len(kinds) > 1 or len(references) > 1:
            first, second = own[0][0], own[1][0]
            yield error(
                "duplicate-name",
                f"`{step.name}` names a notebook, and something else, too",
                cell_label(notebook, second),
                also=[cell_label(notebook, first)],
                help="give one of them another name",
            )
        elif references:
            yield from _reference(notebook, references[0], step.name, step.notebook or "")


def _reference(notebook: Notebook, cell: int, name: str, path: str) -> Iterator[Diagnostic]:
    if not path:
        yield error(
            "reference-without-path",
            f"`notebook:{name}` does not say which notebook it means",
            cell_label(notebook, cell),
            help="put the path into the metadata of the cell, under `notebook_path`",
        )
    if has_code(notebook.source(cell)):
        yield error(
            "code-in-reference",
            f"`notebook:{name}` stands for another notebook, so its cell may hold comments only",
            cell_label(notebook, cell),
            help="move the code to a cell of its own",
        )


def _left_out(found: Tagged) -> None:
    """Cells that belong to nothing: code before the first block, and behind a reference."""
    notebook = found.notebook
    used = {cell for step in found.outline.steps for cell in step.cells}
    used |= {cell for cells in found.outline.shared.values() for cell in cells}
    for cell, kind in enumerate(notebook.types):
        if kind != "code" or cell in used or not has_code(notebook.source(cell)):
            continue
        at = cell_label(notebook, cell)
        if cell in found.outline.dropped:
            found.warnings.append(
                warning(
                    "dropped-code",
                    f"cell {cell} belongs to no step: it stands untagged above the first one",
                    at,
                    help="tag it, or tag it `skip` if it shall be left out",
                )
            )
        else:
            found.diagnostics.append(
                error(
                    "code-after-reference",
                    "untagged code behind a `notebook:` cell must be followed by a `step:` cell, "
                    "to which it then belongs",
                    at,
                    help="tag the cell, or tag it `skip`",
                )
            )


def has_code(source: str) -> bool:
    """Whether a cell holds more than blank lines and comments."""
    return first_code_line(source) is not None


def prev_diagnostics(found: Tagged) -> Iterator[Diagnostic]:
    """`prev` tags that name no step, or one that is defined further down."""
    first = {step.name: step.cells[0] for step in found.outline.steps}
    for step in found.outline.steps:
        for given in found.prev(step.name):
            (name,) = given.tag.parts
            at = cell_label(found.notebook, given.cell)
            if name not in first:
                yield error(
                    "unknown-prev",
                    f"`prev:{name}`: no step is named `{name}`",
                    at,
                    help=suggest(name, [one for one in first if one != step.name], "steps:"),
                )
            elif first[name] > given.cell:
                yield error(
                    "later-prev",
                    f"`prev:{name}`: step `{name}` is defined further down, in cell {first[name]}",
                    at,
                    help=f"move the cell of `{name}` up, above `{step.name}`",
                )
