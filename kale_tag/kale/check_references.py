"""Lints of cells that refer to other notebooks: `facts/kale.md` section 1.6."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic
from kale_tag.kale.metadata import PATH_KEY
from kale_tag.kale.view import Tagged, TaggedCell, cells_stand, them
from kale_tag.rules.registry import found


def reference_without_path(nb: Tagged) -> Iterator[Diagnostic]:
    """A reference to another notebook that does not say where that is."""
    for cell in _references(nb):
        metadata = nb.notebook.metadata_of(cell.index)
        path = metadata.get(PATH_KEY) if isinstance(metadata, dict) else None
        if not isinstance(path, str) or not path:
            yield found(
                "reference-without-path",
                f"cell {cell.index}: `notebook:{cell.role.name}` refers to a notebook, and "
                f"`{PATH_KEY}` does not say where it is",
                nb.step(cell),
                help=f'put it beside `tags`: `"{PATH_KEY}": "PATH.ipynb"`',
            )


def code_in_reference(nb: Tagged) -> Iterator[Diagnostic]:
    """Code in a cell that refers to another notebook."""
    for cell in _references(nb):
        if (line := nb.code_line(cell.index)) is not None:
            yield found(
                "code-in-reference",
                f"cell {cell.index}: `notebook:{cell.role.name}` stands for a notebook, and the "
                "code of the cell would never run",
                nb.places.cell(cell.index, line),
                also=[nb.step(cell)],
                help="move the code to a cell of its own: `step:NAME`",
            )


def duplicate_name(nb: Tagged) -> Iterator[Diagnostic]:
    """A name that two references share, or a reference and a step."""
    for cell in nb.cells:
        first = nb.starts.get(cell.role.name)
        if first is None or first is cell:
            continue
        if "notebook" in {first.role.kind, cell.role.kind}:
            yield found(
                "duplicate-name",
                f"cell {cell.index}: `{cell.role.name}` is the name of cell {first.index} already, "
                "and a reference shares its name with nothing",
                nb.step(cell),
                also=[nb.step(first).with_text("the first of that name")],
                help="give one of them another name",
            )


def code_after_reference(nb: Tagged) -> Iterator[Diagnostic]:
    """Untagged cells behind a reference to another notebook that no step follows."""
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
        yield found(
            "code-after-reference",
            f"{cells_stand(held)} behind a reference to a notebook, and no step follows that "
            f"{them(held)} could belong to",
            nb.places.cell(held[0]),
            help="tag it `skip`, delete it, or make it a step",
        )


def _references(nb: Tagged) -> Iterator[TaggedCell]:
    return (cell for cell in nb.cells if cell.role.kind == "notebook")


LINTS = (reference_without_path, code_in_reference, duplicate_name, code_after_reference)
