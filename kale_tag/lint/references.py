"""Lints of what a pipeline takes in from other notebooks."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic
from kale_tag.lint.context import Study


def reference_cycle(study: Study) -> Iterator[Diagnostic]:
    """Finds a notebook that refers to itself.

    Why: It would have no end. Kale stops, too.

    Mend: Correct `notebook_path` in the metadata of the cell.

    Example:
    ```python main.ipynb
    # %% {"tags": ["notebook:prepare"], "notebook_path": "main.ipynb"}
    # %% tags=step:train
    print("training")
    ```
    """
    return study.says("reference-cycle")


def nested_reference(study: Study) -> Iterator[Diagnostic]:
    """Finds a reference in a notebook that is itself referred to.

    Why: Kale takes one level.

    Mend: Refer to both from the outermost notebook.

    Example:
    ```python main.ipynb
    # %% {"tags": ["notebook:prepare"], "notebook_path": "prepare.ipynb"}
    # %% tags=step:train
    print("training")
    ```

    ```python prepare.ipynb
    # %% {"tags": ["notebook:load"], "notebook_path": "load.ipynb"}
    # %% tags=step:clean
    print("cleaning")
    ```

    ```python load.ipynb
    # %% tags=step:read
    print("reading")
    ```
    """
    return study.says("nested-reference")


def unreadable_reference(study: Study) -> Iterator[Diagnostic]:
    """Finds a reference to a notebook that is not there, cannot be read, or not be tagged.

    Why: The pipeline consists of that notebook, too. Kale and `kale-tag compile` stop.

    Mend: Correct `notebook_path`, which is relative to the notebook that refers; or mend the other
    notebook.

    Example:
    ```python main.ipynb
    # %% {"tags": ["notebook:prepare"], "notebook_path": "perpare.ipynb"}
    # %% tags=step:train
    print("training")
    ```
    """
    return study.says("unreadable-reference")


LINTS = (reference_cycle, nested_reference, unreadable_reference)
