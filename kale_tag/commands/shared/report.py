"""The output of commands: diagnostics, results, summary, exit code."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kale_tag.commands.shared.batch import Outcome
from kale_tag.diagnostics import Diagnostic, UserError, count, exit_code
from kale_tag.render import diagnostics, shared_changes
from kale_tag.render.diagnostics import digest, errors_last, tally
from kale_tag.render.shared_changes import FEW
from kale_tag.render.text import Color, Style, json_text


@dataclass(slots=True)
class Report:
    """Prints diagnostics to standard error, each once, and keeps the outcomes.

    `show` prints at once. What is kept, as in work on a batch, is printed when the report is
    closed: then diagnostics that many notebooks share are printed once, and errors come last.
    """

    style: Style
    outcomes: list[Outcome] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)  # specs and patches that cannot be read
    note: str = ""  # on notebooks that are left out
    diagnostics: dict[Diagnostic, None] = field(default_factory=dict)

    def show(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Print *diagnostics*, but none a second time."""
        for diagnostic in diagnostics:
            if diagnostic not in self.diagnostics:
                self.diagnostics[diagnostic] = None
                sys.stdout.flush()
                print_diagnostic(diagnostic)

    def keep(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Keep *diagnostics* for `close` to print."""
        self.diagnostics.update(dict.fromkeys(diagnostics))

    def close(self, *, verbose: bool, quiet: bool) -> None:
        """Print what was kept, each warning by itself if *verbose*, and count it if it is much."""
        sys.stdout.flush()
        for diagnostic in (errors_last if verbose else digest)(self.diagnostics):
            print_diagnostic(diagnostic)
        for line in (tally(self.diagnostics), self.note):
            if line and not quiet:
                print(line, file=sys.stderr)

    def add(self, outcome: Outcome) -> None:
        """Add an outcome, and keep its diagnostics."""
        self.keep(outcome.diagnostics)
        self.outcomes.append(outcome)

    def fail(self, outcome: Outcome, diagnostic: UserError) -> None:
        """Mark *outcome*, which was added before, as failed."""
        outcome.failed = True
        self.keep(diagnostic.diagnostics)

    @property
    def changed(self) -> list[Outcome]:
        """The notebooks that change, or were changed."""
        return [one for one in self.outcomes if one.changed and not one.failed]

    @property
    def failed(self) -> list[Outcome]:
        """The notebooks that could not be worked on."""
        return [one for one in self.outcomes if one.failed]

    def as_json(self, *, written: bool) -> str:
        """Everything as one JSON document."""
        changed, failed = len(self.changed), len(self.failed)
        document = {
            "notebooks": [
                {
                    "notebook": one.name,
                    "changed": one.changed,
                    "failed": one.failed,
                    "plans": one.value,
                }
                for one in self.outcomes
            ],
            "diagnostics": [diagnostics.as_value(diagnostic) for diagnostic in self.diagnostics],
            "summary": {
                "changed": changed,
                "unchanged": len(self.outcomes) - changed - failed,
                "failed": failed,
                "written": written,
            },
        }
        return json_text(document)

    def summary(self, verb: str) -> str:
        """`2 changed, 1 unchanged, 0 failed`; *verb* is `changed` or `to change`."""
        changed, failed = len(self.changed), len(self.failed)
        left = len(self.outcomes) - changed - failed
        unusable = f", {count(len(self.unusable), 'file')} unusable" if self.unusable else ""
        return f"{changed} {verb}, {left} unchanged, {failed} failed{unusable}"

    def shared_changes(self) -> Iterator[str]:
        """The changes of many notebooks, equal ones once; nothing where few notebooks change."""
        if len(self.changed) > FEW:
            changes = ((one.name, change) for one in self.changed for change in one.shared)
            yield from shared_changes.as_text(changes, self.style)

    @property
    def exit_code(self) -> int:
        """0 success, 2 unusable input, 3 internal error."""
        return exit_code(self.diagnostics)


def print_diagnostic(diagnostic: Diagnostic) -> None:
    """Print one diagnostic to standard error."""
    style = style_for("auto", sys.stderr.isatty())
    print(diagnostics.as_text(diagnostic, style), end="\n\n", file=sys.stderr)


def can_print(text: str) -> bool:
    """Whether standard output has the characters of *text*."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def style_for(color: Color, terminal: bool) -> Style:  # noqa: FBT001  a property of the stream
    """Colours as asked for; `auto` means on a terminal where NO_COLOR is not set."""
    if color != "auto":
        return Style(color=color == "always")
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Style(color=terminal and not plain)
