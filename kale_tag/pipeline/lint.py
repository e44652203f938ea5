"""All lints of pipelines: whatever stops `compile`, and what will not do what is meant."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Final

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

OF_TAGS: Final[Mapping[str, tuple[str, ...]]] = {
    "invalid-tag": ("unknown-tag",),
    "legacy-tag": ("legacy-tag",),
    "wrong-type": ("bad-tags", "invalid-setting"),
    "two-steps": ("two-steps", "duplicate-name"),
    "no-step": ("setting-without-step", "prev-without-step"),
    "no-steps": ("no-step",),
    "unknown-step": ("unknown-prev",),
    "later-step": ("later-prev",),
    "cycle": ("cycle",),
    "no-notebook-path": ("reference-without-path",),
    "code-in-reference": ("code-in-reference",),
    "dropped-cell": ("dropped-code",),
    "code-after-reference": ("code-after-reference",),
    "unknown-setting": ("unknown-setting",),
    "invalid-step-name": ("reserved-name",),
    "two-settings": ("repeated-setting",),
    "invalid-default": ("invalid-setting",),
}
"""What the compiler says of tags and settings, and the lints of these that say the same."""

OF_SETTINGS: Final = ("invalid-setting",)
"""The lint of all that the compiler says of the values of settings."""


def lint(study: Study, said: Collection[str] = ()) -> Iterator[Diagnostic]:
    """What is wrong or perilous in the pipeline that was studied.

    *said* are the codes of what the lints of tags have found; nothing is said twice.
    """
    found = [fault for one in LINTS for fault in one(study)]
    yield from found
    for fault in dict.fromkeys(study.told):
        codes = OF_TAGS.get(fault.code, OF_SETTINGS)
        if fault not in found and not any(code in said for code in codes):
            yield replace(fault, code=codes[0], severity=SEVERITIES[codes[0]])
