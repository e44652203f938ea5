"""The program that runs a step in its container, as text."""

import pkgutil
import re

from kale_tag.compiler.runtime import Runtime

PARTS = (
    "artifacts",
    "values",
    "together",
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
    texts = {name: _part(name) for name in PARTS}
    return Runtime(
        {
            name: re.sub(r"(?m)^(?: {4})+", lambda found: " " * (len(found[0]) // 4), text)
            for name, text in texts.items()
        }
    )


def _part(name: str) -> str:
    # Not importlib.resources, which takes longer to import than all of this to do.
    data = pkgutil.get_data("kale_tag", f"step_runtime/{name}.py")
    assert data is not None, "the parts stand in the package"
    return data.decode().replace("\r\n", "\n")
