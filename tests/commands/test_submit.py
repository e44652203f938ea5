"""`kale-tag submit` against a stand-in for the API server (`kfp_stub.py`); it is no cluster."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp_stub import Stub, serving, state
from notebooks import from_percent
from packages import documents
from submitting import NOTEBOOK, prepare, submit, submitted

from kale_tag.cli import main
from kale_tag.cluster import connect
from kale_tag.commands import submit as command


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, monkeypatch)


@pytest.fixture
def server() -> Iterator[Stub]:
    """A server without tokens and namespaces."""
    with serving(Stub()) as stub:
        yield stub


def test_a_run(server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    """A notebook becomes a version, an experiment and a run; the URL of the run is printed."""
    assert submit(server) == 0

    out, err = capsys.readouterr()
    (version,), (run,) = server.versions.values(), server.runs.values()
    assert version["name"] in out
    assert out.splitlines()[-1] == f"{server.url}/#/runs/details/{run['run_id']}"
    assert err == ""
    assert [one["display_name"] for one in server.experiments.values()] == ["trials"]
    assert run["display_name"].startswith("churn 20")
    assert run["pipeline_version_reference"]["pipeline_version_id"] in server.versions
    assert run["runtime_config"].get("parameters", {}) == {}

    assert submit(server, "--quiet") == 0
    assert capsys.readouterr().out.startswith(f"{server.url}/#/runs/details/")


@pytest.mark.parametrize("spec", [False, True])
def test_the_bytes_that_compile_writes(server: Stub, *, spec: bool) -> None:
    """What arrives is, byte for byte, what `kale-tag compile` writes."""
    Path("spec.yaml").write_text(
        "version: 1\ncells: [{source: print, step: tell, prev: load_data}]\n"
    )
    paths = ("spec.yaml", "churn.ipynb") if spec else ("churn.ipynb",)
    assert submit(server, paths=paths) == 0
    assert main(["compile", *paths]) == 0

    package = Path("churn.pipeline.yaml").read_bytes()
    assert list(server.packages.values()) == [package]
    assert submit(server, paths=("churn.pipeline.yaml",)) == 0
    assert list(server.packages.values()) == [package]
    assert len(server.runs) == 2


def test_a_variable_for_one_run(server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    """`-e` is in the package that is sent, for every step and beside its own; no file changes."""
    assert main(["compile", "churn.ipynb"]) == 0
    package = Path("churn.pipeline.yaml").read_bytes()
    plain = submitted(server, capsys, "--upload-only")
    words = ("-e", "LEVEL=debug", "-e", "EMPTY=", "--upload-only")
    changed = submitted(server, capsys, *words)
    assert plain["version"]["name"] != changed["version"]["name"]
    assert submitted(server, capsys, *words)["version"]["new"] is False
    assert Path("churn.pipeline.yaml").read_bytes() == package

    old, new = map(documents, (text.decode() for text in server.packages.values()))
    (secret,) = submitted(server, capsys, "-e", "DB_PASSWORD=x", "--upload-only")["diagnostics"]
    assert secret["code"] == "secret-in-package"
    server.packages.popitem()
    environ = [{"name": "LEVEL", "value": "debug"}, {"name": "EMPTY", "value": ""}]
    for executor in new[0]["deploymentSpec"]["executors"].values():
        assert executor["container"].pop("env") == environ
    assert new == old


def test_twice_is_one_version(server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    """The same package is uploaded once; another one is a version of the same pipeline."""
    first = submitted(server, capsys)
    again = submitted(server, capsys)
    Path("churn.ipynb").write_bytes(from_percent(NOTEBOOK.replace("10", "11")))
    other = submitted(server, capsys)

    assert first["version"]["new"]
    assert not again["version"]["new"]
    assert again["version"]["id"] == first["version"]["id"]
    assert other["version"]["new"]
    assert other["version"]["id"] != first["version"]["id"]
    assert len(server.pipelines) == 1
    assert len(server.versions) == 2
    assert len(server.runs) == 3
    assert first["version"]["name"] == f"churn-{first['version']['sha256'][:12]}"


def test_version_names(server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    """A version can be named; the name stands for one package."""
    assert submitted(server, capsys, "--version-name", "v1")["version"]["new"]
    assert not submitted(server, capsys, "--version-name", "v1")["version"]["new"]
    Path("churn.ipynb").write_bytes(from_percent(NOTEBOOK.replace("10", "11")))
    done = submitted(server, capsys, "--version-name", "v1", code=2)

    assert [one["code"] for one in done["diagnostics"]] == ["version-taken"]
    assert len(server.versions) == 1


@pytest.mark.parametrize("there", ["pipelines", "versions", "experiments"])
def test_somebody_was_faster(server: Stub, there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another made between our look and our request is used, not an error."""
    assert submit(server) == 0
    listed, first = server._listed, [True]

    def late(name: str, found: dict[str, Any], request: Any) -> dict[str, Any]:
        if name.endswith(there) and first.pop() if first else False:
            return {}
        return listed(name, found, request)

    monkeypatch.setattr(server, "_listed", late)
    assert submit(server) == 0
    assert not first
    assert len(getattr(server, there)) == 1


