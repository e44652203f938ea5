"""Labels of the parts of a notebook, and their places in its file.

A label of a cell, of a tag or of code counts in the cell. `in_files` gives the same label in the
notebook's file, whose own line is then quoted. `Lines` turns byte offsets of any file into labels.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Final

from kale_tag.diagnostics import Diagnostic, Label, Source, Span
from kale_tag.notebook.json_scan import Item, items_at, last, members_at, skipped
from kale_tag.notebook.json_value import skip_space
from kale_tag.notebook.model import BOM, Notebook

Path = tuple[str | int, ...]

_LETTER = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u.{4}|\\.|[^\\]", re.DOTALL
)
"""One character in a string of JSON, however it is written."""

BLOCK: Final = 1 << 16
REACH: Final = 100
"""Bytes of a long line that a label quotes to each side of its place."""

LONGEST: Final = 1000
"""Bytes of a place that a label covers; of a longer one it covers the start."""

_CONTINUING = bytes(range(0x80, 0xC0))


def cell_label(notebook: Notebook, cell: int, text: str = "") -> Label:
    """A cell as a whole; *text* is a remark."""
    return Label(Source(notebook.name, notebook.source(cell), cell), None, text)


def tag_label(notebook: Notebook, cell: int, position: int, text: str = "") -> Label:
    """One tag of a cell."""
    return replace(cell_label(notebook, cell, text), path=("tags", position))


def line_label(notebook: Notebook, cell: int, line: int) -> Label:
    """One line of a cell, from 0 on, without the blanks around it."""
    lines = notebook.source(cell).splitlines(keepends=True)
    text = lines[line].lstrip()
    start = sum(map(len, lines[: line + 1])) - len(text)
    return replace(cell_label(notebook, cell), span=Span(start, start + len(text.rstrip())))


def in_files(diagnostic: Diagnostic, places: Mapping[str, "Places"]) -> Diagnostic:
    """The same diagnostic with labels in the files of the notebooks that *places* names.

    Its message then names the cell, which such a place does not show.
    """
    labels = tuple(
        places[label.source.name].in_file(label) if label.source.name in places else label
        for label in diagnostic.labels
    )
    cell = diagnostic.labels[0].source.cell if diagnostic.labels else None
    message = diagnostic.message
    if cell is not None and labels[0].source.cell is None and not message.startswith("cell "):
        rest = message.removeprefix("the cell ")
        message = f"cell {cell}: {message}" if rest == message else f"cell {cell} {rest}"
    return replace(diagnostic, message=message, labels=labels)


class Places:
    """The places in the file of one notebook; nothing is looked for before it is asked for."""

    def __init__(self, notebook: Notebook) -> None:
        """Look at *notebook*."""
        self.notebook = notebook
        self._lines = Lines(notebook.data)

    def metadata(self, holder: int | None, path: Path = ()) -> Label:
        """The value at *path*, keys and positions, in the metadata of a cell or of the notebook.

        The place of an object or array is its key. If the path ends early, the place is the last
        value on it; the cell if that has no metadata.
        """
        span = self.notebook.metadata_span(holder)
        if span is None:
            return replace(self.cell(holder), path=path if holder is None else None)
        raw = self.notebook.data[span[0] : span[1]].decode(errors="replace")
        start, end = _found(raw, path)
        at = span[0] + len(raw[:start].encode())
        label = self._lines.label(self.notebook.name, at, at + len(raw[start:end].encode()))
        return replace(label, path=path) if holder is None else label

    def in_file(self, label: Label) -> Label:
        """The same place in the file: a route into metadata, code of a cell, or the cell."""
        cell = label.source.cell
        if label.path is not None:
            made = self.metadata(cell, label.path)
        elif cell is None:
            return label
        elif label.span is None:
            made = self.cell(cell)
        else:
            made = self.source(cell, label.span.start, label.span.end)
        return made.with_text(label.text)

    def tag(self, index: int, position: int) -> Label:
        """One tag of a cell."""
        return self.metadata(index, ("tags", position))

    def cell(self, index: int | None, line: int = 0) -> Label:
        """A line of a cell's source, the cell itself where it has none, or the file."""
        if index is None:
            return Label(Source(self.notebook.name))
        item = self._cells[index]
        source = last(members_at(self._text, item.start, skipped)[0], "source")
        start, end = item.start, item.start + 1
        if source is not None:
            start, end = source.start, source.end
            if self._text[start] == "[" and (items := items_at(self._text, start, skipped)[0]):
                start, end, _ = items[min(line, len(items) - 1)]
        return self._lines.label(self.notebook.name, start, end)

    def source(self, index: int, start: int, end: int) -> Label:
        r"""The characters from *start* to *end* of a cell's source, as far as they are in one line.

        Both count in the source with `\n` at the end of every line, however the file ends them.
        """
        text = self.notebook.source(index)
        if "\r" in text:
            ends = [found.end() for found in re.finditer(r"\r\n|.", text, re.DOTALL)]
            start, end = (ends[min(at, len(ends)) - 1] if at else 0 for at in (start, end))
        pieces = self._pieces(index)
        for begin, stop in pieces:
            raw = self.notebook.data[begin:stop].decode(errors="replace")
            letters = [found.start() for found in _LETTER.finditer(raw, 1, len(raw) - 1)]
            if start < len(letters):
                # A line of the notebook ends in `\n` in the string: no part of the place.
                ends = [*letters, len(raw) - 1]
                last = max(min(end, len(letters)), start + 1)
                first, after = (len(raw[: ends[at]].encode()) for at in (start, last))
                return self._lines.label(self.notebook.name, begin + first, begin + after)
            start, end = start - len(letters), end - len(letters)
        if not pieces:
            return self.cell(index)
        stop = pieces[-1][1]  # the quote follows the last character
        return self._lines.label(self.notebook.name, stop - 1, stop)

    def _pieces(self, index: int) -> list[tuple[int, int]]:
        """The places of the strings that make the source of a cell."""
        source = last(members_at(self._text, self._cells[index].start, skipped)[0], "source")
        if source is None:
            return []
        if self._text[source.start] == "[":
            items = items_at(self._text, source.start, skipped)[0]
            return [(one.start, one.end) for one in items]
        return [(source.start, source.end)]

    @cached_property
    def _text(self) -> str:
        # One character is one byte in Latin-1, and all that gives JSON its structure is ASCII.
        return str(self.notebook.data, "latin-1")

    @cached_property
    def _cells(self) -> list[Item]:
        start = skip_space(self._text, 3 if self.notebook.data.startswith(BOM) else 0)
        cells = last(members_at(self._text, start, skipped)[0], "cells")
        assert cells is not None  # a notebook has them
        return items_at(self._text, cells.start, skipped)[0]


