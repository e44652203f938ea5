"""A notebook with its tags, as the checks and the compiler look at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from kale_tag.diagnostics import Label, nearest
from kale_tag.kale import tags
from kale_tag.kale.metadata import SETTINGS_KEY, tags_in
from kale_tag.kale.outline import Outline, Role, find_cycle, first_code_line, outline, role_of
from kale_tag.kale.settings import settings_in
from kale_tag.kale.tags import Tag
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places, line_label, tag_label

SHOWN = 5
"""Cells that one finding names; of the others it shows the number."""


@dataclass(frozen=True, slots=True)
class TaggedCell:
    """A code cell with tags."""

    index: int
    tags: Sequence[str]
    read: Sequence[str]  # the tags before *special*, where Kale stops reading
    special: str  # "" if there is none
    role: Role

    def positions(self, *kinds: str) -> list[int]:
        """The positions of the tags of these kinds, of those that Kale reads, misspelt ones too."""
        return [at for at, tag in enumerate(self.read) if kind_of(tag) in kinds and ":" in tag]

    @property
    def is_meant_as_a_step(self) -> bool:
        """Whether it has a `step:` tag, or one that is probably a slip for it."""
        return any(
            tag.startswith(("step:", "block:")) or meant(tag).startswith("step:")
            for tag in self.read
        )


@dataclass(frozen=True, slots=True)
class StepTag:
    """A tag of a step."""

    tag: Tag
    cell: int
    label: Label


@dataclass(frozen=True, slots=True)
class Dependency:
    """A `prev` tag of a step."""

    step: str
    prev: str  # the step that it depends on
    cell: TaggedCell
    position: int


class TaggedNotebook:
    """A notebook, its tagged code cells, and the labels of its tags."""

    def __init__(
        self, notebook: Notebook, planned: Mapping[int, Sequence[str]] | None = None
    ) -> None:
        """Look at *notebook*; cells in *planned* have these tags instead of their own."""
        self.notebook = notebook
        self.code = notebook.code
        planned = planned or {}
        self.cells = [
            _cell(index, found)
            for index in self.code
            if (
                found := planned[index]
                if index in planned
                else tags_in(notebook.metadata_of(index))
            )
        ]

    @cached_property
    def places(self) -> Places:
        """The places of the settings in the file."""
        return Places(self.notebook)

    @cached_property
    def has_kale_tags(self) -> bool:
        """Whether a code cell has a tag of Kale's, of 2.x or 0.x."""
        return any(
            tags.is_kales(tag) or tags.is_legacy(tag) for cell in self.cells for tag in cell.tags
        )

    @property
    def is_kales(self) -> bool:
        """Whether the notebook has a tag or settings of Kale's."""
        metadata = self.notebook.metadata
        return self.has_kale_tags or (isinstance(metadata, dict) and SETTINGS_KEY in metadata)

    @cached_property
    def settings(self) -> Mapping[str, object]:
        """The settings of the pipeline, empty where they cannot be read."""
        return settings_in(self.notebook.metadata)

    @cached_property
    def outline(self) -> Outline:
        """The steps, as Kale groups the cells."""
        return outline(self.notebook)

    @cached_property
    def by_index(self) -> Mapping[int, TaggedCell]:
        """The tagged cells by number."""
        return {cell.index: cell for cell in self.cells}

    @cached_property
    def starts(self) -> Mapping[str, TaggedCell]:
        """For each step, and each reference, the first cell that names it."""
        found: dict[str, TaggedCell] = {}
        for cell in self.cells:
            if cell.role.name:
                found.setdefault(cell.role.name, cell)
        return found

    @cached_property
    def dependencies(self) -> Sequence[Dependency]:
        """The dependencies of all steps, also where Kale does not read them: on later cells."""
        return [
            Dependency(cell.role.name, prev, cell, position)
            for cell in self.cells
            if cell.role.kind == "step"
            for position in cell.positions("prev")
            for prev in tags.names_in(cell.read[position])
        ]

    @cached_property
    def cycles(self) -> list[list[Dependency]]:
        """The cycles of steps that depend on each other, each as its dependencies in their order.

        A cycle starts with the step that is first in the notebook.
        """
        starts = self.starts
        if not any(
            one.prev in starts and starts[one.prev].index >= starts[one.step].index
            for one in self.dependencies
        ):
            return []
        known = {(one.step, one.prev): one for one in reversed(self.dependencies)}
        edges: dict[str, list[str]] = {
            name: [one.prev for one in self.dependencies if one.step == name and one.prev in starts]
            for name in starts
        }
        found = []
        while cycle := find_cycle(edges):
            found.append([known[pair] for pair in pairwise(cycle)])
            for one in found[-1]:
                edges[one.step] = [prev for prev in edges[one.step] if prev != one.prev]
        return found

    @cached_property
    def step_tags(self) -> Mapping[str, Sequence[StepTag]]:
        """The valid tags of each step, of all its cells."""
        return {
            step.name: [
                StepTag(tag, index, tag_label(self.notebook, index, position))
                for index in step.cells
                for position, text in enumerate(tags_in(self.notebook.metadata_of(index)))
                if (tag := tags.parse(text)) is not None
            ]
            for step in self.outline.steps
        }

    def code_line(self, index: int) -> Label | None:
        """The first line of a cell that is neither blank nor a comment, as Kale looks at it."""
        line = first_code_line(self.notebook.source(index))
        return None if line is None else line_label(self.notebook, index, line)

    def tag(self, cell: TaggedCell, position: int, text: str = "") -> Label:
        """The label of one tag; *text* is a remark."""
        return tag_label(self.notebook, cell.index, position, text)

    def step(self, cell: TaggedCell, text: str = "") -> Label:
        """The label of the tag that names the step or the reference that *cell* is."""
        named = (at for at, tag in enumerate(cell.read) if tag.partition(":")[2] == cell.role.name)
        return self.tag(cell, next(named, 0), text)


def kind_of(tag: str) -> str:
    """What is before the first colon."""
    return tag.partition(":")[0]


def meant(tag: str) -> str:
    """The tag of Kale's that *tag*, which is none, is probably a slip for; "" if it is another's.

    `pipeline-parameter` is near to `pipeline-parameters`; papermill's `parameters` is not.
    """
    kind, colon, rest = "".join(tag.split()).partition(":")
    if not colon:
        return _near(kind.lower().replace("_", "-"), tags.SPECIAL)
    near = _near(kind.lower(), [word for word in tags.KINDS if word not in tags.SPECIAL])
    if near in {"step", "prev", "notebook"}:
        rest = tags.valid_name(rest)
    return f"{near}:{rest}" if near and tags.parse(f"{near}:{rest}") is not None else ""


def _near(word: str, known: Sequence[str]) -> str:
    if word in known:
        return word
    close = nearest(word, known)
    # Closer than for the keys of a spec, where every word is meant to be one of ours.
    return close if abs(len(word) - len(close)) <= 1 and word[:1] == close[:1] else ""


def _cell(index: int, found: Sequence[str]) -> TaggedCell:
    stop = next((at for at, tag in enumerate(found) if tag in tags.SPECIAL), len(found))
    special = found[stop] if stop < len(found) else ""
    return TaggedCell(index, found, found[:stop], special, role_of(found))
