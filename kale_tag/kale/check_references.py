"""Lints of cells that refer to other notebooks: `facts/kale.md` section 1.6."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic
from kale_tag.kale.metadata import PATH_KEY
from kale_tag.kale.view import Tagged, TaggedCell, cells_stand, them
from kale_tag.rules import found


def reference_without_path(nb: Tagged) -> Iterator[Diagnostic]:
    """Finds a reference to another notebook that does not say where that is.

    Why: Kale looks for the path in the metadata of the cell, `notebook_path`, and stops without it.

    Mend: Give it, relative to this notebook. In a spec: `notebook: {name: prepare, path: p.ipynb}`.

    Example:
    ```python main.ipynb
    # %% tags=notebook:prepare
    # %% tags=step:train
    model = fit()
    ```
    """
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
    """Finds code in a cell that refers to another notebook.

    Why: Kale stops: the cell stands for the other notebook, and its code would never run. Comments
    are fine; JupyterLab's panel writes one.

    Mend: Move the code to a cell of its own, tagged as a step.

    Example:
    ```python main.ipynb
    # %% {"tags": ["notebook:prepare"], "notebook_path": "prepare.ipynb"}
    print("preparing")
    # %% tags=step:train
    model = fit()
    ```
    """
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
    """Finds a name that two references share, or a reference and a step.

    Why: Kale stops: a reference is a step of its own, and its name stands for it alone.

    Mend: Give one of them another name.

    Example:
    ```python main.ipynb
    # %% {"tags": ["notebook:prepare"], "notebook_path": "a.ipynb"}
    # %% {"tags": ["notebook:prepare"], "notebook_path": "b.ipynb"}
    # %% tags=step:train
    model = fit()
    ```
    """
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
    """Finds untagged cells behind a reference to another notebook that no step follows.

    Why: Such cells belong to the next step. Where another reference comes first, or the notebook
    ends, Kale stops, even if they are empty.

    Mend: Tag the cell `skip`, delete it, or make it a step.

    Example:
    ```python main.ipynb
    # %% tags=step:train
    model = fit()
    # %% {"tags": ["notebook:publish"], "notebook_path": "publish.ipynb"}
    # %%
    print("done")
    ```
    """
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
