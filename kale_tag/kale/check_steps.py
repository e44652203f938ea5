"""Lints of the steps that the tags of a notebook make: `facts/kale.md` section 1.5."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from kale_tag.diagnostics import Diagnostic, suggest
from kale_tag.kale import tags
from kale_tag.kale.view import SHOWN, Tagged, TaggedCell, cells_stand, them
from kale_tag.notebook.model import MISSING, first_line
from kale_tag.rules.registry import found

MANY = 30
"""Steps among which nobody looks for the right one, least of all once for each wrong tag."""


def no_step(nb: Tagged) -> Iterator[Diagnostic]:
    """A notebook that has tags of Kale's, and no step."""
    if nb.has_kale_tags and not nb.starts:
        for cell in nb.cells:
            for position, text in enumerate(cell.tags):
                if tags.is_kales(text) or tags.is_legacy(text):
                    yield found(
                        "no-step",
                        "the notebook has tags of Kale's, and no cell of it is a step",
                        nb.tag(cell, position),
                        help="tag the cells that do the work: `step:NAME`",
                    )
                    return


def dropped_code(nb: Tagged) -> Iterator[Diagnostic]:
    """Untagged code above the first block: the first step, or cell with imports and the like."""
    lost = [
        index
        for index in nb.outline.dropped
        if _is_untagged(nb, index) and nb.code_line(index) is not None
    ]
    if not lost or not nb.starts:
        return
    more = len(lost) - SHOWN
    notes = [f"cell {index}: `{first_line(nb.notebook.source(index))}`" for index in lost[:SHOWN]]
    yield found(
        "dropped-code",
        f"{cells_stand(lost)} above the first block, and Kale leaves {them(lost)} out",
        nb.places.cell(lost[0], nb.code_line(lost[0]) or 0),
        notes=[*notes, f"and {more} more"] if more > 0 else notes if lost[1:] else [],
        help="tag what the steps need `imports` or `functions`, and the rest `skip`",
    )


def ignored_tag(nb: Tagged) -> Iterator[Diagnostic]:
    """Finds `prev:` and settings where Kale does not read them: on a later cell of a step."""
    for cell in nb.cells:
        if cell.special or not cell.positions("step"):
            continue
        first = nb.starts.get(cell.role.name)
        known: Sequence[str] = first.read if first is not None else ()
        ignored = [
            at for at in cell.positions("prev", *tags.SETTING_KINDS) if cell.read[at] not in known
        ]
        if first is cell or not ignored:
            continue
        texts = ", ".join(f"`{cell.read[at]}`" for at in ignored)
        where = (
            f"step `{cell.role.name}` starts at cell {first.index}"
            if first
            else "the step has no name"
        )
        yield found(
            "ignored-tag",
            f"cell {cell.index}: Kale does not read {texts} here: {where}",
            nb.tag(cell, ignored[0]),
            also=[nb.tag(cell, at) for at in ignored[1:]],
            help=f"move {'them' if ignored[1:] else 'it'} to cell {first.index}"
            if first
            else "name the step: `step:NAME`",
        )


def unknown_prev(nb: Tagged) -> Iterator[Diagnostic]:
    """A `prev:` that names no step of the notebook."""
    for cell in nb.starts.values():
        for name in cell.role.prev:
            if name not in nb.starts and tags.parse(f"prev:{name}") is not None:
                yield found(
                    "unknown-prev",
                    f"cell {cell.index}: step `{cell.role.name}` waits for `{name}`, and no step "
                    "is named so",
                    nb.prev(cell, name),
                    help=_other_steps(nb, cell, name),
                )


def _other_steps(nb: Tagged, cell: TaggedCell, name: str) -> str:
    """What may have been meant by *name*."""
    others = [step for step in nb.starts if step != cell.role.name]
    if len(others) > MANY:
        return "correct the name, or remove the tag"
    return suggest(name, others, "the others are") or "remove the tag"


def later_prev(nb: Tagged) -> Iterator[Diagnostic]:
    """A `prev:` that names a step further down."""
    circular = (
        {edge for route in nb.cycles for edge in pairwise(route)} if nb.depends_forward else set()
    )
    for cell in nb.starts.values():
        for name in cell.role.prev:
            start = nb.starts.get(name)
            edge = (cell.role.name, name)
            if start is not None and start.index > cell.index and edge not in circular:
                yield found(
                    "later-prev",
                    f"cell {cell.index}: step `{cell.role.name}` waits for `{name}`, which starts "
                    f"further down, at cell {start.index}",
                    nb.prev(cell, name),
                    also=[nb.step(start).with_text(f"`{name}` starts here")],
                    help="Kale reads from the top: move the cell up, or remove the `prev`",
                )


def cycle(nb: Tagged) -> Iterator[Diagnostic]:
    """Steps that wait for each other, or a step that waits for itself."""
    for route in nb.cycles if nb.depends_forward else ():
        waits = [
            nb.prev(nb.starts[step], prev).with_text(f"`{step}` waits for `{prev}`")
            for step, prev in pairwise(route)
        ]
        yield found(
            "cycle",
            f"steps wait for each other: {' -> '.join(route)}"
            if waits[1:]
            else f"cell {nb.starts[route[0]].index}: step `{route[0]}` waits for itself",
            waits[0],
            also=waits[1:],
            help="remove one of these `prev` tags" if waits[1:] else "remove the tag",
        )


def step_after_metrics(nb: Tagged) -> Iterator[Diagnostic]:
    """A step right behind a cell tagged `pipeline-metrics`."""
    metrics: TaggedCell | None = None
    for cell in nb.cells:
        if cell.special:
            if cell.special != "skip":
                metrics = cell if cell.special == "pipeline-metrics" else None
        elif cell.role.kind:
            if metrics is not None and cell.role.kind == "step":
                yield found(
                    "step-after-metrics",
                    f"cell {cell.index}: step `{cell.role.name}` stands behind the metrics of cell "
                    f"{metrics.index}, which belong to the end",
                    nb.step(cell),
                    also=[nb.tag(metrics, len(metrics.read)).with_text("the metrics")],
                    help="move the metrics to the end of the notebook",
                )
            metrics = None


def _is_untagged(nb: Tagged, index: int) -> bool:
    """Whether a cell has no tags at all, not even what is no list of them."""
    metadata = nb.notebook.metadata_of(index)
    return metadata is MISSING or (isinstance(metadata, dict) and metadata.get("tags", []) == [])


LINTS = (
    no_step,
    dropped_code,
    ignored_tag,
    unknown_prev,
    later_prev,
    cycle,
    step_after_metrics,
)
