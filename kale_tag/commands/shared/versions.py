"""The pairs of notebooks that `kale-tag diff` compares, and those of two files or folders."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kale_tag import files
from kale_tag.diagnostics import Diagnostic, Label, Source, UserError, error
from kale_tag.git import revisions
from kale_tag.notebook.read import read_notebook

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Version:
    """A notebook on one side.

    *path* is what pairs it and what is shown, *name* what messages call it, such as
    `main:notebooks/a.ipynb`. *read* gives the bytes, or raises `UserError`. *committed* says that
    they stand in Git, where nobody can mend them.
    """

    path: str
    name: str
    read: Callable[[], bytes]
    committed: bool = False


@dataclass(frozen=True, slots=True)
class Versions:
    """Two versions of a notebook, None where it is not there.

    *same* says that Git has one content for both, *paired* that the user named both.
    """

    before: Version | None
    after: Version | None
    same: bool = False
    paired: bool = False

    @property
    def path(self) -> str:
        """What the notebook is called now."""
        return (self.after or self.before or _NOBODY).path


@dataclass(slots=True)
class Comparison:
    """What there is to compare, and what *before* and *after* are: revisions, files or folders."""

    before: str
    after: str
    versions: list[Versions] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)


_NOBODY = Version("", "", bytes)


def files_compared(paths: Sequence[str]) -> Comparison:
    """Two notebooks, or all notebooks of two folders.

    Raises `UserError` where *paths* are not two of a kind.
    """
    if len(paths) > 2:
        raise UserError(
            error(
                "too-many-paths",
                f"{len(paths)} paths are named; two can be compared",
                help="kale-tag diff -- PATH... compares each with HEAD",
            )
        )
    before, after = paths
    if before == after == STDIN:
        raise UserError(error("two-stdin", "`-` can be given once"))
    folders = [path != STDIN and os.path.isdir(path) for path in paths]
    if all(folders):
        return Comparison(before, after, list(_folders_compared(before, after)))
    if any(folders):
        folder, other = (before, after) if folders[0] else (after, before)
        message = f"{folder} is a folder, {'standard input' if other == STDIN else other} is not"
        hint = "name two notebooks or two folders; behind `--` a path is looked up in Git"
        raise UserError(error("not-comparable", message, help=hint))
    return Comparison(
        before, after, [Versions(file_version(before), file_version(after), paired=True)]
    )


def file_version(path: str) -> Version:
    """The notebook *path*, or that on standard input."""
    if path == STDIN:
        return Version("stdin", "stdin", sys.stdin.buffer.read)
    return Version(path, path, file_reader(path))


def file_reader(path: str) -> Callable[[], bytes]:
    """Reads the file *path*."""
    return lambda: no_pointer(files.read(path).data, path)


def no_pointer(data: bytes, name: str) -> bytes:
    """*data*, the content of *name*. Raises `UserError` where Git LFS has it elsewhere."""
    if revisions.is_lfs_pointer(data):
        raise UserError(
            error(
                "lfs-pointer",
                f"{name} is a pointer of Git LFS; the notebook itself is in its store",
                Label(Source(name)),
                help="`git lfs pull` brings it into the work tree; compare the files then",
            )
        )
    return data


def _folders_compared(before: str, after: str) -> Iterator[Versions]:
    """By the same relative path; what is left by content, then by ids, as a renamed notebook."""
    old, new = (
        {os.path.relpath(path, folder): path for path in files.notebooks_in(folder)}
        for folder in (before, after)
    )
    if not old and not new:
        message = f"there is no notebook below {before} or {after}"
        raise UserError(error("no-notebooks", message))
    renamed = _renamed(
        {name: path for name, path in old.items() if name not in new},
        {name: path for name, path in new.items() if name not in old},
    )
    origin = {new_name: old_name for old_name, new_name in renamed.items()}
    gone = [name for name in old if name not in new and name not in renamed]
    for name in sorted([*new, *gone]):
        was, now = old.get(origin.get(name, name)), new.get(name)
        yield Versions(
            Version(origin.get(name, name), was, file_reader(was)) if was else None,
            Version(name, now, file_reader(now)) if now else None,
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

    try:
        data = files.read(path).data
    except UserError:
        return path.encode(errors="surrogateescape"), frozenset()
    digest = hashlib.sha256(data).digest()
    try:
        notebook = read_notebook(data, path)
    except UserError:
        return digest, frozenset()
    ids = (notebook.id_of(index) for index in range(len(notebook.types)))
    return digest, frozenset(name for name in ids if name)


def _mostly(some: frozenset[str], others: frozenset[str]) -> bool:
    return 2 * len(some & others) > max(len(some), len(others))
