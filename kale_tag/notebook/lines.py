"""Byte offsets of a file as lines and columns, and as labels that quote their line."""

from typing import Final

from kale_tag.diagnostics import Label, Source, Span

BLOCK: Final = 1 << 16
REACH: Final = 100
"""Bytes of a long line that a label quotes to each side of its place."""

LONGEST: Final = 1000
"""Bytes of a place that a label covers; of a longer one it covers the start."""

_CONTINUING = bytes(range(0x80, 0xC0))
_BOM = b"\xef\xbb\xbf"


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
        if not begin and self.data.startswith(_BOM):
            begin = min(len(_BOM), offset)
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
