"""Git's configuration, and where a repository keeps its own things."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from kale_tag.diagnostics import Diagnostic, UserError, error
from kale_tag.git.revisions import GitError, run

Scope = Literal["--local", "--global"]


class Setting(NamedTuple):
    """A value in the configuration, and the file that it stands in."""

    value: str
    file: str


@dataclass(frozen=True, slots=True)
class Repository:
    """Where a repository is: *top*, where commands on it run, and its own attributes file.

    In a bare repository *top* is the repository itself.
    """

    top: str
    attributes: str
    bare: bool


def find_repository(at: str = "") -> Repository:
    """The repository that the folder *at* is in. Raises `GitError` with Git's words."""
    words = ["rev-parse", "--is-inside-work-tree", "--git-path", "info/attributes"]
    inside, _, attributes = os.fsdecode(run(words, at)).removesuffix("\n").partition("\n")
    attributes = os.path.abspath(os.path.join(at, attributes))
    if inside == "true":
        top = os.fsdecode(run(["rev-parse", "--show-toplevel"], at)).removesuffix("\n")
        return Repository(top, attributes, bare=False)
    top = os.fsdecode(run(["rev-parse", "--absolute-git-dir"], at)).removesuffix("\n")
    return Repository(top, attributes, bare=True)


def get(key: str, scope: Scope | None, at: str = "", *, path: bool = False) -> Setting | None:
    """The value of *key*; with None as scope the one that is in force."""
    words = ["config", "-z", "--show-origin", *([scope] if scope else [])]
    words += [*(["--type=path"] if path else []), "--get", key]
    try:
        origin, value, _ = os.fsdecode(run(words, at)).split("\0")
    except GitError as exc:
        if exc.code == 1:
            return None
        if scope == "--global" and "unable to read" in exc.message:  # there is no such file yet
            return None
        raise UserError(_refused(exc)) from None
    return Setting(value, os.path.join(at, origin.removeprefix("file:")))


def put(key: str, value: str, scope: Scope, at: str = "") -> None:
    """Give *key* this value. Raises `UserError` when Git cannot write it."""
    _change(["config", scope, "--replace-all", key, value], at)


def unset(key: str, scope: Scope, at: str = "") -> None:
    """Take *key* out; Git takes the section away with its last key."""
    _change(["config", scope, "--unset-all", key], at)


def _change(words: Sequence[str], at: str) -> None:
    try:
        run(words, at)
    except GitError as exc:
        raise UserError(_refused(exc)) from None


def _refused(diagnostic: GitError) -> Diagnostic:
    return error("git-refused", f"Git could not use its configuration: {diagnostic.message}")
