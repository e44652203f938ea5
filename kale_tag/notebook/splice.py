"""The smallest edit, in the file's own layout, that gives cells and notebook other metadata."""

import re
from bisect import insort
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from json import JSONEncoder
from typing import NamedTuple

from kale_tag.diagnostics import UserError, too_deep
from kale_tag.notebook.json_scan import Member, items_at, last, members_at, skipped
from kale_tag.notebook.json_value import JsonStyle, line_break, same, skip_space, value_of
from kale_tag.notebook.model import BOM, MISSING, Notebook
from kale_tag.notebook.read import scan

NewMetadata = Mapping[int | None, object]
"""New metadata by holder: a cell by its number, the notebook as None."""


class ProofError(Exception):
    """The result of an edit is wrong, because of a bug: nothing may be written."""


def splice(notebook: Notebook, wanted: NewMetadata) -> bytes:
    """The file in which each holder has the wanted metadata (`MISSING`: has none).

    Every other byte stays, as does the spelling of all values within that stay; what is new is
    laid out as its neighbours are. Where nothing differs this is `notebook.data` itself.
    """
    try:
        edits = sorted(_edits(notebook, wanted))
    except RecursionError:
        raise UserError(too_deep(notebook.name)) from None
    if not edits:
        return notebook.data
    view, at = memoryview(notebook.data), 0
    parts: list[bytes | memoryview] = []
    for start, end, new in edits:
        parts += view[at:start], new
        at = end
    return b"".join((*parts, view[at:]))


def prove(notebook: Notebook, data: bytes, wanted: NewMetadata) -> Notebook:
    """The notebook that *data* holds: proof that it is *notebook* with the wanted metadata.

    What *notebook* has decoded is not decoded again for it. Raises `ProofError`.
    """
    try:
        new = scan(data, notebook.name, fast=notebook.fast)
        if len(new.types) != len(notebook.types):
            raise ProofError("the number of cells has changed")
        if any(notebook.metadata_span(h) is None or v is MISSING for h, v in wanted.items()):
            _prove_values(notebook, data, wanted)
        else:
            _prove_bytes(notebook, new, wanted)
        for holder, value in wanted.items():
            if not same(new.metadata_of(holder), value):
                raise ProofError(f"the metadata of {_called(holder)} is not as wanted")
    except RecursionError:
        raise UserError(too_deep(notebook.name)) from None
    except (UserError, UnicodeDecodeError) as exc:
        raise ProofError(f"the result cannot be read: {exc}") from exc
    new.known_sources.update(notebook.known_sources)
    for holder, value in notebook.known_metadata.items():
        if holder not in wanted:
            new.known_metadata[holder] = value
    return new


def _prove_bytes(old: Notebook, new: Notebook, wanted: NewMetadata) -> None:
    # Compares all bytes but those of the values in question, in large pieces. A JSON text in which
    # the text of one value gives way to that of another has the same other values.
    view, at, new_at = memoryview(old.data), 0, 0
    data = new.data
    spans = {_span(old, holder): holder for holder in wanted}
    for (start, end), holder in sorted(spans.items()):
        raw = new.raw_metadata(holder)
        if not len(raw):
            raise ProofError(f"the metadata of {_called(holder)} is gone")
        new_start = new_at + start - at
        if not data.startswith(view[at:start], new_at) or not data.startswith(raw, new_start):
            raise ProofError(f"bytes before the metadata of {_called(holder)} have changed")
        at, new_at = end, new_start + len(raw)
    if len(data) - new_at != len(view) - at or not data.startswith(view[at:], new_at):
        raise ProofError("bytes after the last edit have changed")


def _prove_values(old: Notebook, data: bytes, wanted: NewMetadata) -> None:
    # Compares all values. Metadata that is added or removed changes its key too, so that
    # no equal pieces can be compared.
    expected = value_of(old.data)
    assert isinstance(expected, dict)
    for holder, value in wanted.items():
        owner = expected if holder is None else expected["cells"][holder]
        if value is MISSING:
            owner.pop("metadata", None)
        else:
            owner["metadata"] = value
    if old.data.startswith(BOM) != data.startswith(BOM) or not same(value_of(data), expected):
        raise ProofError("more has changed than the metadata")


def _span(notebook: Notebook, holder: int | None) -> tuple[int, int]:
    span = notebook.metadata_span(holder)
    if span is None:
        raise ProofError(f"the metadata of {_called(holder)} is gone")
    return span


