"""The errors of ruamel.yaml for a text that is not YAML, in plain words where they are likely.

Nothing here needs ruamel.yaml; what it raises is looked at by its attributes.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kale_tag.diagnostics import Diagnostic, Label, Source, Span, error

QUOTE = "put a text that starts with `{}` in quotes"

_ALIAS = re.compile(r"\*[^\s,\[\]{}]*")
_KEY_LINE = re.compile(r"\w+(?::\S.*| .*)?")  # a word, and perhaps what was to be its value


def syntax_diagnostic(source: Source, diagnostic: Exception) -> Diagnostic:
    """The error in *source* at which ruamel.yaml stopped with *diagnostic*."""
    problem = str(
        getattr(diagnostic, "problem", None) or getattr(diagnostic, "reason", None) or diagnostic
    )
    mark, opened = (
        getattr(diagnostic, "problem_mark", None),
        getattr(diagnostic, "context_mark", None),
    )
    offset = mark.index if mark is not None else int(getattr(diagnostic, "position", 0))
    offset = min(offset, max(len(source.text.rstrip()) - 1, 0))
    start = opened.index if opened is not None and opened.index < offset else None
    context = str(getattr(diagnostic, "context", None) or "")
    stop = _Stop(source, problem, context, offset, start)
    words = next((words for part, words in _WORDS.items() if part in problem), _other)
    return words(stop)


@dataclass(frozen=True, slots=True)
class _Stop:
    """Where ruamel.yaml stopped, and why; *start* is where what it was reading began, if before."""

    source: Source
    problem: str
    context: str
    offset: int
    start: int | None

    @property
    def letter(self) -> str:
        """The character at which it stopped."""
        return self.source.text[self.offset : self.offset + 1]

    @property
    def begin(self) -> int:
        """Where what it was reading began."""
        return self.offset if self.start is None else self.start

    @property
    def opening(self) -> str:
        """The character with which that began."""
        return self.source.text[self.begin : self.begin + 1]

    def at(self, offset: int, length: int = 1) -> Label:
        return Label(self.source, Span(offset, min(offset + length, len(self.source.text))))

    def diagnostic(
        self, message: str, hint: str, at: Label | None = None, also: Iterable[Label] = ()
    ) -> Diagnostic:
        """An error at *at*, else where it stopped, with where that began."""
        if at is None:
            at = self.at(self.offset)
            also = also or ([] if self.start is None else [self.at(self.start)])
        return error("not-yaml", message, at, also=also, help=hint)


def _no_token(stop: _Stop) -> Diagnostic:
    match stop.letter:
        case "`":
            return stop.diagnostic(
                "plain text cannot start with a backtick", "put the text in quotes"
            )
        case "\t":
            return stop.diagnostic("a tab is not allowed here", "YAML is indented by spaces")
        case letter:
            return stop.diagnostic(f"plain text cannot start with `{letter}`", QUOTE.format(letter))


def _second_document(stop: _Stop) -> Diagnostic:
    return stop.diagnostic(
        "a spec is one YAML document; a second one starts here",
        "make two files of it; one may `extends` the other",
        stop.at(stop.offset, 3),
    )


def _unknown_alias(stop: _Stop) -> Diagnostic:
    found = _ALIAS.match(stop.source.text, stop.offset)
    alias = found[0] if found else "*"
    return stop.diagnostic(
        f"`{alias}` is an alias, and nothing before it is marked `&{alias[1:]}`",
        QUOTE.format("*"),
        stop.at(stop.offset, len(alias)),
    )


def _no_key_here(stop: _Stop) -> Diagnostic:
    hint = "put a text that contains `: ` in quotes"
    above = stop.source.text[: stop.offset].rpartition("\n")[0].rpartition("\n")[2]
    if _KEY_LINE.fullmatch(above.rstrip()):
        hint = "a key, a colon and a space come before a value, as in `version: 1`"
    message = "`:` makes a key of the text before it, and no key is allowed here"
    return stop.diagnostic(message, hint)


def _no_colon(stop: _Stop) -> Diagnostic:
    line = stop.source.text[stop.begin :].split("\n", 1)[0]
    at = stop.at(stop.begin, len(line))
    if line.startswith("<<<<<<< "):
        return stop.diagnostic(
            "an unresolved merge conflict starts here", "resolve it in an editor", at
        )
    return stop.diagnostic("this is neither a key nor part of a value", "a key ends with `:`", at)


def _unknown_escape(stop: _Stop) -> Diagnostic:
    return stop.diagnostic(
        f"YAML knows no `\\{stop.letter}` in double quotes",
        "put regular expressions in single quotes, where a backslash is a backslash",
        stop.at(stop.offset - 1, 2),
    )


def _open_quote(stop: _Stop) -> Diagnostic:
    quote = stop.opening
    message = f"the quote `{quote}` that opens here is never closed"
    return stop.diagnostic(message, f"close it with `{quote}`", stop.at(stop.begin))


def _open_bracket(stop: _Stop) -> Diagnostic:
    opening = stop.opening
    closing = "]" if opening == "[" else "}"
    still = stop.at(stop.begin).with_text(f"this `{opening}` is still open")
    hint = f"close it with `{closing}`, or {QUOTE.format(opening)}"
    return stop.diagnostic(f"`,` or `{closing}` is expected before this", hint, also=[still])


def _bad_indentation(stop: _Stop) -> Diagnostic:
    what = "mapping" if "mapping" in stop.context else "list"
    first, _ = stop.source.position(stop.begin)
    before = stop.source.text[: stop.offset].rpartition("\n")[2]
    return stop.diagnostic(
        f"this does not continue the {what} that starts in line {first}",
        "put the whole value in quotes; inside single quotes, `'` is written twice"
        if before.strip(" -")
        else "check the indentation",
        stop.at(stop.offset),
    )


def _block_text(stop: _Stop) -> Diagnostic:
    message = f"`{stop.opening}` starts a block of text, which begins in the next line"
    return stop.diagnostic(message, QUOTE.format(stop.opening), stop.at(stop.begin))


def _directive(stop: _Stop) -> Diagnostic:
    if not re.search("(?m)^%", stop.source.text[: stop.offset]):
        return stop.diagnostic("the value above ends before this", "a spec is one mapping")
    message = "a line above starts with `%`, and YAML reads it as a directive"
    return stop.diagnostic(message, QUOTE.format("%"))


def _control_character(stop: _Stop) -> Diagnostic:
    message = f"the character U+{ord(stop.letter):04X} is not allowed in a YAML file"
    return stop.diagnostic(message, "remove it")


def _no_name(stop: _Stop) -> Diagnostic:
    message = f"`{stop.opening}` needs a name behind it in YAML"
    return stop.diagnostic(message, QUOTE.format(stop.opening), stop.at(stop.begin))


def _other(stop: _Stop) -> Diagnostic:
    """ruamel.yaml's own words, with our quotes."""
    return stop.diagnostic(re.sub(r"'([^']*)'", r"`\1`", stop.problem.removeprefix("but ")), "")


_WORDS: dict[str, Callable[[_Stop], Diagnostic]] = {
    "cannot start any token": _no_token,
    "another document": _second_document,
    "undefined alias": _unknown_alias,
    "mapping values are not allowed": _no_key_here,
    "expected ':'": _no_colon,
    "unknown escape": _unknown_escape,
    "end of stream": _open_quote,
    "expected ',' or": _open_bracket,
    "expected <block end>": _bad_indentation,
    "chomping": _block_text,
    "<document start>": _directive,
    "special characters": _control_character,
    "alphabetic or numeric": _no_name,
}
"""The function that makes the diagnostic, by a part of the message of ruamel.yaml."""
