"""Where the values of a JSON text stand, found with the standard library's own C scanner.

What is accepted here is what `json.loads` accepts, integers of any length besides.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import NamedTuple

ReadValue = Callable[[str, int], tuple[object, int]]
"""Reads the value that starts at an offset; gives the value and the offset of its end."""


@dataclass(frozen=True, slots=True)
class HugeInt:
    """An integer of more digits than Python agrees to convert (4,300), kept as they are written."""

    digits: str


class Member(NamedTuple):
    """One `"key": value` of an object, and the offsets of both in the text it was read from."""

    key: str
    key_start: int
    key_end: int
    start: int
    end: int
    value: object


class Item(NamedTuple):
    """One element of an array, and its offsets in the text it was read from."""

    start: int
    end: int
    value: object


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


def members_at(text: str, start: int, read: ReadValue = value_at) -> tuple[list[Member], int]:
    """The members of the object at *start* in their order, repeated keys included, and its end."""
    members: list[Member] = []
    at = skip_space(text, start + 1)
    if text[at : at + 1] == "}":
        return members, at + 1
    while True:
        if found := _plain_key(text, at):
            key, key_end, value_start = found[1], found.end(1) + 1, found.end()
        else:
            key, key_end, value_start = _any_key(text, at)
        value, end = read(text, value_start)
        members.append(Member(key, at, key_end, value_start, end, value))
        if comma := _comma(text, end):
            at = comma.end()
            continue
        return members, _closed(text, end, "}")


def items_at(text: str, start: int, read: ReadValue = value_at) -> tuple[list[Item], int]:
    """The elements of the array at *start* in their order, and its end."""
    items: list[Item] = []
    at = skip_space(text, start + 1)
    if text[at : at + 1] == "]":
        return items, at + 1
    while True:
        value, end = read(text, at)
        items.append(Item(at, end, value))
        if comma := _comma(text, end):
            at = comma.end()
            continue
        return items, _closed(text, end, "]")


def last(members: list[Member], key: str) -> Member | None:
    """The member that counts for *key*: of repeated keys the last wins, as in `json.loads`."""
    return next((member for member in reversed(members) if member.key == key), None)


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


def _any_key(text: str, at: int) -> tuple[str, int, int]:
    # A key with escapes in it, or a fault.
    if text[at : at + 1] != '"':
        raise JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
    key, key_end = scanstring(text, at + 1, True)
    colon = _colon(text, key_end)
    if colon is None:
        raise JSONDecodeError("Expecting ':' delimiter", text, skip_space(text, key_end))
    return key, key_end, colon.end()


def _closed(text: str, end: int, bracket: str) -> int:
    at = skip_space(text, end)
    if text[at : at + 1] != bracket:
        raise JSONDecodeError("Expecting ',' delimiter", text, at)
    return at + 1


# What `raw_decode` calls; it leaves the texts of its errors to us but costs half as much.
_scan: ReadValue = JSONDecoder().scan_once  # type: ignore[attr-defined]
_scan_huge: ReadValue = JSONDecoder(parse_int=_integer).scan_once  # type: ignore[attr-defined]
_space = re.compile(r"[ \t\n\r]*").match
_comma = re.compile(r"[ \t\n\r]*,[ \t\n\r]*").match
_colon = re.compile(r"[ \t\n\r]*:[ \t\n\r]*").match
_plain_key = re.compile(r'"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*').match