def _called(holder: int | None) -> str:
    return "the notebook" if holder is None else f"cell {holder}"


def _edits(notebook: Notebook, wanted: NewMetadata) -> Iterator[tuple[int, int, bytes]]:
    # The start and end of what is replaced, and by what.
    data = notebook.data
    style = JsonStyle(data)
    for holder, value in wanted.items():
        span = notebook.metadata_span(holder)
        if span is None:
            if value is not MISSING:
                start, end, text = _insertion(data, holder, value, style)
                yield start, end, text.encode()
        elif value is MISSING:
            yield from _deletions(data, holder)
        else:
            start, end = span
            raw, line, shown = data[start:end], _line_of(data, start), repr(value)
            # Notebooks hold the same few metadata many times, and get the same few tags.
            key = (raw, line, shown, style.key)
            if (new := _known_edits.get(key)) is None:
                old = notebook.metadata_of(holder)
                new = raw
                if not same(old, value):
                    new = _rewritten(str(raw, "utf-8"), old, value, line, style).encode()
                # What is not ASCII may be escaped or not, as the rest of the file has it.
                if len(raw) < 1000 and raw.isascii() and shown.isascii():
                    if len(_known_edits) > 4096:
                        _known_edits.clear()
                    _known_edits[key] = new
            if new != raw:
                yield start, end, new


_known_edits: dict[tuple[object, ...], bytes] = {}


def _rewritten(raw: str, old: object, new: object, line: str | None, style: JsonStyle) -> str:
    # The text *raw* of the value *old*, changed so that it is the text of *new*. *line* is the
    # line break and indent of the line that *raw* starts in, None for a value amid a line.
    if isinstance(old, dict) and isinstance(new, dict) and old and new:
        return _rewritten_object(raw, new, style)
    if isinstance(old, list) and isinstance(new, list) and old and new:
        return _rewritten_array(raw, old, new, style)
    return style.text(new, line)


def _rewritten_object(raw: str, new: dict[str, object], style: JsonStyle) -> str:
    members, _ = members_at(raw, 0)
    layout = _Layout(raw, 0, [(member.key_start, member.end) for member in members], style)
    counts = {member.key: index for index, member in enumerate(members)}  # the last of each key
    parts: list[_Part] = []
    for index, member in enumerate(members):
        if member.key in new:
            text, value = raw[member.key_start : member.end], new[member.key]
            if index == counts[member.key] and not same(member.value, value):
                old, line = raw[member.start : member.end], layout.line_of(index)
                text = raw[member.key_start : member.start]
                text += _rewritten(old, member.value, value, line, style)
            parts.append(_Part(member.key, index, text))
    if added := sorted(new.keys() - counts.keys()):
        in_order = _in_order(members)
        for key in added:
            part = _Part(key, None, layout.member(key, new[key], members[0]))
            if in_order:
                insort(parts, part, key=lambda part: part.key)
            else:
                parts.append(part)
    return layout.joined(parts)


def _rewritten_array(raw: str, old: list[object], new: list[object], style: JsonStyle) -> str:
    items, _ = items_at(raw, 0)
    layout = _Layout(raw, 0, [(item.start, item.end) for item in items], style)
    parts: list[_Part] = []
    for value, index in zip(new, _origins(old, new), strict=True):
        if index is None:
            text = style.text(value, layout.line)
        else:
            text = raw[items[index].start : items[index].end]
            if not same(old[index], value):
                text = _rewritten(text, old[index], value, layout.line_of(index), style)
        parts.append(_Part("", index, text))
    return layout.joined(parts)


def _origins(old: list[object], new: list[object]) -> list[int | None]:
    # For each of *new* the element of *old* whose text it takes: an equal one, each once; else the
    # one at its place. Both ends are compared first, because long arrays hardly differ.
    head = 0
    tail = min(len(old), len(new))
    while head < tail and same(old[head], new[head]):
        head += 1
    tail -= head
    shift = len(old) - len(new)
    back = 0
    while back < tail and same(old[-1 - back], new[-1 - back]):
        back += 1
    free: dict[str, list[int]] = {}
    for index in reversed(range(head, len(old) - back)):
        free.setdefault(_fingerprint(old[index]), []).append(index)
    middle: list[int | None] = []
    for value in new[head : len(new) - back]:
        equal = free.get(_fingerprint(value)) if free else None
        middle.append(equal.pop() if equal and same(old[equal[-1]], value) else None)
    for place, origin in enumerate(middle):
        if origin is None and head + place < len(old) - back:
            middle[place] = head + place
    return [*range(head), *middle, *(index + shift for index in range(len(new) - back, len(new)))]


