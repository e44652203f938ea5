"""All lints of pipelines: whatever stops `compile`, and what will not do what is meant."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from kale_tag.diagnostics import Diagnostic
from kale_tag.lint import (
    cell_order,
    cells,
    names,
    order,
    outputs,
    references,
    resources,
    settings,
    state,
    variables,
)
from kale_tag.lint.context import Study
from kale_tag.rules.registry import SEVERITIES

LINTS = (
    *cells.LINTS,
    *variables.LINTS,
    *outputs.LINTS,
    *order.LINTS,
    *cell_order.LINTS,
    *state.LINTS,
    *resources.LINTS,
    *settings.LINTS,
    *names.LINTS,
    *references.LINTS,
)


def lint(study: Study, said: Collection[str] = ()) -> Iterator[Diagnostic]:
    """What is wrong or perilous in the pipeline that was studied.

    *said* are the codes of what the lints of tags have found; nothing is said twice.
    """
    found = [diagnostic for one in LINTS for diagnostic in one(study)]
    yield from found
    for diagnostic in dict.fromkeys(study.told):
        if diagnostic not in found and diagnostic.code not in said:
            yield replace(diagnostic, severity=SEVERITIES[diagnostic.code])
