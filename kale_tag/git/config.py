"""Git's configuration, and the paths of a repository."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from kale_tag.diagnostics import Diagnostic, UserError, error
from kale_tag.git.revisions import GitError, run

Scope = Literal["--local", "--global"]


class ConfigValue(NamedTuple):
    """A value in the configuration."""

    value: str
    file: str  # the configuration file that sets it


@dataclass(frozen=True, slots=True)
class RepositoryFiles:
    """The paths of a repository."""

    top: str  # the top folder, or the repository itself if it is bare
    attributes: str  # its `info/attributes`
    bare: bool


def find_repository(at: str = "") -> RepositoryFiles:
    """The repository that the folder *at* is in. Raises `GitError` with Git's words."""
    words = ["rev-parse", "--is-inside-work-tree", "--git-path", "info/attributes"]
    inside, _, attributes = os.fsdecode(run(words, at)).removesuffix("\n").partition("\n")
    attributes = os.path.abspath(os.path.join(at, attributes))
    if inside == "true":
        top = os.fsdecode(run(["rev-parse", "--show-toplevel"], at)).removesuffix("\n")
        return RepositoryFiles(top, attributes, bare=False)
    top = os.fsdecode(run(["rev-parse", "--absolute-git-dir"], at)).removesuffix("\n")
    return RepositoryFiles(top, attributes, bare=True)


def get(key: str, scope: Scope | None, at: str = "", *, path: bool = False) -> ConfigValue | None:
    """The value of *key* in *scope*; with None the effective one."""
    words = ["config", "-z", "--show-origin", *([scope] if scope else [])]
    words += [*(["--type=path"] if path else []), "--get", key]
    try:
        origin, value, _ = os.fsdecode(run(words, at)).split("\0")
    except GitError as exc:
        if exc.code == 1:
            return None
        if scope == "--global" and "unable to read" in exc.message:  # the file does not exist yet
            return None
        raise UserError(_refused(exc)) from None
    return ConfigValue(value, os.path.join(at, origin.removeprefix("file:")))


def put(key: str, value: str, scope: Scope, at: str = "") -> None:
    """Give *key* this value. Raises `UserError` when Git cannot write it."""
    _change(["config", scope, "--replace-all", key, value], at)


def unset(key: str, scope: Scope, at: str = "") -> None:
    """Remove *key*; Git removes the section with its last key."""
    _change(["config", scope, "--unset-all", key], at)


def _change(words: Sequence[str], at: str) -> None:
    try:
        run(words, at)
    except GitError as exc:
        raise UserError(_refused(exc)) from None


def _refused(diagnostic: GitError) -> Diagnostic:
    return error("git-refused", f"Git could not use its configuration: {diagnostic.message}")
