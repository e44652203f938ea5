"""Plain values to YAML that all readers of packages read alike, and a reviewer can read.

Text of several lines is a literal block if PyYAML, its C part, ruamel.yaml, go-yaml v3 and npm's
`yaml` and `js-yaml` all read it back unchanged (tested with hostile text); else it is a JSON string
in double quotes. The bytes depend on the values only: not on a library, a version of Python or a
hash seed.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

KEY_LENGTH = 1000
"""Characters of a key as it is written; YAML 1.1 has simple keys of 1,024 at most."""

ALIASES = 90
"""Uses of one anchor; npm's `yaml` refuses more than 100 as an attack."""

# No such text is a number, a date or a sign of YAML 1.1 or 1.2.
_WORD = r"(?:[A-Za-z0-9_./@+-]|:(?=[A-Za-z0-9_/]))"
_PLAIN = re.compile(rf"(?=[A-Za-z_/]){_WORD}+(?: {_WORD}+)*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
# Some readers take these for a comment, a list or the end of a document.
_TWO_MEANINGS = re.compile(r" -|---|\.\.\.")
# Characters that are not printable in YAML 1.1, or that some reader takes for a line break.
_NOT_PRINTED = re.compile(
    "[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def to_yaml(
    documents: Iterable[Mapping[str, object]], shared: Mapping[str, str] | None = None
) -> str:
    """*documents* as one YAML stream; keys keep their order.

    Values are mappings with text as keys, sequences, text, numbers, booleans and None. *shared*
    maps texts that occur often to names: such a text is written once, after `&name`, and is `*name`
    from there on. Raises ValueError for what readers of YAML do not agree on: a number that is
    infinite or NaN, a key of more than `KEY_LENGTH` characters.
    """
    written = []
    for document in documents:
        writer = _YamlWriter(shared or {})
        lines = writer.mapping(document, 0) if document else ("{}",)
        written.append("".join(f"{line}\n" for line in lines))
    return "---\n".join(written)


def is_literal(text: str) -> bool:
    """Whether *text* can be a literal block."""
    return (
        text.endswith("\n")
        and not text.endswith("\n\n")
        and text[0] not in " \n"
        and _NOT_PRINTED.search(text) is None
    )


@dataclass(slots=True)
class _YamlWriter:
    """Writes one document."""

    shared: Mapping[str, str]  # text to name
    used: dict[str, int] = field(default_factory=dict)  # how often each shared text occurred

    def mapping(self, value: Mapping[str, object], indent: int) -> Iterator[str]:
        pad = " " * indent
        for key, entry in value.items():
            written = _text(key)
            if len(written) > KEY_LENGTH:
                message = f"`{key[:40]}...` is too long for a key of YAML"
                raise ValueError(message)
            head = f"{pad}{written}:"
            match entry:
                case Mapping() if entry:
                    yield head
                    yield from self.mapping(entry, indent + 2)
                case list() | tuple() if entry:
                    yield head
                    yield from self.sequence(entry, indent)
                case _:
                    yield from self.scalar(head, entry, indent + 2)

    def sequence(self, value: Sequence[object], indent: int) -> Iterator[str]:
        pad = " " * indent
        for entry in value:
            nested: Iterator[str] | None = None
            match entry:
                case Mapping() if entry:
                    nested = self.mapping(entry, indent + 2)
                case list() | tuple() if entry:
                    nested = self.sequence(entry, indent + 2)
                case _:
                    yield from self.scalar(f"{pad}-", entry, indent + 2)
            if nested is not None:
                yield f"{pad}- {next(nested)[indent + 2 :]}"
                yield from nested

    def scalar(self, head: str, value: object, indent: int) -> Iterator[str]:
        if isinstance(value, str) and value in self.shared:
            series, place = divmod(self.used.get(value, 0), ALIASES)
            self.used[value] = series * ALIASES + place + 1
            name = self.shared[value] + (f"-{series + 1}" if series else "")
            if place:
                yield f"{head} *{name}"
                return
            head = f"{head} &{name}"
        if isinstance(value, str) and is_literal(value):
            pad = " " * indent
            yield f"{head} |"
            for line in value[:-1].split("\n"):
                yield f"{pad}{line}" if line else ""
        else:
            yield f"{head} {_inline(value)}"


def _inline(value: object) -> str:
    match value:
        case None | bool() | int():
            return json.dumps(value)
        case float():
            return _number(value)
        case str():
            return _text(value)
        case _:
            return "{}" if isinstance(value, Mapping) else "[]"


def _number(value: float) -> str:
    if not math.isfinite(value):
        message = f"{value} has no form that all readers of YAML know"
        raise ValueError(message)
    text = repr(value)
    # `1e-07` is text in YAML 1.1.
    return text.replace("e", ".0e", 1) if "e" in text and "." not in text else text


def _text(value: str) -> str:
    if (
        _PLAIN.fullmatch(value)
        and value.lower() not in _WORDS
        and _TWO_MEANINGS.search(value) is None
    ):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return _NOT_PRINTED.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
