"""`kale-tag run`: packages on this machine, what goes wrong there, and what is kept of it."""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs import alive, command, environment, put, run

from kale_tag.cli import main
from kale_tag.commands.run import Screen, _execute
from kale_tag.commands.shared.packages import load_package
from kale_tag.compiler.read_package import read_compiled
from kale_tag.render.text import Style
from kale_tag.run import local
from kale_tag.run.local import Event, LocalRun, Watch
from kale_tag.run.run_record import RunOutcome

SIX = """
# %% tags=imports
import math
# %% tags=pipeline-parameters
count = 3
rate = 0.5
title = "a b"
deep = True
sizes = [1, 2]
options = {"a": 1}
# %% tags=functions
class Box:
    def __init__(self, held):
        self.held = held
    def __eq__(self, other):
        return type(self) is type(other) and self.held == other.held
# %% tags=step:load
rows = [Box(n) for n in range(count)]
print("loaded", title, deep)
# %% tags=step:train,prev:load
assert all(isinstance(row, Box) for row in rows)
total = sum(row.held for row in rows) * rate + len(sizes) + options["a"]
# %% tags=step:tell,prev:train
print("total", total)
# %% tags=pipeline-metrics
print(total)
"""


def test_everything_of_a_run(tmp_path: Path) -> None:
    """Typed parameters, values, metrics, logs, the record and the page; the same from a package."""
    path = put(tmp_path, SIX)
    done = run(tmp_path, path.name, "-p", "count=5", "-p", "deep=false", "-p", "title=x=y")

    assert (done.code, done.err) == (0, "")
    assert done.states == {"load": "done", "train": "done", "tell": "done"}
    assert done.log("load") == b"loaded x=y False\n"
    assert json.loads(done.value("train", "total")) == 8.0
    train = done.record.steps[1]
    assert dict(train.metrics) == {"total": 8.0}
    assert 0 < train.seconds < 60
    assert done.record.parameters["count"] == 5
    assert sorted(os.listdir(done.folder)) == [
        *("artifacts", "kfp.log", "logs", "package.yaml", "report.html", "run.json")
    ]
    assert "3 steps done, in" in done.out
    assert "total  8  (train)" in done.out

    again = run(tmp_path, "out/package.yaml", "-p", "count=5", keep="again")
    assert again.value("train", "total") == done.value("train", "total")
    shown = subprocess.run(
        command("compile", path.name, "--format", "json", "-o", "p.json"),
        cwd=tmp_path,
        env=environment(),
        check=True,
        capture_output=True,
    )
    assert shown.returncode == 0
    as_json = run(tmp_path, "p.json", "-p", "count=5", keep="json")
    assert as_json.value("train", "total") == done.value("train", "total")


@pytest.mark.slow
def test_the_command_to_go_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a failed run it can be pasted, whatever the names, and keeps what is done."""
    monkeypatch.chdir(tmp_path)
    text = """# %% tags=pipeline-parameters
