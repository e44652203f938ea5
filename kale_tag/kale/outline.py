"""The steps that the tags of a notebook's cells make, as Kale 2.3.0 groups them.

The rules are those of `facts/kale.md` sections 1.3 to 1.6. Reading is lenient: what Kale refuses
(an invalid name, a second step on a cell) is read as it was meant, and Kale 0.x's `block:` and
`prev:a;b` as their successors, so that any two notebooks can be compared. What is wrong is for
others to say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kale_tag.kale import tags
from kale_tag.kale.metadata import PATH_KEY, tags_in
from kale_tag.kale.tags import Tag
from kale_tag.notebook.model import Notebook


@dataclass(frozen=True, slots=True)
class Role:
    """What one code cell is, by its own tags.

    *kind* is one of `tags.SPECIAL`, `step`, `notebook`, or "" for a cell that belongs to the block
    above it. *name* is that of the step or the referenced notebook.
    """

    kind: str = ""
    name: str = ""
    prev: tuple[str, ...] = ()
    settings: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A step, or a reference to another notebook, whose path is then *notebook*.

    *cells* are all code cells that it runs, in their order; *prev* and *settings* are those of its
    first cell, the only one whose tags Kale reads for them.
    """

    name: str
    cells: tuple[int, ...]
    prev: tuple[str, ...] = ()
    settings: tuple[Tag, ...] = ()
    notebook: str | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    """What a notebook's tags make of it.

    *steps* stand in the order of their first cells. *shared* gives the cells of each of
    `tags.SPECIAL` that there is. *dropped* are untagged cells before any block: Kale leaves them
    out without a word.
    """

    steps: tuple[Step, ...]
    shared: Mapping[str, tuple[int, ...]]
    dropped: tuple[int, ...] = ()

    def step(self, name: str) -> Step | None:
        """The step of that name."""
        return next((step for step in self.steps if step.name == name), None)


def role_of(listed: Sequence[str]) -> Role:
    """The role that the tags *listed* give a code cell.

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


def outline(notebook: Notebook) -> Outline:
    """The steps and shared cells of *notebook*. Cells that are not code count for nothing."""
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
        role = role_of(tags_in(metadata))
        if role.kind == "skip":
            shared.setdefault("skip", []).append(index)
            continue
        if role.kind in tags.SPECIAL:
            block = role.kind
            shared.setdefault(block, []).append(index)
        elif role.kind:
            block, name = role.kind, role.name
            path = metadata.get(PATH_KEY) if isinstance(metadata, dict) else None
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


def find_cycle(dependencies: Mapping[str, Iterable[str]]) -> list[str]:
    """Steps that depend on each other: each of the list on the next, the last is the first again.

    *dependencies* are by step. The cycle starts with the step that comes first there. [] if there
    is none.
    """
    import graphlib  # noqa: PLC0415  needed by few

    try:
        graphlib.TopologicalSorter(dependencies).prepare()
    except graphlib.CycleError as exc:
        found = [str(name) for name in reversed(exc.args[1][1:])]
        order = [name for name in dependencies if name in found]
        at = found.index(order[0])
        return [*found[at:], *found[: at + 1]]
    return []


def first_code_line(source: str) -> int | None:
    """The number, from 0, of the first line that is neither blank nor a comment."""
    lines = enumerate(map(str.strip, source.splitlines()))
    return next((at for at, line in lines if line and line[0] != "#"), None)
