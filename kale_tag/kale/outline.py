"""The steps that the tags of a notebook's cells make, as Kale 2.3.0 groups them.

Reading is lenient: what Kale refuses (an invalid name, a second step on a cell) is read as it was
meant, and Kale 0.x's `block:` and `prev:a;b` as their successors, so that any two notebooks can be
compared. `checks.py` finds what is wrong.
"""

import graphlib
import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kale_tag.kale import tags
from kale_tag.kale.metadata import PATH_KEY, member, tags_in
from kale_tag.kale.tags import Tag
from kale_tag.notebook.model import Notebook


def find_cycle(dependencies: Mapping[str, Collection[str]]) -> list[str]:
    """A cycle in a graph that maps each name to the names that it depends on.

    Each name of the result depends on the next. The name that *dependencies* has first comes first
    and again last: `["a", "b", "a"]`, or `["a", "a"]` if `a` depends on itself. The result is empty
    if there is no cycle.
    """
    try:
        graphlib.TopologicalSorter(dependencies).prepare()
    except graphlib.CycleError as exc:
        # graphlib goes from a dependency to what depends on it.
        cycle = list(reversed(exc.args[1]))[1:]
        order = {name: number for number, name in enumerate(dependencies)}
        first = min(range(len(cycle)), key=lambda at: order[cycle[at]])
        return [*cycle[first:], *cycle[: first + 1]]
    return []


def in_order(dependencies: Mapping[str, Iterable[str]]) -> list[str]:
    """The names, each after those it depends on, else in the order of *dependencies*."""
    names = list(dependencies)
    position = {name: number for number, name in enumerate(names)}
    sorter = graphlib.TopologicalSorter(dependencies)
    sorter.prepare()
    ready: list[int] = []
    found = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, position[name])
        name = names[heapq.heappop(ready)]
        found.append(name)
        sorter.done(name)
    return found


@dataclass(frozen=True, slots=True)
class Role:
    """What one code cell is, by its own tags."""

    kind: str = ""  # one of `tags.SPECIAL`, `step`, `notebook`; "": it belongs to the block above
    name: str = ""  # of the step or the referenced notebook
    prev: tuple[str, ...] = ()
    settings: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A step, or a reference to another notebook."""

    name: str
    cells: tuple[int, ...]  # all code cells that it runs, in their order
    prev: tuple[str, ...] = ()  # of its first cell, as are the settings: Kale reads them there
    settings: tuple[Tag, ...] = ()
    notebook: str | None = None  # the path of the notebook that it refers to


@dataclass(frozen=True, slots=True)
class Outline:
    """The steps and shared cells of a notebook."""

    steps: tuple[Step, ...]  # in the order of their first cells
    shared: Mapping[str, tuple[int, ...]]  # the cells of each of `tags.SPECIAL`
    dropped: tuple[int, ...] = ()  # untagged cells above the first block, which Kale leaves out

    def step(self, name: str) -> Step | None:
        """The step of that name."""
        return next((step for step in self.steps if step.name == name), None)


def role_of(listed: Sequence[str]) -> Role:
    """The role of a code cell with the tags *listed*.

    At the first special tag Kale stops reading. Of several steps the first counts.
    """
    kind = name = ""
    prev: list[str] = []
    settings: list[Tag] = []
    for text in listed:
        if text in tags.SPECIAL:
            return Role(text)
        word, colon, rest = text.partition(":")
        word = "step" if word == "block" else word
        if not colon:
            continue
        if word in {"step", "notebook"}:
            # A named step goes before a reference, and before `step:`, which has no name.
            if not kind or (rest and not name):
                kind, name = word, rest.partition(";")[0]
        elif word == "prev":
            prev += [one for one in rest.split(";") if one]
        elif word in tags.SETTING_KINDS and (tag := tags.parse(text)) is not None:
            settings.append(tag)
    if not name:
        return Role()
    return Role(kind, name, tuple(dict.fromkeys(prev)), tuple(settings))


def outline(notebook: Notebook, planned: Mapping[int, Sequence[str]] | None = None) -> Outline:
    """The steps and shared cells of *notebook*. Cells that are not code count for nothing.

    Cells in *planned* have these tags instead of their own.
    """
    steps: dict[str, Step] = {}
    shared: dict[str, list[int]] = {}
    dropped: list[int] = []
    held: list[int] = []  # untagged cells behind a reference wait for the next step, however far
    block = ""  # the kind of the block above, and the step that it is
    name = ""
    for index, cell_type in enumerate(notebook.types):
        if cell_type != "code":
            continue
        metadata = notebook.metadata_of(index)
        role = role_of(planned[index] if planned and index in planned else tags_in(metadata))
        if role.kind == "skip":
            shared.setdefault("skip", []).append(index)
            continue
        if role.kind in tags.SPECIAL:
            block = role.kind
            shared.setdefault(block, []).append(index)
        elif role.kind:
            block, name = role.kind, role.name
            path = member(metadata, PATH_KEY)
            known = steps.get(name)
            if known is not None:
                steps[name] = replace(known, cells=(*known.cells, *held, index))
            else:
                reference = (path if isinstance(path, str) else "") if block == "notebook" else None
                steps[name] = Step(name, (*held, index), role.prev, role.settings, reference)
            held = []
        elif block == "notebook":
            held.append(index)
        elif block == "step":
            steps[name] = replace(steps[name], cells=(*steps[name].cells, index))
        elif block:
            shared[block].append(index)
        else:
            dropped.append(index)
    return Outline(
        tuple(steps.values()),
        {kind: tuple(cells) for kind, cells in shared.items()},
        tuple(dropped),
    )


def first_code_line(source: str) -> int | None:
    """The number, from 0, of the first line that is neither blank nor a comment."""
    lines = enumerate(map(str.strip, source.splitlines()))
    return next((at for at, line in lines if line and line[0] != "#"), None)
