"""The program that runs a step in its container, as text."""

import re
from importlib import resources

PARTS = ("values", "page", "magics", "step")


def runtime_text(*, magics: bool) -> str:
    """The program, which needs nothing but Python 3.9 or newer.

    Every step carries it, so it is short: indented by one space, and what `get_ipython()` gives
    comes along only if some cell has *magics* (its Python then says `get_ipython`).
    """
    folder = resources.files("kale_tag.pipeline.step_runtime")
    names = [name for name in PARTS if magics or name != "magics"]
    text = "\n\n".join(folder.joinpath(f"{name}.py").read_text("utf-8") for name in names)
    return re.sub(r"(?m)^(?: {4})+", lambda found: " " * (len(found[0]) // 4), text)
