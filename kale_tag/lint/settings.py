"""Lints of settings that Kubernetes or Kubeflow Pipelines refuse, and those that get lost."""

from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic
from kale_tag.lint.context import Study


def two_settings(study: Study) -> Iterator[Diagnostic]:
    """Finds two cells of one step whose settings contradict each other.

    Why: Kale reads those of the first cell only. kale-tag reads all, and cannot have both.

    Mend: Take one of the two tags out.

    Example:
    ```python train.ipynb
    # %% tags=step:train,image:python:3.11
    print("training")
    # %% tags=step:train,image:python:3.12
    print("and on")
    ```
    """
    return study.says("two-settings")


def invalid_image(study: Study) -> Iterator[Diagnostic]:
    """Finds the name of an image with a blank in it.

    Why: Kale takes it, and no cluster can pull it.

    Mend: Take the blank out.

    Example:
    ```python train.ipynb
    # %% {"tags": ["step:train", "image: python:3.12"]}
    print("training")
    ```
    """
    return study.says("invalid-image")


def invalid_label(study: Study) -> Iterator[Diagnostic]:
    """Finds a label that no pod can have.

    Why: Kale does not look at it. Kubernetes turns the pod down, and the step never starts.

    Mend: Keys and values of labels have up to 63 letters, digits, `-`, `_` and `.`, with a letter
    or digit at both ends. Other text can be an annotation.

    Example:
    ```python train.ipynb
    # %% {"tags": ["step:train", "label:owner:Data Science"]}
    print("training")
    ```
    """
    return study.says("invalid-label")


def invalid_annotation(study: Study) -> Iterator[Diagnostic]:
    """Finds an annotation whose name no pod can have.

    Why: Kubernetes turns the pod down, and the step never starts.

    Mend: A name has up to 63 letters, digits, `-`, `_` and `.`, behind an optional `domain/`.

    Example:
    ```python train.ipynb
    # %% tags=step:train,annotation:Example_Org/owner:me
    print("training")
    ```
    """
    return study.says("invalid-annotation")


def invalid_environment_variable(study: Study) -> Iterator[Diagnostic]:
    """Finds a name that no environment variable can have.

    Why: Kubernetes turns the pod down, and the step never starts.

    Mend: Use letters, digits and `_`, with no digit at the start.

    Example:
    ```python train.ipynb
    # %% tags=step:train
    print("training")
    ```

    ```yaml spec.yaml
    version: 1
    cells: [{index: 0, step: train}]
    compile: {steps: {train: {env: {'LOG LEVEL': debug}}}}
    ```
    """
    return study.says("invalid-environment-variable")


def two_values(study: Study) -> Iterator[Diagnostic]:
    """Finds an environment variable that a step is given twice: by `env`, a secret or a volume.

    Why: One of the two would be lost, and it is not said which.

    Mend: Rename one of them.

    Example:
    ```python train.ipynb
    # %% tags=step:train,secret:db:password:PASSWORD
    print("training")
    ```

    ```yaml spec.yaml
    version: 1
    cells: [{index: 0, step: train, secrets: {PASSWORD: db/password}}]
    compile: {steps: {train: {env: {PASSWORD: none}}}}
    ```
    """
    return study.says("two-values")


def two_volumes(study: Study) -> Iterator[Diagnostic]:
    """Finds two volumes that would be mounted in one place, or told in one environment variable.

    Why: Kubernetes turns the pods down, and no step ever starts.

    Mend: Give each its own `mount_point`; say `expose_as_env_var` for one of them only.

    Example:
    ```python train.ipynb
    # %metadata {"kubeflow_notebook": {"volumes": [{"name": "a", "mount_point": "/data", "type": "pvc"}, {"name": "b", "mount_point": "/data", "type": "pvc"}]}}
    # %% tags=step:train
    print("training")
    ```
    """
    return study.says("two-volumes")


def invalid_mount_point(study: Study) -> Iterator[Diagnostic]:
    """Finds a volume whose place in the container is no absolute path.

    Why: Kubernetes turns the pods down, and no step ever starts.

    Mend: Begin `mount_point` with `/`, without a `:` in it.

    Example:
    ```python train.ipynb
    # %metadata {"kubeflow_notebook": {"volumes": [{"name": "a", "mount_point": "data", "type": "pvc"}]}}
    # %% tags=step:train
    print("training")
    ```
    """
    return study.says("invalid-mount-point")


def volume_type(study: Study) -> Iterator[Diagnostic]:
    """Finds a volume that a package cannot make: a new one, or one that is cloned.

    Why: Kale leaves it out without a word, and the steps do not find their files; `kale-tag compile`
    refuses.

    Mend: Make the claim in the cluster, and say `type: pvc`.

    Example:
    ```python train.ipynb
    # %metadata {"kubeflow_notebook": {"volumes": [{"name": "a", "mount_point": "/data", "type": "new_pvc", "size": 1, "size_type": "Gi"}]}}
    # %% tags=step:train
    print("training")
    ```
    """
    return study.says("volume-type")


def setting_not_kept(study: Study) -> Iterator[Diagnostic]:
    """Finds a setting that has no effect on the package.

    Why: Kale takes `timeout`, `katib_run` and others, and does nothing with them. Who has written
    them counts on them.

    Mend: The message says what has the effect, where there is something.

    Example:
    ```python train.ipynb
    # %metadata {"kubeflow_notebook": {"pipeline_name": "churn", "timeout": 600}}
    # %% tags=step:train
    print("training")
    ```
    """
    return study.says("setting-not-kept")


def placeholder(study: Study) -> Iterator[Diagnostic]:
    """Finds `{{` in a setting or a value.

    Why: Kubeflow Pipelines and Argo look for their own names between such braces, and replace them
    or fail. In the code of cells it is no trouble.

    Mend: Write the text in another way.

    Example:
    ```python train.ipynb
    # %% {"tags": ["step:train", "annotation:run:{{workflow.name}}"]}
    print("training")
    ```
    """
    return study.says("placeholder")


def bad_character(study: Study) -> Iterator[Diagnostic]:
    r"""Finds a NUL, or half of a surrogate pair, in a setting or a value.

    Why: No program can be given such text.

    Mend: Take the character out.

    Example:
    ```python train.ipynb
    # %metadata {"kubeflow_notebook": {"pipeline_description": "churn\u0000"}}
    # %% tags=step:train
    print("training")
    ```
    """
    return study.says("bad-character")


def unknown_step(study: Study) -> Iterator[Diagnostic]:
    """Finds a step that a spec names, in `compile` or in `prev`, and that the notebook has not.

    Why: What is said of it is said of nothing: a step runs without its retries or its packages.

    Mend: Correct the name.

    Example:
    ```yaml spec.yaml
    version: 1
    cells: [{index: 0, step: train}]
    compile: {steps: {trian: {retries: 3}}}
    ```

    ```python train.ipynb
    # %% tags=step:train
    print("training")
    ```
    """
    return study.says("unknown-step")


LINTS = (
    two_settings,
    invalid_image,
    invalid_label,
    invalid_annotation,
    invalid_environment_variable,
    two_values,
    two_volumes,
    invalid_mount_point,
    volume_type,
    setting_not_kept,
    placeholder,
    bad_character,
    unknown_step,
)
