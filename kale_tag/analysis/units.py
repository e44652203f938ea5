"""A step as a giver and taker of variables: records, filled by `dataflow.py`."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kale_tag.analysis.calls import Change
from kale_tag.analysis.carriers import Carriers
from kale_tag.analysis.model import Block, Body, Import, Spot

if TYPE_CHECKING:
    from kale_tag.analysis.dataflow import Dataflow


@dataclass(slots=True, eq=False)
class Unit:
    """A step, or a reference to another notebook (*inner*), in an order in which they can run.

    *before* has the bits of the units that end before it starts. What is found out: *ins* maps a
    variable to the number of the unit that gives it, -1 for what comes from outside; *outs*,
    *parameters* and *metrics* are names, *carried* imports of other steps that it has to repeat,
    *used* all names that it needs, of whatever kind; *altered* are those whose objects it may
    change, *pairs* those that may share an object in its end.
    """

    name: str
    block: Block
    before: int
    inner: "Dataflow | None" = None
    changes: dict[str, Change] = field(default_factory=dict)
    binds: dict[str, Spot] = field(default_factory=dict)
    ins: dict[str, int] = field(default_factory=dict)
    outs: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    metrics: list[str] = field(default_factory=list)
    carried: dict[str, Import] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    sought: dict[str, bool] = field(default_factory=dict)
    ran: dict[Body, bool] = field(default_factory=dict)
    altered: set[str] = field(default_factory=set)
    pairs: dict[str, set[str]] = field(default_factory=dict)
    carriers: Carriers = field(init=False)

    def __post_init__(self) -> None:
        """The functions behind its names, as far as it binds them itself."""
        self.carriers = Carriers(self.block.values)


@dataclass(slots=True)
class Changers:
    """The units that change one variable, as bits: by how sure it is, and those that bind it.

    *inert*: to what calls cannot change, *importers*: by an import and nothing else.
    """

    at_least: dict[Change, int] = field(default_factory=lambda: dict.fromkeys(Change, 0))
    binders: int = 0
    inert: int = 0
    importers: int = 0
