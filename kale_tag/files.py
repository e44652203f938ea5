"""Bytes in and out: find files, read them, replace them atomically if nobody else has since."""

import contextlib
import errno
import functools
import glob
import itertools
import os
import re
import signal
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kale_tag.diagnostics import (
    Diagnostic,
    Label,
    Source,
    UserError,
    error,
    nearest,
    pasted,
    warning,
)

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

CHECKPOINTS = ".ipynb_checkpoints"
"""Jupyter's own copies, which are not notebooks of a folder."""

PACKAGE = ".pipeline."
"""What the names of packages have in them, and those of specs have not."""

# O_NONBLOCK: opening a FIFO must not wait for a writer.
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was read."""

    name: str  # as the user gave it
    path: str  # of the content: a symlink is followed
    data: bytes  # the whole content
    status: os.stat_result  # to find out whether it has changed since


@dataclass(frozen=True, slots=True)
class Staged:
    """New content for a file, complete on disk beside it, not yet in its place."""

    file: File  # whose place it takes
    temporary: str  # the path of the new content

    def commit(self) -> None:
        """Put the new content in place, in one step that nothing can cut in two.

        Raises `UserError` if the file has changed since it was read; then, as after any
        other error, the file is as it was and the new content is gone.
        """
        self.exchange()
        _discard(self.temporary)

    def exchange(self) -> None:
        """Like `commit`, but the old content stays, under the name of the temporary file."""
        path, temporary = self.file.path, self.temporary
        try:
            with _discarding(temporary), _locked(path), _uninterrupted():
                _check_unchanged(self.file)
                ours = _version(os.lstat(temporary))
                exchange(temporary, path)
                # What was replaced has the temporary name now. Somebody may have saved it between
                # the check and the exchange.
                if not _holds(temporary, self.file.data):
                    _put_back(temporary, path, ours)
                    raise UserError(_changed_meanwhile(self.file))
        except OSError as exc:
            raise UserError(_failure("not-written", "write", self.file.name, exc)) from None

    def check(self) -> None:
        """Raise `UserError` if the file has changed since it was read."""
        _check_unchanged(self.file)

    def discard(self) -> None:
        """Remove the new content."""
        _discard(self.temporary)


def read(name: str) -> File:
    """The file *name*. Raises `UserError` when it is missing, unreadable or no regular file."""
    try:
        path, descriptor = _opened(name)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UserError(_not_a_file(name, status.st_mode))
            data = _read_all(descriptor, status.st_size)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the name
        raise UserError(_failure("not-read", "read", name, exc)) from None
    return File(name, path, data, status)


def read_text(name: str) -> Source:
    """The text of the file *name*. Raises `UserError` when it cannot be read or is not UTF-8."""
    return as_text(name, read(name).data)


def as_text(name: str, data: bytes) -> Source:
    """*data* as UTF-8 text. Raises `UserError` with the place of the first byte that is not."""
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        start = exc.start + len(data) - len(exc.object)  # a byte order mark is not counted
        line = data.count(b"\n", 0, start) + 1
        place = f"byte 0x{data[start]:02x} at offset {start}, line {line}"
        raise UserError.of(
            "not-utf8",
            f"{name} is not UTF-8: {place}",
            Label(Source(name, first_line=line)),
            help="save the file as UTF-8",
        ) from None


def stage(file: File, data: bytes) -> Staged:
    """*data* written beside *file*, with its mode and owner, ready to take its place.

    Raises `UserError` when it cannot be written: a read-only file or folder, a full disk.
    """
    mode = stat.S_IMODE(file.status.st_mode)
    effective = os.access in os.supports_effective_ids
    if not mode & 0o222 or not os.access(file.path, os.W_OK, effective_ids=effective):
        raise UserError.of(
            "not-written",
            f"{file.name} is read-only",
            Label(Source(file.name)),
            help=f"`{pasted('chmod u+w', [file.name])}`, if it is yours",
        )
    try:
        return Staged(file, _put_beside(file.path, data, mode, file.status))
    except OSError as exc:
        raise UserError(_failure("not-written", "write", file.name, exc)) from None


def write(path: str, data: bytes) -> bool:
    """Give the file *path* the content *data*, in one step; whether it had another before.

    Folders that are missing are made. Raises `UserError` when it cannot be written.
    """
    try:
        if os.path.lexists(path):
            old = read(path)
            if old.data == data:
                return False
            stage(old, data).commit()
        else:
            if folder := os.path.dirname(path):
                os.makedirs(folder, exist_ok=True)
            temporary = _put_beside(path, data, 0o666)
            with _discarding(temporary):
                os.replace(temporary, path)
                _placed(temporary)
    except (OSError, ValueError) as exc:
        raise UserError(_failure("not-written", "write", path, exc)) from None
    return True


def remove(path: str) -> None:
    """Remove the file *path*. Raises `UserError` if that is not possible."""
    try:
        os.unlink(path)
    except OSError as exc:
        raise UserError(_failure("not-written", "remove", path, exc)) from None


def warnings(file: File) -> list[Diagnostic]:
    """What replacing *file* cannot keep."""
    if file.status.st_nlink < 2:
        return []
    message = f"{file.name} has other hard links; they keep the old content"
    return [warning("hard-link", message, Label(Source(file.name)))]


def notebooks_in(folder: str) -> list[str]:
    """The notebooks below *folder*, sorted, without Jupyter's checkpoints and hidden folders.

    A folder that cannot be looked into is one of them: whoever reads it reports why.
    """
    closed: list[OSError] = []
    found = below(folder, ".ipynb", closed)
    return found + [os.path.normpath(exc.filename) for exc in closed]


def below(folder: str, ending: str, closed: list[OSError] | None = None) -> list[str]:
    """The files below *folder* whose names end so, sorted; hidden folders are left out.

    What is wrong with folders that cannot be looked into goes to *closed*.
    """
    found: list[str] = []
    for root, folders, names in os.walk(folder, onerror=None if closed is None else closed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (os.path.join(root, name) for name in sorted(names) if name.endswith(ending))
        found += map(os.path.normpath, paths)
    return found


def specs_in(folder: str) -> list[str]:
    """The YAML files directly in *folder*, sorted, without packages (`NAME.pipeline.yaml`)."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    specs = (n for n in names if n.endswith((".yaml", ".yml")) and PACKAGE not in n)
    return [os.path.normpath(os.path.join(folder, name)) for name in specs]


