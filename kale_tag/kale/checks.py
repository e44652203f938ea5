"""All checks of Kale's rules: of the tags and the settings of a notebook."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic
from kale_tag.kale import check_references, check_settings, check_steps, check_tags
from kale_tag.kale.view import TaggedNotebook
from kale_tag.notebook.model import Notebook

TAG_CHECKS = (*check_tags.CHECKS, *check_steps.CHECKS, *check_references.CHECKS)
LINTS = (*TAG_CHECKS, *check_settings.LINTS)

KALE_ALONE = frozenset(
    ("foreign-tag", "unread-tag", "ignored-tag", "colon-lost", "step-after-metrics")
)
"""Codes of tags at which Kale stops, or which it loses; `compile` does what they mean."""

OF_A_PLAN = (
    check_steps.ignored_tag,
    check_steps.unknown_prev,
    check_steps.later_prev,
    check_steps.cycle,
    check_tags.colon_lost,
)
"""The checks of what a spec adds to a notebook: its tags are valid, each by itself."""


def lint(notebook: Notebook) -> Iterator[Diagnostic]:
    """Errors and warnings for *notebook*; nothing if it has nothing to do with Kale."""
    tagged = TaggedNotebook(notebook)
    if not tagged.is_kales:
        return
    for check in LINTS:
        if check is not check_steps.no_step or tagged.has_kale_tags:
            yield from check(tagged)


def tag_errors(tagged: TaggedNotebook) -> Iterator[Diagnostic]:
    """The errors in the tags of a notebook for which it cannot become a pipeline."""
    for check in TAG_CHECKS:
        for diagnostic in check(tagged):
            if diagnostic.severity == "error" and diagnostic.code not in KALE_ALONE:
                yield diagnostic


def has_kale_tags(notebook: Notebook) -> bool:
    """Whether *notebook* is meant to be a pipeline.

    JupyterLab's panel gives settings to each notebook that is opened in it; tags are somebody's.
    """
    return TaggedNotebook(notebook).has_kale_tags