def test_parameters(server: Stub) -> None:
    """Values arrive typed; those of the command line go before those of the file."""
    Path("values.yaml").write_text("rows: 20\nrate: 2\nname: '7'\n")
    words = ["-p", "rows=30", "-p", "deep=false", "-p", "sizes=[3]", "--param", 'more={"b": [1.5]}']
    assert submit(server, "--params", "values.yaml", *words) == 0

    (run,) = server.runs.values()
    assert run["runtime_config"]["parameters"] == {
        "rows": 30,
        "rate": 2.0,
        "name": "7",
        "deep": False,
        "sizes": [3],
        "more": {"b": [1.5]},
    }


def test_nothing_is_sent_where_something_is_wrong(server: Stub) -> None:
    """Faults that can be seen here are found before the server hears of us."""
    assert submit(server, "-p", "row=1") == 2
    assert submit(server, "-p", "name=a$$b") == 2
    assert submit(server, "-e", "LEVEL=a$(b)") == 2
    Path("long.yaml").write_text(f"name: {'a' * 119_900}\nmore: {{b: {'c' * 100}}}\n")
    assert submit(server, "--params", "long.yaml") == 2
    assert submit(server, "--recurring", "nonsense") == 2
    assert submit(server, "--recurring", " ") == 2
    assert submit(server, "--upload-only", "--wait") == 2
    assert server.seen == []


