"""The codes of diagnostics: how severe each rule is, and its page.

The page of a rule is `rules/CODE.md`; all other codes share `rules/errors.md`. Nothing is read
before somebody asks for a page.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kale_tag import HOME
from kale_tag.diagnostics import Diagnostic, Label, Severity

SEVERITIES: Final[Mapping[str, Severity]] = {
    # the tags of one cell
    "unknown-tag": "error",
    "legacy-tag": "error",
    "foreign-tag": "error",
    "bad-tags": "error",
    "unread-tag": "warning",
    "two-steps": "error",
    "prev-without-step": "error",
    "setting-without-step": "error",
    "reserved-name": "error",
    "repeated-setting": "error",
    "colon-lost": "warning",
    # the steps that they make
    "no-step": "error",
    "dropped-code": "error",
    "ignored-tag": "error",
    "unknown-prev": "error",
    "later-prev": "error",
    "cycle": "error",
    "step-after-metrics": "error",
    # references to other notebooks
    "reference-without-path": "error",
    "code-in-reference": "error",
    "duplicate-name": "error",
    "code-after-reference": "error",
    # the settings of the notebook
    "unknown-setting": "error",
    "invalid-setting": "error",
    "missing-setting": "error",
    "two-experiments": "error",
    "panel-loss": "warning",
    # the code of cells, as steps run it
    "syntax-error": "error",
    "python-2": "error",
    "not-python": "error",
    "unknown-magic": "error",
    "cell-magic-not-first": "error",
    "relative-import": "error",
    "local-module": "warning",
    "not-a-parameter": "error",
    "parameter-value": "error",
    "none-in-parameter": "warning",
    "not-a-metric": "error",
    # the variables of the pipeline
    "undefined-name": "error",
    "two-producers": "error",
    "deleted-name": "error",
    "unknown-metric": "error",
    "unused-variable": "warning",
    "unused-parameter": "warning",
    "reassigned-parameter": "warning",
    "unpicklable-output": "warning",
    "leaked-secret": "error",
    # the order of its steps
    "redundant-prev": "warning",
    "missing-prev": "warning",
    "unshared-file": "warning",
    "missed-change": "warning",
    "split-step": "warning",
    "late-shared-cell": "warning",
    "lost-state": "warning",
    "shared-state": "warning",
    # how its steps run
    "invalid-quantity": "error",
    "unknown-resource": "error",
    "not-expressible": "warning",
    "two-accelerators": "error",
    "request-over-limit": "error",
    "request-of-device": "error",
    "no-limits": "warning",
    "two-settings": "error",
    "invalid-image": "error",
    "invalid-label": "error",
    "invalid-annotation": "error",
    "invalid-environment-variable": "error",
    "two-values": "error",
    "two-volumes": "error",
    "invalid-mount-point": "error",
    "volume-type": "error",
    "setting-not-kept": "warning",
    "placeholder": "error",
    "bad-character": "error",
    "unknown-step": "error",
    # the package as a whole
    "name-clash": "error",
    "name-of-pipeline": "error",
    "name-too-long": "error",
    "one-pipeline-name": "error",
    "step-too-large": "error",
    "large-package": "warning",
    "reference-cycle": "error",
    "nested-reference": "error",
    "unreadable-reference": "error",
    # the notebook against its spec
    "tag-drift": "error",
    "setting-drift": "error",
    "panel-drift": "error",
    # what else works on the notebooks
    "tag-eating-cleaner": "warning",
}
"""The rules of `kale-tag check`, in the order of the docs.

