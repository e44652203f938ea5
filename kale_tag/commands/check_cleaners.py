"""Looks in the set-up of a repository for programs that delete tags: part of `kale-tag check`.

Git is asked, and files are parsed, only where they name a cleaner: all others pay for a few looks
at the disk.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from kale_tag import files
from kale_tag.diagnostics import Diagnostic, Label, Source, Span, UserError

if TYPE_CHECKING:
    from kale_tag.lint.cleaners import Use

PRE_COMMIT = ".pre-commit-config.yaml"
CONFIGS = ("pyproject.toml", "settings.ini", ".nbwipers.toml", "nbwipers.toml", "jupytext.toml")
"""The files of the table, which is not read here."""

NAMES = re.compile(
    rb"nb[-_]?clean|nbdev|databooks|nbstripout|nbwipers|nbmetaclean|nbconvert|jupytext"
)
_SHARED = {PRE_COMMIT, "pyproject.toml"}


def find_cleaners(notebooks: Iterable[str]) -> Iterator[Diagnostic]:
    """What deletes tags or settings of *notebooks*, as far as they are in a work tree of Git."""
    top_of = cache(_top)
    tops: dict[str, list[str]] = {}
    for name in notebooks:
        path = os.path.realpath(name)
        if top := top_of(os.path.dirname(path)):
            tops.setdefault(top, []).append(os.path.relpath(path, top).replace(os.sep, "/"))
    for top, paths in tops.items():
        sources = {}
        for name in (PRE_COMMIT, *CONFIGS):
            data = _data(os.path.join(top, name))
            if data and (name not in _SHARED or NAMES.search(data)):
                sources[name] = data
        filtered = _may_have_filters(top)
        if sources or filtered:
            yield from _diagnostics(top, paths, sources, filtered=filtered)


def _diagnostics(
    top: str, paths: Sequence[str], found: Mapping[str, bytes], *, filtered: bool
) -> Iterator[Diagnostic]:
    from kale_tag.lint import cleaners  # noqa: PLC0415  few repositories name a cleaner

    sources = {}
    for name, data in found.items():
        shown = os.path.normpath(os.path.join(os.path.relpath(top), name))
        try:
            sources[name] = files.as_text(shown, data)
        except UserError:
            continue  # the cleaner reports that itself
    uses = [*cleaners.hooks(sources[PRE_COMMIT], paths)] if PRE_COMMIT in sources else []
    uses += _filters(top, paths) if filtered else []
    names = {use.cleaner.name for use in uses}
    for use in uses:
        config = cleaners.configured(use.cleaner, sources, used=True)
        yield from cleaners.tag_eating_cleaner(use, config)
    for cleaner in cleaners.cleaners():
        config = cleaners.configured(cleaner, sources, used=False)
        if config and cleaner.name not in names:
            yield from cleaners.tag_eating_cleaner(config)


def _filters(top: str, paths: Sequence[str]) -> "list[Use]":
    """The cleaners that Git has as filters of notebooks.

    None where there is no Git, or where it refuses the repository or its own configuration.
    """
    from kale_tag.git import config  # noqa: PLC0415  as above
    from kale_tag.git.revisions import GitError  # noqa: PLC0415
    from kale_tag.lint import cleaners  # noqa: PLC0415

    uses = []
    try:
        given = config.effective("filter", paths, top).values()
        for name in dict.fromkeys(given):
            command = config.get(f"filter.{name}.clean", None, top)
            if command and (started := cleaners.find(command.value)):
                cleaner, options = started
                if cleaner.git and (extra := config.get(cleaner.git[0], None, top)):
                    options = {**cleaners.options_of([cleaner.git[1], extra.value]), **options}
                at = _place(command.file, name, top)
                uses.append(cleaners.Use(cleaner, f"Git's filter `{name}`", at, options))
    except (GitError, UserError):
        return []
    return uses


def _place(file: str, name: str, top: str) -> Label:
    """The head of the section of Git's configuration that sets up the filter *name*."""
    inside = not os.path.relpath(file, top).startswith("..")
    shown = os.path.relpath(file) if inside else file
    try:
        source = files.as_text(shown, files.read(file).data)
    except UserError:
        return Label(Source(shown))
    head = re.search(rf'\[filter "{re.escape(name)}"\]', source.text)
    return Label(source, Span(*head.span()) if head else None)


def _top(folder: str) -> str:
    """The top folder of the work tree that *folder* is in, "" outside of one."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent
    return folder


def _may_have_filters(top: str) -> bool:
    """Whether Git's configuration can name a cleaner: it does, or it includes other files."""
    git = os.path.join(top, ".git")
    if os.path.isfile(git):  # a linked work tree, or a submodule: its configuration is elsewhere
        return True
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    configs = (
        os.path.join(git, "config"),
        os.path.expanduser("~/.gitconfig"),
        os.path.join(home, "git", "config"),
        "/etc/gitconfig",
    )
    contents = [_data(path) for path in configs]
    return any(NAMES.search(data) or b"[include" in data for data in contents)


def _data(path: str) -> bytes:
    if not os.path.isfile(path):
        return b""
    try:
        return files.read(path).data
    except UserError:
        return b""