def _found(raw: str, path: Path) -> tuple[int, int]:
    """The place of the member or item at *path*, or of the last one on the way there."""
    start, key_end, value, end = 0, 1, 0, len(raw)
    for part in path:
        if isinstance(part, str) and raw[value] == "{":
            member = last(members_at(raw, value, skipped)[0], part)
            if member is None:
                break
            start, key_end, value, end = member.key_start, member.key_end, member.start, member.end
        elif isinstance(part, int) and raw[value] == "[":
            items = items_at(raw, value, skipped)[0]
            if part >= len(items):
                break
            start, end = items[part].start, items[part].end
            key_end, value = start + 1, start
        else:
            break
    is_long = raw[value] in "{[" and end - value > 2
    return start, key_end if is_long else end


class Lines:
    """The lines of *data*, which is UTF-8, in blocks: a place costs no more in a large file.

    Bytes that no UTF-8 text has count as one character each.
    """

    def __init__(self, data: bytes) -> None:
        """Look at the bytes once, when the first place is asked for."""
        self.data = data
        # For each block what comes before it: lines, characters, the start of the line it is in.
        self._blocks: list[tuple[int, int, int]] = []

    def label(self, name: str, start: int, end: int) -> Label:
        """The bytes from *start* to *end* of the file *name*, as far as they are in one line."""
        line, begin, column = self._position(start)
        end = max(self._boundary(min(end, start + LONGEST)), start + 1)
        stop = self.data.find(b"\n", start, end + REACH)
        stop = self._boundary(end + REACH) if stop < 0 else stop
        end = max(min(end, stop), start + 1)
        while end < len(self.data) and self.data[end] & 0xC0 == 0x80:
            end += 1  # a whole character at least
        first = max(begin, self._boundary(start - REACH))
        after = max(end, stop)
        before, inside = self._text(first, start), self._text(start, end)
        text = (before + inside + self._text(end, after)).rstrip("\r\n")
        span = Span(len(before), max(len(before + inside.rstrip("\r\n")), len(before) + 1))
        return Label(Source(name, text, None, line, column - len(before)), span)

    def _position(self, offset: int) -> tuple[int, int, int]:
        # The line, where it starts, and the column, of a byte.
        if not self._blocks:
            self._scan()
        block = offset // BLOCK
        lines, _, begin = self._blocks[block]
        start = block * BLOCK
        line = lines + self.data.count(b"\n", start, offset) + 1
        begin = max(begin, self.data.rfind(b"\n", start, offset) + 1)
        if not begin and self.data.startswith(BOM):
            begin = min(len(BOM), offset)
        return line, begin, self._characters(offset) - self._characters(begin) + 1

    def _characters(self, offset: int) -> int:
        block = offset // BLOCK
        return self._blocks[block][1] + _count(self.data[block * BLOCK : offset])

    def _scan(self) -> None:
        lines = characters = begin = 0
        for start in range(0, len(self.data) + 1, BLOCK):
            self._blocks.append((lines, characters, begin))
            block = self.data[start : start + BLOCK]
            lines += block.count(b"\n")
            characters += _count(block)
            begin = max(begin, start + block.rfind(b"\n") + 1) if b"\n" in block else begin

    def _boundary(self, offset: int) -> int:
        # The start of the character that the byte at *offset* belongs to.
        offset = min(max(offset, 0), len(self.data))
        while 0 < offset < len(self.data) and self.data[offset] & 0xC0 == 0x80:
            offset -= 1
        return offset

    def _text(self, start: int, end: int) -> str:
        return self.data[start:end].decode(errors="replace")


def _count(data: bytes) -> int:
    return len(data) if data.isascii() else len(data.translate(None, _CONTINUING))
