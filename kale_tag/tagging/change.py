"""What a spec wants of one notebook, and what changes for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kale_tag.diagnostics import Diagnostic
from kale_tag.tagging.model import Rule, Setting


@dataclass(frozen=True, slots=True)
class Target:
    """What a spec says for one notebook: `${...}` for it, and the settings it shall have."""

    variables: Mapping[str, str]
    pipeline: Mapping[str, Setting] | None = None


class Change(NamedTuple):
    """The metadata of one cell, or of the notebook (*holder* None), before and after.

    Either is `MISSING` where there is none. *rules* are those that ask for the change.
    """

    holder: int | None
    before: object
    after: object
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A notebook in the language of Kale 2.

    *tags* are those of each code cell whose tags change, *settings* those of the notebook, None
    where they stay. *cell_warnings* and *setting_warnings* say what could not be kept, for a cell
    or a key of the settings.
    """

    tags: Mapping[int, list[str]] = field(default_factory=dict)
    settings: dict[str, object] | None = None
    cell_warnings: tuple[tuple[int, Diagnostic], ...] = ()
    setting_warnings: tuple[tuple[str, Diagnostic], ...] = ()


NOTHING = Upgraded()
"""Where nothing is to be upgraded."""
