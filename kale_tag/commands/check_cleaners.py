"""What in the set-up of a repository deletes tags: finds it for `kale-tag check`.

Git is asked only where something names a filter, and files are parsed only where they name a
cleaner: who has neither pays for a few looks at the disk.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from kale_tag import files
from kale_tag.diagnostics import Diagnostic, UserError

PRE_COMMIT = ".pre-commit-config.yaml"
CONFIGS = (
    "pyproject.toml",
    "settings.ini",
    ".nbwipers.toml",
    "nbwipers.toml",
    ".git-nbconfig.yaml",
    "jupytext.toml",
)
"""The files in which cleaners are set up; a test holds them against the facts."""

_OWN = (".nbwipers.toml", "nbwipers.toml", ".git-nbconfig.yaml", "jupytext.toml", "settings.ini")
_NAMES = re.compile(
    rb"nb[-_]?clean|nbdev|databooks|nbstripout|nbwipers|nbmetaclean|nbconvert|jupytext|\bjq\b"
)


def find_cleaners(notebooks: Iterable[str]) -> Iterator[Diagnostic]:
    """What deletes tags or settings of *notebooks*, as far as they are in a work tree of Git."""
    top_of = cache(_top)
    tops: dict[str, list[str]] = {}
    for name in notebooks:
        path = os.path.realpath(name)
        top = top_of(os.path.dirname(path))
        if top:
            tops.setdefault(top, []).append(os.path.relpath(path, top).replace(os.sep, "/"))
    for top, paths in tops.items():
        found = {name: data for name in (PRE_COMMIT, *CONFIGS) if (data := _named(top, name))}
        filtered = _may_be_filtered(top, paths)
        if found or filtered:
            from kale_tag.commands import cleanings  # noqa: PLC0415  see the module

            yield from cleanings.diagnostics(top, paths, found, filtered=filtered)


def shown(top: str, name: str) -> str:
    """How to call the file *name* in the folder *top*: from where the user is."""
    return os.path.normpath(os.path.join(os.path.relpath(top), name))


def _top(folder: str) -> str:
    """The top folder of the work tree that *folder* is in, "" outside of one."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent
    return folder


def _named(top: str, name: str) -> bytes:
    """The content of a file that names a cleaner, or is one's own; empty for all others."""
    data = _data(os.path.join(top, name))
    return data if name in _OWN or _NAMES.search(data) else b""


def _data(path: str) -> bytes:
    if not os.path.isfile(path):
        return b""
    try:
        return files.read(path).data
    except UserError:
        return b""


def _may_be_filtered(top: str, paths: Sequence[str]) -> bool:
    """Whether a notebook can have a filter; that is looked at as Git does where this is true."""
    git = os.path.join(top, ".git")
    if os.path.isfile(git):  # a linked work tree, or a submodule: its attributes are elsewhere
        return True
    folders = {""}
    for path in paths:
        while (path := os.path.dirname(path)) and path not in folders:
            folders.add(path)
    inside = (os.path.join(top, folder, ".gitattributes") for folder in folders)
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    attributes = (
        os.path.join(git, "info", "attributes"),
        *inside,
        os.path.join(home, "git", "attributes"),
        "/etc/gitattributes",
    )
    configs = (
        os.path.join(git, "config"),
        os.path.expanduser("~/.gitconfig"),
        os.path.join(home, "git", "config"),
        "/etc/gitconfig",
    )
    return any(b"filter" in _data(path) for path in attributes) or any(
        b"attributesfile" in _data(path).lower() for path in configs
    )
