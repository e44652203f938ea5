"""The change of a notebook's bytes as a unified diff, the form that `git apply` takes."""

from collections.abc import Iterator

from kale_tag.notebook.model import Notebook

Opcode = tuple[str, int, int, int, int]
"""As in difflib: what happens, to which lines of the old file, and which of the new one."""


def unified_diff(old: Notebook, new: Notebook) -> bytes:
    """The change from *old* to *new*, which differ in metadata only; b"" for none.

    Lines are compared where metadata stands and nowhere else: looking at all lines of a notebook
    with outputs takes difflib a minute.
    """
    from difflib import SequenceMatcher  # noqa: PLC0415  slow to import, rarely asked for

    before, after = _lines(old.data), _lines(new.data)
    matcher = SequenceMatcher(None, b"", b"")
    # What a matcher has found out once it keeps here; it groups ours as it would its own.
    matcher.opcodes = [*_opcodes(old, new, before, after)]  # type: ignore[attr-defined]
    name = old.name.encode(errors="surrogateescape")
    parts = [b"--- a/%s\n+++ b/%s\n" % (name, name)]
    for group in matcher.get_grouped_opcodes():
        ends = (group[0][1], group[-1][2]), (group[0][3], group[-1][4])
        parts.append(b"@@ -%s +%s @@\n" % tuple(_range(*end) for end in ends))
        for kind, start, end, new_start, new_end in group:
            if kind == "equal":
                parts += (_line(b" ", line) for line in before[start:end])
            else:
                parts += (_line(b"-", line) for line in before[start:end])
                parts += (_line(b"+", line) for line in after[new_start:new_end])
    return b"".join(parts) if len(parts) > 1 else b""


def _opcodes(
    old: Notebook, new: Notebook, before: list[bytes], after: list[bytes]
) -> Iterator[Opcode]:
    from difflib import SequenceMatcher  # noqa: PLC0415  see `unified_diff`

    at = new_at = 0
    for start, end, new_start, new_end in _places(old, new, len(before), len(after)):
        if start > at:
            yield "equal", at, start, new_at, new_start
        matcher = SequenceMatcher(None, before[start:end], after[new_start:new_end], autojunk=False)
        for kind, a, b, c, d in matcher.get_opcodes():
            yield kind, start + a, start + b, new_start + c, new_start + d
        at, new_at = end, new_end
    if len(before) > at:
        yield "equal", at, len(before), new_at, len(after)


def _places(
    old: Notebook, new: Notebook, count: int, new_count: int
) -> list[tuple[int, int, int, int]]:
    """The lines of the old and the new file between which all changes lie, in their order."""
    found: list[tuple[int, int, int, int]] = []
    counters = _Counter(old.data), _Counter(new.data)
    holders = [*range(len(old.types)), None]
    spans = [(old.metadata_span(one), new.metadata_span(one)) for one in holders]
    if any(span is None for pair in spans for span in pair):
        return [(0, count, 0, new_count)]  # metadata that comes or goes brings its key along
    for pair in sorted((one, other) for one, other in spans if one and other):
        start, end, new_start, new_end = (
            counter.line(offset) + behind
            for counter, span in zip(counters, pair, strict=True)
            for offset, behind in ((span[0], 0), (span[1], 1))
        )
        (s, e), (t, f) = pair
        if old.data[s:e] == new.data[t:f]:
            continue
        if found and start < found[-1][1]:  # on one line with the one before
            start, new_start = found[-1][0], found.pop()[2]
        found.append((start, end, new_start, new_end))
    return found


class _Counter:
    """Counts lines up to offsets that are asked for in rising order."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = self.lines = 0

    def line(self, offset: int) -> int:
        self.lines += self.data.count(b"\n", self.at, offset)
        self.at = offset
        return self.lines


def _range(start: int, end: int) -> bytes:
    length = end - start
    if length == 1:
        return b"%d" % (start + 1)
    return b"%d,%d" % (start + (length > 0), length)


def _lines(data: bytes) -> list[bytes]:
    """Lines with their line break; the last one has none where the file ends without."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _line(mark: bytes, line: bytes) -> bytes:
    end = b"" if line.endswith(b"\n") else b"\n\\ No newline at end of file\n"
    return mark + line + end
