"""The members and items of a JSON text, with their offsets."""

import re
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import NamedTuple

from kale_tag.notebook.json_value import ReadValue, skip_space, value_at


class Member(NamedTuple):
    """One `"key": value` of an object, and the offsets of both in the text it was read from."""

    key: str  # decoded
    key_start: int  # the offset of its opening quote
    key_end: int  # the offset after its closing quote
    start: int  # of the value
    end: int  # of the value, exclusive
    value: object  # as `read` returned it


class Item(NamedTuple):
    """One element of an array, and its offsets in the text it was read from."""

    start: int  # of the value
    end: int  # of the value, exclusive
    value: object  # as `read` returned it


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
    """The effective member for *key*: of repeated keys the last wins, as in `json.loads`."""
    return next((member for member in reversed(members) if member.key == key), None)


def skipped(text: str, start: int) -> tuple[object, int]:
    """For `members_at` and `items_at`: reads a value, and keeps None of it."""
    return None, value_at(text, start)[1]


def _any_key(text: str, at: int) -> tuple[str, int, int]:
    # A key with escapes, or an error.
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


_comma = re.compile(r"[ \t\n\r]*,[ \t\n\r]*").match
_colon = re.compile(r"[ \t\n\r]*:[ \t\n\r]*").match
_plain_key = re.compile(r'"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*').match
