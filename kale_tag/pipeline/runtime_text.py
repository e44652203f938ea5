"""The program that runs a step in its container, as text."""

import pkgutil
import re

PARTS = ("values", "page", "magics", "step")


def runtime_text(*, magics: bool) -> str:
    """The program, which needs nothing but Python 3.9 or newer.

    Every step carries it, so it is short: indented by one space, and what `get_ipython()` gives
    comes along only if some cell has *magics* (its Python then says `get_ipython`).
    """
    names = [name for name in PARTS if magics or name != "magics"]
    text = "\n\n".join(map(_part, names))
    return re.sub(r"(?m)^(?: {4})+", lambda found: " " * (len(found[0]) // 4), text)


def _part(name: str) -> str:
    # Not importlib.resources, which takes longer to import than all of this to do.
    data = pkgutil.get_data("kale_tag.pipeline", f"step_runtime/{name}.py")
    assert data is not None, "the parts stand in the package"
    return data.decode().replace("\r\n", "\n")
