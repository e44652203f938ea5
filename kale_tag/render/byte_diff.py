"""The change of a notebook's bytes as a unified diff, as `git apply` takes it."""

import re
from itertools import islice

from kale_tag.notebook.model import Notebook

CONTEXT = 3
"""Unchanged lines around a change."""

Region = tuple[int, int, int, int]
"""First and last line (exclusive) in the old file, and in the new one."""

_HEADER = re.compile(rb"@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@\n")


def unified_diff(old: Notebook, new: Notebook) -> bytes:
    """The change from *old* to *new*, which differ in metadata only; b"" for none.

    Only regions with metadata are compared: for all lines of a notebook with outputs, difflib needs
    a minute.
    """
    import difflib  # noqa: PLC0415  slow to import, rarely asked for

    before, after = _lines(old.data), _lines(new.data)
    parts: list[bytes] = []
    for start, end, new_start, new_end in _regions(old, new, len(before), len(after)):
        lead = min(CONTEXT, start)
        at, new_at = start - lead, new_start - lead
        hunks = difflib.diff_bytes(
            difflib.unified_diff,
            before[at : end + CONTEXT],
            after[new_at : new_end + CONTEXT],
            n=CONTEXT,
        )
        for line in islice(hunks, 2, None):  # without the names of the files
            parts.append(_HEADER.sub(lambda found: _moved(found, at, new_at), line))  # noqa: B023
            if not line.endswith(b"\n"):
                parts.append(b"\n\\ No newline at end of file\n")
    name = old.name.encode(errors="surrogateescape")
    return b"".join((b"--- a/%s\n+++ b/%s\n" % (name, name), *parts)) if parts else b""


def _moved(header: re.Match[bytes], lines: int, new_lines: int) -> bytes:
    """The *header* of a hunk, moved down by a number of lines in each file."""
    start, new_start = int(header[1]) + lines, int(header[3]) + new_lines
    return b"@@ -%d%s +%d%s @@\n" % (start, header[2] or b"", new_start, header[4] or b"")


def _regions(old: Notebook, new: Notebook, count: int, new_count: int) -> list[Region]:
    """The regions that contain all changes, in their order, far enough apart for a hunk each."""
    found: list[Region] = []
    counters = _Counter(old.data), _Counter(new.data)
    holders = [*range(len(old.types)), None]
    spans = [(old.metadata_span(one), new.metadata_span(one)) for one in holders]
    if any(span is None for pair in spans for span in pair):
        return [(0, count, 0, new_count)]  # added or removed metadata changes its key too
    for pair in sorted((one, other) for one, other in spans if one and other):
        start, end, new_start, new_end = (
            counter.line(offset) + behind
            for counter, span in zip(counters, pair, strict=True)
            for offset, behind in ((span[0], 0), (span[1], 1))
        )
        (s, e), (t, f) = pair
        if old.data[s:e] == new.data[t:f]:
            continue
        if found and start <= found[-1][1] + 2 * CONTEXT:
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


def _lines(data: bytes) -> list[bytes]:
    """Lines with their line break; the last one has none where the file ends without."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines
