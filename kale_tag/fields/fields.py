"""Typed reading of a tree of YAML or JSON: returns values, notes what is wrong with its place.

A reader does not stop at an error: it notes it and returns None or nothing, so that one run shows
every error of a spec or of a notebook's settings.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from kale_tag.diagnostics import DiagnosticCollector, Label, Span, nearest, suggest
from kale_tag.fields.yaml_tree import Mapping, Node, Scalar
from kale_tag.fields.yaml_tree import Sequence as List


@dataclass(slots=True)
class Form(DiagnosticCollector):
    """The readers, and the errors that they have noted."""

    is_yaml: bool = True  # hints show how a value is written in YAML
    # a text that changes before it is used is not judged
    is_open: Callable[[str], bool] = lambda _: False

    def record(  # noqa: PLR0913  what a mapping may hold, and how the rest is reported
        self,
        node: Node,
        keys: Iterable[str],
        what: str,
        required: Sequence[str] = (),
        *,
        unknown: str = "unknown-key",
        elsewhere: Callable[[str], str] = lambda _: "",
    ) -> dict[str, Node]:
        """The values of a mapping whose keys are known; unknown and missing ones are noted.

        *unknown* is the code of an unknown key. *elsewhere* gives the help for a key that belongs
        to another mapping, and "" for others.
        """
        known = tuple(keys)
        found: dict[str, Node] = {}
        meant = set()
        for key, value in self.mapping(node, what):
            if key.text in known:
                found[key.text] = value
            else:
                meant.add(nearest(key.text, known))
                self.error(
                    unknown,
                    f"{what} has no key `{key.text}`",
                    key.label,
                    help=elsewhere(key.text) or suggest(key.text, known, "it has"),
                )
        for name in required if isinstance(node, Mapping) else ():
            if name not in found and name not in meant:
                self.error("missing-key", f"{what} needs `{name}`", node.label)
        return found

    def mapping(self, node: Node, what: str) -> Iterator[tuple[Scalar, Node]]:
        """The entries of a mapping."""
        if isinstance(node, Mapping):
            yield from node.entries
        else:
            hint = "a mapping is written `{key: value}`, or `key: value` a line"
            self.wrong_type(node, what, "a mapping", hint)

    def items(self, node: Node, what: str) -> tuple[Node, ...]:
        """The items of a list."""
        if isinstance(node, List):
            return node.items
        item = node.text if isinstance(node, Scalar) and not node.quoted else ""
        hint = f"write `[{item}]`" if item else "a list is written `[a, b]`, or `- a` a line"
        self.wrong_type(node, what, "a list", hint)
        return ()

    def one_or_more(self, node: Node) -> tuple[Node, ...]:
        """The items of a list, or the node itself if it is not a list."""
        return node.items if isinstance(node, List) else (node,)

    def string(self, node: Node, what: str) -> str | None:
        """Text, which may be empty."""
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return node.value
        if self.is_yaml:
            self._not_text(node, what)
        else:
            self.wrong_type(node, what, "text")
        return None

    def text(self, node: Node, what: str) -> str | None:
        """Text that is not empty."""
        value = self.string(node, what)
        if value == "":
            self.error("wrong-value", f"{what} must not be empty", node.label)
        return value or None

    def written(self, node: Node, what: str) -> str | None:
        """A scalar as it was written: text, or a number or boolean that becomes text."""
        if isinstance(node, Scalar) and node.value is not None:
            return node.text
        self.wrong_type(node, what, "text or a number")
        return None

    def quantity(self, node: Node, what: str) -> str | None:
        """A Kubernetes quantity as it was written: text or a number."""
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            self.wrong_type(node, what, "text or a number")
            return None
        return self.written(node, what)

    def flag(self, node: Node, what: str) -> bool | None:
        """A boolean."""
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self.wrong_type(node, what, "true or false")
        return None

    def choice(
        self, node: Node, words: Sequence[str], what: str, code: str = "wrong-value"
    ) -> str | None:
        """One of *words*; an error has *code*."""
        if isinstance(node, Scalar) and node.value in words:
            return str(node.value)
        text = node.text if isinstance(node, Scalar) else ""
        self.error(
            code,
            f"{what} cannot be {f'`{text}`' if text else kind(node)}",
            node.label,
            help=suggest(text, [word for word in words if word], "write one of"),
        )
        return None

    def number(
        self, node: Node, what: str, least: int | None = 0, code: str = "wrong-value"
    ) -> int | None:
        """A whole number, at least *least*; a smaller one has *code*."""
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, int) or isinstance(value, bool):
            self.wrong_type(node, what, "a whole number")
        elif least is not None and value < least:
            self.error(code, f"{what} must be at least {least}", node.label)
        else:
            return value
        return None

    def pattern(self, node: Node, what: str) -> re.Pattern[str] | None:
        """A regular expression of Python's, compiled with MULTILINE."""
        text = self.text(node, what)
        if text is None or not isinstance(node, Scalar):
            return None
        if "\b" in text:
            self.error(
                "invalid-regex",
                f"{what} holds a backspace: in double quotes YAML reads `\\b` so",
                node.label,
                help="put regular expressions in single quotes, where a backslash is a backslash",
            )
            return None
        try:
            return re.compile(text, re.MULTILINE)
        except re.error as exc:
            at = inside(node, exc.pos or 0)
            message, hint = _regex_words(exc, text)
            self.error("invalid-regex", message, at, help=hint)
        except (OverflowError, RecursionError):
            self.error("invalid-regex", "the pattern is too large", node.label)
        return None

    def wrong_type(self, node: Node, what: str, wanted: str, hint: str = "") -> None:
        """Note that *what* is not of the type *wanted*; *hint* shows how YAML writes that."""
        message = f"{what} must be {wanted}, not {kind(node)}"
        self.error("wrong-type", message, node.label, help=hint if self.is_yaml else "")

    def _not_text(self, node: Node, what: str) -> None:
        message, hint = f"{what} must be text, not {kind(node)}", ""
        span = node.label.span
        first = node.label.source.text[span.start : span.start + 1] if span else ""
        if isinstance(node, Scalar) and node.text:
            message = f"{what} must be text; YAML reads `{node.text}` as {kind(node)}"
            hint = f"quote it: `'{node.text}'`"
        elif first in {"&", "[", "{"}:
            hint = f"put a text that starts with `{first}` in quotes"
            if isinstance(node, List) and [kind(item) for item in node.items] == ["text"]:
                hint = f"write {what} without the brackets, or {hint}"
        self.error("wrong-type", message, node.label, help=hint)


def kind(node: Node) -> str:
    """What *node* is, in words that follow `not`."""
    match node:
        case Scalar(value=None):
            return "null"
        case Scalar(value=bool() as value):
            return f"the boolean {str(value).lower()}"
        case Scalar(value=str()):
            return "text"
        case Scalar(value=value):
            return f"the number {value}"
        case List():
            return "a list"
        case Mapping():
            return "a mapping"


def inside(node: Scalar, position: int) -> Label:
    """The place of one character of a scalar's value, as exactly as its quoting allows."""
    source, span = node.label.source, node.label.span
    if span is None:
        return node.label
    raw = source.text[span.start : span.end]
    opening = 1 if node.quoted else 0
    if raw[opening : len(raw) - opening] != node.value:
        return node.label  # escapes or folded lines: offsets differ
    start = min(span.start + opening + position, span.end - 1)
    return Label(source, Span(start, start + 1))


def narrowed(label: Label, text: str) -> Label:
    """The place of *text* inside *label*, or *label* if the text is not found there."""
    if label.span is None:
        return label
    start = label.source.text.find(text, label.span.start, label.span.end)
    return label if start < 0 else Label(label.source, Span(start, start + len(text)), label.text)


_LITERAL = "to match a literal `{letter}`, write `\\{letter}`"
_INVALID = "not a valid regular expression: {reason}"
_REGEX_WORDS = {
    "unterminated subpattern": ("the group that opens here is never closed", _LITERAL),
    "unbalanced parenthesis": ("this `)` closes no group", _LITERAL),
    "unterminated character set": (
        "the set of characters that opens here is never closed",
        _LITERAL,
    ),
    "nothing to repeat": ("there is nothing before `{letter}` that it could repeat", _LITERAL),
    "multiple repeat": ("`{letter}` repeats what is repeated already", _LITERAL),
    "bad escape": (
        "`{escape}` means nothing in a regular expression",
        "a literal backslash is `\\\\`",
    ),
    "unknown extension ?<": (_INVALID, "a named group is written `(?P<name>...)`"),
    "global flags": (_INVALID, "put the flags first, as in `(?i)fit`"),
    "": (_INVALID, "the syntax is that of Python's `re`"),
}
"""Message and help, by a part of the message of `re`."""


def _regex_words(diagnostic: re.error, text: str) -> Iterator[str]:
    """Message and help for the error of `re` in the pattern *text*."""
    rest = text[diagnostic.pos or 0 :]
    found = next(words for part, words in _REGEX_WORDS.items() if part in diagnostic.msg)
    for words in found:
        yield words.format(letter=rest[:1] or "(", escape=rest[:2], reason=diagnostic.msg)
