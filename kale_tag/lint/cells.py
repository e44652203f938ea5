"""Lints of the code of cells: what no step can run."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic
from kale_tag.lint.context import Study


def syntax_error(study: Study) -> Iterator[Diagnostic]:
    """Finds a cell that is not Python, nor the syntax that IPython adds to it.

    Why: A step that has the cell cannot start. Kale stops too, at its first line of magic already.

    Mend: Correct the cell. What is not meant to run can be tagged `skip`.

    Example:
    ```python train.ipynb
    # %% tags=step:train
    sizes = [1, 2
    print(sizes)
    ```
    """
    return study.says("syntax-error")


def python_2(study: Study) -> Iterator[Diagnostic]:
    """Finds a cell that is written for Python 2.

    Why: Steps run in Python 3.

    Mend: Convert the cell, for example with the tool `2to3`.

    Example:
    ```python train.ipynb
    # %% tags=step:train
    print "training"
    ```
    """
    return study.says("python-2")


def not_python(study: Study) -> Iterator[Diagnostic]:
    """Finds a notebook in another language, and cells that no Python can read.

    Why: A pipeline is made of Python. Kale does not look at the language of the notebook: some R is
    Python by accident, and does something else.

    Mend: Take the notebook out of those that are checked and compiled. A cell that holds a NUL or
    half of a surrogate pair has been damaged; write it anew.

    Example:
    ```python train.ipynb
    # %metadata {"kernelspec": {"name": "ir", "language": "R", "display_name": "R"}}
    # %% tags=step:train
    x <- 1
    ```
    """
    return study.says("not-python")


def unknown_magic(study: Study) -> Iterator[Diagnostic]:
    """Finds a magic of IPython's that a step cannot run.

    Why: A step is no Jupyter kernel. kale-tag brings the usual magics along; those of extensions,
    and those that talk to the browser, are not among them.

    Mend: Take the line out, write it in Python, or tag its cell `skip`.

    Example:
    ```python load.ipynb
    # %% tags=step:load
    %sql SELECT * FROM people
    ```
    """
    return study.says("unknown-magic")


def cell_magic_not_first(study: Study) -> Iterator[Diagnostic]:
    """Finds a cell magic below the first line of its cell.

    Why: IPython takes `%%bash` and the like in the first line only; below that it is an error in
    the notebook, too.

    Mend: Split the cell in two above the magic.

    Example:
    ```python load.ipynb
    # %% tags=step:load
    path = "people.csv"
    %%bash
    wc people.csv
    ```
    """
    return study.says("cell-magic-not-first")


def relative_import(study: Study) -> Iterator[Diagnostic]:
    """Finds an import relative to a package, which a notebook has not.

    Why: `from . import tools` fails in the notebook, and in the step.

    Mend: Import the module by its full name, from a distribution that pip can install.

    Example:
    ```python load.ipynb
    # %% tags=step:load
    from . import tools
    people = tools.read()
    ```
    """
    return study.says("relative-import")


def local_module(study: Study) -> Iterator[Diagnostic]:
    """Finds an import of a module that stands beside the notebook.

    Why: The container of a step does not have the file, and pip has no such distribution, or worse,
    one of somebody else's.

    Mend: Move the code into a cell tagged `functions`; or put the module into the image of the step
    and say so in the spec: `compile: {distributions: {tools: ""}}`.

    Example:
    ```python load.ipynb
    # %% tags=step:load
    import tools
    people = tools.read()
    ```

    ```py tools.py
    def read(): return []
    ```
    """
    return study.says("local-module")


def not_a_parameter(study: Study) -> Iterator[Diagnostic]:
    """Finds a line of a `pipeline-parameters` cell that is not a name and its value.

    Why: The parameters of a pipeline are known before it runs. Their types are int, float, str,
    bool, list and dict. Kale stops at `-1` and `2 * 3`; kale-tag takes those.

    Mend: Write the value as a literal, and compute in a step what depends on more.

    Example:
    ```python train.ipynb
    # %% tags=pipeline-parameters
    rate = 0.1
    folder = find_folder()
    # %% tags=step:train
    print(rate)
    ```
    """
    return study.says("not-a-parameter")


def parameter_value(study: Study) -> Iterator[Diagnostic]:
    """Finds a parameter whose value would not arrive as it is written.

    Why: Kubeflow Pipelines carries parameters as JSON, and a package is YAML, whose keys have a
    limited length.

    Mend: Write the value otherwise, as the message says.

    Example:
    ```python train.ipynb
    # %% tags=pipeline-parameters
    weights = {"the number of times that a customer has called us within the last year, or the year before that, as far as we have written it down, and not counting those who have called us by mistake": 1}
    # %% tags=step:train
    print(weights)
    ```
    """
    return study.says("parameter-value")


def none_in_parameter(study: Study) -> Iterator[Diagnostic]:
    """Finds a parameter whose list or dict has a None in it.

    Why: A cluster takes it, `kale-tag run` does not: kfp's local runner and compiler fail on None.

    Mend: Use another value for what is not there, such as `""` or -1.

    Example:
    ```python train.ipynb
    # %% tags=pipeline-parameters
    depths = [3, 5, None]
    # %% tags=step:train
    print(depths)
    ```
    """
    return study.says("none-in-parameter")


def not_a_metric(study: Study) -> Iterator[Diagnostic]:
    """Finds a line of a `pipeline-metrics` cell that is not `print(NAME)`.

    Why: The cell does not run. It says which variables of the steps are metrics of the pipeline.

    Mend: Compute the value in a step, and print the variable here.

    Example:
    ```python train.ipynb
    # %% tags=step:train
    right, all_of_them = 9, 10
    # %% tags=pipeline-metrics
    print(right / all_of_them)
    ```
    """
    return study.says("not-a-metric")


LINTS = (
    syntax_error,
    python_2,
    not_python,
    unknown_magic,
    cell_magic_not_first,
    relative_import,
    local_module,
    not_a_parameter,
    parameter_value,
    none_in_parameter,
    not_a_metric,
)