def matching(pattern: str, folder: str) -> list[str]:
    """The notebooks that *pattern*, relative to *folder*, matches; `**` is any depth.

    A folder matches all notebooks below it. Hidden folders are left out. One that cannot be looked
    into is in the result, as in that of `notebooks_in`.
    """
    path = os.path.normpath(os.path.join(folder, pattern))
    if os.path.isdir(path):
        return notebooks_in(path)
    if os.path.lexists(path):
        return [path]
    # The folder is no pattern, even if its name has brackets.
    where = os.path.join(glob.escape(folder), pattern) if folder else pattern
    closed: list[str] = []
    found = sorted(
        os.path.normpath(name)
        for name in {*_globbed(where, closed)}
        if name.endswith(".ipynb") and CHECKPOINTS not in name.split(os.sep)
    )
    return found + [os.path.normpath(name) for name in closed]


def named_by(pattern: str, folder: str) -> list[str]:
    """The regular files that *pattern*, relative to *folder*, matches; `**` is any depth.

    Hidden files and what Python has compiled are left out, but for those that it names in full.
    """
    where = os.path.join(glob.escape(folder), pattern)
    exact = os.path.join(folder, pattern)
    paths = {exact} if os.path.lexists(exact) else {*_globbed(where, [])}
    found = sorted(os.path.normpath(one) for one in paths if os.path.isfile(one))
    return [one for one in found if "__pycache__" not in one.split(os.sep)]


def _globbed(pattern: str, closed: list[str]) -> Iterator[str]:
    """What *pattern* matches; folders that cannot be looked into go to *closed*.

    Unlike that of `glob`, `**` enters each folder once, so that it ends where links lead up.
    """
    parts = pattern.split("/")
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    at = parts.index("**")
    rest = "/".join(parts[at + 1 :]) or "*"
    seen: set[tuple[int, int]] = set()
    for top in glob.glob("/".join((*parts[:at], ""))) if at else [""]:
        for folder in _folders(top, seen, closed):
            yield from _globbed(os.path.join(glob.escape(folder), rest), closed)


def _folders(top: str, seen: set[tuple[int, int]], closed: list[str]) -> Iterator[str]:
    """*top* and the folders below it, links too, but none that was *seen* and no hidden ones."""
    left = [top]
    while left:
        folder = left.pop()
        try:
            status = os.stat(folder or ".")
            entries = sorted(os.scandir(folder or "."), key=lambda one: one.is_symlink())
        except OSError:
            closed.append(folder)
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        yield folder
        inside = (one.name for one in entries if not one.name.startswith(".") and one.is_dir())
        left += (os.path.join(folder, name) for name in reversed([*inside]))


