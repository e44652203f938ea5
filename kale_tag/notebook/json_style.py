"""How a JSON file is laid out, and texts of values that are laid out like it."""

import re
from functools import cached_property, lru_cache
from json import JSONEncoder

from kale_tag.notebook.json_value import HugeInt

SHOWN = 60
"""Characters of a value in a message."""


class JsonStyle:
    """The layout of the file *data*, as its first key shows it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.key = _layout(data[:24]) or _layout(data[:1024]) or (" ", ": ", ", ")
        self.unit, self.colon, self.comma = self.key

    def text(self, value: object, line: str | None) -> str:
        """The text of *value*; *line* is the line break and indent of the line it starts in.

        With None for it all stands in one line. Keys are sorted, as nbformat and JupyterLab do.
        """
        inner = line and line + self.unit
        if isinstance(value, dict):
            parts = [
                self.scalar(key) + self.colon + self.text(value[key], inner)
                for key in sorted(value)
            ]
            return self._enclosed("{", parts, "}", line)
        if isinstance(value, list):
            return self._enclosed("[", [self.text(item, inner) for item in value], "]", line)
        if isinstance(value, HugeInt):
            return value.digits
        return self.scalar(value)

    def scalar(self, value: object) -> str:
        """The text of a string, number, boolean or null."""
        if (
            isinstance(value, str)
            and not value.isascii()
            and (self.writes_escapes or not _valid(value))
        ):
            return _ascii(value)
        return _raw(value)

    def _enclosed(self, opening: str, parts: list[str], closing: str, line: str | None) -> str:
        if not parts:
            return opening + closing
        if line is None:
            return opening + self.comma.join(parts) + closing
        inner = line + self.unit
        return opening + inner + ("," + inner).join(parts) + line + closing

    @cached_property
    def writes_escapes(self) -> bool:
        """Whether the file writes characters that are not ASCII as escapes."""
        return self._data.isascii() and any(len(found[1]) % 2 for found in _escapes(self._data))


@lru_cache(maxsize=256)
def _layout(head: bytes) -> tuple[str, str, str] | None:
    # The unit of indent, the colon and the comma that the first key of a file shows; None if *head*
    # ends before it does. Most files begin alike.
    found = _head(str(head, "utf-8", "ignore"))
    if found is None or found[2] is None:
        return None
    line = line_break(found[1])
    unit = " " if line is None else line.lstrip("\r\n")
    colon = ": " if "\n" in found[2] else found[2]
    return unit, colon, "," if line is None and colon == ":" else ", "


def shown(value: object) -> str:
    """*value* as JSON in a message; a long text is cut."""
    text = JsonStyle(b"").text(value, None)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def line_break(space: str) -> str | None:
    """The last line break in *space* and the indent behind it; None if there is none."""
    at = space.rfind("\n")
    if at < 0:
        return None
    return space[at - 1 :] if space[at - 1 : at] == "\r" else space[at:]


def _valid(text: str) -> bool:
    # Half a surrogate pair can only be written as an escape.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_raw = JSONEncoder(ensure_ascii=False).encode
_ascii = JSONEncoder().encode
_head = re.compile(
    r'\ufeff?[ \t\n\r]*\{([ \t\n\r]*)(?:"(?:[^"\\]|\\.)*"([ \t\n\r]*:[ \t\n\r]*))?'
).match
# A backslash counts if it is not escaped itself, that is, if it ends a run of odd length.
_escapes = re.compile(rb"(\\+)u(?!00[0-7])[0-9a-fA-F]{4}").finditer
