"""The pipeline of a notebook before and after a change, as Mermaid with the differences marked."""

from collections.abc import Iterator, Mapping, Sequence

from kale_tag.compare.diff import NotebookDiff
from kale_tag.graph.mermaid import MAX_CHARACTERS, MAX_EDGES, Arrow, Node, Stroke, flowchart
from kale_tag.kale.outline import Outline

# Fill and text are both set, so that labels can be read on light and dark pages; frames differ, and
# each mark is in the label too, for readers who see no colours.
CLASSES = {
    "added": "fill:#dafbe1,stroke:#1a7f37,color:#1f2328,stroke-width:3px",
    "removed": "fill:#ffebe9,stroke:#cf222e,color:#1f2328,stroke-dasharray:6 4",
    "changed": "fill:#fff8c5,stroke:#9a6700,color:#1f2328,stroke-width:2px",
    "missing": "fill:#ffffff,stroke:#6e7781,color:#1f2328,stroke-dasharray:2 2",
}

Marks = Mapping[str, tuple[str, str]]
"""The class and the mark of each step that differs, by name."""


def graph_before(diff: NotebookDiff) -> str | None:
    """The pipeline before; what was removed is dashed. None if Mermaid would not draw it."""
    marks = {}
    names = {}
    for change in diff.steps:
        before, after = change.before, change.after
        if before is not None and after is not None and change.kind == "renamed":
            names[before.name] = after.name
            marks[before.name] = ("changed", f"now {after.name}")
        elif before is not None:
            marks[before.name] = (change.kind, change.kind)
    arrows = _arrows(diff.before, diff.after, names, "removed", "dotted")
    return _graph(diff.before, marks, arrows)


def graph_after(diff: NotebookDiff) -> str | None:
    """The pipeline after; new arrows are thick. None if Mermaid would not draw it."""
    marks = {}
    names = {}
    for change in diff.steps:
        before, after = change.before, change.after
        if before is not None and after is not None and change.kind == "renamed":
            names[after.name] = before.name
            marks[after.name] = ("changed", f"was {before.name}")
        elif after is not None:
            marks[after.name] = (change.kind, "new" if change.kind == "added" else change.kind)
    arrows = _arrows(diff.after, diff.before, names, "new", "thick")
    return _graph(diff.after, marks, arrows)


def same_arrows(diff: NotebookDiff) -> bool:
    """Whether the same steps depend on each other, apart from their names and settings."""
    if any(change.before is None or change.after is None for change in diff.steps):
        return False
    names = {one.before.name: one.after.name for one in diff.steps if one.before and one.after}
    before = {(names.get(one, one), names.get(two, two)) for one, two in _edges(diff.before)}
    return before == set(_edges(diff.after))


def _arrows(
    own: Outline, other: Outline, names: Mapping[str, str], label: str, stroke: Stroke
) -> list[Arrow]:
    """The arrows of *own*; those that *other*, where steps are called *names*, lacks are marked."""
    there = set(_edges(other))
    return [
        Arrow(start, end)
        if (names.get(start, start), names.get(end, end)) in there
        else Arrow(start, end, label, stroke)
        for start, end in _edges(own)
    ]


def _edges(outline: Outline) -> list[tuple[str, str]]:
    """For each `prev` the step that it names and the step that has it."""
    return [(name, step.name) for step in outline.steps for name in step.prev]


def _graph(outline: Outline, marks: Marks, arrows: Sequence[Arrow]) -> str | None:
    text = flowchart([*_nodes(outline, marks, arrows)], arrows, classes=CLASSES)
    return text if len(arrows) <= MAX_EDGES and len(text) <= MAX_CHARACTERS else None


def _nodes(outline: Outline, marks: Marks, arrows: Sequence[Arrow]) -> Iterator[Node]:
    for step in outline.steps:
        css, remark = marks.get(step.name, ("", ""))
        label = f"{step.name}\n({remark})" if remark else step.name
        yield Node(step.name, label, "box" if step.notebook is None else "subroutine", css)
    names = {step.name for step in outline.steps}
    for name in dict.fromkeys(arrow.start for arrow in arrows if arrow.start not in names):
        yield Node(name, f"{name}\n(no such step)", "hexagon", "missing")
