"""The codes of diagnostics: how severe each rule is, and its page.

The page of a rule is `rules/CODE.md`, and `rules/codes.txt` lists them; all other codes share
`rules/errors.md`. Nothing is read before somebody asks for it.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Unpack

from kale_tag import HOME, data_file
from kale_tag.diagnostics import Details, Diagnostic, Label, Severity, diagnostic


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `check` found."""

    diagnostic: Diagnostic
    silenced: str = ""  # the reason that a spec gives for silencing it, "" where none does


@dataclass(frozen=True, slots=True)
class Page:
    """The page of one rule."""

    code: str
    severity: Severity
    compiles: bool  # whether `compile` goes on although it is an error
    summary: str  # what it finds, in one sentence
    why: str  # why that hurts
    fix: str
    bad: str  # files as Markdown blocks, in which the rule finds something
    good: str  # the same files after the fix
    text: str  # the whole page

    @property
    def url(self) -> str:
        """The page on the web."""
        return f"{HOME}/blob/main/kale_tag/rules/{self.code}.md"


def found(code: str, message: str, at: Label, **details: Unpack[Details]) -> Diagnostic:
    """A diagnostic of the rule *code*, as severe as the rule."""
    return diagnostic(page(code).severity, code, message, at, **details)


def stops_compile(code: str) -> bool:
    """Whether `compile` refuses a notebook with a finding of the rule *code*."""
    return page(code).severity == "error" and not page(code).compiles


@functools.cache
def groups() -> Mapping[str, Sequence[str]]:
    """The codes that have a page, in the order of the docs: `check`, `upgrade` and `specs`."""
    _, *sections = re.split(r"(?m)^\[(.*)\]$", data_file("rules/codes.txt"))
    texts = [re.sub(r"(?m)^#.*", "", text) for text in sections[1::2]]
    return {group: text.split() for group, text in zip(sections[::2], texts, strict=True)}


def pages(group: str = "check") -> Mapping[str, Page]:
    """The pages of a group of rules by code."""
    return {code: page(code) for code in groups()[group]}


@functools.cache
def page(code: str) -> Page:
    """The page of the rule *code*."""
    text = data_file(f"rules/{code}.md")
    match = _PAGE.fullmatch(text)
    assert match, f"rules/{code}.md is not in the form of a page"
    parts = match.groupdict()
    severities: dict[str, Severity] = {"error": "error", "warning": "warning", "note": "note"}
    severity = severities[parts.pop("severity")]
    compiles = parts.pop("compiles") is not None
    return Page(code=code, severity=severity, compiles=compiles, text=text, **parts)


@functools.cache
def other_errors() -> Mapping[str, str]:
    """The sections of `errors.md` by code: what, why and fix of codes without a page."""
    parts = re.split(r"(?m)^(?=## )", data_file("rules/errors.md"))
    return {part.partition("\n")[0].removeprefix("## "): part.strip() + "\n" for part in parts[1:]}


def codes() -> list[str]:
    """Every code that can be explained."""
    return [*_with_page(), *other_errors()]


def explanation(code: str) -> str:
    """The page of *code*, or its section of `errors.md`, as Markdown."""
    return page(code).text if code in _with_page() else other_errors()[code]


def summaries() -> Iterator[str]:
    """A line for each code: the code, its severity, and what it is."""
    width = max(map(len, codes()))
    for one in map(page, _with_page()):
        yield f"{one.code.ljust(width)}  {one.severity.ljust(7)}  {one.summary}"
    for code, text in other_errors().items():
        first = text.split("\n\n")[1].replace("\n", " ")
        yield f"{code.ljust(width)}  {'error'.ljust(7)}  {first}"


def _with_page() -> list[str]:
    return [code for group in groups().values() for code in group]


_PAGE = re.compile(
    r"# .*\n\n(?P<summary>(?s:.*?)) "
    r"\((?P<severity>error|warning|note)(?P<compiles>; `compile` continues)?\)\n\n"
    r"## Why it hurts\n\n(?P<why>(?s:.*?))\n\n## How to fix it\n\n(?P<fix>(?s:.*?))\n\n"
    r"## Bad example\n\n(?P<bad>(?s:.*?))\n\n## Good example\n\n(?P<good>(?s:.*?))\n"
)
