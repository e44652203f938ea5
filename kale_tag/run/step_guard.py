"""The process around one step on this machine.

Usage: python step_guard.py TASK SECONDS MARK INPUT

The command of the step is in a file of the run folder, each word ended by NUL: KFP's runner would
change some words of the user's code. The runner requires MARK; INPUT is the executor input. The
step gets a log file, a time limit (0: none) and a session of its own, which is killed at its end.
Standard output reports when the step starts and how it ends. This program starts with every step,
so it imports as little as possible.
"""

import os
import signal
import sys
import time

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""

MARK = "\036kale-tag"


def report(*words: object) -> None:
    """Write a line to `local.py`; KFP's runner passes it on."""
    os.write(1, f"{' '.join(map(str, (MARK, *words)))}\n".encode())


def end(session: int, number: int) -> None:
    """Send the signal *number* to all processes of *session*."""
    try:
        os.killpg(session, number)
    except OSError:
        pass


def reuse(folder: str, task: str, executor_input: str) -> int:
    """Write the outputs of an earlier run, which are in FOLDER/earlier/TASK."""
    import json

    earlier = os.path.join(folder, "earlier", task)
    with open(os.path.join(earlier, "outputs.json"), encoding="utf-8") as file:
        metadata = json.load(file)
    outputs = json.loads(executor_input)["outputs"]
    for name, entry in outputs.get("artifacts", {}).items():
        (artifact,) = entry["artifacts"]
        if os.path.exists(source := os.path.join(earlier, name)):  # metrics have no file
            os.makedirs(os.path.dirname(artifact["uri"]), exist_ok=True)
            os.rename(source, artifact["uri"])
        artifact["metadata"] = metadata.get(name, {})
        artifact.pop("type", None)
    os.makedirs(os.path.dirname(outputs["outputFile"]), exist_ok=True)
    with open(outputs["outputFile"], "w", encoding="utf-8") as file:
        json.dump({"artifacts": outputs.get("artifacts", {})}, file)
    report("reused", task)
    return 0


def run(folder: str, task: str, limit: float, command: list[str]) -> int:
    """Run the step; 0 if it succeeds."""
    path = os.path.join(folder, "logs", f"{task}.log")
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    started = time.monotonic()
    step = os.fork()
    if step == 0:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them, other programs must not
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        os.execvp(command[0], command)  # noqa: S606  sh, as the package says
    report("start", task, step)
    late = False

    def out_of_time(*_: object) -> None:
        nonlocal late
        end(step, signal.SIGKILL if late else signal.SIGTERM)
        late = True
        signal.setitimer(signal.ITIMER_REAL, GRACE)

    def stop(*_: object) -> None:
        end(step, signal.SIGTERM)

    signal.signal(signal.SIGALRM, out_of_time)
    signal.signal(signal.SIGTERM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    _, status = os.waitpid(step, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    seconds = time.monotonic() - started
    end(step, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(status)
    report("end", task, code, f"{seconds:.3f}", "late" if late else "in-time")
    return 1 if code else 0


if __name__ == "__main__":
    FOLDER = os.environ["KALE_TAG_RUN"]
    TASK, LIMIT, _, INPUT = sys.argv[1:]
    if LIMIT == "reuse":
        sys.exit(reuse(FOLDER, TASK, INPUT))
    with open(os.path.join(FOLDER, "commands", TASK), "rb") as file:
        WORDS = os.fsdecode(file.read()).split("\0")[:-1]
    # Cells cannot contain this placeholder: their braces are replaced.
    sys.exit(run(FOLDER, TASK, float(LIMIT), [INPUT if w == "{{$}}" else w for w in WORDS]))
