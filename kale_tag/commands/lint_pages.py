"""All lints of `kale-tag check`, and the pages of docs that their docstrings make.

What `kale-tag upgrade` warns of besides has pages, too.
"""

from collections.abc import Collection, Iterator, Mapping

from kale_tag.diagnostics import Diagnostic, error
from kale_tag.kale import checks
from kale_tag.lint import cleaners
from kale_tag.lint import pipelines as pipeline
from kale_tag.lint.names import one_pipeline_name
from kale_tag.plan import drift
from kale_tag.rules.registry import SEVERITIES, UPGRADE_CODES, Lint, Page, page

LINTS: tuple[Lint, ...] = (
    *checks.LINTS,
    *pipeline.LINTS,
    one_pipeline_name,
    *drift.LINTS,
    *cleaners.LINTS,
)
"""Every lint there is; a half of the house that has more of them adds them here."""

LIKE = 0.88
"""How alike a slip is to what was meant: one letter in nine is another, or two changed places."""


def pages() -> Mapping[str, Page]:
    """The page of each rule of `check` by its code, in the order of the docs."""
    return {code: page(code) for code in SEVERITIES}


def upgrade_pages() -> Mapping[str, Page]:
    """The page of each warning that is of upgrades only."""
    return {code: page(code) for code in UPGRADE_CODES}


def index(pages: Mapping[str, Page]) -> Iterator[str]:
    """A line of Markdown a page."""
    for one in pages.values():
        yield f"- [{one.code}]({one.code}.md) ({one.severity}): {one.summary}"


def no_page(code: str, known: Collection[str]) -> Diagnostic:
    """What is said of a *code* that has no page; *known* have one.

    Only slips are guessed at: the codes of other messages are often like those that are known.
    """
    import difflib  # noqa: PLC0415  slow to import, needed for faults only

    near = difflib.get_close_matches(code, known, cutoff=LIKE)
    hint = f"did you mean {' or '.join(f'`{one}`' for one in near)}?"
    others = "what `check` finds has pages, and what `upgrade` warns of; any other message says "
    others += "itself all that there is to say"
    return error(
        "unknown-code",
        f"there is no page on `{code}`",
        notes=[others],
        help=hint if near else "`kale-tag check --explain list` names all that have one",
    )
