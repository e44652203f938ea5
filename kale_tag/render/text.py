"""Text of every kind of output: colours, one-line texts, and the differences of a setting."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from kale_tag.notebook.json_value import HugeInt, same
from kale_tag.notebook.model import MISSING

JOINERS = "\u200d\ufe0f"
"""Characters without a width, which belong to the character before them."""

TAB = "    "
RESET = "\033[0m"

SettingDifference = tuple[str, object, object]
"""A path such as `volumes[0].type`, the old value and the new; `MISSING` where there is none."""

Color = Literal["auto", "always", "never"]
"""When there are colours: `auto` is on a terminal."""


def _painter(code: int) -> Callable[["Style", str], str]:
    def paint(style: "Style", text: str) -> str:
        inside = text.removesuffix(RESET)  # bold and yellow end together
        return f"\033[{code}m{inside}{RESET}" if style.color and text else text

    return paint


@dataclass(frozen=True, slots=True)
class Style:
    """Wraps text in the escape sequences of ECMA-48 when *color* is set."""

    color: bool = False  # False leaves every text as it is

    red = _painter(31)  # removed parts and errors
    green = _painter(32)  # added parts
    yellow = _painter(33)  # warnings
    blue = _painter(34)  # frames and line numbers
    bold = _painter(1)  # names and headlines
    dim = _painter(2)  # context


def one_line(text: str) -> str:
    """*text* that quotes what users wrote, without line breaks and what moves a cursor."""
    return expanded(text.replace("\n", "\\n").replace("\r", "\\r"))


def expanded(text: str) -> str:
    """*text* with each tab as spaces and each control character as U+FFFD."""
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character == "\t":
        return TAB
    seen = character.isprintable() or character in JOINERS
    return character if seen else "\N{REPLACEMENT CHARACTER}"


def setting_as_text(key: str, before: object, after: object, style: Style) -> Iterator[str]:
    """A line for each difference in a setting: `volumes[0].type: "clone" -> "pvc"`."""
    for path, old, new in differences(key, before, after):
        if new is MISSING:
            yield style.red(one_line(f"- {path}: {as_written(old)}"))
        elif old is MISSING:
            yield style.green(one_line(f"+ {path}: {as_written(new)}"))
        else:
            values = style.red(one_line(as_written(old))), style.green(one_line(as_written(new)))
            yield f"{one_line(path)}: {' -> '.join(values)}"


def setting_as_value(key: str, before: object, after: object) -> dict[str, object]:
    """A changed setting for JSON; `before` and `after` only where there is a value."""
    sides = {"before": before, "after": after}
    return {"key": key, **{side: value for side, value in sides.items() if value is not MISSING}}


def differences(path: str, before: object, after: object) -> Iterator[SettingDifference]:
    """The differences between two values of a setting, as deep as both have the same type."""
    if isinstance(before, Mapping) and isinstance(after, Mapping) and before and after:
        for key in sorted(before.keys() | after.keys()):
            below = path + (f".{key}" if _plain(key) else f"[{as_written(key)}]")
            yield from differences(below, before.get(key, MISSING), after.get(key, MISSING))
    elif isinstance(before, list) and isinstance(after, list) and before and after:
        yield from _in_lists(path, before, after)
    elif not same(before, after):
        yield path, before, after


def _in_lists(
    path: str, before: Sequence[object], after: Sequence[object]
) -> Iterator[SettingDifference]:
    """The differences of two lists between their common start and end."""
    start = _common_start(before, after)
    old, new = before[start:], after[start:]
    if end := _common_start(old[::-1], new[::-1]):
        old, new = old[:-end], new[:-end]
    if len(old) == len(new):
        for at, (one, other) in enumerate(zip(old, new, strict=True), start):
            yield from differences(f"{path}[{at}]", one, other)
    else:
        yield from ((f"{path}[{at}]", one, MISSING) for at, one in enumerate(old, start))
        yield from ((f"{path}[{at}]", MISSING, one) for at, one in enumerate(new, start))


def _common_start(one: Sequence[object], other: Sequence[object]) -> int:
    """How many equal items two lists start with."""
    return sum(1 for _ in takewhile(lambda pair: same(*pair), zip(one, other, strict=False)))


def as_written(value: object) -> str:
    """*value* as JSON."""
    return json.dumps(value, ensure_ascii=False, default=digits)


def json_text(document: object) -> str:
    """*document* as JSON that is printed: what a terminal does not show is escaped."""
    text = json.dumps(document, indent=1, ensure_ascii=False, default=digits)
    return _unseen.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def digits(number: HugeInt) -> str:
    """The digits of an integer too long for Python to convert."""
    return number.digits


_unseen = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_plain = re.compile(r"[\w-]+").fullmatch
