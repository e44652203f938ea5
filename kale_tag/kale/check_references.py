"""Checks of the cells that refer to other notebooks."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic, count
from kale_tag.kale.metadata import PATH_KEY
from kale_tag.kale.view import TaggedCell, TaggedNotebook
from kale_tag.notebook.places import cell_label
from kale_tag.rules.registry import found


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


CHECKS = (reference_without_path, code_in_reference, duplicate_name, code_after_reference)
