r"""Text with holes: `${stem}` for parts of a notebook's path, `\1` for groups of a pattern."""

import re
from collections.abc import Iterator, Mapping

VARIABLES = ("stem", "name", "parent", "dir")
"""What every notebook has: file name without and with its ending, name of its folder, folder."""

_HOLE = re.compile(r"\$(\$?)\{([^{}]*)\}")  # `$${` is a literal `${`
_HOLE_START = re.compile(r"\$(?=\{[^{}]*\})")
_GROUP = re.compile(r"\\(?:([0-9])|g<(\w+)>)")


def variables(text: str) -> Iterator[re.Match[str]]:
    """The `${...}` holes of *text*; group 2 is the name."""
    return (hole for hole in _HOLE.finditer(text) if not hole[1])


def has_variables(text: str) -> bool:
    """Whether *text* has `${...}` holes, and so differs between notebooks."""
    return any(variables(text))


def groups(text: str) -> Iterator[re.Match[str]]:
    r"""The references of *text* to groups, `\1` and `\g<name>`."""
    return _GROUP.finditer(text)


def group(reference: re.Match[str]) -> int | str:
    """The number or the name of the group that a reference is to."""
    name: str = reference[1] or reference[2]
    return int(name) if re.fullmatch(r"[0-9]{1,9}", name) else name


def has_holes(text: str) -> bool:
    """Whether *text* differs between notebooks or cells."""
    return has_variables(text) or any(groups(text))


def is_literal(text: str) -> bool:
    """Whether *text* is used as it is: it has no holes, and no `$${` for a literal `${`."""
    return _HOLE.search(text) is None and _GROUP.search(text) is None


def fill(text: str, values: Mapping[str, str]) -> str:
    """*text* with each `${name}` replaced; KeyError for a name that *values* lacks."""
    return _HOLE.sub(lambda hole: hole[0][1:] if hole[1] else values[hole[2]], text)


def escaped(text: str) -> str:
    """What is filled to *text* itself: each `${` that would be a hole is written `$${`."""
    return _HOLE_START.sub("$$", text)


def expand(text: str, match: re.Match[str]) -> str:
    """*text* with each reference replaced by what its group caught, "" if it caught nothing."""
    return _GROUP.sub(lambda found: match[group(found)] or "", text)
