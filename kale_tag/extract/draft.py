"""What a spec has to say of one notebook: blocks of cells, settings, and what it cannot say."""

from collections.abc import Mapping
from dataclasses import dataclass

from kale_tag.kale.tags import Tag
from kale_tag.notebook.model import Notebook


@dataclass(frozen=True, slots=True)
class Role:
    """What a block of cells is: one of `tags.SPECIAL`, `step` or `notebook`, and its name.

    *path* is that of a referenced notebook.
    """

    kind: str
    name: str = ""
    path: str = ""

    @property
    def tag(self) -> Tag:
        """The tag that every cell of the block has."""
        return Tag(self.kind, (self.name,)) if self.name else Tag(self.kind)


@dataclass(frozen=True, slots=True)
class Block:
    """The cells of one role, in their order; *prev* and *settings* are those of its first cell.

    *remarks* are for the reader of the spec.
    """

    role: Role
    cells: tuple[int, ...]
    prev: tuple[str, ...] = ()
    settings: tuple[Tag, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lost:
    """What the notebook has and a spec cannot give, and why: of a cell, or None for a setting."""

    cell: int | None
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What a spec shall say of *notebook*; *blocks* stand in the order of their first cells.

    *tags* are those that each cell with Kale tags, present or proposed, shall have in the end.
    *pipeline* are the settings as `pipeline` takes them, but with each `${` as it stands; None
    where there are none.
    A draft is *proposed* where the notebook has no Kale tags, and the blocks are our idea.
    """

    notebook: Notebook
    blocks: tuple[Block, ...]
    tags: Mapping[int, tuple[str, ...]]
    pipeline: Mapping[str, object] | None = None
    lost: tuple[Lost, ...] = ()
    proposed: bool = False
    remarks: tuple[str, ...] = ()
