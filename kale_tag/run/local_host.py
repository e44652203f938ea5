"""The process of KFP's own local runner: python local_host.py PACKAGE ARGUMENTS ROOT.

The runner prints, and replaces `print` and the handlers of the root logger. When standard input
ends, because the run was interrupted or the process that started this one has ended, all processes
that were started end too.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import traceback
import warnings
from types import SimpleNamespace

import psutil  # type: ignore[import-untyped]

GRACE = 3.0
"""Seconds that processes have to end after SIGTERM."""


def sweep(*, patiently: bool) -> None:
    """End every process below this one; *patiently*: after `GRACE` seconds."""
    own = psutil.Process()
    if patiently:
        _signal(below := own.children(recursive=True), signal.SIGTERM)
        psutil.wait_procs(below, GRACE)
    for _ in range(100):
        if not (below := own.children(recursive=True)):
            return
        _signal(below, signal.SIGKILL)
        psutil.wait_procs(below, 0.02)


def _signal(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def end_with_parent() -> None:
    """Wait until standard input ends; then end all processes."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    sweep(patiently=True)
    os._exit(143)


def run(package: str, arguments: str, root: str) -> int:
    """Run the pipeline; 0 if all steps succeed."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")
    # `import kfp` brings its client of servers, with kubernetes: most of its time, and not used.
    sys.modules["kfp.client"] = SimpleNamespace(Client=None)  # type: ignore[assignment]
    try:
        try:
            from kfp import components, local  # type: ignore[import-untyped]
        except Exception as exc:  # noqa: BLE001  protobuf raises TypeError, other packages others
            return _report(exc, 2)
        with open(package, encoding="utf-8") as file:
            pipeline = components.load_component_from_text(file.read())
        with open(arguments, encoding="utf-8") as file:
            given = json.load(file)
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=root)
        pipeline(**given)
    except Exception as exc:  # noqa: BLE001  `local.py` reports it
        return _report(exc, 1)
    finally:
        sweep(patiently=False)
    return 0


def _report(exc: Exception, code: int) -> int:
    traceback.print_exception(exc, file=sys.stdout)
    print("\036kale-tag problem", f"{type(exc).__name__}: {exc}".replace("\n", " "))
    return code


if __name__ == "__main__":
    with contextlib.suppress(Exception):  # orphans become children of this process
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER, Linux
    sys.exit(run(*sys.argv[1:]))
