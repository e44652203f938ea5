"""Notebook bytes to a `Notebook` of `Cell`s, whose metadata has a known place in the bytes."""

from codecs import utf_8_decode
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from json import JSONDecodeError
from typing import TYPE_CHECKING, Final, NamedTuple

from kale_tag import notebook_faults as faults
from kale_tag.diagnostics import UserError
from kale_tag.json_scan import (
    Member,
    decode,
    items_at,
    last,
    members_at,
    skip_space,
    value_at,
)

if TYPE_CHECKING:
    import msgspec

    RawJson = bytes | memoryview | msgspec.Raw  # one value in UTF-8; empty where there is none

SpanOf = Callable[[int | None], tuple[int, int] | None]


class _Mark(Enum):
    MISSING = "missing"
    UNREAD = "unread"


MISSING: Final = _Mark.MISSING
"""The metadata of a cell or a notebook that has no such key."""

BOM: Final = b"\xef\xbb\xbf"

SMALL: Final = 1 << 20  # files for which the time spent on each key counts, and memory does not


@dataclass(slots=True, eq=False, repr=False)
class Cell:
    """One cell; its source and metadata are decoded when they are asked for, and then kept.

    *cell_type* is empty where the file has no text for it, *id* None. What is *known* is what has
    been decoded so far.
    """

    cell_type: str
    id: str | None
    _index: int
    _name: str
    _raw_source: "RawJson"
    _raw_metadata: "RawJson"
    _read_source: "Callable[[RawJson], object]"
    known_source: str | None = None
    known_metadata: object = _Mark.UNREAD

    @property
    def source(self) -> str:
        """The source as one text, empty where there is none.

        Raises `UserError` where it is neither text nor a list of text.
        """
        if self.known_source is None:
            self.known_source = self._decoded_source()
        return self.known_source

    @property
    def metadata(self) -> object:
        """The decoded metadata, whatever its type, or `MISSING`; not to be changed in place."""
        if self.known_metadata is _Mark.UNREAD:
            self.known_metadata = _decoded(self._raw_metadata, self._name)
        return self.known_metadata

    def _decoded_source(self) -> str:
        if not len(self._raw_source):
            return ""
        try:
            source = self._read_source(self._raw_source)
            if isinstance(source, str):
                return source
            if isinstance(source, list):
                return "".join(source)
        except (TypeError, ValueError):
            pass  # a list of other things; msgspec says ValueError whatever is wrong
        except RecursionError:
            raise UserError(faults.too_deep(self._name)) from None
        raise UserError(faults.bad_source(self._name, self._index))


@dataclass(slots=True, eq=False, repr=False)
class Notebook:
    """A notebook and the bytes it was read from; *fast* says which engine read them.

    A *holder* of metadata is a cell, given by its 0-based number, or the notebook, given as None.
    """

    name: str
    data: bytes
    cells: Sequence[Cell]
    fast: bool
    _raw_metadata: "RawJson"
    _span_of: SpanOf
    known_metadata: object = _Mark.UNREAD

    @property
    def metadata(self) -> object:
        """The decoded metadata of the notebook, or `MISSING`; not to be changed in place."""
        if self.known_metadata is _Mark.UNREAD:
            self.known_metadata = _decoded(self._raw_metadata, self.name)
        return self.known_metadata

    def metadata_of(self, holder: int | None) -> object:
        """The decoded metadata of *holder*, or `MISSING`."""
        return self.metadata if holder is None else self.cells[holder].metadata

    def metadata_span(self, holder: int | None) -> tuple[int, int] | None:
        """Where in the bytes the metadata value of *holder* stands, or None if it has none."""
        return self._span_of(holder)

    def adopt(self, other: "Notebook", changed: Container[int | None]) -> None:
        """Take over what *other* has decoded already; only the metadata of *changed* may differ."""
        if None not in changed and other.known_metadata is not _Mark.UNREAD:
            self.known_metadata = other.known_metadata
        for index, (mine, theirs) in enumerate(zip(self.cells, other.cells, strict=True)):
            if theirs.known_source is not None:
                mine.known_source = theirs.known_source
            if index not in changed and theirs.known_metadata is not _Mark.UNREAD:
                mine.known_metadata = theirs.known_metadata


def read_notebook(data: bytes, name: str, *, fast: bool = False) -> Notebook:
    """The notebook that *data*, the content of the file *name*, holds.

    Raises `UserError` when it is not a notebook that can be edited safely. *fast* is worth its
    import (msgspec) for many or large files only; the result is the same.
    """
    if not data or data.isspace():
        raise UserError(faults.empty(name))
    if (bad := _not_utf8(data)) is not None:
        raise UserError(faults.not_utf8(name, data, bad))
    return scan(data, name, fast=fast)


