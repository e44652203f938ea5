"""The values of a JSON text, read with the standard library's own C scanner.

What is accepted here is what `json.loads` accepts, integers of any length besides.

Git starts a program for each version of a notebook that it shows, so what `textconv` needs, here
and in `metadata.py`, imports neither dataclasses nor typing: they take longer than all its work.
"""

import re
from collections.abc import Callable
from json import JSONDecodeError, JSONDecoder

ReadValue = Callable[[str, int], tuple[object, int]]
"""Reads the value that starts at an offset; gives the value and the offset of its end."""


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