def test_an_upload_that_breaks(server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    """What is on the server is named; the second call finishes, and makes nothing twice."""
    broken = {("POST", "/pipelines/upload_version"): (500, "application/json", b"{}")}
    server.answers = broken
    (diagnostic,) = submitted(server, capsys, code=2)["diagnostics"]
    assert diagnostic["code"] == "server-error"
    assert re.fullmatch(
        "the server has the pipeline churn, but not the version churn-[0-9a-f]{12}; "
        "run the command again to finish",
        diagnostic["notes"][-1],
    )
    server.answers = {}
    assert submit(server) == 0
    assert [len(one) for one in (server.pipelines, server.versions, server.runs)] == [1, 1, 1]


def test_upload_only(server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    """The package alone; no experiment, no run."""
    done = submitted(server, capsys, "--upload-only")
    assert done["version"]["url"].endswith(f"/version/{done['version']['id']}")
    assert not server.runs
    assert not server.experiments


def test_names(server: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Experiment and run are called as asked; kfp's own variables are honoured."""
    assert submit(server, "--experiment", "mine", "--run-name", "one") == 0
    monkeypatch.setenv("KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME", "theirs")
    monkeypatch.setenv("KF_PIPELINES_UI_ENDPOINT", "https://ui.example.org")
    assert submit(server, "--experiment", "mine") == 0

    names = [one["display_name"] for one in server.experiments.values()]
    assert names == ["mine", "theirs"]
    assert next(iter(server.runs.values()))["display_name"] == "one"


def test_wait(server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--wait` the states of the steps are told as they change, and the end is the answer."""
    server.states = [
        state("PENDING"),
        state("RUNNING", load_data="RUNNING", load_data_driver="SUCCEEDED"),
        state("RUNNING", load_data="RUNNING"),
        state("RUNNING", load_data="SUCCEEDED", train="RUNNING"),
        state("SUCCEEDED", load_data="SUCCEEDED", train="SUCCEEDED"),
    ]
    assert submit(server, "--wait") == 0

    out, err = capsys.readouterr()
    assert [re.sub(r"^\d+:\d\d  ", "", line) for line in err.splitlines()] == [
        "run: pending",
        "load_data: running",
        "run: running",
        "load_data: succeeded (14 s)",
        "train: running",
        "train: succeeded (14 s)",
        "run: succeeded",
    ]
    assert out.splitlines()[-1].startswith("the run has succeeded after 0:0")


def test_a_run_that_fails(server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 1, and the step that failed is named with what the server says of it."""
    failed = state("FAILED", load_data="SUCCEEDED", train="FAILED: exit status 1")
    server.states = [state("RUNNING"), failed]
    done = submitted(server, capsys, "--wait", code=1)

    (diagnostic,) = done["diagnostics"]
    assert diagnostic["message"] == "the run has failed: `train` failed"
    assert diagnostic["notes"] == ["`train`: exit status 1"]
    assert done["run"]["state"] == "FAILED"
    assert [one["state"] for one in done["run"]["steps"]] == ["SUCCEEDED", "FAILED"]

    server.states = [state("CANCELED", error="by hand")]
    server.looks.clear()
    (diagnostic,) = submitted(server, capsys, "--wait", code=1)["diagnostics"]
    assert (diagnostic["message"], diagnostic["notes"]) == ("the run was cancelled", ["by hand"])


def test_interrupted(
    server: Stub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends the waiting, not the run, and says so."""

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    server.states = [state("RUNNING")]
    monkeypatch.setattr("time.sleep", interrupt)
    assert submit(server, "--wait") == 130
    assert f"the run goes on: {server.url}/#/runs/details/" in capsys.readouterr().err
    assert all("terminate" not in one.path for one in server.seen)


def test_a_server_that_is_away_for_a_while(
    server: Stub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting goes on over trouble of the server; where that does not end, the run is named."""
    look, turns = server._look, iter(range(100))

    def broken(run: str) -> dict[str, Any]:
        if next(turns) in {1, 2}:
            raise_503()
        return look(run)

    server.states = [state("RUNNING"), state("SUCCEEDED")]
    monkeypatch.setattr(server, "_look", broken)
    assert submit(server, "--wait") == 0

    monkeypatch.setattr(command, "PATIENCE", 0.05)
    monkeypatch.setattr(server, "_look", lambda _run: raise_503())
    assert submit(server, "--wait") == 2
    err = capsys.readouterr().err
    assert "error[server-error]" in err
    assert "note: the run goes on: " in err


def raise_503() -> dict[str, Any]:
    """Trouble at the server's end."""
    from kfp_stub import RefusedError  # noqa: PLC0415  next to its use

    raise RefusedError(503, 14, "upstream connect error")


def test_recurring(server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    """A schedule has KFP's seconds in front; the same again changes nothing, another is refused."""
    first = submitted(server, capsys, "--recurring", "0 3 * * 1-5", "-p", "rows=3")
    again = submitted(server, capsys, "--recurring", "0 3 * * 1-5", "-p", "rows=3")
    other = submitted(server, capsys, "--recurring", "@daily", "-p", "rows=3", code=2)
    named = submitted(server, capsys, "--recurring", "@daily", "--run-name", "daily")

    assert first["recurring_run"]["cron"] == "0 0 3 * * 1-5"
    assert (first["recurring_run"]["new"], again["recurring_run"]["new"]) == (True, False)
    cached, refused = other["diagnostics"]
    assert cached["message"].endswith("KFP's cache serves `load_data` from the first run")
    assert refused["code"] == "scheduled-otherwise"
    assert named["recurring_run"]["new"]
    assert [one["trigger"]["cron_schedule"]["cron"] for one in server.recurring.values()] == [
        "0 0 3 * * 1-5",
        "@daily",
    ]
    assert not server.runs
    assert submit(server, "--recurring", "@daily", "--run-name", "daily") == 0
    out = capsys.readouterr().out
    assert "daily exists: @daily (in the time zone of the server, UTC by default)" in out


def test_users_kept_apart(server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    """A server with profiles needs a namespace, and everything goes there."""
    server.multi_user = True
    (diagnostic,) = submitted(server, capsys, code=2)["diagnostics"]
    assert diagnostic["code"] == "no-namespace"

    assert submit(server, "--namespace", "anna") == 0
    assert submit(server, "-n", "bert") == 0
    assert [one["namespace"] for one in server.pipelines.values()] == ["anna", "bert"]


def test_the_namespace_of_a_pod(server: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a cluster, the namespace is that of the pod."""
    server.multi_user = True
    Path("namespace").write_text("anna\n")
    monkeypatch.setattr(connect, "POD_NAMESPACE", "namespace")
    assert submit(server) == 0
    assert [one["namespace"] for one in server.pipelines.values()] == ["anna"]


def test_an_answer_that_nobody_reads(server: Stub, capfd: pytest.CaptureFixture[str]) -> None:
    """The stand-in prints no traceback about a client that has gone."""
    server.answers["GET", "/healthz"] = (200, "application/json", b" " * 50_000_000)
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as client:
        client.sendall(b"GET /apis/v2beta1/healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        client.recv(1)
    while any("process_request" in thread.name for thread in threading.enumerate()):
        time.sleep(0.01)
    assert capfd.readouterr().err == ""
