"""Git as a source of bytes: repositories, revisions, and files at a revision."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, did_you_mean, error

# What users have in their environment must not change what a program reads.
_PLAIN: Mapping[str, str] = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}


# What is a file to Git: a symlink (120000) holds a path, a submodule (160000) a commit.
_FILES = ("100644", "100755")
_LFS = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as seen from a folder."""

    at: str  # the folder; "" for the current one
    top: str | None  # of the work tree; None in a bare repository and inside `.git`
    shallow: bool  # has the last part of its history only


@dataclass(frozen=True, slots=True)
class Object:
    """What a revision names: all files at it (`tree`), or one file's content (`blob`)."""

    kind: Literal["tree", "blob"]
    id: str


@dataclass(frozen=True, slots=True)
class Blob:
    """A notebook at a revision or in the work tree."""

    path: str  # relative to the top folder, with `/`
    id: str | None  # of its content; None in the work tree where Git has not hashed the file


@dataclass(frozen=True, slots=True)
class Changed:
    """A notebook before and after, None where it is absent; with two paths if it was renamed."""

    before: Blob | None
    after: Blob | None


class GitError(Exception):
    """Git failed; *message* is its error in one line, without `fatal:`."""

    def __init__(self, code: int, message: str) -> None:
        """Keep Git's exit code and message."""
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
        raise UserError.of(
            "no-git", "there is no `git` on this machine's PATH", help="install Git"
        ) from None
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip().replace("\n", "; ")
        raise GitError(done.returncode, message.removeprefix("fatal: "))
    return done.stdout


def root(at: str = "") -> str | None:
    """The top folder of the work tree that *at* is in; None outside of one, or in a bare one."""
    try:
        return os.fsdecode(run(["rev-parse", "--show-toplevel"], at)).removesuffix("\n")
    except GitError:
        return None


def repository(at: str = "") -> Repository | None:
    """The repository that *at* is in, as Git finds it (`GIT_DIR` and the like count), or None.

    Raises `UserError` where there is one that Git refuses to use, and where there is no Git.
    """
    try:
        printed = run(["rev-parse", "--is-shallow-repository"], at)
        return Repository(at, root(at), printed.strip() == b"true")
    except GitError as exc:
        if "not a git repository" in exc.message.lower():
            return None
        raise UserError.of("git-refused", f"Git refused: {exc.message}") from None


def resolve(repo: Repository, revision: str) -> Object:
    """What *revision* names, in any of the spellings that Git knows.

    Raises `UserError` when it names nothing, with the branch or tag that is probably meant.
    """
    try:
        found = _verified(repo, revision)
        try:
            return Object("tree", _verified(repo, f"{found}^{{tree}}"))
        except GitError:
            return Object("blob", _verified(repo, f"{found}^{{blob}}"))
    except GitError as exc:
        raise UserError(_unknown(repo, revision, exc)) from None


def is_revision(repo: Repository, word: str) -> bool:
    """Whether *word* names a revision."""
    try:
        return bool(_verified(repo, word))
    except GitError:
        return False


def merge_base(repo: Repository, one: str, other: str) -> str:
    """The commit from which `one...other` counts: the newest common ancestor of two revisions.

    Raises `UserError` where one of them is no revision, or they have no common ancestor.
    """
    resolve(repo, one)
    resolve(repo, other)
    try:
        return run(["merge-base", "--end-of-options", one, other], repo.at).decode().split()[0]
    except GitError as exc:
        reason = exc.message or "they share no history"
        raise UserError.of(
            "no-merge-base",
            f"`{one}` and `{other}` have no common ancestor here",
            notes=[f"Git: {reason}"] if exc.message else (),
            help=_DEEPEN if repo.shallow else f"compare them directly: `{one}..{other}`",
        ) from None


def changed_notebooks(
    repo: Repository, before: str, after: str | None, pathspecs: Sequence[str] = ()
) -> list[Changed]:
    """The notebooks that differ between two trees, in Git's order; renamed ones as one.

    *after* None is the work tree, of which Git knows the files that were added to the index at
    least once. *pathspecs* are Git's, seen from the folder of *repo*. Symlinks and
    submodules are passed over. No content is read here but what Git reads to find renames.

    Raises `UserError` where Git refuses.
    """
    words = ["diff-tree", "-r"] if after is not None else ["diff-index", "--ignore-submodules=all"]
    trees = [before] if after is None else [before, after]
    return list(_changes(repo, [*words, "-M", *trees], pathspecs))


