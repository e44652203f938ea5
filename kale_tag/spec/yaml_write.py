"""Values as YAML text, in the style of our own specs: bare words where they are safe."""

import json
import re
from collections.abc import Mapping, Sequence

WIDTH = 100
"""Columns of a line in flow style; what is longer stands in block style."""

_BARE = re.compile(r"(?:\.{1,2}/)*[A-Za-z_][\w./-]*(?:[ :][\w./-]+)*", re.ASCII)
_MEASURE = re.compile(r"(?:0|[1-9][0-9]{0,17})[A-Za-z]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # of YAML 1.1 too


class Measure(str):
    """A text that is read as it was written, so that a number needs no quotes."""

    __slots__ = ()


class Regex(str):
    """A regular expression, which stands in quotes always."""

    __slots__ = ()


def text(value: str) -> str:
    """A scalar that YAML reads as the text *value*."""
    if isinstance(value, Measure) and _MEASURE.fullmatch(value):
        return str(value)
    bare = value.lower() not in _WORDS and _BARE.fullmatch(value) is not None
    if bare and not isinstance(value, Regex):
        return str(value)
    if value.isprintable() and "\ufeff" not in value:
        return "'" + value.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, value)) + '"'


def flow(value: object) -> str:
    """*value* in one line: mappings in braces, lists in brackets."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{text(key)}: {flow(one)}" for key, one in value.items()) + "}"
        case str():
            return text(value)
        case Sequence():
            return "[" + ", ".join(map(flow, value)) + "]"
        case _:
            return json.dumps(value)


def entries(value: Mapping[str, object], indent: str) -> list[str]:
    """The lines of a mapping in block style; what fits into a line stands in flow style."""
    lines = []
    for key, one in value.items():
        line = f"{indent}{text(key)}: {flow(one)}"
        if len(line) <= WIDTH or not one:
            lines.append(line)
        elif isinstance(one, Mapping):
            lines += [f"{indent}{text(key)}:", *entries(one, f"{indent}  ")]
        elif isinstance(one, list):
            lines.append(f"{indent}{text(key)}:")
            lines += (f"{indent}  - {flow(item)}" for item in one)
        else:
            lines.append(line)
    return lines


def comment(value: str) -> str:
    """*value* as the text of a comment: one line, without what moves a cursor."""
    return "".join(one if one.isprintable() else " " for one in value).strip()


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable() and character != "\ufeff":
        return character
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character)
    number = ord(character)
    wide = f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
    return named or (f"\\x{number:02x}" if number < 0x100 else wide)
