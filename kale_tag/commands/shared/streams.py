"""Standard streams and signals that never cut the work in two.

A reader that has gone (`| head`), a full disk, a stream that was closed before the start: the work
goes on, and its exit code says what happened to the notebooks.
"""

import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kale_tag.diagnostics import Diagnostic, error


class _Outlet(io.RawIOBase):
    """Writes to a descriptor; after the first failure it takes everything and writes nothing."""

    failure: OSError | None = None

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:  # noqa: ANN401  bytes of any kind
        if self.failure is None:
            try:
                return os.write(self._descriptor, data)
            except OSError as exc:
                self.failure = exc
        return len(data)


def lasting_streams() -> Callable[[], Diagnostic | None]:
    """Make standard streams that never raise; the function returned tells why output is lost.

    A reader that wants no more is no loss.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # or the next file that is opened gets its number
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  for the whole run
    outlets = [_replaced("stdout", 1), _replaced("stderr", 2)]

    def lost() -> Diagnostic | None:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        failure = None if outlets[0] is None else outlets[0].failure
        if failure is None or failure.errno == errno.EPIPE:
            return None
        reason = os.strerror(failure.errno or 0).lower()
        return error("not-written", f"cannot write standard output: {reason}")

    return lost


def _replaced(name: str, descriptor: int) -> _Outlet | None:
    """What the stream *name* writes to now; None for a stream of the caller's, such as a test's."""
    stream = getattr(sys, name)
    try:
        real = stream is None or (os.name == "posix" and stream.fileno() == descriptor)
    except (OSError, ValueError, AttributeError):
        real = False
    # File names and sources hold characters that a terminal may not know: print them somehow.
    if not real:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        return None
    outlet = _Outlet(descriptor)
    text = io.TextIOWrapper(
        io.BufferedWriter(outlet),
        encoding=getattr(stream, "encoding", "utf-8"),
        errors="backslashreplace",
        line_buffering=name == "stderr" or outlet.isatty(),
        write_through=getattr(stream, "write_through", False),
    )
    setattr(sys, name, text)
    return outlet


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP clean up as Ctrl-C does, unless the caller ignores them (`nohup`)."""
    before = {}
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            with suppress(ValueError):  # only the main thread may do that
                before[number] = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
