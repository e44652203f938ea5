"""The program that runs a step in its container, as text."""

import re
from importlib import resources

from kale_tag.pipeline.runtime import Runtime

PARTS = (
    "artifacts",
    "values",
    "tables",
    "libraries",
    "metrics",
    "parameters",
    "loop",
    "report",
    "magics",
    "step",
)
"""The parts of the program in the order in which they are joined; `step` is always there."""


def load_runtime() -> Runtime:
    """The runtime, whose parts need nothing but each other and Python 3.9 or newer.

    Every step carries those that it needs, so they are short, and indented by one space.
    """
    folder = resources.files("kale_tag.pipeline.step_runtime")
    texts = {name: folder.joinpath(f"{name}.py").read_text("utf-8") for name in PARTS}
    return Runtime(
        {
            name: re.sub(r"(?m)^(?: {4})+", lambda found: " " * (len(found[0]) // 4), text)
            for name, text in texts.items()
        }
    )
