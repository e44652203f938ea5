"""A notebook as the lints of tags look at it: its tagged cells, as Kale reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from kale_tag.diagnostics import Label, nearest
from kale_tag.kale import tags
from kale_tag.kale.metadata import SETTINGS_KEY, tags_in
from kale_tag.kale.outline import Outline, Role, first_code_line, outline, role_of
from kale_tag.kale.settings import settings_in
from kale_tag.notebook.model import Notebook
from kale_tag.notebook.places import Places

SHOWN = 5
"""Cells that one finding names; of more it says how many."""


@dataclass(frozen=True, slots=True)
class TaggedCell:
    """A code cell with tags.

    *special* is the tag at which Kale stops reading, "" where there is none; *read* are the tags
    before it.
    """

    index: int
    tags: Sequence[str]
    read: Sequence[str]
    special: str
    role: Role

    def positions(self, *kinds: str) -> list[int]:
        """Where the tags of these kinds stand, of those that Kale reads, well spelt or not."""
        return [at for at, tag in enumerate(self.read) if kind_of(tag) in kinds and ":" in tag]

    @property
    def means_a_step(self) -> bool:
        """Whether the cell says that it is a step, in Kale's words or in words close to them."""
        return any(
            tag.startswith(("step:", "block:")) or meant(tag).startswith("step:")
            for tag in self.read
        )


class Tagged:
    """A notebook, its tagged code cells, and where everything stands in the file."""

    def __init__(self, notebook: Notebook) -> None:
        """Look at *notebook*."""
        self.notebook = notebook
        self.places = Places(notebook)
        self.code = [index for index, kind in enumerate(notebook.types) if kind == "code"]
        self.cells = [
            _cell(index, found)
            for index in self.code
            if (found := tags_in(notebook.metadata_of(index)))
        ]
        self.has_kale_tags = any(
            tags.is_kales(tag) or tags.is_legacy(tag) for cell in self.cells for tag in cell.tags
        )

    @property
    def is_kales(self) -> bool:
        """Whether the notebook has to do with Kale at all: it has a tag or settings of Kale's."""
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

    @property
    def depends_forward(self) -> bool:
        """Whether a step waits for itself or for one further down; else there can be no cycle."""
        return any(
            name in self.starts and self.starts[name].index >= cell.index
            for cell in self.starts.values()
            for name in cell.role.prev
        )

    @cached_property
    def cycles(self) -> list[list[str]]:
        """The ways in which steps wait for each other in a circle, each as a route that returns.

        A route starts with the step that stands first in the notebook.
        """
        import graphlib  # noqa: PLC0415  needed where tags are wrong only

        edges = {
            name: {prev for prev in cell.role.prev if prev in self.starts}
            for name, cell in self.starts.items()
        }
        found: list[list[str]] = []
        while True:
            try:
                graphlib.TopologicalSorter(edges).prepare()
            except graphlib.CycleError as exc:
                cycle = [str(name) for name in reversed(exc.args[1])][1:]
                first = min(range(len(cycle)), key=lambda at: self.starts[cycle[at]].index)
                route = [*cycle[first:], *cycle[: first + 1]]
                found.append(route)
                for waiting, prev in pairwise(route):
                    edges[waiting].discard(prev)
            else:
                return found

    def code_line(self, index: int) -> int | None:
        """The first line of a cell that is neither blank nor a comment, as Kale looks at it."""
        return first_code_line(self.notebook.source(index))

    def tag(self, cell: TaggedCell, position: int) -> Label:
        """The place of one tag."""
        return self.places.tag(cell.index, position)

    def step(self, cell: TaggedCell) -> Label:
        """The place of the tag that names the step or the reference that *cell* is."""
        named = (at for at, tag in enumerate(cell.read) if tag.partition(":")[2] == cell.role.name)
        return self.tag(cell, next(named, 0))

    def prev(self, cell: TaggedCell, name: str) -> Label:
        """The place of the tag of *cell* that says that it waits for *name*."""
        for position in cell.positions("prev"):
            if name in cell.read[position].partition(":")[2].split(";"):
                return self.tag(cell, position)
        return self.places.metadata(cell.index, ("tags",))


def cells_stand(indices: Sequence[int]) -> str:
    """`cell 3 stands`, `cells 3, 4 and 5 stand`."""
    if not indices[1:]:
        return f"cell {indices[0]} stands"
    *most, last = indices[:SHOWN]
    if len(indices) > SHOWN:
        return f"cell {most[0]} and {len(indices) - 1} more stand"
    return f"cells {', '.join(map(str, most))} and {last} stand"


def them(indices: Sequence[int]) -> str:
    """`it` or `them`."""
    return "them" if indices[1:] else "it"


def kind_of(tag: str) -> str:
    """What stands before the first colon."""
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


def _cell(index: int, found: list[str]) -> TaggedCell:
    stop = next((at for at, tag in enumerate(found) if tag in tags.SPECIAL), len(found))
    special = found[stop] if stop < len(found) else ""
    return TaggedCell(index, found, found[:stop], special, role_of(found))
