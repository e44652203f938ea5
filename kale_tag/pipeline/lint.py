"""All lints of pipelines: whatever stops `compile`, and what will not do what is meant."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from kale_tag.diagnostics import Diagnostic
from kale_tag.lints import SEVERITIES
from kale_tag.pipeline import (
    lint_cells,
    lint_names,
    lint_order,
    lint_outputs,
    lint_places,
    lint_references,
    lint_resources,
    lint_settings,
    lint_state,
    lint_variables,
)
from kale_tag.pipeline.study import Study

LINTS = (
    *lint_cells.LINTS,
    *lint_variables.LINTS,
    *lint_outputs.LINTS,
    *lint_order.LINTS,
    *lint_places.LINTS,
    *lint_state.LINTS,
    *lint_resources.LINTS,
    *lint_settings.LINTS,
    *lint_names.LINTS,
    *lint_references.LINTS,
)


def lint(study: Study, said: Collection[str] = ()) -> Iterator[Diagnostic]:
    """What is wrong or perilous in the pipeline that was studied.

    *said* are the codes of what the lints of tags have found; nothing is said twice.
    """
    found = [fault for one in LINTS for fault in one(study)]
    yield from found
    for fault in dict.fromkeys(study.told):
        if fault not in found and fault.code not in said:
            yield replace(fault, severity=SEVERITIES[fault.code])
