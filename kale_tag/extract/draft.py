"""The draft of a spec for one notebook: blocks of cells, settings, and what no spec can give."""

from collections.abc import Mapping
from dataclasses import dataclass

from kale_tag.kale.tags import Tag
from kale_tag.notebook.model import Notebook


@dataclass(frozen=True, slots=True)
class BlockRole:
    """What a block of cells is."""

    kind: str  # one of `tags.SPECIAL`, `step` or `notebook`
    name: str = ""  # of the step or the reference
    path: str = ""  # of the referenced notebook

    @property
    def tag(self) -> Tag:
        """The tag that every cell of the block has."""
        return Tag(self.kind, (self.name,)) if self.name else Tag(self.kind)


@dataclass(frozen=True, slots=True)
class CellBlock:
    """The cells of one role."""

    role: BlockRole
    cells: tuple[int, ...]  # in the order of the notebook
    prev: tuple[str, ...] = ()  # on the first cell
    settings: tuple[Tag, ...] = ()  # on the first cell
    remarks: tuple[str, ...] = ()  # comments for the reader of the spec


@dataclass(frozen=True, slots=True)
class Lost:
    """A tag or setting that the notebook has and no spec can give."""

    cell: int | None  # None for a setting of the notebook
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class SpecDraft:
    """What a spec for one notebook shall contain."""

    notebook: Notebook
    blocks: tuple[CellBlock, ...]  # in the order of their first cells
    tags: Mapping[int, tuple[str, ...]]  # by cell: what the spec gives it, and tags of other tools
    pipeline: Mapping[str, object] | None = None  # as the spec's key, `${` not yet escaped
    lost: tuple[Lost, ...] = ()
    proposed: bool = False  # the notebook has no Kale tags, the blocks are suggestions
    remarks: tuple[str, ...] = ()  # comments on the notebook as a whole
