"""Lints of what a pipeline takes in from other notebooks."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic
from kale_tag.lint.context import Study


def reference_cycle(study: Study) -> Iterator[Diagnostic]:
    """A notebook that refers to itself."""
    return study.says("reference-cycle")


def nested_reference(study: Study) -> Iterator[Diagnostic]:
    """A reference in a notebook that is itself referred to."""
    return study.says("nested-reference")


def unreadable_reference(study: Study) -> Iterator[Diagnostic]:
    """A reference to a notebook that is not there, cannot be read, or not be tagged."""
    return study.says("unreadable-reference")


LINTS = (reference_cycle, nested_reference, unreadable_reference)
