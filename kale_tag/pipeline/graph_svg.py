"""The graph of a pipeline as a drawing, SVG, that any browser and README shows."""

from collections.abc import Iterator, Mapping
from html import escape

from kale_tag.pipeline.graph import Edge, edges, title
from kale_tag.pipeline.graph_layout import Layout, Line, layout
from kale_tag.pipeline.model import Pipeline, Step, SubPipeline

LETTER = 7.8
"""Pixels that a letter of the steps' names has; those of labels have nine tenths of its size."""

SMALL = 6.0
BOX, BETWEEN, MARGIN = 34.0, 56.0, 20.0
LONGEST_LABEL = 26
"""Letters; what is longer is cut, and whole in the title that shows under the mouse."""

_STYLE = """\
text { font: 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #1f2328 }
.label { font-size: 10px; fill: #57606a }
.back { fill: #ffffff }
.step { fill: #eef4ff; stroke: #3b6fd4 }
.inner { fill: #f3eefc; stroke: #7b4fd0 }
.line { fill: none; stroke: #8c959f }
.wait { stroke-dasharray: 4 4 }
.head { fill: #8c959f }"""


def as_svg(pipeline: Pipeline, states: Mapping[str, str] | None = None) -> str:
    """The drawing; dashed lines are those on which no variable goes.

    *states* gives steps one more class, for a style sheet around the drawing.
    """
    found = edges(pipeline)
    units = pipeline.steps
    made = layout(
        [unit.name for unit in units],
        found,
        {unit.name: len(title(unit)) * LETTER + 24 for unit in units},
        {edge: len(_cut(edge)) * SMALL + 8 if edge.variables else 0.0 for edge in found},
        (BOX, BETWEEN),
    )
    return "".join(f"{line}\n" for line in _svg(pipeline, made, states or {}))


def _svg(pipeline: Pipeline, made: Layout, states: Mapping[str, str]) -> Iterator[str]:
    width, height = made.width + 2 * MARGIN, made.height + 2 * MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    yield f"<title>{_text(pipeline.name)}</title>"
    yield f"<style>\n{_STYLE}\n</style>"
    yield f'<rect class="back" width="{width:.0f}" height="{height:.0f}"/>'
    yield '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
    yield ' markerHeight="7" orient="auto"><path class="head" d="M0 0 8 4 0 8Z"/></marker></defs>'
    yield f'<g transform="translate({MARGIN:.0f} {MARGIN:.0f})">'
    for line in made.lines:
        yield from _line(line)
    for line in made.lines:
        if line.edge.variables:
            yield from _label(line)
    for unit in pipeline.steps:
        yield from _box(unit, states.get(unit.name, ""), *made.boxes[unit.name])
    yield "</g>"
    yield "</svg>"


def _line(line: Line) -> Iterator[str]:
    (x, middle), *rest = line.points
    y = middle + BOX / 2
    path = [f"M{x:.1f} {y:.1f}"]
    for number, (to_x, to_y) in enumerate(rest):
        end_y = to_y - BOX / 2 if number == len(rest) - 1 else to_y
        bend = (end_y - y) / 2
        path.append(f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {end_y - bend:.1f} {to_x:.1f} {end_y:.1f}")
        x, y = to_x, end_y
    kind = "line" if line.edge.variables else "line wait"
    yield f'<path class="{kind}" marker-end="url(#head)" d="{" ".join(path)}"/>'


def _label(line: Line) -> Iterator[str]:
    x, y = line.label
    shown = _cut(line.edge)
    width = len(shown) * SMALL + 4
    corner = f'x="{x - width / 2:.1f}" y="{y - 7:.1f}"'
    yield f'<rect class="back" {corner} width="{width:.1f}" height="14"/>'
    whole = f"<title>{_text(line.edge.text)}</title>" if shown != line.edge.text else ""
    place = f'x="{x:.1f}" y="{y + 3.5:.1f}"'
    yield f'<text class="label" text-anchor="middle" {place}>{whole}{_text(shown)}</text>'


def _box(unit: Step | SubPipeline, state: str, x: float, y: float) -> Iterator[str]:
    width = len(title(unit)) * LETTER + 24
    kind = "inner" if isinstance(unit, SubPipeline) else "step"
    kind += f" {state}" if state else ""
    yield (
        f'<rect class="{kind}" x="{x - width / 2:.1f}" y="{y - BOX / 2:.1f}" width="{width:.1f}" '
        f'height="{BOX:.0f}" rx="6"/>'
    )
    yield f'<text text-anchor="middle" x="{x:.1f}" y="{y + 4.5:.1f}">{_text(title(unit))}</text>'


def _cut(edge: Edge) -> str:
    return edge.text if len(edge.text) <= LONGEST_LABEL else f"{edge.text[: LONGEST_LABEL - 1]}…"


def _text(text: str) -> str:
    # What XML 1.0 has no place for cannot be escaped either.
    return escape(
        "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    )
