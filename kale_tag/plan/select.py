"""The cells that each rule of a spec selects, and why it does not select the others."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from kale_tag.diagnostics import Diagnostic, Label, error
from kale_tag.kale.metadata import tags_in
from kale_tag.kale.tags import renamed
from kale_tag.notebook.model import Notebook, first_line
from kale_tag.spec.model import Index, Pattern, Rule, Selector

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")


_PARTS = re.compile(r"\\.|\[\^?\]?[^]]*\]|\{[^}]*\}|\(\?[^)]*\)|.", re.DOTALL)
"""What a pattern consists of, as far as a slip in a letter or digit is concerned."""

LETTERS = 3
"""Fewer letters and digits are in too many cells to be a slip for others."""

NEAR = 3
"""Most cells that are named as near misses."""


STOPPED: dict[re.Pattern[str], str] = {}
"""Regular expressions that took too long, and the notebook on which each was stopped."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The cells that *rule* selects in a notebook, in their order."""

    rule: Rule
    cells: tuple[int, ...]


class View:
    """What selectors match in one notebook, computed on demand."""

    def __init__(
        self,
        notebook: Notebook,
        renames: Mapping[str, str] | None = None,
        upgraded: Mapping[int, list[str]] | None = None,
    ) -> None:
        """View *notebook*, with steps *renames* and the *upgraded* tags of cells of Kale 0.x."""
        self.notebook = notebook
        self.types = notebook.types
        self.code = notebook.code
        self._in_use: Pattern | None = None
        self._renames = renames or {}
        self._upgraded = upgraded or {}
        self._tags: dict[int, list[str]] = {}

    def tags(self, index: int) -> list[str]:
        """The tags of a cell, upgraded and renamed."""
        known = self._tags.get(index)
        if known is None:
            known = self.before_renames(index)
            if self._renames:
                known = [renamed(tag, self._renames) for tag in known]
            self._tags[index] = known
        return known

    def before_renames(self, index: int) -> list[str]:
        """The tags of a cell, upgraded."""
        known = self._upgraded.get(index)
        return tags_in(self.notebook.metadata_of(index)) if known is None else known

    @property
    def has_overrides(self) -> bool:
        """Whether the tags seen here may differ from those in the file."""
        return bool(self._renames or self._upgraded)

    @cached_property
    def code_sources(self) -> list[tuple[int, str]]:
        """Number and source of each code cell."""
        source = self.notebook.source
        return [(index, source(index)) for index in self.code]

    @cached_property
    def headings(self) -> list[tuple[str, ...]]:
        """For each cell the Markdown headings above it, the innermost first."""
        stack: list[tuple[int, str]] = []
        above = []
        for index, kind in enumerate(self.types):
            if kind == "markdown":
                for level, text in markdown_headings(self.source(index)):
                    stack = [entry for entry in stack if entry[0] < level]
                    stack.append((level, text))
            above.append(tuple(text for _, text in reversed(stack)))
        return above

    def source(self, index: int) -> str:
        """The source of a cell."""
        return self.notebook.source(index)

    def using(self, pattern: Pattern) -> re.Pattern[str]:
        """The regular expression of *pattern*, which `endless` names if it has to be stopped."""
        self._in_use = pattern
        if pattern.regex in STOPPED:
            raise TimeoutError
        return pattern.regex

    def endless(self) -> Diagnostic:
        """The error when the pattern in use was stopped because it took too long.

        It is not used on the notebooks that follow, and the error is the same for them.
        """
        name = self.notebook.name
        if self._in_use is not None:
            name = STOPPED.setdefault(self._in_use.regex, name)
        return error(
            "endless-regex",
            f"this pattern was stopped on a cell of {name}: it took too long",
            self._in_use.label if self._in_use else None,
            help="nested repeats such as `(a+)+` make a search take exponential time",
        )

    def search(self, pattern: Pattern, text: str) -> re.Match[str] | None:
        """The first place in *text* where *pattern* matches."""
        return self.using(pattern).search(text)

    def whole(self, pattern: Pattern, tag: str) -> bool:
        """Whether *pattern* matches all of *tag*."""
        return self.using(pattern).fullmatch(tag) is not None

    def tag_matches(self, pattern: Pattern, index: int) -> Iterator[re.Match[str]]:
        """The matches of *pattern* with whole tags of a cell."""
        return filter(None, map(self.using(pattern).fullmatch, self.tags(index)))

    def caught(self, selector: Selector, index: int) -> re.Match[str] | None:
        r"""The match whose groups `\1` means on a cell that *selector* selects."""
        kind, patterns = selector.catching
        if kind == "tagged":
            return next((m for one in patterns for m in self.tag_matches(one, index)), None)
        texts = (self.source(index),) if kind == "source" else self.headings[index]
        found = (self.search(pattern, text) for text in texts for pattern in patterns)
        return next(filter(None, found), None)


