"""Checks of the steps that the tags of a notebook make, and of references to other notebooks."""

from collections.abc import Iterator, Sequence

from kale_tag.diagnostics import Diagnostic, Label, Source, count, suggest
from kale_tag.kale import tags
from kale_tag.kale.metadata import PATH_KEY
from kale_tag.kale.view import SHOWN, TaggedCell, TaggedNotebook
from kale_tag.notebook.model import MISSING, first_line
from kale_tag.notebook.places import cell_label
from kale_tag.rules.registry import found

MANY = 30
"""Steps among which nobody looks for the right one, least of all once for each wrong tag."""


def no_step(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A notebook without a step."""
    if nb.starts:
        return
    hint = "it has no code either"
    if nb.has_kale_tags:
        hint = "tag the cells that do the work: `step:NAME`"
    elif any(nb.code_line(cell) for cell in nb.code):
        hint = f"tag its cells with a spec; `kale-tag extract {nb.notebook.name}` writes one"
    yield found(
        "no-step",
        f"{nb.notebook.name} has no step: no cell is tagged `step:NAME`",
        Label(Source(nb.notebook.name)),
        help=hint,
    )


def dropped_code(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Untagged code above the first block: the first step, or cell with imports and the like."""
    lost = [
        (index, label)
        for index in nb.outline.dropped
        if _is_untagged(nb, index) and (label := nb.code_line(index)) is not None
    ]
    if not lost or not nb.starts:
        return
    more = len(lost) - SHOWN
    notes = [f"cell {index}: `{first_line(nb.notebook.source(index))}`" for index, _ in lost]
    cells = f" ({count(len(lost), 'cell')})" if lost[1:] else ""
    yield found(
        "dropped-code",
        f"the code above the first tagged cell{cells} belongs to no step, and the pipeline leaves "
        "it out",
        lost[0][1],
        notes=[*notes[:SHOWN], f"and {more} more"] if more > 0 else notes if lost[1:] else [],
        help="tag what the steps need `imports` or `functions`, and the rest `skip`",
    )


def ignored_tag(nb: TaggedNotebook) -> Iterator[Diagnostic]:
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
            f"Kale does not read {texts} here: {where}",
            nb.tag(cell, ignored[0]),
            also=[nb.tag(cell, at) for at in ignored[1:]],
            help=f"move {'them' if ignored[1:] else 'it'} to cell {first.index}"
            if first
            else "name the step: `step:NAME`",
        )


