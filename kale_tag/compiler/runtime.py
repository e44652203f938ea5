"""The program that runs a step in its container, as text: which of its parts a step carries.

KFP's server writes the program into the workflow once for each step, and etcd takes 1.5 MiB for a
workflow. The parts of a step do not depend on other steps, but for `tables` and `libraries`: one
step must read the formats that another writes, so all steps of a pipeline have these, or none.
"""

import pkgutil
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kale_tag.compiler.requirements import distribution

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

_IMPORT = re.compile(r"(?m)^\s*(?:from\s+(\w+)|import\s+(.+))")
_MODELS = re.compile(
    "torch|keras|tensorflow|xgboost|transformers|diffusers|lightning|fastai|timm|ultralytics"
)
"""In the cells of pipelines that may pass on models of PyTorch, Keras or XGBoost."""

_PACKED = '''\
# The program that runs the step. As the pipeline is large it is packed here, by bz2 and base64;
# in a package of few steps it is readable.
import base64, bz2

exec(bz2.decompress(base64.b64decode("""
{packed}""")))
'''


@dataclass(frozen=True, slots=True)
class Runtime:
    """The program that runs a step, in parts."""

    parts: Mapping[str, str]  # by name, in their order

    def for_pipeline(self, sources: Iterable[str]) -> "Runtime":
        """The same without the formats that a pipeline with the cells *sources* does not need."""
        text = "\n".join(sources)
        kept = dict(self.parts)
        if not _MODELS.search(text):
            kept.pop("libraries", None)
        if not any(distribution(module, {}) for module in _modules(text)):
            kept.pop("tables", None)
        return Runtime(kept)

    def for_step(self, cells: str, spec: Mapping[str, object]) -> str:
        """The program for a step of CELLS and SPEC."""
        values = "in" in spec or "out" in spec
        magics = "get_ipython" in cells
        needed = {
            "artifacts": values or "metrics" in spec or "report" in spec,
            "values": values,
            "together": "together" in spec,
            "tables": values,
            "libraries": values,
            "metrics": "metrics" in spec,
            "parameters": "params" in spec,
            "loop": "await" in cells or "async" in cells,
            "report": magics or "report" in spec,
            "magics": magics,
        }
        return _joined(text for name, text in self.parts.items() if needed.get(name, True))

    def whole(self) -> str:
        """The program with all its parts."""
        return _joined(self.parts.values())


def load_runtime() -> Runtime:
    """The runtime, whose parts need only each other and Python 3.9 or newer.

    It is indented by one space, since each step carries it.
    """
    texts = {name: _part(name) for name in PARTS}
    return Runtime(
        {
            name: re.sub(r"(?m)^(?: {4})+", lambda found: " " * (len(found[0]) // 4), text)
            for name, text in texts.items()
        }
    )


def pack(program: str) -> str:
    """*program* as a program that contains it compressed, in about half of the bytes."""
    import base64  # noqa: PLC0415  few pipelines are so large
    import bz2  # noqa: PLC0415  unlike zlib, it gives the same bytes on every machine

    return _PACKED.format(packed=base64.encodebytes(bz2.compress(program.encode())).decode())


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(parts)


def _modules(text: str) -> Iterable[str]:
    for one, several in _IMPORT.findall(text):
        yield from [one] if one else re.findall(r"(?:^|,)\s*(\w+)", several)


def _part(name: str) -> str:
    # Not importlib.resources, which takes longer to import than all of this to do.
    data = pkgutil.get_data("kale_tag", f"step_runtime/{name}.py")
    assert data is not None, "the parts are in the package"
    return data.decode().replace("\r\n", "\n")
