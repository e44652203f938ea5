"""Lints of what steps may use: limits and requests that no cluster takes, and those not there."""

import ast
from collections.abc import Iterator

from kale_tag.diagnostics import Diagnostic, Label, listed
from kale_tag.lints import found
from kale_tag.pipeline.calls import words
from kale_tag.pipeline.study import Part, Study
from kale_tag.pipeline.units import Unit

HEAVY = words(
    "accelerate catboost fastai jax keras lightgbm mxnet pytorch_lightning pyspark"
    " sentence_transformers tensorflow torch transformers xgboost"
)
"""Modules that are imported for work that takes gigabytes."""

TRAINING = words("fit fit_generator partial_fit train")
"""Methods that train a model."""


def invalid_quantity(study: Study) -> Iterator[Diagnostic]:
    """Finds a limit or request that is no quantity of Kubernetes, or one that cannot be meant.

    Why: The cluster turns the pod down, and the step never starts. Kale stops with a `NameError`,
    or leaves the limit out.

    Mend: Write a number, if need be with a unit: `1`, `500m`, `2Gi`.

    Example:
    ```python train.ipynb
    # %% tags=step:train,limit:memory:2GB
    print("training")
    ```
    """
    return study.says("invalid-quantity")


def unknown_resource(study: Study) -> Iterator[Diagnostic]:
    """Finds a limit for something that no cluster has.

    Why: The pod waits forever for a node that has it.

    Mend: The resources are `cpu`, `memory`, and devices, which are named `vendor/device`.

    Example:
    ```python train.ipynb
    # %% tags=step:train,limit:gpu:1
    print("training")
    ```
    """
    return study.says("unknown-resource")


def not_expressible(study: Study) -> Iterator[Diagnostic]:
    """Finds a limit that a package of Kubeflow Pipelines has no room for.

    Why: It is left out: the step runs without it.

    Mend: Set it for the namespace, with a LimitRange of Kubernetes.

    Example:
    ```python train.ipynb
    # %% tags=step:train,limit:ephemeral-storage:10Gi
    print("training")
    ```
    """
    return study.says("not-expressible")


def two_accelerators(study: Study) -> Iterator[Diagnostic]:
    """Finds a step with limits for two types of devices.

    Why: Kubeflow Pipelines has room for one type a step.

    Mend: Keep one. A count of 0 takes back what `steps_defaults` gives.

    Example:
    ```python train.ipynb
    # %% tags=step:train,limit:nvidia.com/gpu:1,limit:amd.com/gpu:1
    print("training")
    ```
    """
    return study.says("two-accelerators")


def request_over_limit(study: Study) -> Iterator[Diagnostic]:
    """Finds a step that requests more than its limit.

    Why: Kubernetes turns the pod down, and the step never starts.

    Mend: Raise the limit, or lower the request.

    Example:
    ```python train.ipynb
    # %% tags=step:train,limit:memory:2Gi
    print("training")
    ```

    ```yaml spec.yaml
    version: 1
    cells: [{index: 0, step: train, limits: {memory: 2Gi}}]
    compile: {steps: {train: {requests: {memory: 4Gi}}}}
    ```
    """
    return study.says("request-over-limit")


def request_of_device(study: Study) -> Iterator[Diagnostic]:
    """Finds a step that requests a device, and has another limit for it or none.

    Why: Kubernetes gives devices by limit alone, and turns the pod down.

    Mend: Say it in `limits`.

    Example:
    ```python train.ipynb
    # %% tags=step:train
    print("training")
    ```

    ```yaml spec.yaml
    version: 1
    cells: [{index: 0, step: train}]
    compile: {steps: {train: {requests: {nvidia.com/gpu: 1}}}}
    ```
    """
    return study.says("request-of-device")


def no_limits(study: Study) -> Iterator[Diagnostic]:
    """Finds steps that train models, and say nothing of what they need.

    Why: Without a limit or a request the step gets what the namespace gives to all. It waits
    where there is a quota, shares a node with whatever else runs there, and is the first to be
    killed when memory runs out.

    Mend: Say what the step needs: `limits: {cpu: 4, memory: 8Gi}` in the rule of a spec, or
    `steps_defaults` for all steps.

    Example:
    ```python train.ipynb
    # %% tags=imports
    import torch
    # %% tags=step:train
    model = torch.nn.Linear(1000, 1000)
    print(model)
    ```
    """
    places: list[tuple[str, Label]] = []
    for part in study.parts:
        for unit, step in part.steps:
            settings = step.settings
            if not settings.limits and not settings.requests:
                why = _heavy(part, unit)
                places += [] if why is None else [(unit.name, why)]
    if places:
        names = [name for name, _ in places]
        yield found(
            "no-limits",
            f"step{'s' if names[1:] else ''} {listed(names)} may need much memory, and "
            f"{'have' if names[1:] else 'has'} no limit or request",
            places[0][1],
            also=[label for _, label in places[1:]],
            help="`limits: {cpu: 4, memory: 8Gi}` in the rule of a spec, or `steps_defaults`",
        )


def _heavy(part: Part, unit: Unit) -> Label | None:
    """Where the unit uses a module of `HEAVY`, or trains something."""
    modules = part.flow.modules
    for cell in part.draft.cells[unit.name]:
        for node in part.nodes(cell):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in TRAINING:
                    return cell.place(node)
            elif isinstance(node, ast.Name):
                if modules.get(node.id, "").partition(".")[0] in HEAVY:
                    return cell.place(node)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                named = [one.name for one in node.names] if isinstance(node, ast.Import) else []
                named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if any(name.partition(".")[0] in HEAVY for name in named):
                    return cell.place(node)
    return None


LINTS = (
    invalid_quantity,
    unknown_resource,
    not_expressible,
    two_accelerators,
    request_over_limit,
    request_of_device,
    no_limits,
)
