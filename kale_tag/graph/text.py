"""The graph of a pipeline for a terminal: a column of steps beside the lines that join them.

    ● load
    ├─╮  rows
    │ ● clean
    ├─╯  load: limits; clean: rows
    ● train

Each step that a later step depends on has a line down to that step. Above a step the lines of the
steps that it depends on come together, with the variables that it loads.
"""

from collections.abc import Callable, Iterable, Iterator

from kale_tag.diagnostics import count
from kale_tag.graph.graph import Edge, edges, parameter_text, title
from kale_tag.kale.pipeline import Pipeline, SubPipeline

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
_LINES = " ╵╷│╴╯╮┤╶╰╭├─┴┬┼"
"""The character for each sum of the sides that a line goes to."""

_PLAIN = str.maketrans("│╵╷─╴╶╭╮╰╯├┤┬┴┼●◉…", "|||---..''||-'+*@~")

Bold = Callable[[str], str]


def as_text(pipeline: Pipeline, *, plain: bool = False, bold: Bold = str) -> str:
    """The pipeline, its parameters and the pipelines inside it; *plain* draws lines in ASCII."""
    text = "\n".join(_all(pipeline, pipeline.name, bold)) + "\n"
    return text.translate(_PLAIN) if plain else text


def _all(pipeline: Pipeline, name: str, bold: Bold) -> Iterator[str]:
    yield f"{bold(name)}  {count(len(pipeline.steps), 'step')}"
    if pipeline.parameters:
        yield f"  parameters: {', '.join(map(parameter_text, pipeline.parameters))}"
    yield ""
    yield from (f"  {line}" for line in _graph(pipeline, bold))
    for unit in pipeline.steps:
        if isinstance(unit, SubPipeline):
            yield ""
            yield from _all(unit.pipeline, title(unit), bold)


def _graph(pipeline: Pipeline, bold: Bold) -> Iterator[str]:
    coming: dict[str, list[Edge]] = {unit.name: [] for unit in pipeline.steps}
    open_edges = dict.fromkeys(coming, 0)
    for edge in edges(pipeline):
        coming[edge.consumer].append(edge)
        open_edges[edge.producer] += 1
    lanes: list[str] = []  # the step whose line runs in each column, "" for none
    for unit in pipeline.steps:
        taken = coming[unit.name]
        columns = {lanes.index(edge.producer): edge for edge in taken}
        ending = set()
        for column, edge in columns.items():
            open_edges[edge.producer] -= 1
            if not open_edges[edge.producer]:
                ending.add(column)
        own = min(ending, default=-1)
        if own < 0:
            # Right of those it depends on, so that its line does not touch the others.
            least = max(columns, default=-1) + 1
            own = next((n for n in range(least, len(lanes)) if not lanes[n]), len(lanes))
        if own == len(lanes):
            lanes.append("")
        if columns:
            join = _join(lanes, columns, ending, own)
            yield f"{join}  {_labels(taken)}".rstrip()
        for column in ending:
            lanes[column] = ""
        mark = "◉" if isinstance(unit, SubPipeline) else "●"
        row = [mark if n == own else ("│" if lane else " ") for n, lane in enumerate(lanes)]
        lanes[own] = unit.name if open_edges[unit.name] else ""
        given = f"  ({', '.join(unit.parameters)})" if unit.parameters else ""
        yield f"{' '.join(row).rstrip()} {bold(title(unit))}{given}"
        while lanes and not lanes[-1]:
            lanes.pop()


def _join(lanes: list[str], columns: Iterable[int], ending: set[int], own: int) -> str:
    """The line above a step in column *own*, which depends on the steps in *columns*."""
    joined = set(columns)
    low, high = min(*joined, own) if joined else own, max(*joined, own) if joined else own
    row = ""
    for column, lane in enumerate(lanes):
        sides = 0
        if lane:
            sides |= UP
            if column not in ending:
                sides |= DOWN
        if column == own:
            sides |= DOWN
        met = column in joined or column == own
        inside = low <= column <= high
        if met:
            sides |= (LEFT if column > low else 0) | (RIGHT if column < high else 0)
        elif inside and not lane:
            sides |= LEFT | RIGHT
        # A line that only crosses another is interrupted: `─│─`.
        row += _LINES[sides]
        row += "─" if low <= column < high else " "
    return row.rstrip()


def _labels(taken: list[Edge]) -> str:
    labelled = [edge for edge in taken if edge.variables]
    if len(taken) == 1:
        return "".join(edge.text for edge in labelled)
    return "; ".join(f"{edge.producer}: {edge.text}" for edge in labelled)
