"""Findings of `kale-tag check` as one JSON document."""

import json
from collections.abc import Mapping, Sequence

from kale_tag.diagnostics import Diagnostic
from kale_tag.render.diagnostics import as_value
from kale_tag.rules.registry import Finding


def as_json(
    findings: Sequence[Finding], unusable: Sequence[Diagnostic], summary: Mapping[str, int]
) -> str:
    """`findings`, each with its reason under `silenced` or null there, `unusable` and `summary`."""
    document = {
        "findings": [
            {**as_value(one.diagnostic), "silenced": one.silenced or None} for one in findings
        ],
        "unusable": [as_value(diagnostic) for diagnostic in unusable],
        "summary": summary,
    }
    return json.dumps(document, indent=1, ensure_ascii=False)
