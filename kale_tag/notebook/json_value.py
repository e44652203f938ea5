"""The values of a JSON text: read, compared, and written in the layout of their file.

They are read with the standard library's own C scanner: what is accepted is what `json.loads`
accepts, and integers of any length.

Git starts a program for each version of a notebook that it shows, so what `textconv` needs, here
and in `metadata.py`, imports neither dataclasses nor typing: they take longer than all its work.
"""

import re
from collections.abc import Callable
from functools import cached_property, lru_cache
from json import JSONDecodeError, JSONDecoder, JSONEncoder

ReadValue = Callable[[str, int], tuple[object, int]]
"""Reads the value that starts at an offset; returns the value and the offset of its end."""

SHOWN = 60
"""Characters of a value in a message."""


class HugeInt:
    """An integer of more digits than Python agrees to convert (4,300), kept as they are written."""

    __slots__ = ("digits",)

    def __init__(self, digits: str) -> None:
        self.digits = digits

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HugeInt) and self.digits == other.digits

    def __hash__(self) -> int:
        return hash(self.digits)


def value_at(text: str, start: int) -> tuple[object, int]:
    """The value that starts at *start*, and the offset of its end.

    Raises `JSONDecodeError`, and `RecursionError` where the nesting is too deep for Python.
    """
    try:
        return _scan(text, start)
    except StopIteration as stop:
        raise JSONDecodeError("Expecting value", text, stop.value) from None
    except JSONDecodeError:
        raise
    except ValueError:  # only `int` raises it: too many digits
        return _scan_huge(text, start)


def value_of(data: bytes) -> object:
    """The value that a whole file holds, with or without a byte order mark."""
    text = str(data, "utf-8").removeprefix("\ufeff")
    return value_at(text, skip_space(text, 0))[0]


def decode(raw: "bytes | memoryview") -> object:
    """The value of a JSON text in UTF-8 that has no white space around it."""
    return value_at(str(raw, "utf-8"), 0)[0]


def skip_space(text: str, start: int) -> int:
    """The offset of the first character from *start* on that is not JSON's white space."""
    found = _space(text, start)
    assert found is not None  # the pattern matches the empty string
    return found.end()


def _integer(digits: str) -> int | HugeInt:
    try:
        return int(digits)
    except ValueError:
        return HugeInt(digits)


# What `raw_decode` calls; it leaves the texts of its errors to us but costs half as much.
_scan: ReadValue = JSONDecoder().scan_once  # type: ignore[attr-defined]
_scan_huge: ReadValue = JSONDecoder(parse_int=_integer).scan_once  # type: ignore[attr-defined]
_space = re.compile(r"[ \t\n\r]*").match


def same(one: object, other: object) -> bool:
    """Whether two JSON values are equal: 1 is neither True nor 1.0, NaN is NaN."""
    if one is other:
        return True
    if isinstance(one, str):
        return one == other
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(value, other[key]) for key, value in one.items())
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return isinstance(other, float) and float.__repr__(one) == float.__repr__(other)
    return one == other and not isinstance(one, bool) and not isinstance(other, bool | float)


class JsonStyle:
    """The layout of the file *data*, as its first key shows it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.key = _layout(data[:24]) or _layout(data[:1024]) or (" ", ": ", ", ")
        self.unit, self.colon, self.comma = self.key

    def text(self, value: object, line: str | None) -> str:
        """The text of *value*; *line* is the line break and indent of the line it starts in.

        With None all is in one line. Keys are sorted, as nbformat and JupyterLab do.
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
