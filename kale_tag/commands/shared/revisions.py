"""The notebooks that `kale-tag diff` compares: files, folders or Git revisions."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from kale_tag import files
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error, pasted, warning
from kale_tag.git import revisions as git
from kale_tag.notebook.read import read_notebook

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Version:
    """A notebook on one side."""

    path: str  # what pairs it, and is shown
    name: str  # in messages, such as `main:notebooks/a.ipynb`
    content: Callable[[], bytes]  # may raise `UserError`
    committed: bool = False  # it is in Git, where it cannot be fixed

    def read(self) -> bytes:
        """The bytes. Raises `UserError`, also where Git LFS has them elsewhere."""
        data = self.content()
        if git.is_lfs_pointer(data):
            raise UserError.of(
                "lfs-pointer",
                f"{self.name} is a pointer of Git LFS; the notebook itself is in its store",
                Label(Source(self.name)),
                help="`git lfs pull` brings it into the work tree; compare the files then",
            )
        return data


@dataclass(frozen=True, slots=True)
class VersionPair:
    """Two versions of a notebook, None where it is not there."""

    before: Version | None
    after: Version | None
    same: bool = False  # Git has one content for both
    paired: bool = False  # the user named both


@dataclass(slots=True)
class Comparison:
    """What there is to compare."""

    before: str  # a revision, file or folder
    after: str
    versions: list[VersionPair] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)


def files_compared(paths: Sequence[str]) -> Comparison:
    """Two notebooks, or all notebooks of two folders.

    Raises `UserError` where *paths* are not two of a kind.
    """
    if len(paths) > 2:
        raise UserError.of(
            "too-many-paths",
            f"{len(paths)} paths are named; two can be compared",
            help="kale-tag diff -- PATH... compares each with HEAD",
        )
    before, after = paths
    if before == after == STDIN:
        raise UserError.of("two-stdin", "`-` can be given once")
    folders = [path != STDIN and os.path.isdir(path) for path in paths]
    if all(folders):
        return Comparison(before, after, list(_folders_compared(before, after)))
    if any(folders):
        folder, other = (before, after) if folders[0] else (after, before)
        message = f"{folder} is a folder, {'standard input' if other == STDIN else other} is not"
        hint = "name two notebooks or two folders; after `--` a path is looked up in Git"
        raise UserError.of("not-comparable", message, help=hint)
    return Comparison(before, after, [VersionPair(_file(before), _file(after), paired=True)])


def _file(name: str, path: str = "") -> Version:
    """The notebook *name*, or that on standard input; it is shown as *path*."""
    if name == STDIN:
        return Version("stdin", "stdin", sys.stdin.buffer.read)
    return Version(path or name, name, lambda: files.read(name).data)


def _folders_compared(before: str, after: str) -> Iterator[VersionPair]:
    """By the same relative path; what is left by content, then by ids, as a renamed notebook."""
    old, new = (
        {os.path.relpath(path, folder): path for path in files.notebooks_in(folder)}
        for folder in (before, after)
    )
    if not old and not new:
        raise UserError.of("no-notebooks", f"there is no notebook below {before} or {after}")
    renamed = _renamed(
        {name: path for name, path in old.items() if name not in new},
        {name: path for name, path in new.items() if name not in old},
    )
    origin = {new_name: old_name for old_name, new_name in renamed.items()}
    gone = [name for name in old if name not in new and name not in renamed]
    for name in sorted([*new, *gone]):
        was, now = old.get(origin.get(name, name)), new.get(name)
        yield VersionPair(
            _file(was, origin.get(name, name)) if was else None,
            _file(now, name) if now else None,
        )


def _renamed(gone: Mapping[str, str], come: Mapping[str, str]) -> dict[str, str]:
    """Old name to new name; nothing is read unless there is something on both sides."""
    found: dict[str, str] = {}
    if not gone or not come:
        return found
    old, new = ({name: _traits(path) for name, path in some.items()} for some in (gone, come))
    for name, (content, ids) in old.items():
        free = {one: traits for one, traits in new.items() if one not in found.values()}
        equal = [one for one, traits in free.items() if traits[0] == content]
        alike = [one for one, traits in free.items() if _mostly(ids, traits[1])]
        if equal or alike:
            found[name] = (equal or alike)[0]
    return found


def _traits(path: str) -> tuple[bytes, frozenset[str]]:
    """The content of a notebook, as a digest, and the ids of its cells."""
    import hashlib  # noqa: PLC0415  for folders in which something was renamed only

    content = os.fsencode(path)
    try:
        data = files.read(path).data
        content = hashlib.sha256(data).digest()
        notebook = read_notebook(data, path)
    except UserError:  # it is reported when the notebook is compared
        return content, frozenset()
    ids = (notebook.id_of(index) for index in range(len(notebook.types)))
    return content, frozenset(name for name in ids if name)


def _mostly(some: frozenset[str], others: frozenset[str]) -> bool:
    return 2 * len(some & others) > max(len(some), len(others))


WORK_TREE = "the work tree"


@dataclass(frozen=True, slots=True)
class _Side:
    """One side in Git: what it is called, how its paths are prefixed; no *found*: the work tree."""

    name: str
    prefix: str
    found: git.Object | None


def find_versions(words: Sequence[str], stack: ExitStack) -> Comparison:
    """The pairs of notebooks that *words*, the arguments of the command, stand for.

    What Git has is read when it is asked for, until *stack* is left. Raises `UserError` when the
    words cannot be understood, or name what is not there.
    """
    given = list(words)
    limits: list[str] | None = None
    if "--" in given:
        at = given.index("--")
        given, limits = given[:at], given[at + 1 :]
    repo = None if limits is None and _are_notebooks(given) else _repository()
    revisions, paths = _told_apart(given, repo, only_revisions=limits is not None)
    if not revisions and limits is None and (len(paths) > 1 or paths == [STDIN]):
        return files_compared(paths)
    if repo is None:
        what = f"; what is {words[0]} to be compared with?" if len(words) == 1 else ""
        hint = "kale-tag diff A.ipynb B.ipynb compares two files"
        raise UserError.of("no-repository", f"not inside a Git repository{what}", help=hint)
    before, after = _sides(repo, revisions)
    blobs = stack.enter_context(closing(git.Blobs(repo)))
    if "blob" in {side.found.kind for side in (before, after) if side.found is not None}:
        return _blobs_compared(before, after, limits or paths, blobs)
    if STDIN in paths:
        message = "standard input is one notebook; a revision has many"
        raise UserError.of("not-comparable", message, help="kale-tag diff REVISION:FILE -")
    return _trees_compared(repo, before, after, limits or paths, blobs)


def _are_notebooks(words: Sequence[str]) -> bool:
    """Whether *words* are two notebooks, for which Git need not be asked, nor be there."""
    return len(words) == 2 and all(
        word == STDIN or (word.endswith(".ipynb") and os.path.isfile(word)) for word in words
    )


def _repository() -> git.Repository | None:
    try:
        return git.repository()
    except UserError as exc:
        if any(one.code == "no-git" for one in exc.diagnostics):
            return None
        raise


def _told_apart(
    words: Sequence[str], repo: git.Repository | None, *, only_revisions: bool
) -> tuple[list[str], list[str]]:
    """The revisions and the paths of *words*; revisions come first."""
    if only_revisions:
        return list(words), []
    revisions: list[str] = []
    paths: list[str] = []
    for word in words:
        is_path = word == STDIN or os.path.lexists(word)
        if not paths and repo is not None and _is_known(repo, word):
            if is_path:
                message = f"`{word}` is both a revision and a path"
                hint = f"write `{word} --` for the revision, `-- {word}` or `./{word}` for the path"
                raise UserError.of("ambiguous-argument", message, help=hint)
            revisions.append(word)
        elif is_path:
            paths.append(word)
        else:
            raise UserError(_neither(word, repo, behind=bool(paths)))
    return revisions, paths


def _is_known(repo: git.Repository, word: str) -> bool:
    if git.is_revision(repo, word):
        return True
    ends = _ends(word)
    return ends is not None and all(git.is_revision(repo, end) for end in ends[:2])


def _ends(word: str) -> tuple[str, str, str] | None:
    """Both ends of a range and its dots; what is left out is HEAD. None where it is no range."""
    for dots in ("...", ".."):
        start, found, end = word.partition(dots)
        if found and word != dots and not start.endswith("/") and not end.startswith("/"):
            return start or "HEAD", end or "HEAD", dots
    return None


def _sides(repo: git.Repository, revisions: Sequence[str]) -> tuple[_Side, _Side]:
    if len(revisions) > 2:
        message = f"{len(revisions)} revisions are named: {', '.join(revisions)}"
        hint = "name one or two; what follows `--` is a path"
        raise UserError.of("too-many-revisions", message, help=hint)
    if len(revisions) == 2:
        return _side(repo, revisions[0]), _side(repo, revisions[1])
    word = revisions[0] if revisions else "HEAD"
    ends = None if git.is_revision(repo, word) else _ends(word)
    if ends is None:
        return _side(repo, word), _Side(WORK_TREE, "", None)
    start, end, dots = ends
    if dots == "..":
        return _side(repo, start), _side(repo, end)
    base = git.merge_base(repo, start, end)
    name = f"the merge base of {start} and {end}"
    return _Side(name, f"{base[:12]}:", git.resolve(repo, base)), _side(repo, end)


def _side(repo: git.Repository, revision: str) -> _Side:
    return _Side(revision, f"{revision}:", git.resolve(repo, revision))


def _blobs_compared(
    before: _Side, after: _Side, paths: Sequence[str], blobs: git.Blobs
) -> Comparison:
    """`REVISION:FILE` against another, or against a file."""
    sides = [side.found for side in (before, after)]
    if any(one is not None and one.kind == "tree" for one in sides) or len(paths) != (
        1 if sides[1] is None else 0
    ):
        message = "a revision that names one file is compared with another one, or with a file"
        raise UserError.of("not-comparable", message, help="kale-tag diff REVISION:FILE FILE")
    old, new = (
        _of_blob(blobs, one.id, side.name, side.name) if one is not None else _file(paths[0])
        for one, side in zip(sides, (before, after), strict=True)
    )
    both = VersionPair(old, new, same=sides[0] == sides[1], paired=True)
    return Comparison(before.name, new.name, [both])


def _trees_compared(
    repo: git.Repository, before: _Side, after: _Side, limits: Sequence[str], blobs: git.Blobs
) -> Comparison:
    if after.found is None and repo.top is None:
        hint = f"name two revisions: kale-tag diff {before.name} OTHER"
        raise UserError.of("no-work-tree", "there is no work tree here to compare with", help=hint)
    trees = [side.found.id if side.found is not None else None for side in (before, after)]
    result = Comparison(before.name, after.name)
    for changed in git.changed_notebooks(repo, trees[0] or "", trees[1], limits):
        ids = [one.id if one else None for one in (changed.before, changed.after)]
        versions = VersionPair(
            _version(repo, before, changed.before, blobs),
            _version(repo, after, changed.after, blobs),
            same=ids[0] == ids[1] is not None,
        )
        if versions.before or versions.after:
            result.versions.append(versions)
    if limits and not result.versions:
        result.warnings += _nothing_there(repo, [tree for tree in trees if tree], limits)
    return result


def _version(
    repo: git.Repository, side: _Side, found: git.Blob | None, blobs: git.Blobs
) -> Version | None:
    if found is None or files.CHECKPOINTS in found.path.split("/"):
        return None
    path = os.path.join(repo.top or "", found.path)
    # Git knows the id of a file that it has hashed, in search of renames, without having it; and a
    # file that a sparse checkout leaves out is in Git only.
    if found.id is None or (side.found is None and os.path.lexists(path)):
        return _file(os.path.relpath(path), found.path)
    return _of_blob(blobs, found.id, found.path, f"{side.prefix}{found.path}")


def _of_blob(blobs: git.Blobs, blob: str, path: str, name: str) -> Version:
    return Version(path, name, lambda: blobs.read(blob, name), committed=True)


def _nothing_there(
    repo: git.Repository, trees: Sequence[str], limits: Sequence[str]
) -> Iterator[Diagnostic]:
    for limit in limits:
        if not any(git.notebooks_at(repo, tree, [limit]) for tree in trees):
            message = f"no notebook under `{limit}` in the versions compared"
            hint = "paths are relative to the current folder"
            if os.path.lexists(limit):
                hint = f"Git does not know it: `{pasted('git add -N', [limit])}`"
            yield warning("no-notebooks", message, help=hint)


def _neither(word: str, repo: git.Repository | None, *, behind: bool) -> Diagnostic:
    message = f"there is no file or folder {word}"
    if repo is None:
        return error("not-found", message)
    if behind and _is_known(repo, word):
        hint = "revisions come first, paths after `--`"
        return error("not-found", f"{message}; a revision must come before the paths", help=hint)
    if behind or word.endswith(".ipynb"):
        return error("not-found", message, help="after `--` a path may be one that only Git has")
    ends = _ends(word)
    for end in ends[:2] if ends else (word,):
        try:
            git.resolve(repo, end)
        except UserError as exc:
            told = exc.diagnostics[0]
            message = told.message if ends else f"{told.message}, and there is no such path"
            return error(told.code, message, notes=told.notes, help=told.help)
    return error("not-found", message)
