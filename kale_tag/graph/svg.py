"""The graph of a pipeline as an SVG drawing, which any browser and README shows."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise

from kale_tag import data_file
from kale_tag.graph.graph import Edge, edges, parameter_text, title
from kale_tag.graph.layout import Layout, Route, Size, layout
from kale_tag.kale.pipeline import Pipeline, Step, SubPipeline

LETTER, SMALL = 7.9, 6.7
"""Width of a letter in pixels: in names of steps, and in all other text."""

BOX, SMALLEST, ROW, MARGIN = 34.0, 60.0, 14.0, 20.0
"""Pixels: height and least width of a box, height of a row of small text, room around it all."""

ASIDE = 6.0
"""Pixels between a line and its label."""

LONGEST_NAME, LONGEST_VARIABLE = 48, 32
"""Letters; longer names are cut, and whole in the title that shows under the mouse."""

LABEL_WIDTH, LABEL_ROWS = 24, 3
"""Letters in a row of a label, and rows; more variables than these are counted."""

HEAD_WIDTH, HEAD_ROWS = 60, 4
"""The same for the parameters above a picture; a wide picture has room for more."""


def as_svg(
    pipeline: Pipeline, states: Mapping[str, str] | None = None, *, heading: bool = True
) -> str:
    """The drawing; a line is dashed if the edge has no variables.

    *states* maps steps to one more CSS class, for a style sheet around the drawing. With *heading*
    the name and the parameters of the pipeline are above it.
    """
    found = edges(pipeline)
    units = pipeline.steps
    made = layout(
        [unit.name for unit in units],
        found,
        {unit.name: _box_size(unit) for unit in units},
        {edge: _label_size(edge) for edge in found if edge.variables},
    )
    return "".join(f"{line}\n" for line in _svg(pipeline, made, states or {}, heading=heading))


def _svg(
    pipeline: Pipeline, made: Layout, states: Mapping[str, str], *, heading: bool
) -> Iterator[str]:
    letters = max(HEAD_WIDTH, int(made.width / SMALL))
    about = [parameter_text(one) for one in pipeline.parameters] if heading else []
    rows = _rows(about, letters, HEAD_ROWS)
    named = ROW * (len(rows) + 2) if heading else 0.0
    widest = max(len(pipeline.name) * LETTER if heading else 0.0, *_widths(rows), made.width)
    width, height = widest + 2 * MARGIN, named + made.height + 2 * MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    yield f"<title>{_text(pipeline.name)}</title>"
    yield f"<style>\n{data_file('graph/drawing.css')}</style>"
    yield f'<rect class="back" width="{width:.0f}" height="{height:.0f}"/>'
    yield '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
    yield ' markerHeight="7" orient="auto"><path class="head" d="M0 0 8 4 0 8Z"/></marker></defs>'
    if heading:
        place = f'x="{MARGIN:.0f}" y="{MARGIN + 10:.0f}"'
        yield f'<text class="name" {place}>{_text(pipeline.name)}</text>'
    if rows:
        yield _block(rows, about, MARGIN, MARGIN + ROW * (len(rows) / 2 + 1.2))
    yield f'<g transform="translate({(width - made.width) / 2:.0f} {MARGIN + named:.0f})">'
    for route in made.routes:
        yield _line(route)
    for route in made.routes:
        if route.edge.variables:
            x, y = route.label
            yield _block(_label_rows(route.edge), route.edge.variables, x + ASIDE, y)
    for unit in pipeline.steps:
        yield from _box(unit, states.get(unit.name, ""), *made.boxes[unit.name])
    yield "</g>"
    yield "</svg>"


def _line(route: Route) -> str:
    (x, y), *_ = route.points
    path = [f"M{x:.1f} {y:.1f}"]
    for (x, y), (to_x, to_y) in pairwise(route.points):
        bend = (to_y - y) / 2
        if abs(to_x - x) < 0.1:
            path.append(f"V{to_y:.1f}")
        else:
            path.append(f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {y + bend:.1f} {to_x:.1f} {to_y:.1f}")
    kind = "line" if route.edge.variables else "line wait"
    return f'<path class="{kind}" marker-end="url(#head)" d="{" ".join(path)}"/>'


def _block(rows: Sequence[str], words: Sequence[str], x: float, y: float) -> str:
    """Small text from *x* on, its middle at *y*; all *words* are its title if *rows* lack some."""
    first = y - ROW * (len(rows) - 1) / 2 + 4
    lines = (
        f'<tspan x="{x:.1f}" y="{first + ROW * number:.1f}">{_text(row)}</tspan>'
        for number, row in enumerate(rows)
    )
    return (
        f'<text class="label">{_tooltip(" ".join(rows), ", ".join(words))}{" ".join(lines)}</text>'
    )


def _box(unit: Step | SubPipeline, state: str, x: float, y: float) -> Iterator[str]:
    left = _box_size(unit).left
    shown = _cut(title(unit), LONGEST_NAME)
    kind = "inner" if isinstance(unit, SubPipeline) else "step"
    kind += f" {state}" if state else ""
    yield (
        f'<rect class="{kind}" x="{x - left:.1f}" y="{y - BOX / 2:.1f}" width="{2 * left:.1f}" '
        f'height="{BOX:.0f}" rx="6"/>'
    )
    yield (
        f'<text text-anchor="middle" x="{x:.1f}" y="{y + 4.5:.1f}">'
        f"{_tooltip(shown, title(unit))}{_text(shown)}</text>"
    )


def _box_size(unit: Step | SubPipeline) -> Size:
    half = max(min(len(title(unit)), LONGEST_NAME) * LETTER / 2 + 12, SMALLEST / 2)
    return Size(half, half, BOX)


def _label_size(edge: Edge) -> Size:
    rows = _label_rows(edge)
    return Size(ASIDE, ASIDE + max(_widths(rows)), ROW * len(rows))


def _label_rows(edge: Edge) -> list[str]:
    names = [_cut(name, LONGEST_VARIABLE) for name in edge.variables]
    return _rows(names, LABEL_WIDTH, LABEL_ROWS)


def _rows(words: Sequence[str], width: int, most: int) -> list[str]:
    """*words* in rows of *width* letters, *most* of them; `+3 more` counts those left out."""
    rows: list[list[str]] = []
    for word in words:
        if rows and len(", ".join((*rows[-1], word))) <= width:
            rows[-1].append(word)
        else:
            rows.append([word])
    if len(rows) > most:
        left = sum(map(len, rows[most - 1 :]))
        rows[most - 1 :] = [[f"+{left} more"]]
    texts = [", ".join(row) for row in rows]
    return [*(f"{text}," for text in texts[:-1]), *texts[-1:]]


def _widths(rows: Sequence[str]) -> list[float]:
    return [len(row) * SMALL for row in rows]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _tooltip(shown: str, whole: str) -> str:
    return "" if shown == whole else f"<title>{_text(whole)}</title>"


def _text(text: str) -> str:
    # XML 1.0 cannot hold some characters even if they are escaped.
    return escape(
        "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    )