def select(rules: Sequence[Rule], view: View) -> tuple[Selection, ...]:
    """The cells of each rule, in the order of *rules*."""
    return tuple([Selection(rule, tuple(_selected(rule.selector, view))) for rule in rules])


def cells_of(selector: Selector, view: View) -> tuple[int, ...]:
    """The cells that *selector* selects, in their order."""
    return tuple(_selected(selector, view))


def check_counts(selections: Sequence[Selection], view: View) -> Iterator[Diagnostic]:
    """Rules that select too few or too many cells."""
    for found in selections:
        expect, count = found.rule.expect, len(found.cells)
        if expect.least and (outside := [*_outside(found.rule.selector, view)]):
            yield from outside
        elif count < expect.least and count == 0:
            yield _no_match(found.rule, view)
        elif count < expect.least or (expect.most is not None and count > expect.most):
            yield _wrong_count(found, view)


def near_misses(selector: Selector, view: View) -> Mapping[int, str]:
    """The cells that *selector* would select but for capitals or one character, and which of them.

    Only the first pattern of a kind is tried. A change that selects many cells is no slip.
    """
    patterns = (*selector.source[:1], selector.heading, selector.tagged)
    found: dict[int, str] = {}
    try:
        for first in filter(None, patterns):
            for text, flags, what in _slips(first.regex.pattern):
                try:
                    regex = re.compile(text, first.regex.flags | flags)
                except re.error:
                    continue
                cells = cells_of(_with_pattern(selector, first, Pattern(regex, first.label)), view)
                if len(cells) <= NEAR:
                    found |= {cell: what for cell in cells if cell not in found}
    except TimeoutError:  # whatever pattern takes so long, the error is another one
        return {}
    return dict(sorted(found.items())[:NEAR])


def _with_pattern(selector: Selector, old: Pattern, new: Pattern) -> Selector:
    if old in selector.source:
        return replace(selector, source=(new,))
    if old is selector.heading:
        return replace(selector, heading=new)
    return replace(selector, tagged=new)


@lru_cache
def _slips(pattern: str) -> tuple[tuple[str, re.RegexFlag, str], ...]:
    """*pattern* without one slip: its text, flags, and what the slip is in."""
    found = [(pattern, re.IGNORECASE, "capitals")]
    parts = _PARTS.findall(pattern)
    letters = [at for at, part in enumerate(parts) if re.fullmatch(r"\w", part)]
    for at in letters if len(letters) >= LETTERS else ():
        before, after = "".join(parts[:at]), "".join(parts[at + 1 :])
        changed = [f"{before}.{parts[at]}{after}"]
        if at + 1 in letters:
            swapped = "".join(parts[at + 2 :])
            changed.append(f"{before}{parts[at + 1]}{parts[at]}{swapped}")
        if len(letters) > LETTERS:
            changed += [f"{before}{after}", f"{before}.{after}"]
        found += [(text, re.NOFLAG, "one character") for text in changed]
    return tuple(found)


def why_not(selector: Selector, view: View, index: int) -> str:
    """The first condition that the cell does not meet; "" when it is selected."""
    return next(_reasons(selector, view, index), "")


