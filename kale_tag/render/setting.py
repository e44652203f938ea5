"""The changes of one setting, by the path of each difference in it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile

from kale_tag.notebook.json_value import HugeInt, same
from kale_tag.notebook.model import MISSING
from kale_tag.render.diagnostics import one_line
from kale_tag.render.style import Style

Difference = tuple[str, object, object]
"""A path such as `volumes[0].type`, the old value and the new; `MISSING` where there is none."""


def as_text(key: str, before: object, after: object, style: Style) -> Iterator[str]:
    """A line for each difference: `volumes[0].type: "clone" -> "pvc"`."""
    for path, old, new in differences(key, before, after):
        if new is MISSING:
            yield style.red(one_line(f"- {path}: {as_written(old)}"))
        elif old is MISSING:
            yield style.green(one_line(f"+ {path}: {as_written(new)}"))
        else:
            values = style.red(one_line(as_written(old))), style.green(one_line(as_written(new)))
            yield f"{one_line(path)}: {' -> '.join(values)}"


def differences(path: str, before: object, after: object) -> Iterator[Difference]:
    """The differences between two values of a setting, as deep as both have the same type."""
    if isinstance(before, Mapping) and isinstance(after, Mapping) and before and after:
        for key in sorted(before.keys() | after.keys()):
            below = path + (f".{key}" if _plain(key) else f"[{as_written(key)}]")
            yield from differences(below, before.get(key, MISSING), after.get(key, MISSING))
    elif isinstance(before, list) and isinstance(after, list) and before and after:
        yield from _in_lists(path, before, after)
    elif not same(before, after):
        yield path, before, after


def _in_lists(path: str, before: Sequence[object], after: Sequence[object]) -> Iterator[Difference]:
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


def digits(number: HugeInt) -> str:
    """The digits of an integer too long for Python to convert."""
    return number.digits


_plain = re.compile(r"[\w-]+").fullmatch
