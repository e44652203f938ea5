"""What a spec wants of one notebook, and what changes for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from kale_tag.spec.model import Rule, Setting


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
