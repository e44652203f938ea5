"""The reference reader of notebooks (standard library only).

It scans the file as Latin-1: one character is one byte there, so that offsets are offsets in the
bytes and the text is no larger than they are, and all that gives JSON its structure is ASCII. What
is not ASCII is decoded again, from the bytes, when asked.
"""

from functools import cache
from json import JSONDecodeError
from typing import Final, NamedTuple

from kale_tag.diagnostics import UserError, too_deep
from kale_tag.notebook import errors
from kale_tag.notebook.json_scan import Member, items_at, last, members_at
from kale_tag.notebook.json_value import decode, skip_space, value_at
from kale_tag.notebook.model import BOM, MISSING, Notebook

SMALL: Final = 1 << 20
"""Bytes of files for which the time spent on each key counts, and memory does not."""


Span = tuple[int, int]


class _Found(NamedTuple):
    """The parts of a cell that count."""

    cell_type: Member | None  # as all of these, None where the cell has no such key
    id: Member | None  # since nbformat 4.5
    source: Span | None  # the place of its value
    metadata: Span | None  # the place of its value
    text: str | None  # the source, if it is ASCII


class _Whole(NamedTuple):
    """A cell that is ASCII, so that its values are right."""

    value: dict[str, object]  # the cell
    text: str  # its source


def scan_with_json(data: bytes, name: str) -> Notebook:
    """Like `scan`, with nothing but the standard library."""
    try:
        top = _top_of(str(data, "latin-1"))
    except RecursionError:
        diagnostic = too_deep(name)
    except JSONDecodeError as wrong:
        diagnostic = errors.not_json(name, data, wrong.msg, wrong.pos)
    else:
        if isinstance(top, list):
            return _notebook_of(data, name, top)
        diagnostic = errors.not_a_notebook(name, "is not an object")
    raise UserError(diagnostic)  # here, where the text of the whole file is not kept as its context


def _top_of(text: str) -> object:
    # The members of the outermost object as a list, or None if it is another value.
    start = skip_space(text, 3 if text.startswith(str(BOM, "latin-1")) else 0)
    if text[start : start + 1] == "{":
        top, end = members_at(text, start, _cells_or_value)
    else:
        top, end = None, value_at(text, start)[1]
    if (end := skip_space(text, end)) != len(text):
        raise JSONDecodeError("Extra data", text, end)
    return top


def _cells_or_value(text: str, start: int) -> tuple[object, int]:
    if text[start : start + 1] == "[":  # `cells` is the only array at this level
        return items_at(text, start, _cell_or_value)
    value, end = value_at(text, start)
    return (value if isinstance(value, int | float) else None), end


def _cell_or_value(text: str, start: int) -> tuple[object, int]:
    if text[start : start + 1] != "{":
        return None, value_at(text, start)[1]
    if len(text) < SMALL:
        value, end = value_at(text, start)
        if isinstance(value, dict) and (text.isascii() or text[start:end].isascii()):
            source_text = _ascii_text(value.get("source", ""))
            if source_text is not None:
                return _Whole(value, source_text), end
    members, end = members_at(text, start)
    by_key = {member.key: member for member in members}
    source, metadata = by_key.get("source"), by_key.get("metadata")
    found = _Found(
        by_key.get("cell_type"),
        by_key.get("id"),
        source and (source.start, source.end),
        metadata and (metadata.start, metadata.end),
        source and _ascii_text(source.value),
    )
    return found, end


def _ascii_text(source: object) -> str | None:
    try:
        text = "".join(source) if isinstance(source, list) else source
    except TypeError:
        return None
    return text if isinstance(text, str) and text.isascii() else None


def _notebook_of(data: bytes, name: str, top: list[Member]) -> Notebook:
    _check_version(name, top)
    cells, metadata = last(top, "cells"), last(top, "metadata")
    if cells is None or not isinstance(cells.value, list):
        why = "has no `cells`" if cells is None else "has `cells` that are not a list"
        raise UserError(errors.not_a_notebook(name, why))
    view = memoryview(data)
    own = metadata and (metadata.start, metadata.end)
    types: list[str] = []
    ids: list[str | None] = []
    sources: list[Span | None] = []
    spans: list[Span | None] = []  # of the metadata, or of a cell that is whole
    whole: set[int] = set()
    known_sources: dict[int, str] = {}
    known_metadata: dict[int | None, object] = {}
    for index, (start, end, value) in enumerate(cells.value):
        if isinstance(value, _Whole):
            kind, known = value.value.get("cell_type"), value.value.get("id")
            types.append(kind if isinstance(kind, str) else "")
            ids.append(known if isinstance(known, str) else None)
            sources.append(None)
            spans.append((start, end))
            whole.add(index)
            known_sources[index] = value.text
            known_metadata[index] = value.value.get("metadata", MISSING)
        elif isinstance(value, _Found):
            types.append(_text(view, value.cell_type) or "")
            ids.append(_text(view, value.id))
            sources.append(value.source)
            spans.append(value.metadata)
            if value.text is not None:
                known_sources[index] = value.text
        else:
            raise UserError(errors.bad_cell(name, data, index, start))

    @cache
    def span_of(holder: int | None) -> Span | None:
        if holder is None:
            return own
        return _inside(view, spans[holder], "metadata") if holder in whole else spans[holder]

    def source_span(index: int) -> Span | None:
        return _inside(view, spans[index], "source") if index in whole else sources[index]

    return Notebook(
        name=name,
        data=data,
        fast=False,
        types=types,
        id_of=ids.__getitem__,
        metadata_span=span_of,
        raw_source=lambda index: _piece(view, source_span(index)),
        raw_metadata=lambda holder: _piece(view, span_of(holder)),
        read_source=decode,
        known_sources=known_sources,
        known_metadata=known_metadata,
    )


def _inside(view: memoryview, cell: Span | None, key: str) -> Span | None:
    # The place of the value of *key* in a cell that was read whole.
    assert cell is not None
    member = last(members_at(str(_piece(view, cell), "latin-1"), 0)[0], key)
    return member and (cell[0] + member.start, cell[0] + member.end)


def _piece(view: memoryview, span: Span | None) -> memoryview:
    return view[span[0] : span[1]] if span else view[:0]


def _text(view: memoryview, member: Member | None) -> str | None:
    if member is None or not isinstance(member.value, str):
        return None
    if member.value.isascii():
        return member.value
    return str(decode(view[member.start : member.end]))


def _check_version(name: str, top: list[Member]) -> None:
    member = last(top, "nbformat")
    version = None if member is None or isinstance(member.value, bool) else member.value
    if isinstance(version, int | float):
        if version < 4:
            raise UserError(errors.old_format(name, f"nbformat {version}"))
        if version >= 5:
            raise UserError(errors.new_format(name, version))
    elif not last(top, "cells") and last(top, "worksheets"):
        raise UserError(errors.old_format(name, "nbformat 3 or older"))