word = "a"
# %% tags=step:load
rows = [len(word)]
# %% tags=step:use,prev:load
print(rows[0] / 0)
"""
    put(tmp_path, text, "it-s").rename("it's $HOME.ipynb")
    assert main(["run", "it's $HOME.ipynb", "-p", "word=two words"]) == 1
    line = capsys.readouterr().out.splitlines()[-1]
    start = "To go on after the fix: kale-tag "
    assert line.startswith(start)
    words = shlex.split(line.removeprefix(start))
    assert words == ["run", "it's $HOME.ipynb", "-p", "word=two words", "--from", "use"]
    assert main(words) == 1
    assert "1 from an earlier run" in capsys.readouterr().out


@pytest.mark.slow
def test_default_folder(tmp_path: Path) -> None:
    """Without `--keep` each run has a folder of its own, which Git does not see."""
    path = put(tmp_path, "# %% tags=step:load\nx = 1\n")
    for _ in range(2):
        assert run(tmp_path, path.name, keep="").code == 0
    assert len(list((tmp_path / ".kale-tag/runs/nb").iterdir())) == 2
    assert (tmp_path / ".kale-tag/.gitignore").read_text() == "*\n"


def test_the_order_of_the_notebook(tmp_path: Path) -> None:
    """Steps that do not wait for each other run in the order in which the notebook has them."""
    names = [f"s{number}" for number in (3, 7, 1, 5, 0, 6)]
    steps = (f"# %% tags=step:{name}\n{name} = 1\n" for name in names)
    path = put(tmp_path, "".join(steps) + "# %% tags=step:sum,prev:s6,prev:s3\ns3 + s6\n")
    done = run(tmp_path, path.name)
    assert done.code == 0, done.err
    began = {step.title: step.began for step in done.record.steps}
    assert sorted(began, key=began.__getitem__) == [*names, "sum"]


@pytest.mark.slow
def test_verbose(tmp_path: Path) -> None:
    """What steps print is passed on where it is asked for, byte for byte."""
    path = put(tmp_path, "# %% tags=step:load\nprint('één\\x1b[0m')\n")
    assert "één\x1b[0m\n" in run(tmp_path, path.name, "-v").out
    assert "één" not in run(tmp_path, path.name).out
    assert run(tmp_path, path.name, "-q").out == ""


@pytest.mark.slow
def test_work_folder(tmp_path: Path) -> None:
    """Steps run where the notebook is; modules and files beside it are found, and do no harm."""
    folder = tmp_path / "nb"
    folder.mkdir()
    (folder / "beside.py").write_text("x = 7")
    (folder / "data.txt").write_text("8")
    for name in ("json", "kfp", "random"):  # names that the runner needs itself
        (folder / f"{name}_.py").write_text("raise SystemExit")
    (folder / "kfp.py").write_text("raise SystemExit")
    put(folder, "# %% tags=step:load\nimport beside\ny = beside.x + int(open('data.txt').read())\n")
    done = run(tmp_path, "nb/nb.ipynb")
    assert done.code == 0, done.err
    assert "local-module" in done.err


@pytest.mark.slow
def test_until_from_cache(tmp_path: Path) -> None:
    """What an earlier run has done is taken from it, as long as it is what would be done now."""
    path = put(tmp_path, SIX)
    assert run(tmp_path, path.name, "--until", "train", keep="").states == {
        "load": "done",
        "train": "done",
    }
    done = run(tmp_path, path.name, "--from", "train", keep="")
    assert done.states == {"load": "reused", "train": "done", "tell": "done"}
    assert json.loads(done.value("train", "total")) == 4.5

    cached = run(tmp_path, path.name, "--cache", keep="")
    assert set(cached.states.values()) == {"reused"}
    assert dict(cached.record.steps[1].metrics) == {"total": 4.5}
    assert cached.log("tell") == b"total 4.5\n"

    other = run(tmp_path, path.name, "--cache", "-p", "rate=2", keep="")
    assert other.states == {"load": "reused", "train": "done", "tell": "done"}
    assert json.loads(other.value("train", "total")) == 9.0

    put(tmp_path, SIX.replace("range(count)", "range(count + 1)"))
    changed = run(tmp_path, path.name, "--cache", keep="")
    assert set(changed.states.values()) == {"done"}
    put(tmp_path, SIX.replace("range(count)", "range(count + 2)"))
    refused = run(tmp_path, path.name, "--from", "train", keep="")
    assert refused.code == 2
    assert "its code, an environment variable or the name of its notebook has" in refused.err


@pytest.mark.slow
def test_the_cache_of_somebody_else(tmp_path: Path) -> None:
    """Pickles are loaded only from runs that nobody but the user can have written."""
    path = put(tmp_path, "# %% tags=step:a\nx = 1\n# %% tags=step:b,prev:a\nprint(x)\n")
    first = run(tmp_path, path.name, keep="")
    assert first.folder.stat().st_mode & 0o777 == 0o700
    first.folder.chmod(0o755)
    assert run(tmp_path, path.name, "--from", "b", keep="").states["a"] == "reused"
    assert first.folder.stat().st_mode & 0o777 == 0o700
    for folder in first.folder.parent.iterdir():
        folder.chmod(0o777)
    refused = run(tmp_path, path.name, "--from", "b", keep="")
    assert refused.code == 2
    assert "runs that only you can write are searched in" in refused.err
    assert run(tmp_path, path.name, "--cache", keep="").states["a"] == "done"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chown")
def test_the_run_of_another_user(tmp_path: Path) -> None:
    """The folder that `--keep` names is used again only where it is the user's own."""
    path = put(tmp_path, "# %% tags=step:a\nx = 1\n# %% tags=step:b,prev:a\nprint(x)\n")
    done = run(tmp_path, path.name)
    os.chown(done.folder, 1234, 1234)
    assert run(tmp_path, path.name, "--cache").states["a"] == "done"