def _insertion(
    data: bytes, holder: int | None, value: object, style: JsonStyle
) -> tuple[int, int, str]:
    # Offsets in a text of Latin-1 are offsets in the bytes. Keys sort in it as they do in truth,
    # because the order of UTF-8 is that of the characters.
    text = str(data, "latin-1")
    start, end, members = _owner(text, holder)
    if not members:
        return start, end, style.text({"metadata": value}, _line_of(data, start))
    layout = _Layout(text, start, [(member.key_start, member.end) for member in members], style)
    member = layout.member("metadata", value, members[0])
    if _in_order(members):
        for follower in members:
            if follower.key > "metadata":
                return follower.key_start, follower.key_start, member + layout.separator
    return members[-1].end, members[-1].end, layout.separator + member


def _deletions(data: bytes, holder: int | None) -> Iterator[tuple[int, int, bytes]]:
    start, end, members = _owner(str(data, "latin-1"), holder)
    if all(member.key == "metadata" for member in members):
        yield start, end, b"{}"
        return
    first = True
    for index, member in enumerate(members):
        if member.key != "metadata":
            first = False
        elif first:
            yield member.key_start, members[index + 1].key_start, b""
        else:
            yield members[index - 1].end, member.end, b""


def _owner(text: str, holder: int | None) -> tuple[int, int, list[Member]]:
    # The object that has, or shall have, the metadata of *holder*: its place and its members.
    start = skip_space(text, 3 if text.startswith(str(BOM, "latin-1")) else 0)
    members, end = members_at(text, start, skipped)
    if holder is not None:
        cells = last(members, "cells")
        assert cells is not None
        cell = items_at(text, cells.start, skipped)[0][holder]
        start = cell.start
        members, end = members_at(text, start, skipped)
    return start, end, members


def _in_order(members: list[Member]) -> bool:
    keys = [member.key for member in members]
    return keys == sorted(keys)


def _line_of(data: bytes, start: int) -> str | None:
    # The line break and indent before the value at *start*, if at most its key is between.
    at = data.rfind(b"\n", max(0, start - 200), start)
    return None if at < 0 else _line_in(data[max(at - 1, 0) : start])


@lru_cache(maxsize=256)
def _line_in(text: bytes) -> str | None:
    found = _line_start(text)
    return found and str(found[1], "ascii")


class _Part(NamedTuple):
    key: str  # empty in an array
    origin: int | None  # which of the old entries it was
    text: str  # in the new file


class _Layout:
    """How the entries of one object or array of a text are set apart from each other."""

    def __init__(
        self, text: str, start: int, spans: list[tuple[int, int]], style: JsonStyle
    ) -> None:
        """The container starts at *start* in *text*; its entries, at least one, have *spans*."""
        self._text = text
        self._style = style
        self._gaps = [text[start + 1 : spans[0][0]]]
        self._gaps += [text[one[1] : two[0]] for one, two in pairwise(spans)]
        self._tail = spans[-1][1]
        if len(spans) > 1:
            self.separator = self._gaps[-1]
        else:
            line = self.line_of(0)
            self.separator = style.comma if line is None else "," + line
        self.line = line_break(self.separator.partition(",")[2])

    def line_of(self, index: int) -> str | None:
        """The line break and indent before an entry; None if it is inside a line."""
        return line_break(self._gaps[index].rpartition(",")[2])

    def member(self, key: str, value: object, model: Member) -> str:
        """The text of a new member, with a colon like that of *model*."""
        colon = self._text[model.key_end : model.start]
        if "\n" in colon:
            colon = self._style.colon
        return self._style.scalar(key) + colon + self._style.text(value, self.line)

    def joined(self, parts: list[_Part]) -> str:
        """The text of the container when it has *parts*, at least one."""
        texts = [self._text[0], self._gaps[0]]
        for place, part in enumerate(parts):
            if place:
                texts.append(self._gaps[part.origin] if part.origin else self.separator)
            texts.append(part.text)
        return "".join((*texts, self._text[self._tail :]))


_line_start = re.compile(rb'[^\r]?(\r?\n[ \t]*)(?:"[^"\n]*"[ \t]*:[ \t]*)?', re.DOTALL).fullmatch
_fingerprint = JSONEncoder(sort_keys=True, default=repr).encode
