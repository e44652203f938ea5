"""What `kale-tag check` looks for: the code of each lint, how bad it is, and its page of docs.

The page of a rule is `rules/CODE.md`, in the docs, in SARIF and for `check --explain`.
"""

import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from kale_tag import HOME
from kale_tag.diagnostics import Diagnostic, Label

Severity = Literal["error", "warning"]
Lint = Callable[..., Iterator[Diagnostic]]

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
"""The codes of all lints, in the order of the docs. An error is what Kale or `compile` refuse or
Kale silently gets wrong, and what is not as a spec says; a warning is what may go wrong later."""

UPGRADE_CODES: Final = (
    "papermill-tag",
    "dropped-tag",
    "name-collision",
    "old-image",
    "no-snapshots",
    "no-katib",
    "dropped-setting",
    "ipython-syntax",
)
"""The codes of what only an upgrade warns of."""

DOCS: Final = f"{HOME}/blob/main/kale_tag/rules"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found; *silenced* is the reason that a spec gives for not wanting to hear of it."""

    diagnostic: Diagnostic
    silenced: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """The page of one rule, from `rules/CODE.md`: what it finds, why that hurts, how to fix it."""

    code: str
    severity: Severity
    summary: str
    why: str
    fix: str
    example: str
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
    """A diagnostic of the lint *code*, as bad as that is."""
    return Diagnostic(SEVERITIES[code], code, message, (at, *also), tuple(notes), help)


def code_of(lint: Callable[..., object]) -> str:
    """The code of *lint*."""
    return lint.__name__.replace("_", "-")


def page(code: str) -> Page:
    """The page of the rule *code*. Raises `FileNotFoundError` where it has none."""
    text = (pkgutil.get_data("kale_tag", f"rules/{code}.md") or b"").decode()
    match = _PAGE.fullmatch(text)
    assert match, f"rules/{code}.md is not in the form of a page"
    severity: Severity = "error" if match["severity"] == "error" else "warning"
    return Page(
        code, severity, match["summary"], match["why"], match["fix"], match["example"], text
    )


_PAGE = re.compile(
    r"# .*\n\n(?P<summary>(?s:.*?)) \((?P<severity>error|warning)\)\n\n"
    r"## Why it hurts\n\n(?P<why>(?s:.*?))\n\n## How to fix it\n\n(?P<fix>(?s:.*?))\n\n"
    r"## Example\n\n(?P<example>(?s:.*?))\n"
)
