"""Diagnostics, and the one error for users: what is wrong, where, and how to fix it.

Nothing here prints. `kale_tag.render` turns a `Diagnostic` into text or JSON.
"""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, TypedDict, Unpack

from kale_tag import HOME

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Source:
    """A text that a place can point into: a file, or the source of one cell.

    *text* may be a part of a large file: a few lines, or a piece of a very long one.
    """

    name: str  # the path as the user gave it
    text: str = ""
    cell: int | None = None  # the 0-based number of a cell if *text* is its source
    first_line: int = 1  # where *text* starts
    first_column: int = 1  # the column of its first character

    def position(self, offset: int) -> tuple[int, int]:
        """The line and the column of *offset*, both counted from 1, the column in characters."""
        before = self.text[:offset]
        line, column = before.count("\n"), offset - before.rfind("\n")
        return self.first_line + line, column if line else column + self.first_column - 1


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text, as offsets in characters; the end is exclusive."""

    start: int  # of the first character
    end: int  # behind the last one


@dataclass(frozen=True, slots=True)
class Label:
    """A place, and what it has to do with the diagnostic."""

    source: Source  # the text it points into
    span: Span | None = None  # None: the file or the cell as a whole
    text: str = ""  # a remark on the place
    path: tuple[str | int, ...] | None = None  # keys and positions in metadata: of the cell that
    # *source* is, else of the notebook. It finds the place again in the notebook's file.

    def with_text(self, text: str) -> "Label":
        """The same place with another remark."""
        return replace(self, text=text)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding, error or warning: a message that is complete in itself, and its places."""

    severity: Severity  # an error stops the work; a note needs no action
    code: str  # its name in kebab case
    message: str  # what is wrong
    labels: tuple[Label, ...] = ()  # its places, the primary one first
    notes: tuple[str, ...] = ()  # more about it
    help: str = ""  # how to fix it