def scan(data: bytes, name: str, *, fast: bool) -> Notebook:
    """Like `read_notebook`, where *data* is known to be UTF-8, or will be before it is trusted."""
    if fast:
        # Imported here: msgspec costs more than all else that one small notebook needs.
        from kale_tag.notebook_msgspec import scan_with_msgspec  # noqa: PLC0415

        if notebook := scan_with_msgspec(data, name):
            return notebook
    return scan_with_json(data, name)


def _decoded(raw: "RawJson", name: str) -> object:
    size = len(raw)
    if size == 2 and bytes(raw) == b"{}":  # so it is in six cells of ten
        return {}
    if not size:
        return MISSING
    try:
        return decode(raw)
    except RecursionError:
        raise UserError(faults.too_deep(name)) from None


def _not_utf8(data: bytes) -> int | None:
    # The offset of the first byte that is not UTF-8. The file is decoded in blocks, because a
    # text of the whole of it would be up to four times as large.
    if data.isascii():
        return None
    view, at, size, block = memoryview(data), 0, len(data), 1 << 16
    try:
        while at < size:
            at += utf_8_decode(view[at : at + block], "strict", at + block >= size)[1]
    except UnicodeDecodeError as fault:
        return at + fault.start
    return None


# The engine that has the last word. It scans the file as Latin-1: one character is one byte there,
# so that offsets are offsets in the bytes and the text is no larger than they are, and all that
# gives JSON its structure is ASCII. What is not ASCII is decoded again, from the bytes, when asked.


class _Found(NamedTuple):
    """The parts of a cell that count."""

    cell_type: Member | None
    id: Member | None
    source: tuple[int, int] | None
    metadata: tuple[int, int] | None
    text: str | None  # the source, if it is ASCII


class _Whole(NamedTuple):
    """A cell that is ASCII, so that its values are right."""

    value: dict[str, object]
    text: str


def scan_with_json(data: bytes, name: str) -> Notebook:
    """Like `scan`, with nothing but the standard library."""
    try:
        top = _top_of(str(data, "latin-1"))
    except RecursionError:
        fault = faults.too_deep(name)
    except JSONDecodeError as wrong:
        fault = faults.not_json(name, data, wrong.msg, wrong.pos)
    else:
        if isinstance(top, list):
            return _notebook_of(data, name, top)
        fault = faults.not_an_object(name)
    raise UserError(fault)  # here, where the text of the whole file is not kept as its context


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
        raise UserError(faults.no_cells(name, missing=cells is None))
    view = memoryview(data)
    found: list[Cell] = []
    spans: list[tuple[int, int] | None] = []  # of the metadata, or of a cell that is `whole`
    whole: set[int] = set()
    for index, (start, end, value) in enumerate(cells.value):
        if isinstance(value, _Whole):
            found.append(_cell_of_whole(value, index, name))
            spans.append((start, end))
            whole.add(index)
        elif isinstance(value, _Found):
            found.append(_cell_of_found(value, index, name, view))
            spans.append(value.metadata)
        else:
            raise UserError(faults.bad_cell(name, data, index, start))
    own = metadata and (metadata.start, metadata.end)

    @cache
    def span_of(holder: int | None) -> tuple[int, int] | None:
        if holder is None:
            return own
        span = spans[holder]
        if span is None or holder not in whole:
            return span
        member = last(members_at(str(_piece(view, span), "latin-1"), 0)[0], "metadata")
        return member and (span[0] + member.start, span[0] + member.end)

    return Notebook(
        name, data, found, fast=False, _raw_metadata=_piece(view, own), _span_of=span_of
    )


def _cell_of_whole(whole: _Whole, index: int, name: str) -> Cell:
    kind, known = whole.value.get("cell_type"), whole.value.get("id")
    return Cell(
        kind if isinstance(kind, str) else "",
        known if isinstance(known, str) else None,
        index,
        name,
        b"",
        b"",
        decode,
        whole.text,
        whole.value.get("metadata", MISSING),
    )


def _cell_of_found(found: _Found, index: int, name: str, view: memoryview) -> Cell:
    return Cell(
        _text(view, found.cell_type) or "",
        _text(view, found.id),
        index,
        name,
        _piece(view, found.source),
        _piece(view, found.metadata),
        decode,
        found.text,
    )


def _piece(view: memoryview, span: tuple[int, int] | None) -> memoryview:
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
            raise UserError(faults.old_format(name, f"nbformat {version}"))
        if version >= 5:
            raise UserError(faults.new_format(name, version))
    elif not last(top, "cells") and last(top, "worksheets"):
        raise UserError(faults.old_format(name, "nbformat 3 or older"))
