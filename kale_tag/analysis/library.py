"""The table of what functions and methods of Python and its libraries do (`library.toml`)."""

import functools
from collections.abc import Mapping
from typing import Any

from kale_tag import data_file


class Table:
    """Words, and beginnings of dotted names (`math.*`)."""

    def __init__(self, text: str) -> None:
        words = text.split()
        self.words = frozenset(word for word in words if not word.endswith(".*"))
        self.starts = tuple(word[:-1] for word in words if word.endswith(".*"))

    def __contains__(self, word: str) -> bool:
        return word in self.words or (bool(self.starts) and word.startswith(self.starts))


@functools.cache
def tables(name: str) -> Mapping[str, Any]:
    """The tables of the data file *name* of the analysis."""
    import tomllib  # noqa: PLC0415  code without a call needs no table

    return tomllib.loads(data_file(f"analysis/{name}.toml"))


@functools.cache
def section(name: str) -> dict[str, Table]:
    """A section of the table."""
    return {key: Table(text) for key, text in tables("library")[name].items()}


@functools.cache
def known(kind: str) -> frozenset[str]:
    """The names of one kind."""
    return frozenset(tables("library")["lists"][kind])


@functools.cache
def unpicklable() -> Mapping[str, str]:
    """The functions whose results no pickle can hold, and what these are."""
    kinds = tables("library")["unpicklable"]
    return {path: kind for kind, paths in kinds.items() for path in paths}


@functools.cache
def module_kinds() -> dict[str, str]:
    """For each module whose functions leave their arguments alone, the kind of what they make."""
    return {module: kind for kind, table in section("modules").items() for module in table.words}


def function(kind: str, path: str) -> bool:
    """Whether the function of that dotted *path* is of a *kind*."""
    return path in section("functions")[kind]


def method(kind: str, name: str) -> bool:
    """Whether the method of that *name* is of a *kind*."""
    return name in section("methods")[kind]
