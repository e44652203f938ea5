"""How Kubeflow Pipelines spells names: of tasks, of inputs and outputs."""

import keyword
import re
from collections.abc import Container

_INPUT = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def task_name(step: str) -> str:
    """The name of the task that KFP's SDK makes of a step: `load_data` gives `load-data`.

    "" where nothing of *step* can stand in one. Source: `maybe_rename_for_k8s` in kfp.dsl.utils.
    """
    return re.sub("[^0-9a-z]+", "-", step.lower()).strip("-")


def input_name(name: str, taken: Container[str]) -> str:
    """The name of an input or output for the Python name *name*, and none of those *taken*.

    It is *name* itself where KFP takes it: letters, digits and `_`, a letter first (kfp.dsl's
    PipelineChannel), and no keyword, so that it can be an argument in KFP's DSL.
    """
    word = name
    if _INPUT.fullmatch(name) is None:
        word = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "value"
        word = word if word[0].isalpha() else f"value_{word}"
    word = f"{word}_" if keyword.iskeyword(word) else word
    free, number = word, 2
    while free in taken:
        free, number = f"{word}_{number}", number + 1
    return free
