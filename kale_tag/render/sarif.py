"""Findings as SARIF 2.1.0, which GitHub's code scanning and editors read.

The form is that of the OASIS standard, sarif-v2.1.0 with errata 01.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from kale_tag import HOME, __version__
from kale_tag.diagnostics import Diagnostic, Label
from kale_tag.render.text import json_text, one_line
from kale_tag.rules.registry import Finding, Page

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
ROOT = "%SRCROOT%"
FINGERPRINT = "kaleTagFinding/v1"

Value = dict[str, object]


def as_sarif(
    findings: Sequence[Finding], unusable: Sequence[Diagnostic], pages: Mapping[str, Page]
) -> str:
    """One run as a JSON document: *pages* are the rules, *findings* the results.

    *unusable* files are notifications of the tool. Paths are relative to the
    current folder, columns count characters.
    """
    others = (diagnostic.diagnostic.code for diagnostic in findings)
    codes = [*pages, *dict.fromkeys(code for code in others if code not in pages)]
    numbers = {code: number for number, code in enumerate(codes)}
    seen: Counter[str] = Counter()
    run: Value = {
        "tool": {
            "driver": {
                "name": "kale-tag",
                "version": __version__,
                "informationUri": HOME,
                "rules": [_rule(code, pages.get(code)) for code in codes],
            }
        },
        "originalUriBaseIds": {ROOT: {"description": {"text": "where kale-tag was started"}}},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not unusable,
                "toolExecutionNotifications": [
                    {"descriptor": {"id": one.code}, **_described(one)} for one in unusable
                ],
            }
        ],
        "results": [_result(one, numbers, seen) for one in findings],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json_text(document)


def _rule(code: str, page: Page | None) -> Value:
    if page is None:  # an error of a spec, without a page
        return {"id": code, "defaultConfiguration": {"level": "error"}}
    return {
        "id": code,
        "shortDescription": {"text": page.summary},
        "fullDescription": {"text": f"{page.summary} {page.why}"},
        "help": {"text": page.fix, "markdown": page.text},
        "helpUri": page.url,
        "defaultConfiguration": {"level": page.severity},
    }


def _result(one: Finding, numbers: Mapping[str, int], seen: Counter[str]) -> Value:
    diagnostic = one.diagnostic
    result: Value = {
        "ruleId": diagnostic.code,
        "ruleIndex": numbers[diagnostic.code],
        **_described(diagnostic),
        "partialFingerprints": {FINGERPRINT: _fingerprint(diagnostic, seen)},
    }
    if diagnostic.labels[1:]:
        result["relatedLocations"] = [
            {
                "id": number,
                **_location(label),
                "message": {"text": one_line(label.text) or "see also"},
            }
            for number, label in enumerate(diagnostic.labels[1:], 1)
        ]
    if one.silenced:
        result["suppressions"] = [{"kind": "external", "justification": one.silenced}]
    return result


def _described(diagnostic: Diagnostic) -> Value:
    """What findings and errors have in common."""
    hint = [diagnostic.help] if diagnostic.help else []
    text = "\n".join(map(one_line, (diagnostic.message, *diagnostic.notes, *hint)))
    places = {"locations": [_location(diagnostic.labels[0])]} if diagnostic.labels else {}
    return {"level": diagnostic.severity, "message": {"text": text}, **places}


def _location(label: Label) -> Value:
    source = label.source
    physical: Value = {"artifactLocation": _artifact(source.name)}
    if source.cell is not None:
        cell = f"cell {source.cell}"
        return {"physicalLocation": physical, "logicalLocations": [{"name": cell}]}
    if label.span is not None:
        line, column = source.position(label.span.start)
        end_line, end_column = source.position(label.span.end)
        physical["region"] = {
            "startLine": line,
            "startColumn": column,
            "endLine": end_line,
            "endColumn": end_column,
        }
    return {"physicalLocation": physical}


def _artifact(name: str) -> Value:
    path = os.path.relpath(name) if os.path.isabs(name) else os.path.normpath(name)
    if path.startswith(".."):  # outside of the folder that is the root
        return {"uri": f"file://{quote(os.fsencode(os.path.abspath(name).replace(os.sep, '/')))}"}
    return {"uri": quote(os.fsencode(path.replace(os.sep, "/"))), "uriBaseId": ROOT}


def _fingerprint(diagnostic: Diagnostic, seen: Counter[str]) -> str:
    """What a finding is known by when lines and cells have moved.

    That is its code, its file and the text it points at; equal ones are counted.
    """
    parts = [diagnostic.code]
    for label in diagnostic.labels[:1]:
        span = label.span
        parts += [label.source.name, label.source.text[span.start : span.end] if span else ""]
    key = hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:32]
    seen[key] += 1
    return f"{key}:{seen[key]}"
