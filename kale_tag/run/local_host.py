"""The process in which KFP's own local runner works: python local_host.py PACKAGE ARGUMENTS ROOT.

The runner prints, and swaps `print` and the handlers of the root logger: here it may. When standard
input ends, because the run was interrupted or the process that started this one is gone, everything
that was started ends too.
"""

import contextlib
import glob
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings

GRACE = 3.0
"""Seconds that steps get to end after they were told to."""


def children_of(process: int) -> list[int]:
    """The processes that *process* has started, or was given when their parents ended."""
    if os.path.isdir("/proc/self/task"):
        found: list[int] = []
        for path in glob.glob(f"/proc/{process}/task/*/children"):
            with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
                found += map(int, file.read().split())
        return found
    # macOS has no /proc.
    table = subprocess.run(
        ["/bin/ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False
    ).stdout
    pairs = (line.split() for line in table.splitlines())
    return [int(pid) for pid, parent in pairs if int(parent) == process]


def descendants(process: int) -> list[int]:
    """The same, and those that they have started."""
    below: list[int] = []
    todo = children_of(process)
    while todo:
        one = todo.pop()
        below.append(one)
        todo += children_of(one)
    return below


def sweep(*, patiently: bool) -> None:
    """End every process that is below this one."""
    if patiently:
        _signal(signal.SIGTERM)
        until = time.monotonic() + GRACE
        while descendants(os.getpid()) and time.monotonic() < until:
            _reap()
            time.sleep(0.02)
    for _ in range(100):
        if not descendants(os.getpid()):
            return
        _signal(signal.SIGKILL)
        _reap()
        time.sleep(0.02)


def _signal(number: int) -> None:
    for process in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            os.kill(process, number)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end_with_parent() -> None:
    """Wait until standard input ends; then end everything."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    sweep(patiently=True)
    os._exit(143)


def run(package: str, arguments: str, root: str) -> int:
    """Run the pipeline; 0 if all steps end well."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")
    try:
        from kfp import components, local  # type: ignore[import-untyped]
    except ImportError:
        traceback.print_exc()
        return 5
    try:
        with open(package, encoding="utf-8") as file:
            pipeline = components.load_component_from_text(file.read())
        with open(arguments, encoding="utf-8") as file:
            given = json.load(file)
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=root)
        pipeline(**given)
    except Exception as exc:  # noqa: BLE001  it goes to the log; what it means is told elsewhere
        traceback.print_exc(file=sys.stdout)
        print("\036kale-tag fault", f"{type(exc).__name__}: {exc}".replace("\n", " "))
        return 1
    finally:
        sweep(patiently=False)
    return 0


if __name__ == "__main__":
    with contextlib.suppress(Exception):  # processes that lose their parents become ours
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER, Linux
    sys.exit(run(*sys.argv[1:]))