An error is what Kale or `compile` refuse, what Kale silently gets wrong, and what differs from a
spec; a warning is what may go wrong later.
"""

UPGRADES: Final[Mapping[str, Severity]] = {
    "papermill-tag": "warning",
    "dropped-tag": "warning",
    "name-collision": "warning",
    "old-image": "warning",
    "no-snapshots": "warning",
    "no-katib": "warning",
    "dropped-setting": "warning",
    "ipython-syntax": "warning",
}
"""What only an upgrade warns of."""

SPECS: Final[Mapping[str, Severity]] = {
    "not-yaml": "error",
    "duplicate-key": "error",
    "bad-key": "error",
    "bad-merge": "error",
    "bad-value": "error",
    "endless-alias": "error",
    "too-many-values": "error",
    "unknown-yaml-tag": "error",
    "empty-spec": "error",
    "missing-key": "error",
    "wrong-version": "error",
    "unknown-key": "error",
    "wrong-type": "error",
    "wrong-value": "error",
    "invalid-regex": "error",
    "no-selector": "error",
    "no-effect": "error",
    "two-roles": "error",
    "not-code": "error",
    "unknown-group": "error",
    "kale-tag-added": "error",
    "invalid-tag": "error",
    "invalid-step-name": "error",
    "invalid-notebook-name": "error",
    "invalid-limit": "error",
    "invalid-label-value": "error",
    "invalid-annotation-value": "error",
    "invalid-secret": "error",
    "invalid-secret-name": "error",
    "invalid-secret-key": "error",
    "invalid-pipeline-name": "error",
    "invalid-default": "error",
    "invalid-name": "error",
    "invalid-storage-class-name": "error",
    "unknown-variable": "error",
    "nested-variable": "error",
    "rename-chain": "error",
    "rename-collision": "error",
    "no-match": "error",
    "no-such-cell": "error",
    "wrong-count": "error",
    "unmatched-cell": "error",
    "conflicting-steps": "error",
    "conflicting-rules": "error",
    "conflicting-settings": "error",
    "not-a-patch": "error",
    "unknown-operation": "error",
    "bad-operation": "error",
    "bad-pointer": "error",
    "not-metadata": "error",
    "duplicate-guard": "error",
    "bad-notebook": "error",
    "outside-folder": "error",
    "stale-patch": "error",
    "unguarded": "warning",
}
"""What is wrong in specs and patches, and where they do not fit a notebook."""

DOCS: Final = f"{HOME}/blob/main/kale_tag/rules"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `check` found."""

    diagnostic: Diagnostic
    # the reason that a spec gives for silencing it, "" where none does
    silenced: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """The page of one rule."""

    code: str
    severity: Severity
    # what it finds, in one sentence
    summary: str
    # why that hurts
    why: str
    fix: str
    # files as Markdown blocks, in which the rule finds something
    bad: str
    # the same files after the fix
    good: str
    # the whole page
    text: str

    @property
    def url(self) -> str:
        """The page on the web."""
        return f"{DOCS}/{self.code}.md"


def found(  # noqa: PLR0913  a diagnostic has this many parts
    code: str,
    message: str,
    at: Label,
    *,
    also: Iterable[Label] = (),
    notes: Iterable[str] = (),
    help: str = "",  # noqa: A002  the word that users see
) -> Diagnostic:
    """A diagnostic of the rule *code*, as severe as the rule."""
    return Diagnostic(SEVERITIES[code], code, message, (at, *also), tuple(notes), help)


def pages(codes: Iterable[str] = SEVERITIES) -> Mapping[str, Page]:
    """The pages of rules by code: of those of `check`, or of *codes*."""
    return {code: page(code) for code in codes}


def page(code: str) -> Page:
    """The page of the rule *code*."""
    text = _read(code)
    match = _PAGE.fullmatch(text)
    assert match, f"rules/{code}.md is not in the form of a page"
    parts = match.groupdict()
    severity: Severity = "error" if parts.pop("severity") == "error" else "warning"
    return Page(code=code, severity=severity, text=text, **parts)


@functools.cache
def other_errors() -> Mapping[str, str]:
    """The sections of `errors.md` by code: what, why and fix of codes without a page."""
    parts = re.split(r"(?m)^(?=## )", _read("errors"))
    return {part.partition("\n")[0].removeprefix("## "): part.strip() + "\n" for part in parts[1:]}


def codes() -> list[str]:
    """Every code that can be explained."""
    return [*SEVERITIES, *UPGRADES, *SPECS, *other_errors()]


def explanation(code: str) -> str:
    """The page of *code*, or its section of `errors.md`, as Markdown."""
    rules = {*SEVERITIES, *UPGRADES, *SPECS}
    return page(code).text if code in rules else other_errors()[code]


def summaries() -> Iterator[str]:
    """A line for each code: the code, its severity, and what it is."""
    width = max(map(len, codes()))
    for one in pages([*SEVERITIES, *UPGRADES, *SPECS]).values():
        yield f"{one.code.ljust(width)}  {one.severity.ljust(7)}  {one.summary}"
    for code, text in other_errors().items():
        first = text.split("\n\n")[1].replace("\n", " ")
        yield f"{code.ljust(width)}  {'error'.ljust(7)}  {first}"


def _read(name: str) -> str:
    import pkgutil  # noqa: PLC0415  a check that finds nothing reads no page

    return (pkgutil.get_data("kale_tag", f"rules/{name}.md") or b"").decode()


_PAGE = re.compile(
    r"# .*\n\n(?P<summary>(?s:.*?)) \((?P<severity>error|warning)\)\n\n"
    r"## Why it hurts\n\n(?P<why>(?s:.*?))\n\n## How to fix it\n\n(?P<fix>(?s:.*?))\n\n"
    r"## Bad example\n\n(?P<bad>(?s:.*?))\n\n## Good example\n\n(?P<good>(?s:.*?))\n"
)
