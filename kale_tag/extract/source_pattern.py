"""Patterns that a cell's source suggests, the most telling first: what it calls, sets, imports."""

import re
from collections.abc import Iterator
from itertools import pairwise

WIDTH = 60
"""Characters of a line that a pattern quotes; a longer one is cut between words."""

_LINES = 60
"""Lines of a cell that are looked at."""

_DEFINITION = re.compile(r"((?:async def|def|class) +\w+)")
_NAMES = r"[^\W\d][\w.]*(?:\[[^\]\n]{1,30}\])?"
_CALL = re.compile(rf"((?:{_NAMES}(?: *, *{_NAMES})* *= *)?(?:await +)?([^\W\d][\w.]*)\()")
_SETTING = re.compile(rf"({_NAMES}(?: *, *{_NAMES})*(?: *: *\w+)? *=)(?!=)")
_IMPORT = re.compile(r"(?:import|from) +\w")
_SHOWING = {"print", "display", "head", "show", "describe", "info", "tail", "len", "type"}

_SPECIAL = re.compile(r"[\\.^$*+?{}\[\]|()]")


def literal(text: str) -> str:
    """The pattern that matches *text* alone, in characters that any editor shows."""
    return "".join(map(_literal, text))


def candidates(source: str) -> Iterator[str]:
    """Patterns that match *source*, from the most telling and shortest to the most exact.

    First beginnings of lines that define, call, set or import something, then whole lines, pairs
    of lines, and the whole source where that is short.
    """
    lines = source.split("\n")[:_LINES]  # `^` stands behind these only
    imports = sum(_IMPORT.match(line) is not None for line in lines) * 2
    mostly_imports = imports >= sum(bool(line.strip()) for line in lines)
    ranked = sorted(
        (rank, at, pattern)
        for at, line in enumerate(lines)
        for rank, pattern in _beginnings(line, mostly_imports=mostly_imports)
    )
    yield from dict.fromkeys(pattern for _, _, pattern in ranked)
    yield from (f"^{_line(line)}" for line in lines if line.strip())
    for one, two in pairwise(lines):
        if one.strip() and two.strip() and len(one) + len(two) < 2 * WIDTH:
            yield rf"^{literal(one)}\n{_line(two)}"
    if source.strip() and len(source) < 2 * WIDTH:
        yield rf"\A{literal(source)}\Z"


def _beginnings(line: str, *, mostly_imports: bool) -> Iterator[tuple[int, str]]:
    """Patterns for the beginning of a line that is not indented, each with its rank."""
    text = line.rstrip()
    if not text or text[0].isspace():
        return
    if text.startswith("%%"):
        yield 0, f"^{_cut(text)}"
    elif found := _DEFINITION.match(text):
        yield 0, rf"^{literal(found[1])}\b"
    elif _IMPORT.match(text):
        yield 0 if mostly_imports else 1, f"^{_cut(text)}"
    elif found := _CALL.match(text):
        if found[2].rpartition(".")[2] not in _SHOWING:  # of these, the next cell may have one, too
            yield 0, f"^{literal(found[1])}"
        yield 3, f"^{_cut(text)}"
    elif found := _SETTING.match(text):
        yield 0, f"^{literal(found[1])}"
        yield 3, f"^{_cut(text)}"
    else:
        yield 2 if text.startswith("#") else 3, f"^{_cut(text)}"


def _line(line: str) -> str:
    """The pattern of a whole line, whatever blanks stand at its end."""
    text = line.rstrip()
    return f"{literal(text)}$" if text == line else rf"{literal(text)}\s*$"


def _cut(text: str) -> str:
    """The pattern of *text*, or of its beginning where it is long."""
    if len(text) <= WIDTH:
        return literal(text)
    short = text[:WIDTH]
    return literal(re.sub(r"\w+$", "", short).rstrip() or short)


def _literal(character: str) -> str:
    if _SPECIAL.match(character):
        return f"\\{character}"
    if character.isprintable():
        return character
    number = ord(character)
    named = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}.get(character)
    wide = f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
    return named or (f"\\x{number:02x}" if number < 0x100 else wide)
