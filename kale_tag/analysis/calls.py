"""What calls do to what they are given: which are known to read only, which to change it.

Python does not say whether `x.m()` changes `x`. What `calls.toml` does not list may; see `Change`
for what the tables decide.
"""

import functools
import pkgutil
from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class Change(IntEnum):
    """How sure it is that code changes the object of a variable."""

    NONE = 0
    MAYBE = 1  # it is given to code that is not known
    LIKELY = 2  # by a method that is known to change its object
    SURE = 3  # by assignment


def words(text: str) -> frozenset[str]:
    """The words of a text, of which a table is easier to read than of a list."""
    return frozenset(text.split())


@functools.cache
def tables(name: str) -> Mapping[str, Any]:
    """The tables of the data file *name* of the analysis."""
    import tomllib  # noqa: PLC0415  code without a call needs no table

    return tomllib.loads((pkgutil.get_data("kale_tag.analysis", f"{name}.toml") or b"").decode())


@functools.cache
def known(kind: str) -> frozenset[str]:
    """The names of one kind in `calls.toml`."""
    return frozenset(tables("calls")[kind])


@functools.cache
def unpicklable() -> Mapping[str, str]:
    """The functions whose results no pickle can hold, and what these are."""
    kinds = tables("calls")["unpicklable"]
    return {path: kind for kind, paths in kinds.items() for path in paths}


PAIR = "matplotlib.pyplot.subplots"
"""What returns a figure and axes: each of them is volatile, not only the pair."""


def of_function(path: str) -> Change | None:
    """What the function of that dotted *path* does to its first argument; None: not known."""
    if path in known("spoilers") or (path.startswith("numpy.") and path.endswith(".at")):
        return Change.LIKELY
    if path in known("pure") or ("." in path and path.partition(".")[0] in known("pure_modules")):
        return Change.NONE
    return None


def of_method(name: str, *, inplace: bool | None) -> Change | None:
    """What a method of that name does to its object; None: not known."""
    if inplace is not None:
        return Change.LIKELY if inplace else Change.NONE
    if name in known("changers") or (
        name.endswith("_") and not name.endswith("__")
    ):  # PyTorch: `add_`
        return Change.LIKELY
    return Change.NONE if name in known("readers") else None


def is_fresh(name: str) -> bool:
    """Whether the result of the method *name* shares nothing that could be changed through it."""
    return name in known("readers") - known("parts") or name in known("file_readers")


def shares(path: str) -> bool:
    """Whether the result of a pure function may be one of its arguments, or hold a part of it."""
    return path in known("sharers") or path.partition(".")[0] in known("sharing_modules")


def is_volatile(path: str) -> bool:
    """Whether the function of that *path* returns what changes when it is used in any way.

    Iterators are used up, files and buffers move on, generators of random numbers draw, a
    `defaultdict` fills itself, axes are drawn on by whoever is given them.
    """
    if path.startswith("seaborn."):
        return path.endswith(("plot", "map", "grid"))
    return path in known("volatile") or (path.startswith("itertools.") and path != "itertools.tee")


def is_container(path: str) -> bool:
    """Whether the function returns a container, of which `copy()` is a shallow copy."""
    return path in known("containers")