def repository(folder: str) -> str:
    """The top folder of the work tree of Git that *folder* is in, "" outside of one."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent
    return folder


def own_repository(folder: str) -> str:
    """Like `repository`, but "" for a work tree of another user, which Git refuses as well."""
    root = repository(folder)
    owner = os.lstat(os.path.join(root, ".git")).st_uid if root else 0
    return root if not hasattr(os, "geteuid") or owner == os.geteuid() else ""


def similar(path: str) -> str:
    """The file that *path*, which does not exist, is probably a slip for; "" if none is."""
    folder, base = os.path.split(path.rstrip("/"))
    if folder and not os.path.isdir(folder):
        folder = similar(folder)
        if not folder or os.path.exists(found := os.path.join(folder, base)):
            return found if folder else ""
    try:
        names = [one.name for one in os.scandir(folder or ".")]
    except OSError:
        return ""
    ending = os.path.splitext(base)[1]
    near = nearest(base, (name for name in names[:MANY] if name.endswith(ending)))
    return os.path.join(folder, near) if near else ""


MANY = 1000
"""Files in a folder among which nobody looks for a similar name."""


def modules_in(folder: str) -> dict[str, str]:
    """The modules and packages of Python in *folder*, sorted, and the pattern of their files."""
    found = {}
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder or "."):
            stem, dot, end = entry.name.partition(".")
            if end == "py" and stem:
                found[stem] = entry.name
            elif not dot and os.path.isfile(os.path.join(entry.path, "__init__.py")):
                found[stem] = f"{entry.name}/**"
    return dict(sorted(found.items()))


def identity(path: str) -> str:
    """One name for a file, however it was reached."""
    return os.path.realpath(path)


_numbers = itertools.count(1)
"""Names of temporary files of one process must differ."""


def _put_beside(path: str, data: bytes, mode: int, old: os.stat_result | None = None) -> str:
    """The name of a new file in the folder of *path* with *data*.

    Where there is an *old* file, the new one gets its owner and attributes.
    """
    folder, base = os.path.split(path)
    name = os.path.join(folder, f".{base[:50]}.{os.getpid():x}-{next(_numbers):x}.kale-tag.tmp")
    _pending.add(name)
    _hold(folder)
    with _discarding(name), open(os.open(name, _CREATE, mode), "wb") as file:
        file.write(data)
        file.flush()
        if old is not None:
            _copy_owner(file.fileno(), old, mode)
            _copy_attributes(path, file.fileno())
    return name


@contextlib.contextmanager
def _discarding(temporary: str) -> Iterator[None]:
    """Remove the file *temporary* if an exception is raised."""
    try:
        yield
    except BaseException:
        _discard(temporary)
        raise


_pending: set[str] = set()
"""The temporary files of this process that are not in place yet."""


def discard_pending() -> None:
    """Remove all new content that is not in place yet: the work was interrupted."""
    for temporary in [*_pending]:
        _discard(temporary)


def _discard(temporary: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(temporary)
    _placed(temporary)


def _placed(temporary: str) -> None:
    """Forget a temporary file; without any, the locks on folders are released."""
    _pending.discard(temporary)
    while _held and not _pending:
        os.close(_held.popitem()[1])


HELD = 256
"""The most folders to lock at once: each takes a descriptor."""

_held: dict[str, int] = {}
"""The folders in which this process has temporary files, each locked against `tidy`."""


def _hold(folder: str) -> None:
    if folder in _held or len(_held) >= HELD:
        return
    # no locks: on some file systems, and Windows opens no folder
    with contextlib.suppress(OSError):
        _held[folder] = os.open(folder or ".", os.O_RDONLY)
        fcntl.flock(_held[folder], fcntl.LOCK_SH)


def tidy(folders: Iterable[str]) -> None:
    """Remove temporary files that a killed process has left; not those of a process at work."""
    for folder in folders:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder or ".", os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for name in os.listdir(folder or "."):
                    if is_temporary(name):
                        os.unlink(os.path.join(folder, name))
            finally:
                os.close(descriptor)


_TEMPORARY = re.compile(r"\..*\.[0-9a-f]+-[0-9a-f]+\.kale-tag(-kept)?\.tmp")


def is_temporary(path: str) -> bool:
    """Whether *path* has the name of a temporary file of kale-tag."""
    return _TEMPORARY.fullmatch(os.path.basename(path)) is not None


def _opened(name: str) -> tuple[str, int]:
    """The real path of *name*, open for reading."""
    if _NOFOLLOW:
        try:
            return name, os.open(name, _READ | _NOFOLLOW)  # one call for all but links
        except OSError as exc:
            if exc.errno != errno.ELOOP:
                raise
    path = os.path.realpath(name)
    return path, os.open(path, _READ)


def _read_all(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size + 1)
    if len(data) == size:
        return data
    parts = [data]  # a read is cut at 2 GiB, and a file may grow meanwhile
    while more := os.read(descriptor, 1 << 24):
        parts.append(more)
    return b"".join(parts)


def _copy_owner(descriptor: int, status: os.stat_result, mode: int) -> None:
    if not hasattr(os, "fchmod"):
        return
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (status.st_uid, status.st_gid):
        try:
            os.fchown(descriptor, status.st_uid, status.st_gid)
        except OSError:  # another's file in a shared folder
            raise OSError(errno.EPERM, "it would no longer belong to its owner") from None
    if stat.S_IMODE(new.st_mode) != mode:
        os.fchmod(descriptor, mode)


def _copy_attributes(path: str, descriptor: int) -> None:
    """Keep access lists and other extended attributes (Linux), if the file system has them."""
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):
            for name in os.listxattr(path):
                os.setxattr(descriptor, name, os.getxattr(path, name))


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    """Make other kale-tag processes that replace the same file wait, where there are locks."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(path, _READ)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _check_unchanged(file: File) -> None:
    try:
        now = os.lstat(file.path)
    except OSError as exc:
        raise UserError(_failure("not-written", "write", file.name, exc)) from None
    if _version(now) != _version(file.status):
        raise UserError(_changed_meanwhile(file))


