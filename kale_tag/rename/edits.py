"""Edits that rename a step in the text of a spec or a patch.

Only the word itself is replaced; layout, comments and quotes stay.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kale_tag.diagnostics import Diagnostic, Label, Source, error


@dataclass(frozen=True, slots=True)
class Edit:
    """One replaced word."""

    label: Label
    what: str  # the key of the spec
    before: str
    after: str
    text: str = ""  # the new text at the place, with quotes


@dataclass(frozen=True, slots=True)
class Renamed:
    """A text with its edits."""

    source: Source
    edits: tuple[Edit, ...] = ()  # in the order of the text
    look: tuple[Diagnostic, ...] = ()  # places left to the user
    steps: dict[str, Label] = field(default_factory=dict)  # named steps, with their first place

    @property
    def text(self) -> str:
        """The new text."""
        text = self.source.text
        for edit in reversed(self.edits):
            span = edit.label.span
            assert span is not None  # every edit replaces a word
            text = text[: span.start] + edit.text + text[span.end :]
        return text

    @property
    def renamed(self) -> Source:
        """The new text, as a file of the same name."""
        return Source(self.source.name, self.text)


def collisions(
    renamed: Renamed,
    old: str,
    new: str,
    what: str,
    *,
    help: str,  # noqa: A002  the word that users see
) -> Iterator[Diagnostic]:
    """Why the step cannot be renamed: *what*, a spec or a patch, has a step of the new name."""
    if old in renamed.steps and new in renamed.steps:
        yield error(
            "rename-collision",
            f"`{old}` cannot become `{new}`: the {what} has both steps",
            renamed.steps[new].with_text(f"`{new}`"),
            also=[renamed.steps[old].with_text(f"`{old}`")],
            help=help,
        )


def in_order(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """*edits* in the order of the text, each place once: an alias leads to its anchor again."""
    by_place: dict[tuple[int, int], Edit] = {}
    for edit in edits:
        by_place.setdefault(_place(edit.label), edit)
    return tuple(by_place[start] for start in sorted(by_place))


def _place(label: Label) -> tuple[int, int]:
    assert label.span is not None
    return label.span.start, label.span.end
