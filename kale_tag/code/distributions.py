"""Import names to distributions, read from `distributions.txt`, which names its sources."""

import re
from collections.abc import Iterable, Mapping
from functools import cache

from kale_tag import data_file

Pairs = tuple[tuple[str, str], ...]


@cache
def modules() -> Mapping[str, str]:
    """The distribution of a module, or of a part of one such as `google.auth`; "" for none."""
    equal = (name for line in _sections()["same"] for name in line.split())
    pairs = {module: "" if name == "-" else name for module, name in _pairs("modules")}
    return {name: normalized(name) for name in equal} | pairs


def normalized(name: str) -> str:
    """The name of a distribution as PEP 503 normalizes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def companions() -> Pairs:
    """Distributions, each with one that it uses if the notebook has it: optional dependencies."""
    return tuple(_pairs("companions"))


@cache
def needed() -> Pairs:
    """Distributions or methods of theirs, each with a distribution that calls of it need."""
    return tuple(_pairs("needed"))


@cache
def standard_modules() -> frozenset[str]:
    """The modules of the standard library, of any version of Python that a step may have."""
    return frozenset(word for line in _sections()["standard"] for word in line.split())


def _pairs(section: str) -> Iterable[tuple[str, str]]:
    for line in _sections()[section]:
        left, right = line.split()
        yield left, right


@cache
def _sections() -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in data_file("code/distributions.txt").splitlines():
        if line.startswith("["):
            lines = found[line.strip("[]")] = []
        elif line and not line.startswith("#"):
            lines.append(line)
    return found