def notebooks_at(repo: Repository, tree: str, pathspecs: Sequence[str] = ()) -> list[Blob]:
    """The notebooks in *tree*, sorted by path; see `changed_notebooks` for what counts."""
    # A tree is what it has more than the empty one, so that pathspecs mean here what they mean
    # there: `ls-tree` knows no patterns.
    nothing = run(["hash-object", "-t", "tree", "--stdin"], repo.at, b"").decode().strip()
    found = _changes(repo, ["diff-tree", "-r", nothing, tree], pathspecs)
    return [one.after for one in found if one.after is not None]


def is_lfs_pointer(data: bytes) -> bool:
    """Whether *data* is a pointer of Git LFS."""
    return len(data) < 1024 and data.startswith(_LFS)


class Blobs:
    """Reads the content of many blobs through one process."""

    def __init__(self, repo: Repository) -> None:
        """Start the process with the first blob only."""
        self._repo = repo
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, blob: str, name: str) -> bytes:
        """The content of *blob*, untouched by filters.

        Raises `UserError`, in which it is called *name*, where Git does not have it.
        """
        if self._process is None:
            self._process = subprocess.Popen(  # see `run`
                ["git", "cat-file", "--batch"],  # noqa: S607
                cwd=self._repo.at or None,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_PLAIN},
            )
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        try:
            into.write(f"{blob}\n".encode())
            into.flush()
            head = out.readline().split()
            if len(head) == 3:
                size = int(head[2])
                data = out.read(size + 1)[:-1]
                if len(data) == size:
                    return data
        except OSError:
            pass  # the process is gone, as after the loss of an object of a partial clone
        self.close()
        raise UserError.of(
            "not-read",
            f"Git does not have the content of {name}",
            Label(Source(name)),
            help=f"`git cat-file blob {blob}` shows why; `git fetch` may bring it",
        )

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            process, self._process = self._process, None
            process.communicate()


_DEEPEN = "this clone has only the last part of the history; `git fetch --unshallow` brings all"


def _verified(repo: Repository, revision: str) -> str:
    words = ["rev-parse", "--verify", "--end-of-options", revision]
    found = run(words, repo.at).decode().strip()
    if found.startswith("^"):
        raise GitError(128, "this names only what to exclude")
    return found


def _unknown(repo: Repository, revision: str, diagnostic: GitError) -> Diagnostic:
    if revision in {"HEAD", "@"}:
        return error(
            "no-commits",
            "this repository has no commits yet",
            help="compare two notebooks or folders, or commit first",
        )
    notes = [f"Git: {diagnostic.message}"] if "ambiguous" in diagnostic.message else []
    if repo.shallow:
        notes.append(_DEEPEN)
    names = run(["for-each-ref", "--format=%(refname:short)"], repo.at).decode(errors="replace")
    return error(
        "unknown-revision",
        f"Git knows no revision `{revision}`",
        notes=notes,
        help=did_you_mean(revision, names.split(), "`git branch -a` and `git tag` list some"),
    )


def _changes(repo: Repository, words: Sequence[str], pathspecs: Sequence[str]) -> Iterator[Changed]:
    limits = list(pathspecs)
    if not limits and not os.environ.get("GIT_LITERAL_PATHSPECS"):
        limits = [":(top)*.ipynb"]  # saves Git the search for renames of everything else
    plain = ["--raw", "-z", "--no-abbrev", "--no-ext-diff", "--no-textconv", "--no-relative"]
    try:
        printed = run([words[0], *plain, *words[1:], "--", *limits], repo.at)
    except GitError as exc:
        raise UserError.of("git-refused", f"Git refused: {exc.message}") from None
    parts = iter(printed.split(b"\0"))
    for head in parts:
        if not head:
            return
        # `:100644 100644 OLD NEW M`, a path, and a second one behind R: git-diff-tree(1)
        old_mode, new_mode, old, new, status = head.decode().removeprefix(":").split()
        path = os.fsdecode(next(parts))
        new_path = os.fsdecode(next(parts)) if status[0] in "RC" else path
        before = _notebook(path, old_mode, old) if old_mode != "000000" else None
        after = _notebook(new_path, new_mode, new) if new_mode != "000000" else None
        if status != "U" and (before or after):
            yield Changed(before, after)


def _notebook(path: str, mode: str, blob: str) -> Blob | None:
    if mode not in _FILES or not path.endswith(".ipynb"):
        return None
    return Blob(path, blob if blob.strip("0") else None)
