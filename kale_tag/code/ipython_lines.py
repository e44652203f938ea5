"""Where the logical lines of a cell begin, in code that Python's own tokenizer does not take.

`tokenize` fails on IPython's syntax, and differently in each version of Python; this one knows
just strings, comments, brackets and continued lines, which is what it takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

OPEN, CLOSE = "([{", ")]}"
PREFIX = frozenset("rRbBuUfFtT")


@dataclass(frozen=True, slots=True)
class Line:
    """A physical line that begins a logical one."""

    first: int
    last: int  # the last physical line of the logical one
    # Line and column of a `!` or `%` behind a `=`, which no Python has; from there the line ends
    # where those of IPython's escapes do, with its continuation by a backslash
    assigned: tuple[int, int] | None = None


@dataclass(slots=True)
class _State:
    # Open brackets and strings, the innermost last. A string is its quotes, with an `f` in front
    # where `{` opens an expression.
    stack: list[str] = field(default_factory=list)
    continued: bool = False
    assigned: int | None = None


def logical_lines(lines: list[str]) -> Iterator[Line]:
    """The logical lines of *lines*, blank ones and comments included."""
    first = 0
    while first < len(lines):
        if is_escape(lines[first].lstrip()):
            last = end_of_continuation(lines, first)
            yield Line(first, last)
        else:
            state, last = _State(), first
            _scan(lines[first], state)
            while state.assigned is None and (state.stack or state.continued):
                if last + 1 == len(lines):
                    break
                last += 1
                _scan(lines[last], state)
            if state.assigned is None:
                yield Line(first, last)
            else:
                place = (last, state.assigned)
                last = end_of_continuation(lines, last)
                yield Line(first, last, place)
        first = last + 1


def is_escape(text: str) -> bool:
    """Whether a line that begins with *text* is one of IPython's, whatever stands behind."""
    return text[:1] in {"!", "%", "?", ",", ";", "/"} and text[:1] != ""


def end_of_continuation(lines: list[str], first: int) -> int:
    r"""The last of the lines that `\` at the end of line *first* joins to it."""
    last = first
    while lines[last].endswith("\\") and last + 1 < len(lines):
        last += 1
    return last


def _scan(line: str, state: _State) -> None:  # noqa: C901  one branch for each character
    state.continued = False
    at, end = 0, len(line)
    stack = state.stack
    while at < end:
        if stack and stack[-1][-1] in "'\"":
            at = _in_string(line, at, stack)
            continue
        character = line[at]
        if character == "#":
            break
        if character == "\\" and at + 1 == end:
            state.continued = True
        elif character in OPEN:
            stack.append(character)
        elif character in CLOSE:
            if stack:
                stack.pop()
        elif character in "'\"":
            at = _open_string(line, at, stack)
            continue
        elif character == "=" and not stack and _assigns(line, at):
            rest = line[at + 1 :]
            if rest.lstrip()[:1] in {"!", "%"}:
                state.assigned = at + 1 + len(rest) - len(rest.lstrip())
                return
        at += 1
    _close_short_strings(line, state)


def _assigns(line: str, at: int) -> bool:
    return line[at + 1 : at + 2] != "=" and line[at - 1 : at] not in {*"=!<>:+-*/%&|^@"}


def _open_string(line: str, at: int, stack: list[str]) -> int:
    start = at
    while start and line[start - 1] in PREFIX and at - start < 2:
        start -= 1
    prefix = line[start:at].lower()
    if start and (line[start - 1].isalnum() or line[start - 1] == "_"):
        prefix = ""
    quotes = line[at : at + 3] if line[at : at + 3] in {'"""', "'''"} else line[at]
    mark = "f" if set(prefix) & {"f", "t"} else ""
    stack.append(mark + quotes)
    return at + len(quotes)


def _in_string(line: str, at: int, stack: list[str]) -> int:
    quotes = stack[-1].lstrip("f")
    character = line[at]
    if line.startswith(quotes, at):
        stack.pop()
        return at + len(quotes)
    if character == "\\":
        return at + 2
    if character == "{" and stack[-1][0] == "f":
        if line[at + 1 : at + 2] == "{":
            return at + 2
        stack.append("{")
    return at + 1


def _close_short_strings(line: str, state: _State) -> None:
    # A string in single quotes ends with its line, closed or not, unless the line is continued.
    stack = state.stack
    for depth, entry in enumerate(stack):
        if entry[-1] in "'\"" and len(entry.lstrip("f")) == 1:
            if line.endswith("\\"):
                state.continued = True
            else:
                del stack[depth:]
            return
