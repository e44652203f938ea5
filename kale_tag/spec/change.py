"""What a spec asks of one notebook, and the changes that it makes there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from kale_tag.spec.model import Rule, SettingValue


@dataclass(frozen=True, slots=True)
class Target:
    """What a spec asks of one notebook."""

    variables: Mapping[str, str]  # the values of `${...}`
    pipeline: Mapping[str, SettingValue] | None = None


class Change(NamedTuple):
    """The metadata of one cell or of the notebook, before and after."""

    holder: int | None  # the cell; None is the notebook
    before: object  # `MISSING` if there was none
    after: object  # `MISSING` if there will be none
    rules: tuple[Rule, ...] = ()  # those that ask for the change
