"""Git as a source of bytes: repositories, revisions, and files at a revision."""

import os
import subprocess
from collections.abc import Mapping, Sequence

from kale_tag.diagnostics import UserError, error

# What users have in their environment must not change what a program reads.
_PLAIN: Mapping[str, str] = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}


class GitError(Exception):
    """Git refused; *message* is what it said, without `fatal:`, in one line."""

    def __init__(self, code: int, message: str) -> None:
        """Keep Git's exit code and words."""
        super().__init__(message)
        self.code = code
        self.message = message


def run(words: Sequence[str], at: str = "", data: bytes | None = None) -> bytes:
    """What `git *words*` prints, run in the folder *at* with *data* as standard input.

    Raises `GitError` when Git ends with an exit code above 0, and `UserError` when there is no Git.
    """
    try:
        done = subprocess.run(  # noqa: S603  the words are ours; names stand behind `--`
            ["git", *words],  # noqa: S607  the user's own Git, as PATH has it
            cwd=at or None,
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            check=False,
            env={**os.environ, **_PLAIN},
        )
    except FileNotFoundError:
        if at and not os.path.isdir(at):
            raise GitError(128, f"there is no folder {at}") from None
        raise UserError(
            error("no-git", "there is no `git` on this machine's PATH", help="install Git")
        ) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().replace("\n", "; ")
        raise GitError(done.returncode, said.removeprefix("fatal: "))
    return done.stdout


def root(at: str = "") -> str | None:
    """The top folder of the work tree that *at* is in; None outside of one, or in a bare one."""
    try:
        return os.fsdecode(run(["rev-parse", "--show-toplevel"], at)).removesuffix("\n")
    except GitError:
        return None
