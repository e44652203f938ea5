"""All lints of `kale-tag check`, and the pages of docs that their docstrings make."""

from collections.abc import Iterator, Mapping

from kale_tag.cleaners import lint as cleaners
from kale_tag.lints import SEVERITIES, Lint, Page, page
from kale_tag.pipeline import lint as pipeline
from kale_tag.pipeline.lint_names import one_pipeline_name
from kale_tag.tagging import drift, lint

LINTS: tuple[Lint, ...] = (
    *lint.LINTS,
    *pipeline.LINTS,
    one_pipeline_name,
    *drift.LINTS,
    *cleaners.LINTS,
)
"""Every lint there is; a half of the house that has more of them adds them here."""


def pages() -> Mapping[str, Page]:
    """The page of each lint by its code, in the order of the docs."""
    made = {one.code: one for one in map(page, LINTS)}
    return {code: made[code] for code in SEVERITIES}


def index() -> Iterator[str]:
    """A line of Markdown a lint."""
    for one in pages().values():
        yield f"- [{one.code}]({one.code}.md) ({one.severity}): {one.summary}"