def unknown_prev(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A `prev:` that names no step of the notebook."""
    for one in nb.dependencies:
        if one.prev not in nb.starts and tags.parse(f"prev:{one.prev}") is not None:
            yield found(
                "unknown-prev",
                does_not_exist(one.step, one.prev),
                nb.tag(one.cell, one.position),
                help=_other_steps(nb, one.step, one.prev),
            )


def does_not_exist(step: str, prev: str) -> str:
    """The message for a `prev` of *step* that names no step."""
    return f"step `{step}` depends on `{prev}`, which does not exist"


def _other_steps(nb: TaggedNotebook, step: str, prev: str) -> str:
    """What may have been meant by *prev*."""
    others = [name for name in nb.starts if name != step]
    if len(others) > MANY:
        return "correct the name, or remove the tag"
    return suggest(prev, others, "the others are") or "remove the tag"


def later_prev(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A `prev:` that names a step further down."""
    circular = {(one.step, one.prev) for cycle in nb.cycles for one in cycle}
    for one in nb.dependencies:
        start = nb.starts.get(one.prev)
        if start is None or (one.step, one.prev) in circular or start.index <= one.cell.index:
            continue
        yield found(
            "later-prev",
            f"step `{one.step}` depends on `{one.prev}`, which starts further down, at cell "
            f"{start.index}",
            nb.tag(one.cell, one.position),
            also=[nb.step(start, f"`{one.prev}` starts here")],
            help="Kale reads from the top: move the cell up, or remove the `prev`",
        )


def cycle(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Steps that depend on each other, or a step that depends on itself."""
    for route in nb.cycles:
        labels = [
            nb.tag(one.cell, one.position, f"`{one.step}` depends on `{one.prev}`") for one in route
        ]
        yield found(
            "cycle",
            cycle_message([one.step for one in route]),
            labels[0],
            also=labels[1:],
            help="remove one of these `prev` tags" if labels[1:] else "remove the tag",
        )


def cycle_message(steps: Sequence[str]) -> str:
    """The message for *steps* of which each depends on the next, and the last on the first."""
    if not steps[1:]:
        return f"step `{steps[0]}` depends on itself"
    return f"steps depend on each other: {' -> '.join([*steps, steps[0]])}"


def step_after_metrics(nb: TaggedNotebook) -> Iterator[Diagnostic]:
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
                    f"step `{cell.role.name}` is below the metrics of cell {metrics.index}, which "
                    "Kale wants at the end",
                    nb.step(cell),
                    also=[nb.tag(metrics, len(metrics.read), "the metrics")],
                    help="move the metrics to the end of the notebook",
                )
            metrics = None


def _is_untagged(nb: TaggedNotebook, index: int) -> bool:
    """Whether a cell has no tags at all, nor something that is not a list of them."""
    metadata = nb.notebook.metadata_of(index)
    return metadata is MISSING or (isinstance(metadata, dict) and metadata.get("tags", []) == [])


def reference_without_path(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A reference to another notebook without the path of that notebook."""
    for cell in _references(nb):
        metadata = nb.notebook.metadata_of(cell.index)
        path = metadata.get(PATH_KEY) if isinstance(metadata, dict) else None
        if not isinstance(path, str) or not path:
            yield found(
                "reference-without-path",
                f"`notebook:{cell.role.name}` refers to a notebook, and the cell has no "
                f"`{PATH_KEY}`",
                nb.step(cell),
                help=f'write it beside `tags` in the metadata of the cell: `"{PATH_KEY}": '
                '"PATH.ipynb"`',
            )


def code_in_reference(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Code in a cell that refers to another notebook."""
    for cell in _references(nb):
        if (line := nb.code_line(cell.index)) is not None:
            yield found(
                "code-in-reference",
                f"the code of the cell would never run: `notebook:{cell.role.name}` runs another "
                "notebook",
                line,
                also=[nb.step(cell)],
                help="move the code to a cell of its own: `step:NAME`",
            )


def duplicate_name(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """A name of two references, or of a reference and a step."""
    for cell in nb.cells:
        first = nb.starts.get(cell.role.name)
        if first is None or first is cell:
            continue
        if "notebook" in {first.role.kind, cell.role.kind}:
            yield found(
                "duplicate-name",
                f"`{cell.role.name}` is already the name of cell {first.index}, and a reference "
                "needs a name of its own",
                nb.step(cell),
                also=[nb.step(first, "the first of that name")],
                help="give one of them another name",
            )


def code_after_reference(nb: TaggedNotebook) -> Iterator[Diagnostic]:
    """Untagged cells below a reference to another notebook without a step below them."""
    held: list[int] = []
    reference: TaggedCell | None = None  # as long as cells are held for the next step
    for index in nb.code:
        cell = nb.by_index.get(index)
        if cell is None or not cell.role.kind:
            held += [index] if reference is not None else []
        elif cell.role.kind == "notebook":
            if held:
                break
            reference = cell
        elif cell.special != "skip":
            reference = None
            held = [] if cell.role.kind == "step" else held
    if held:
        cells = count(len(held), "untagged cell")
        yield found(
            "code-after-reference",
            f"{cells} below a reference to a notebook: such cells belong to the next step, and "
            "none follows",
            cell_label(nb.notebook, held[0]),
            help="tag it `skip`, delete it, or make it a step",
        )


def _references(nb: TaggedNotebook) -> Iterator[TaggedCell]:
    return (cell for cell in nb.cells if cell.role.kind == "notebook")


CHECKS = (
    no_step,
    dropped_code,
    ignored_tag,
    unknown_prev,
    later_prev,
    cycle,
    step_after_metrics,
    reference_without_path,
    code_in_reference,
    duplicate_name,
    code_after_reference,
)
