"""Values as the YAML text of a spec, written by ruamel.yaml: short values in one line."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.compat import StringIO
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.resolver import VersionedResolver

WIDTH = 100
"""Columns of a line in flow style; longer values are written in block style."""

YamlNode = Any
"""A value of ruamel.yaml, whose methods add comments to it."""

_BARE = re.compile(r"(?:\.{1,2}/)*[A-Za-z_][\w./-]*(?:[ :][\w./-]+)*", re.ASCII)
"""What needs no quotes for a reader's eye; ruamel.yaml adds some to `true` and the like."""


class Measure(str):
    """A text that the reader takes as it is written, so that a number needs no quotes."""

    __slots__ = ()


class Regex(str):
    """A regular expression, always in quotes."""

    __slots__ = ()


def lay_out(value: object, indent: int = 0, key_width: int = 0) -> YamlNode:
    """*value* for `dump`: each mapping and list in one line if that fits `WIDTH`, else a block.

    *indent* is the column of its line, *key_width* the length of the key before it. Comments are
    added to the result with ruamel.yaml's own methods.
    """
    if not isinstance(value, Mapping | Sequence) or isinstance(value, str):
        return value
    line = CommentedMap(value) if isinstance(value, Mapping) else CommentedSeq(value)
    line.fa.set_flow_style()
    if not value or indent + key_width + len(dump(line)) - 1 <= WIDTH:
        return line
    return block(value, indent + 2 if key_width else indent)


def block(value: Mapping[str, Any] | Sequence[Any], indent: int = 0) -> YamlNode:
    """*value* for `dump` in block style, with each of its entries as `lay_out` has it."""
    if isinstance(value, Mapping):
        entries = {key: lay_out(one, indent, len(key) + 2) for key, one in value.items()}
        return CommentedMap(entries)
    return CommentedSeq([lay_out(one, indent + 2) for one in value])


def dump(value: object) -> str:
    """The YAML text of *value*, which ends with a line break."""
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.width = 1_000_000_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = StringIO()
    yaml.dump(value, out)
    return out.getvalue()


def comment(value: str) -> str:
    """*value* as the text of a comment: one line, without what moves a cursor."""
    return "".join(one if one.isprintable() else " " for one in value).strip()


class _Representer(RoundTripRepresenter):
    """Writes `null` in full, and escapes what is not printable."""


def _null(representer: _Representer, _value: None) -> ScalarNode:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _text(representer: _Representer, value: str) -> ScalarNode:
    bare = not isinstance(value, Regex) and _BARE.fullmatch(value)
    style = None if bare else "'" if value.isprintable() else '"'
    return representer.represent_scalar("tag:yaml.org,2002:str", str(value), style)


def _measure(representer: _Representer, value: str) -> ScalarNode:
    tag = VersionedResolver().resolve(ScalarNode, str(value), (True, False))
    bare = value.isascii() and value.isalnum() and value[0].isdigit()
    return representer.represent_scalar(tag, str(value)) if bare else _text(representer, value)


_Representer.add_representer(type(None), _null)
_Representer.add_representer(str, _text)
_Representer.add_representer(Regex, _text)
_Representer.add_representer(Measure, _measure)
