"""The differences of two sets of leaves, as `snapshot.py` writes them."""

import json
import math
import operator
import os
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from kale_tag.run.run_record import Difference, Verdict
from kale_tag.run.snapshot import MARK

TOLERANCE = 1e-9
"""Relative difference of floats that count as equal: sums over several threads are not exact to the
last digits."""

SHOWN = 60
"""Characters of a value that are shown: those around the first that differs."""

Folders = tuple[str, str]


def verdict_of(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], folders: Folders
) -> tuple[Verdict, str]:
    """The verdict on two variables, and the path of the first leaf that differs."""
    left, right = ours["leaves"], theirs["leaves"]
    worst: Verdict = "same"
    for path in dict.fromkeys((*left, *right)):
        one, other = left.get(path), right.get(path)
        if one is None or other is None or one[0] != other[0]:
            return "differs", path
        if one[0] == "type":
            worst = "type"
        if one[:2] == other[:2]:
            continue
        if not _close(one, other, folders):
            return "differs", path
        worst = "rounding" if worst == "same" else worst
    return worst, ""


def difference(
    name: str, path: str, ours: Mapping[str, Any], theirs: Mapping[str, Any], folders: Folders
) -> Difference | None:
    """The place of the leaf *path* in the variable *name*, and its two values.

    None if they are those of the variable as a whole.
    """
    one, other = (side["leaves"].get(path) for side in (ours, theirs))
    place, _, word = path.partition(MARK)
    word = word.rstrip("'")
    shorts = ours["short"], theirs["short"]
    if word == "code":
        return Difference(f"in the code of {name}{place}")
    if one and other and one[0] == other[0] and one[0] in {"array", "values"}:
        found = _inside(one, other, folders) if one[2] and other[2] else None
        if found is None:
            return Difference(f"in {name}{place}")
        index, *values = found
        place += index
    else:
        values = [_value(leaf) if not word else _text(leaf) for leaf in (one, other)]
        if values[0] == values[1]:
            values = [_text(one), _text(other)]
        shown = tuple(values) == shorts or (word == "type" and shorts[0] != shorts[1])
        if shown and not place:
            return None
    what = f", its {word}" if word not in {"", "type"} else ""
    return Difference(f"at {name}{place}{what}", *_clipped(*values))


def _close(one: Sequence[str], other: Sequence[str], folders: Folders) -> bool:
    """Whether two unequal leaves differ by rounding only."""
    if one[0] == "float":
        return _near(float.fromhex(one[1]), float.fromhex(other[1]))
    if one[0] != "array" or not one[2] or not other[2]:
        return False
    ours, theirs = _both(one, other, folders)
    return len(ours) == len(theirs) and all(map(_near, ours, theirs))


def _near(one: float, other: float) -> bool:
    both_nan = one != one and other != other  # noqa: PLR0124  NaN alone is not itself
    return both_nan or math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-12)


def _both(one: Sequence[str], other: Sequence[str], folders: Folders) -> list[Sequence[Any]]:
    """The values of two leaves, read from their files."""
    return [_read(*pair) for pair in zip((one, other), folders, strict=True)]


def _read(leaf: Sequence[str], folder: str) -> Sequence[Any]:
    with open(os.path.join(folder, leaf[2]), "rb") as file:
        if leaf[0] == "array":
            return array("d", file.read())
        found: list[str] = json.load(file)
        return found


def _inside(
    one: Sequence[str], other: Sequence[str], folders: Folders
) -> tuple[str, str, str] | None:
    """The index of the first value that differs, and that value on both sides."""
    ours, theirs = _both(one, other, folders)
    same = _near if one[0] == "array" else operator.eq
    pairs = enumerate(zip(ours, theirs, strict=False))
    found = next(((number, pair) for number, pair in pairs if not same(*pair)), None)
    if found is None:
        return None
    shape = [int(size) for size in one[3].split()]
    rest = found[0] // (len(ours) // math.prod(shape))  # a complex number is two
    index: list[str] = []
    for size in reversed(shape):
        rest, last = divmod(rest, size)
        index.insert(0, str(last))
    left, right = map(str, found[1])
    return f"[{', '.join(index)}]" * bool(index), left, right


def _value(leaf: Sequence[str] | None) -> str:
    """A leaf as Python writes it, without the name of a built-in type."""
    text = _text(leaf)
    plain = leaf is not None and leaf[0] == "exact" and leaf[1] != text
    return text.partition(" ")[2] if plain else text


def _text(leaf: Sequence[str] | None) -> str:
    if leaf is None:
        return "not there"
    return str(float.fromhex(leaf[1])) if leaf[0] == "float" else leaf[1].removeprefix("builtins.")


def _clipped(left: str, right: str) -> tuple[str, str]:
    """Two texts cut to the part around the first character that differs."""
    if max(len(left), len(right)) <= SHOWN:
        return left, right
    pairs = enumerate(zip(left, right, strict=False))
    first = next((number for number, (one, other) in pairs if one != other), 0)
    start = max(0, first - SHOWN // 2)
    return _cut(left, start), _cut(right, start)


def _cut(text: str, start: int) -> str:
    end = start + SHOWN
    return f"{'…' * (start > 0)}{text[start:end]}{'…' * (end < len(text))}"