class UserError(Exception):
    """The input cannot be used; has a diagnostic for each problem."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        """Keep *diagnostics*, at least one."""
        super().__init__(*diagnostics)
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        """The messages alone, for logs and debuggers."""
        return "; ".join(diagnostic.message for diagnostic in self.diagnostics)

    @staticmethod
    def of(
        code: str, message: str, at: Label | None = None, **details: Unpack["Details"]
    ) -> "UserError":
        """What to raise for one error; the arguments are those of `diagnostic`."""
        return UserError(error(code, message, at, **details))


class Details(TypedDict, total=False):
    """What a diagnostic may have besides code, message and primary place."""

    also: Iterable[Label | None]  # more places; None is none
    notes: Iterable[str]  # more about it
    help: str  # how to fix it


def diagnostic(  # noqa: PLR0913  a diagnostic has this many parts
    severity: Severity,
    code: str,
    message: str,
    at: Label | None = None,
    *,
    also: Iterable[Label | None] = (),
    notes: Iterable[str] = (),
    help: str = "",  # noqa: A002  the word that users see
) -> Diagnostic:
    """An error or a warning; *code* is its name in kebab case, *at* its primary place."""
    labels = () if at is None else (at, *filter(None, also))
    return Diagnostic(severity, code, message, labels, tuple(notes), help)


error = partial(diagnostic, "error")
"""An error: the work is not done."""

warning = partial(diagnostic, "warning")
"""A warning: the work is done, but the user should know."""


@contextmanager
def guarded(name: str) -> Iterator[list[Diagnostic]]:
    """What goes wrong in the work on the file *name*, which ends then, as diagnostics.

    Every command works on each notebook inside it, so that none of them stops the others.
    """
    wrong: list[Diagnostic] = []
    try:
        yield wrong
    except UserError as exc:
        wrong += exc.diagnostics
    except RecursionError:
        wrong.append(too_deep(name))
    except Exception as exc:  # noqa: BLE001  every bug of kale-tag ends here
        wrong.append(internal_error(name, exc))


def too_deep(name: str) -> Diagnostic:
    """Nesting that Python cannot follow."""
    return error(
        "too-deep",
        f"{name} is nested too deeply to be read",
        Label(Source(name)),
        notes=("Python reads some hundred levels of values, and as many of an expression",),
        help="remove the nested value, or split the expression; clear outputs that are nested",
    )


def internal_error(name: str, exc: Exception) -> Diagnostic:
    """The error for a failed proof or anything else that is unforeseen in the file *name*."""
    import traceback  # noqa: PLC0415  for bugs only

    ours = [one for one in traceback.extract_tb(exc.__traceback__) if "kale_tag" in one.filename]
    places = (f"kale_tag{one.filename.rpartition('kale_tag')[2]}:{one.lineno}" for one in ours[-3:])
    return error(
        INTERNAL_ERROR,
        f"a bug in kale-tag stopped the work on {name}: {type(exc).__name__}: {exc}",
        Label(Source(name)),
        notes=[f"in {', '.join(places)}"],
        help=f"please report it with the notebook, if you can: {HOME}/issues",
    )


INTERNAL_ERROR = "internal-error"


def exit_code(diagnostics: Iterable[Diagnostic]) -> int:
    """0 without an error, 2 for input that cannot be used, 3 for an internal error."""
    codes = {one.code for one in diagnostics if one.severity == "error"}
    return 3 if INTERNAL_ERROR in codes else 2 if codes else 0


@dataclass(slots=True)
class DiagnosticCollector:
    """Collects diagnostics of work that goes on after an error, so that one run reports all."""

    errors: list[Diagnostic] = field(default_factory=list, init=False)  # in order of finding
    warnings: list[Diagnostic] = field(default_factory=list, init=False)  # the same

    def error(
        self, code: str, message: str, at: Label | None = None, **details: Unpack[Details]
    ) -> None:
        """Add an error."""
        self.errors.append(error(code, message, at, **details))

    def warning(
        self, code: str, message: str, at: Label | None = None, **details: Unpack[Details]
    ) -> None:
        """Add a warning."""
        self.warnings.append(warning(code, message, at, **details))


def nearest(word: str, known: Iterable[str]) -> str:
    """The one of *known* that *word* is probably a typing mistake for, "" when none is close.

    A word but for capitals is the nearest. `name` is near to `pipeline_name`, which ends with it,
    if nothing is written more alike.
    """
    import difflib  # noqa: PLC0415  slow to import, needed for errors only

    words = list(known)
    longer = (one for one in words if one.endswith(f"_{word}") or one.startswith(f"{word}_"))
    same = (one for one in words if one.lower() == word.lower())
    close = [*same, *difflib.get_close_matches(word, words, 1)]
    return close[0] if close else next(longer, "") if word else ""


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """The help for a word that is not known: the nearest of *known*, else *otherwise*."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else otherwise


def suggest(word: str, known: Iterable[str], otherwise: str) -> str:
    """The help for a word that is not known: the nearest of *known*, else *otherwise* and all."""
    words = list(known)
    every = ", ".join(f"`{word}`" for word in words)
    return did_you_mean(word, words, f"{otherwise} {every}" if words else "")


def count(number: int, thing: str) -> str:
    """`1 cell`, `3 cells`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def listed(names: Iterable[str]) -> str:
    """One or more names, as in a message: `a`, `b` and `c`."""
    *most, last = (f"`{name}`" for name in names)
    return f"{', '.join(most)} and {last}" if most else last


def pasted(command: str, paths: Sequence[str], options: str = "") -> str:
    """A command for the user's shell, whatever characters the names in *paths* contain."""
    quoted = " ".join(map(for_shell, paths))
    if any(path.startswith("-") and path != "-" for path in paths):
        return " ".join(filter(None, (command, options, "--", quoted)))
    return " ".join(filter(None, (command, quoted, options)))


def for_shell(word: str) -> str:
    """*word* as one word of the user's shell."""
    if word.isprintable():
        return shlex.quote(word)
    parts = (
        one
        if one.isprintable() and one not in "\\'"
        else "".join(rf"\x{byte:02x}" for byte in one.encode(errors="surrogateescape"))
        for one in word
    )
    return f"$'{''.join(parts)}'"
