"""All lints of a notebook's tags and settings."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic
from kale_tag.kale import check_references, check_settings, check_steps, check_tags
from kale_tag.kale.view import Tagged
from kale_tag.notebook.model import Notebook

LINTS = (*check_tags.LINTS, *check_steps.LINTS, *check_references.LINTS, *check_settings.LINTS)


def lint(notebook: Notebook) -> Iterator[Diagnostic]:
    """What is wrong or perilous in *notebook*; nothing if it has nothing to do with Kale."""
    tagged = Tagged(notebook)
    if tagged.is_kales:
        for one in LINTS:
            yield from one(tagged)


def has_kale_tags(notebook: Notebook) -> bool:
    """Whether *notebook* is meant to be a pipeline.

    JupyterLab's panel gives settings to each notebook that is opened in it; tags are somebody's.
    """
    return Tagged(notebook).has_kale_tags