def test_files_of_the_package(tmp_path: Path) -> None:
    """Modules and files that `compile: files` names are in the package, and steps find them."""
    sources = {
        "nb/helpers.py": "from pathlib import Path\nfrom lib import double\n"
        "def rate():\n    return double(float(Path(__file__).with_name('rate.txt').read_text()))\n",
        "nb/rate.txt": "0.25\n",
        "src/lib/__init__.py": "from .numbers import double\n",
        "src/lib/numbers.py": "def double(x):\n    return 2 * x\n",
        "src/lib/data/words.txt": "in the package: $(HOME) {{$}}\n",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    put(
        tmp_path / "nb",
        "# %% tags=imports\nimport sys\nsys.path.append('../src')\n"
        "# %% tags=step:a\nimport helpers\nx = helpers.rate()\n"
        "# %% tags=step:b,prev:a\nimport lib, os\n"
        "print(x, open(os.path.dirname(lib.__file__) + '/data/words.txt').read())\n"
        "# %% tags=step:c,prev:a\nprint('alone')\n",
    )
    (tmp_path / "spec.yaml").write_text(
        "version: 1\nnotebooks: [nb/nb.ipynb]\ncells:\n  - {tagged: step:a, limits: {cpu: 1}}\n"
        'compile: {files: [helpers.py, rate.txt, "../src/lib/**"]}\n'
    )
    words = command("compile", "spec.yaml", "-o", "pipeline.yaml")
    subprocess.run(words, cwd=tmp_path, env=environment(), check=True, capture_output=True)
    for name in sources:
        (tmp_path / name).unlink()

    done = run(tmp_path, "pipeline.yaml")

    assert done.states == {"a": "done", "b": "done", "c": "done"}
    assert b"0.5 in the package: $(HOME) {{$}}\n" in done.log("b")
    unpacked = [
        set(re.findall("file of the package: (.*)", done.log(step).decode())) for step in "abc"
    ]
    every = {"helpers.py", "lib/__init__.py", "lib/numbers.py", "lib/data/words.txt", "rate.txt"}
    # `b` takes `x`, which may be of a class of the module that made it.
    assert unpacked == [every, every, {"rate.txt"}]


def test_no_cache_for_a_step(tmp_path: Path) -> None:
    """A step that is not to be cached runs each time; so do those that take something from it."""
    path = put(
        tmp_path,
        "# %% tags=step:a,cache:disabled\nx = 1\n# %% tags=step:b,prev:a\ny = x\n"
        "# %% tags=step:c\nz = 1\n",
    )
    assert run(tmp_path, path.name).code == 0
    assert run(tmp_path, path.name, "--cache").states == {"a": "done", "b": "done", "c": "reused"}


@pytest.mark.slow
@pytest.mark.parametrize("change", ["content", "gone"])
def test_artifacts_changed_after_a_run(tmp_path: Path, change: str) -> None:
    """An artifact that is not what was written is not used again."""
    path = put(tmp_path, SIX)
    done = run(tmp_path, path.name)
    artifact = done.folder / "artifacts" / "load" / "rows"
    if change == "gone":
        artifact.unlink()
    else:
        artifact.write_bytes(b"\0" * artifact.stat().st_size)
    refused = run(tmp_path, path.name, "--from", "train")
    assert refused.code == 2
    assert "the artifact of `rows`" in refused.err
    assert run(tmp_path, path.name, "--cache").states == dict.fromkeys(done.states, "done")


def test_artifacts_changed_between_steps(tmp_path: Path) -> None:
    """The step that takes an artifact refuses one that is not what was written."""
    path = put(
        tmp_path,
        "# %% tags=step:load\nrows = [1, 2]\n"
        "# %% tags=step:meddle,prev:load\nimport glob, os\n"
        "(path,) = glob.glob('out/work/*/load/rows')\nopen(path, 'wb').write(b'[9]')\n"
        "# %% tags=step:train,prev:load,prev:meddle\nprint(rows)\n",
    )
    done = run(tmp_path, path.name)
    assert done.code == 1
    assert done.states == {"load": "done", "meddle": "done", "train": "failed"}
    assert "step `train` refuses the artifact of `rows`: by its sha256" in done.err


def test_missing_packages(tmp_path: Path) -> None:
    """Whatever is missing is named at once, before any step runs, with the line that helps."""
    path = put(
        tmp_path,
        "# %% tags=step:load\nimport json, no_such_module, torchaudio\n"
        "from shapely_of_nobody import x\n"
        "# %% tags=step:train,prev:load\nimport no_such_module.part as p\n"
        "try:\n    import another_missing\nexcept ImportError:\n    pass\n"
        "import numpy\n",
    )
    done = run(tmp_path, path.name)
    assert done.code == 2
    assert not done.folder.exists()
    # Whether the steps of a cluster have `another_missing` is what a warning before it asks.
    _, found = done.err.split("error[missing-packages]")
    assert "the module `no_such_module`: for load, train" in found
    assert "-m pip install torchaudio;" in found
    assert "the module `shapely_of_nobody`: for load" in found
    assert "another" not in found
    assert "numpy" not in found


@pytest.mark.parametrize("words", [["run"], ["submit", "--host", "localhost:1"]])
def test_kfp_that_cannot_be_imported(tmp_path: Path, words: list[str]) -> None:
    """A broken installation of kfp is unusable input, with the way to fix it."""
    path = put(tmp_path, "# %% tags=step:load\nx = 1\n")
    (tmp_path / "bad/kfp").mkdir(parents=True)
    (tmp_path / "bad/kfp/__init__.py").write_text("raise TypeError('Descriptors cannot be made')\n")
    environ = environment()
    environ["PYTHONPATH"] = f"{tmp_path / 'bad'}{os.pathsep}{environ['PYTHONPATH']}"
    line = command(*words, path)
    done = subprocess.run(
        line, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    first, *_, hint = done.stderr.strip().splitlines()
    assert first == (
        f"error[no-kfp]: `{words[0]}` needs kfp, which is installed here but cannot be "
        "imported: TypeError: Descriptors cannot be made"
    )
    assert hint.endswith("-m pip install --force-reinstall kfp")


def test_a_runner_that_stops(tmp_path: Path) -> None:
    """An error of KFP's own runner is that of no step."""
    path = put(tmp_path, "# %% tags=step:load\nx = 1\n")
    (tmp_path / "bad/kfp").mkdir(parents=True)
    (tmp_path / "bad/kfp/__init__.py").write_text(
        "class components:\n    def load_component_from_text(_): raise OSError('no room')\n"
        "local = 1\n"
    )
    environ = environment()
    environ["PYTHONPATH"] = f"{tmp_path / 'bad'}{os.pathsep}{environ['PYTHONPATH']}"
    done = subprocess.run(
        command("run", path), cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "error[runner-failed]: KFP's local runner stopped" in done.stderr
    assert "OSError: no room" in done.stderr


def test_what_this_machine_has_not(tmp_path: Path) -> None:
    """Secrets, volumes, devices and images are named once; what the environment gives is there."""
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "version: 1\n"
        "pipeline: {pipeline_name: nb, experiment_name: x, volumes: [{name: data, size: 1, "
        "size_type: Gi, mount_point: /no/such/folder, annotations: [], snapshot: false, "
        "type: pvc}]}\n"
        "cells:\n  - {source: environ, step: load, image: 'a/b:1', limits: {nvidia.com/gpu: 1},\n"
        "     secrets: {TOKEN: db/token, PLACE: db/place}}\n"
    )
    path = put(tmp_path, "# %%\nimport os\nprint(os.environ.get('TOKEN'), os.environ['PLACE'])\n")
    done = run(tmp_path, spec.name, path.name, PLACE="here")
    assert done.code == 0, done.err
    assert done.err.count("warning[not-on-this-machine]") == 1
    assert "the environment lacks TOKEN: the secret `db/token`" in done.err
    assert "db/place" not in done.err
    assert "nvidia.com/gpu" in done.err
    assert "images are not used (a/b:1)" in done.err
    assert "there is no folder /no/such/folder: the volume `data`" in done.err
    assert done.log("load") == b"None here\n"


BAD = {
    "hangs": ("time.sleep(1000)", "was stopped after"),
    "hangs and does not listen": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(1000)",
        "was stopped after",
    ),
    "is killed": ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by the signal SIGKILL"),
    "crashes": ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by the signal SIGSEGV"),
    "leaves children": ("pass", ""),
    "prints bytes": (
        r"sys.stdout.buffer.write(bytes(range(256)) * 50); os.write(1, b'\xff\xfe\0raw\n');",
        "",
    ),
    "prints 100 MB": ("sys.stdout.write(('x' * 99 + '\\n') * 1_000_000);", ""),
    "ends itself": ("os._exit(3)", "failed: exit code 3"),
}

SLOW = {"hangs and does not listen", "crashes", "ends itself"}


@pytest.mark.parametrize(
    "what",
    [pytest.param(what, marks=[pytest.mark.slow] * (what in SLOW)) for what in BAD],
)
def test_bad_steps(tmp_path: Path, what: str) -> None:
    """A step that misbehaves is told about, and leaves no process behind."""
    code, said = BAD[what]
    mark = f"mark-{uuid.uuid4()}"
    path = put(
        tmp_path,
        "# %% tags=step:load\nimport os, signal, subprocess, sys, time\n"
        f"for new in (False, True):\n    subprocess.Popen(['sh', '-c', 'sleep 1000; : {mark}'], "
        f"start_new_session=new)\n{code}\n",
    )
    limit = ["--timeout", "1"] if what.startswith("hangs") else []
    done = run(tmp_path, path.name, *limit)
    assert alive(mark) == []
    assert done.code == (1 if said else 0), done.err
    assert said in done.err
    assert "Traceback" not in done.err
    if what == "prints 100 MB":
        assert len(done.log("load")) == 100_000_000
        assert (done.folder / "report.html").stat().st_size < 1_000_000
    if what == "prints bytes":
        assert done.log("load").endswith(b"\xff\xfe\0raw\n")


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(n, marks=pytest.mark.slow) for n in ("SIGTERM", "SIGKILL"))],
)
def test_interrupted(tmp_path: Path, number: int | str) -> None:
    """However the run is stopped, every process that it started is gone soon after."""
    mark = f"mark-{uuid.uuid4()}"
    path = put(
        tmp_path,
        "# %% tags=step:load\nimport subprocess, time\n"
        f"for new in (False, True):\n    subprocess.Popen(['sh', '-c', 'sleep 1000; : {mark}'], "
        "start_new_session=new)\nprint('here', flush=True)\ntime.sleep(1000)\n",
    )
    process = subprocess.Popen(
        command("run", path.name, "--keep", "out"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "out" / "logs" / "load.log"
    until = time.monotonic() + 30
    while not (log.exists() and log.read_bytes()) and time.monotonic() < until:
        time.sleep(0.02)
    assert alive(mark)
    process.send_signal(getattr(signal, number) if isinstance(number, str) else number)
    out, err = process.communicate(timeout=30)
    until = time.monotonic() + 10
    while (alive(mark) or alive(str(tmp_path))) and time.monotonic() < until:
        time.sleep(0.05)
    assert alive(mark) == []
    assert alive(str(tmp_path)) == []
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert err == "interrupted\n"
        assert "1 stopped" in out
        assert json.loads((tmp_path / "out" / "run.json").read_text())["state"] == "stopped"
    assert run(tmp_path, path.name, "--timeout", "1").code == 1, "the folder can be used again"


def test_full_disk(tmp_path: Path) -> None:
    """A disk that is full is named as such."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system takes more rights than there are")
    try:
        path = put(
            tmp_path,
            "# %% tags=step:load\nx = b'x' * 5_000_000\n# %% tags=step:tell,prev:load\nlen(x)\n",
        )
        done = run(tmp_path, path.name, keep="small/out")
        assert done.code == 1
        assert "the disk of the run folder is full" in done.err
        assert "--keep FOLDER" in done.err
        assert "Traceback" not in done.err
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.slow
def test_retries(tmp_path: Path) -> None:
    """A step is tried again as often as the spec says; all of it is in the log."""
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "version: 1\npipeline: {pipeline_name: nb, experiment_name: x}\n"
        "cells: [{source: n, step: load}]\ncompile: {steps: {load: {retries: 2}}}\n"
    )
    path = put(
        tmp_path,
        "# %%\nimport pathlib\nn = pathlib.Path('count')\nn.write_text(n.read_text() + 'x' if "
        "n.exists() else 'x')\nprint('try')\nassert len(n.read_text()) > 1\n",
    )
    done = run(tmp_path, spec.name, path.name)
    assert done.code == 0, done.err
    assert done.record.steps[0].attempts == 2
    assert done.log("load").count(b"try\n") == 2
    assert "attempt 2" in done.out


@pytest.mark.slow
def test_a_folder_of_a_run_that_was_cut_off(tmp_path: Path) -> None:
    """What a run left that did not come to its end does not stop the next."""
    path = put(tmp_path, SIX)
    assert run(tmp_path, path.name).code == 0
    (tmp_path / "out.earlier").mkdir()
    (tmp_path / "out" / "run.json").write_text("{")
    refused = run(tmp_path, path.name)
    assert refused.code == 2
    assert "out contains other files than a run" in refused.err


def test_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal the table is drawn again and again, and stands there whole in the end."""
    path = put(tmp_path, SIX)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command("run", path.name, "--keep", "out"),
        cwd=tmp_path,
        env=environment(NO_COLOR="", TERM="xterm", COLUMNS="80", LINES="24"),
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    data = b""
    while True:
        try:
            more = os.read(master, 65536)
        except OSError:
            break
        if not more:
            break
        data += more
    os.close(master)
    assert process.wait() == 0
    text = data.decode()
    assert "\x1b[1A" in text
    last = text[text.rindex("\x1b[1A") :]
    assert all(f"✓\x1b[0m {name}" in last for name in ("load", "train", "tell"))
    assert "3 steps done" in last


def test_the_cursor_comes_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The live table shows the cursor again, whatever ends the run."""

    def broken(_run: object) -> Iterator[Event]:
        yield Event("tick")
        raise RuntimeError("an unexpected exception")

    put(tmp_path, SIX)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORCE_COLOR", "1")  # for rich, standard output is a terminal
    monkeypatch.setattr(local, "execute", broken)
    package = read_compiled(load_package(["nb.ipynb"]).header)
    record = RunOutcome(package.graph.name, str(tmp_path), "2026-01-01T00:00:00+00:00")
    watch = Watch(package, record, {}, {})
    plan = LocalRun(package, str(tmp_path), str(tmp_path), {})
    with pytest.raises(RuntimeError, match="unexpected"):
        _execute(plan, watch, Screen(Style(), str(tmp_path), live=True))
    shown = capsys.readouterr().out
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


DIFFERENT = """
# %% tags=imports
import random
import numpy as np, pandas as pd
# %% tags=functions
def make(lo):
    return lambda: lo
# %% tags=step:load
rows, lucky, same = [1.0, 2.0], random.random(), 3
matrix, whole = np.arange(12.0).reshape(4, 3), np.arange(5)
table = pd.DataFrame({"age": [1.0, 2, 3], "name": ["a", "b", "c"]})
text, long, get = "a" * 300 + "b", list(range(2000)), make(3)
# %% tags=skip
rows.append(7.0)
matrix[2, 1], whole[4], long[1234], get, text = 3, 9, 7, make(4), "a" * 300 + "c"
table.loc[2, "name"] = "z"
# %% tags=step:train,prev:load
total, more, g = sum(rows), lucky + 1, (i for i in [1])
sizes = len(matrix), len(whole), len(table), len(text), len(long), get(), same
# %% tags=pipeline-metrics
print(total)
"""


def test_compare_tells_what_differs(tmp_path: Path) -> None:
    """The first step, the places and the values; what is random or has but a type is counted."""
    path = put(tmp_path, DIFFERENT)
    done = run(tmp_path, path.name, "--compare")
    assert done.code == 1
    told = [" ".join(line.split()) for line in done.out.partition("compared with")[2].splitlines()]
    assert told.pop().startswith("1 compared by type only, 3 random: different each time")
    assert told == [
        "the pipeline",
        "9 of 22 variables differ, first in the step `train`",
        "! train get function make.<locals>.<lambda>",
        "at get, where `lo`: 4 in the notebook, 3 in the pipeline",
        "cell 3, which no step runs, changes it",
        "! train long [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, …",
        "at long[1234]: 7 in the notebook, 1234 in the pipeline",
        "cell 3, which no step runs, changes it",
        "! train matrix ndarray 4 x 3",
        "at matrix[2, 1]: 3.0 in the notebook, 7.0 in the pipeline",
        "cell 3, which no step runs, changes it",
        "! train rows notebook [1.0, 2.0, 7.0]",
        "pipeline [1.0, 2.0]",
        "cell 3, which no step runs, changes it",
        "! train table DataFrame 3 x 2",
        "at table['name'].iloc[2]: 'z' in the notebook, 'c' in the pipeline",
        "cell 3, which no step runs, changes it",
        f"! train text '{'a' * 58}…",
        f"at text: …{'a' * 30}c' in the notebook, …{'a' * 30}b' in the pipeline",
        "cell 3, which no step runs, changes it",
        "! train whole ndarray 5",
        "at whole[4]: 9 in the notebook, 4 in the pipeline",
        "cell 3, which no step runs, changes it",
        "! train total notebook 10.0",
        "pipeline 3.0",
        "cell 4 sets it",
        "! train sizes notebook (4, 5, 3, 301, 2000, 4, 3)",
        "pipeline (4, 5, 3, 301, 2000, 3, 3)",
        "at sizes[5]: 4 in the notebook, 3 in the pipeline",
        "cell 4 sets it",
    ]
    assert not (done.folder / "compare").exists()
    page = (done.folder / "report.html").read_text("utf-8")
    assert "9 of 22 variables differ, first in the step <code>train</code>" in page
    assert page.count("<td>train</td>") == 9
    assert "runpy" not in page


@pytest.mark.slow
def test_compare_when_a_step_fails(tmp_path: Path) -> None:
    """The steps before it are compared all the same, and the failure comes last."""
    path = put(
        tmp_path,
        "# %% tags=step:load\nrows = [1, 0]\n# %% tags=skip\nrows[1] = 2\n"
        "# %% tags=step:more,prev:load\nsizes = [len(rows), rows[1]]\n"
        "# %% tags=step:train,prev:more\nprint(1 / sizes[1])\n",
    )
    done = run(tmp_path, path.name, "--compare")
    assert done.code == 1
    assert "compared with the 2 steps done" in done.out
    assert "2 of 3 variables differ, first in the step `more`" in done.out
    assert "at sizes[1]: 2 in the notebook, 0 in the pipeline" in done.out
    assert "cell 1, which no step runs, changes it" in done.out
    assert "step `train` failed: ZeroDivisionError" in done.err
    assert "Traceback" not in done.err
    page = (done.folder / "report.html").read_text("utf-8")
    assert page.index("nb.ipynb, cell 3, line 1") < page.index("<h2>Pipeline</h2>")
    assert '<table id="compared">' in page


@pytest.mark.slow
def test_compare_when_the_notebook_fails(tmp_path: Path) -> None:
    """What it did before is compared; that it fails is told, beside a step that fails too."""
    path = put(tmp_path, "# %% tags=skip\n1 / 0\n# %% tags=step:load\nx = 1\n")
    failed = run(tmp_path, path.name, "--compare")
    assert failed.code == 2
    assert "run from top to bottom, fails: ZeroDivisionError" in failed.err
    assert "nb.ipynb, cell 0" in failed.err

    put(tmp_path, "# %% tags=step:load\nx = 1\n# %% tags=step:train,prev:load\nx / 0\n")
    both = run(tmp_path, path.name, "--compare")
    assert both.code == 1
    assert "1 variable: none differs" in both.out
    assert "step `train` failed: ZeroDivisionError" in both.err
    assert "run from top to bottom, fails: ZeroDivisionError" in both.err


@pytest.mark.slow
def test_compare_verbosely(tmp_path: Path) -> None:
    """Every variable is there, with why one that differs does not count."""
    path = put(
        tmp_path,
        "# %% tags=step:load\nimport random\nx, y, g = 1, random.random(), (i for i in [1])\n",
    )
    done = run(tmp_path, path.name, "--compare", "-v")
    assert done.code == 0
    assert "= load  x  1\n" in done.out
    assert "(random: different each time the notebook runs)" in done.out
    assert "~ load  g  generator  (compared by type only)" in done.out
    assert "3 variables: none differs" in done.out
    brief = run(tmp_path, path.name, "--compare")
    assert "load  x" not in brief.out


@pytest.mark.slow
def test_what_a_failure_says(tmp_path: Path) -> None:
    """A traceback is printed where it has more than the one place, and only once."""
    path = put(tmp_path, "# %% tags=step:load\nprint('before')\n1 / 0\n")
    short = run(tmp_path, path.name)
    assert (short.out + short.err).count("ZeroDivisionError") == 1
    put(tmp_path, "# %% tags=step:load\nimport json\njson.loads('{')\n")
    long = run(tmp_path, path.name)
    assert "Traceback" in long.err
    assert "decoder.py" in long.err
    verbose = run(tmp_path, path.name, "-v")
    assert verbose.out.count("Traceback") == 1
    assert "Traceback" not in verbose.err
    put(tmp_path, "# %% tags=step:load\nprint('before')\nexit(3)\n")
    ended = run(tmp_path, path.name)
    assert ended.err.startswith("before\n\nerror[step-failed]: step `load` was ended by exit(3)")
    put(tmp_path, "# %% tags=step:load\nraise ValueError('two\\nlines')\n")
    assert "ValueError: two\nlines" in run(tmp_path, path.name).err


def test_several_values_that_cannot_be_saved(tmp_path: Path) -> None:
    """Each is shown once, with its own help."""
    path = put(
        tmp_path,
        "# %% tags=step:load\nimport threading\nrows = (n for n in [1])\nlock = threading.Lock()\n"
        "# %% tags=step:tell,prev:load\nprint(list(rows), lock)\n",
    )
    shown = run(tmp_path, path.name).err.split("\n\n")[2:]
    assert [block.splitlines()[0].partition("(")[0] for block in shown if block] == [
        "error: step `load` cannot pass on `lock` ",
        "error[step-failed]: step `load` cannot pass on `rows` ",
    ]
    assert shown[0].endswith("\n  help: pass on plain data, and make the object where it is needed")
    assert shown[1].endswith("\n  = help: make it a list, rows = list(rows)")


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    """The second is refused while the first is at work, which it does not disturb."""
    waiting = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.02)\n"
    path = put(tmp_path, f"# %% tags=step:load\nprint('here', flush=True)\n{waiting}")
    process = subprocess.Popen(
        command("run", path.name, "--keep", "out"), cwd=tmp_path, env=environment()
    )
    log = tmp_path / "out" / "logs" / "load.log"
    until = time.monotonic() + 30
    while not (log.exists() and log.read_bytes()) and time.monotonic() < until:
        time.sleep(0.02)
    second = run(tmp_path, path.name)
    (tmp_path / "go").touch()
    assert process.wait(timeout=30) == 0
    assert second.code == 2
    assert "error[run-at-work]: another run is at work in out" in second.err
    assert second.states == {"load": "done"}
    assert run(tmp_path, path.name).code == 0
    assert sorted(os.listdir(tmp_path)) == ["go", "nb.ipynb", "out"]