def markdown_headings(source: str) -> Iterator[tuple[int, str]]:
    """Level and text of each heading, with `#` or underlined; code blocks are skipped.

    After CommonMark, sections 4.2 and 4.3; headings inside lists and quotes do not count.
    """
    fence = ""
    previous = ""
    for line in source.splitlines():
        opening = _FENCE.match(line)
        if fence:
            if opening and opening[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            continue
        if opening:
            fence, previous = opening[1], ""
        elif heading := _ATX.match(line):
            yield len(heading[1]), (heading[2] or "").strip()
            previous = ""
        elif previous and (under := _SETEXT.match(line)):
            yield 1 if under[1][0] == "=" else 2, previous
            previous = ""
        else:
            previous = line.strip() if not line.startswith(("    ", "\t", ">", "- ", "* ")) else ""


def _selected(selector: Selector, view: View) -> Iterable[int]:
    if not _is_plain(selector):
        cells = view.code if selector.cell_type == "code" else range(len(view.types))
        return (index for index in cells if not why_not(selector, view, index))
    if len(selector.source) == 1:  # by far the most frequent rule
        search = view.using(selector.source[0]).search
        return [index for index, text in view.code_sources if search(text)]
    return (
        index
        for index, text in view.code_sources
        if any(view.search(pattern, text) for pattern in selector.source)
    )


def _is_plain(selector: Selector) -> bool:
    """Whether *selector* is a source pattern for code cells and nothing else, as most are."""
    others = (selector.index, selector.ids, selector.heading, selector.tagged, selector.negated)
    return bool(selector.source) and selector.cell_type == "code" and not any(others)


def _reasons(selector: Selector, view: View, index: int) -> Iterator[str]:
    """The conditions that a cell does not meet, the cheap ones first."""
    if selector.cell_type not in {"any", view.types[index]}:
        yield f"is a {view.types[index]} cell"
    if selector.index and not any(_in_range(part, view, index) for part in selector.index):
        yield "has another index"
    if selector.ids and view.notebook.id_of(index) not in selector.ids:
        yield "has another id"
    if selector.tagged and not any(view.tag_matches(selector.tagged, index)):
        yield "has no such tag"
    text = view.source(index) if selector.source else ""
    if selector.source and not any(view.search(pattern, text) for pattern in selector.source):
        yield "has no match in its source"
    heading = selector.heading
    if heading and not any(view.search(heading, text) for text in view.headings[index]):
        yield "is not under such a heading"
    if selector.negated and not why_not(selector.negated, view, index):
        yield "is excluded by `not`"


def _in_range(part: Index, view: View, index: int) -> bool:
    count = len(view.types)
    first, last = (end + count if end < 0 else end for end in (part.first, part.last))
    return first <= index <= last


def place(selector: Selector) -> Label:
    """The condition that a message about *selector* points at."""
    if selector.source:
        return selector.source[0].label
    for part in (selector.tagged, selector.heading, *selector.index):
        if part is not None:
            return part.label
    return selector.label


def _outside(selector: Selector, view: View) -> Iterator[Diagnostic]:
    """The cell numbers of *selector* that the notebook does not have."""
    count = len(view.types)
    has = f"it has {count} cells, 0 to {count - 1}" if count > 1 else "it has one cell, 0"
    for part in selector.index:
        for end in dict.fromkeys((part.first, part.last)):
            if not -count <= end < count:
                yield error(
                    "no-such-cell",
                    f"{view.notebook.name} has no cell {end}",
                    part.label,
                    notes=[f"{has}; markdown cells count" if count else "it has no cells at all"],
                    help="indices move when a cell is inserted; `source` patterns do not",
                )


def _no_match(rule: Rule, view: View) -> Diagnostic:
    selector, name = rule.selector, view.notebook.name
    count = len(view.types)
    notes = []
    if selector.index:
        notes = [
            f"cell {index} {why_not(selector, view, index)}"
            for index in range(count)
            if any(_in_range(part, view, index) for part in selector.index)
        ]
    for index, what in near_misses(selector, view).items():
        line = first_line(view.source(index))
        notes.append(f"cell {index} matches but for {what}: `{line}`")
    for pattern in selector.source:
        if pattern.regex.pattern.endswith("\n"):
            notes.append(
                "the pattern ends with a line break; a block that starts with `|-` has none"
            )
    kind = "cell" if selector.cell_type == "any" else f"{selector.cell_type} cell"
    total = count if selector.cell_type == "any" else view.types.count(selector.cell_type)
    message = f"this selector matches none of the {total} {kind}s of {name}"
    if total < 2:
        message = f"this selector does not match the only {kind} of {name}"
    return error(
        "no-match",
        message if total else f"{name} has no {kind} that this selector could match",
        place(selector),
        notes=notes[:5],
        help="`kale-tag plan --explain` shows why; write `expect: any` if the cell may be absent",
    )


def _wrong_count(found: Selection, view: View) -> Diagnostic:
    expect, count = found.rule.expect, len(found.cells)
    shown = found.cells[:5]
    notes = [f"cell {index}: `{first_line(view.source(index))}`" for index in shown]
    if count > len(shown):
        notes.append(f"and {count - len(shown)} more")
    return error(
        "wrong-count",
        f"{count} cell{'s match' if count != 1 else ' matches'} in {view.notebook.name}, "
        f"the rule expects {expect.least}",
        expect.label or found.rule.label,
        notes=notes,
        help="make the selector narrower" if count > expect.least else "make the selector wider",
    )
