"""What `kale-tag check` finds, and the schema of SARIF."""

import json
from pathlib import Path
from typing import Any

import pytest

from kale_tag.cli import main

# OASIS's schema as the npm package @microsoft/jest-sarif 1.0.0-beta.0 (MIT) has it, byte by byte.
SARIF_SCHEMA = json.loads(Path(__file__).with_name("sarif-2.1.0-rtm.5.json").read_text("utf-8"))
SETTINGS = {"pipeline_name": "p", "experiment_name": "e"}


def found(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What `kale-tag check` says, as JSON."""
    main(["check", *words, "--format", "json"])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document