def _version(status: os.stat_result) -> tuple[int, int, int]:
    """What is different after a save."""
    return status.st_ino, status.st_mtime_ns, status.st_size


def _changed_meanwhile(file: File) -> Diagnostic:
    return error(
        "changed-meanwhile",
        f"{file.name} has changed since it was read; it was not overwritten",
        Label(Source(file.name)),
        help="run the command again",
    )


def exchange(temporary: str, path: str) -> None:
    """Exchange two files, in one step where the system can; *path* is never missing."""
    in_one_step = _exchanging()
    if in_one_step is not None and in_one_step(os.fsencode(temporary), os.fsencode(path)) == 0:
        return
    kept = f"{temporary.removesuffix('.tmp')}-kept.tmp"
    try:
        os.link(path, kept)
    except OSError:  # a file system without links
        import shutil  # noqa: PLC0415  seldom needed

        shutil.copyfile(path, kept)
    os.replace(temporary, path)
    os.replace(kept, temporary)


@functools.cache
def _exchanging() -> Callable[[bytes, bytes], int] | None:
    """The system's own exchange of two files; it returns 0 if it could."""
    with contextlib.suppress(ImportError, OSError, TypeError):
        import ctypes  # noqa: PLC0415  for changes only

        libc = ctypes.CDLL(None, use_errno=True)
        if hasattr(libc, "renameat2"):  # Linux; -100: paths are relative to the current folder
            return lambda one, other: int(libc.renameat2(-100, one, -100, other, 2))
        if hasattr(libc, "renamex_np"):  # macOS
            return lambda one, other: int(libc.renamex_np(one, other, 2))
    return None


def _holds(path: str, data: bytes) -> bool:
    """Whether the content of *path* is *data*."""
    at = 0
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            if not data.startswith(piece, at):
                return False
            at += len(piece)
    return at == len(data)


def _put_back(temporary: str, path: str, placed: tuple[int, int, int]) -> None:
    """Put what *temporary* holds in the place of the version *placed*, or what came after it."""
    while True:
        following = _version(os.lstat(temporary))
        exchange(temporary, path)
        if _version(os.lstat(temporary)) == placed:
            return
        placed = following  # saved once more: that is newer than what was just put there


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals wait, where there are any: what is inside is done as a whole."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _not_a_file(name: str, mode: int) -> Diagnostic:
    what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
    return error("not-read", f"{name} is {what}", Label(Source(name)))


def _failure(code: str, verb: str, name: str, exc: Exception) -> Diagnostic:
    reason = getattr(exc, "strerror", None) or str(exc)
    near = similar(name) if verb == "read" and isinstance(exc, FileNotFoundError) else ""
    hint = f"did you mean {near}?" if near else ""
    if isinstance(exc, FileNotFoundError) and os.path.islink(name):
        hint = (
            f"it is a symbolic link to {os.readlink(name)}: restore that file, or remove the link"
        )
    return error(code, f"cannot {verb} {name}: {reason.lower()}", Label(Source(name)), help=hint)
