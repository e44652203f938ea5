"""Lints of names that Kubeflow Pipelines cannot tell apart, and of the size of a package."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kale_tag.diagnostics import Diagnostic, Label
from kale_tag.lint.context import Study
from kale_tag.rules import found


@dataclass(frozen=True, slots=True)
class Named:
    """A pipeline's name: of which notebook, and where that says it."""

    notebook: str
    pipeline: str
    label: Label


def name_clash(study: Study) -> Iterator[Diagnostic]:
    """Finds two steps whose names are one to Kubeflow Pipelines.

    Why: In the names of tasks `_` becomes `-`, and several become one. Of two tasks of one name,
    KFP's SDK calls the second `-2`, and nobody knows which that is.

    Mend: Rename one of the steps; `rename` in a spec does it everywhere.

    Example:
    ```python train.ipynb
    # %% tags=step:load_data
    print("loading")
    # %% tags=step:load__data
    print("loading more")
    ```
    """
    return study.says("name-clash")


def name_of_pipeline(study: Study) -> Iterator[Diagnostic]:
    """Finds a step that has the name of the pipeline.

    Why: KFP's SDK mixes the two up when it loads the package.

    Mend: Rename one of them.

    Example:
    ```python train.ipynb
    # %metadata {"kubeflow_notebook": {"pipeline_name": "train", "experiment_name": "trials"}}
    # %% tags=step:train
    print("training")
    ```
    """
    return study.says("name-of-pipeline")


def name_too_long(study: Study) -> Iterator[Diagnostic]:
    """Finds a step whose name is longer than Kubernetes takes.

    Why: A resource is named after it, with 128 characters at most. Of a step in a notebook that
    another refers to, the name of the reference counts as well.

    Mend: Shorten the name. The spec has room for a long one:
    `compile: {steps: {NAME: {display_name: ...}}}`.

    Example:
    ```python train.ipynb
    # %% tags=step:compute_the_average_of_all_the_things_that_were_ever_measured_by_any_of_the_machines_that_we_have_had_since_the_year_in_which_we_began
    print("computing")
    ```
    """
    return study.says("name-too-long")


def one_pipeline_name(named: Iterable[Named]) -> Iterator[Diagnostic]:
    """Finds two notebooks whose pipelines have one name.

    Why: To a cluster they are versions of one pipeline: whichever is uploaded last takes the place
    of the other. `kale-tag compile` writes both packages, and warns.

    Mend: Give each a name of its own. In a spec for both: `pipeline_name: churn-${stem}`.

    Example:
    ```python a.ipynb
    # %metadata {"kubeflow_notebook": {"pipeline_name": "churn", "experiment_name": "churn"}}
    # %% tags=step:load
    print("loading")
    ```

    ```python b.ipynb
    # %metadata {"kubeflow_notebook": {"pipeline_name": "churn", "experiment_name": "churn"}}
    # %% tags=step:train
    print("training")
    ```
    """
    first: dict[str, Named] = {}
    for one in named:
        other = first.setdefault(one.pipeline, one)
        if other is not one:
            yield found(
                "one-pipeline-name",
                f"{other.notebook} and {one.notebook} are both the pipeline `{one.pipeline}`",
                one.label,
                also=[other.label],
                help="`pipeline_name: x-${stem}` in a spec gives each notebook a name of its own",
            )


def step_too_large(study: Study) -> Iterator[Diagnostic]:
    """Finds a step with more code than a container can be started with.

    Why: The cells are handed to the container as arguments, and Linux has room for 1.5 MB of them.

    Mend: Cells of that size hold data. Put it into a file, and read it in the step.

    Example: A cell with two megabytes of base64 in a string.
    """
    return study.says("step-too-large")


def large_package(study: Study) -> Iterator[Diagnostic]:
    """Finds a pipeline whose steps have more than a million bytes together.

    Why: The cluster keeps a run in etcd, which takes no more than 1.5 MiB for it, and turns down
    what is larger.

    Mend: Put code that many steps share into a Python package, put data into files, or make two
    pipelines of the one.

    Example: A hundred steps, each of which runs the same 10 kB of functions.
    """
    return study.says("large-package")


LINTS = (
    name_clash,
    name_of_pipeline,
    name_too_long,
    step_too_large,
    large_package,
)
