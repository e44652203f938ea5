"""What `submit` sends, and what the stand-in answers, against KFP's published API, by prism.

`prism proxy` (npm, @stoplight/prism-cli) stands between the two and refuses what the document of
`kfp_openapi.py` does not allow. It says nothing of what a cluster makes of it.
"""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kfp_openapi import document
from kfp_stub import PREFIX, Stub, serving, state
from submitting import TOKEN, prepare, submit, submitted

PRISM = "@stoplight/prism-cli@5.14.2"
START = 60.0


@pytest.fixture(scope="session")
def prism(request: pytest.FixtureRequest) -> str:
    """The program, from npm; it is kept in pytest's cache."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm")
    assert request.config.cache is not None
    folder = request.config.cache.mkdir("prism")
    program = folder / "node_modules" / ".bin" / "prism"
    if not program.exists():
        subprocess.run([npm, "install", "--silent", "--prefix", str(folder), PRISM], check=True)
    return str(program)


@contextmanager
def behind(prism: str, folder: Path) -> Iterator[Stub]:
    """The stand-in, with prism in front of it: its `url` is prism's."""
    (folder / "api.json").write_text(json.dumps(document()))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / "prism.log"
    with serving(Stub()) as stub, log.open("wb") as out:
        words = ["proxy", "--errors", "--port", str(port), str(folder / "api.json"), stub.url]
        process = subprocess.Popen([prism, *words], stdout=out, stderr=out)
        try:
            stub.url = f"http://127.0.0.1:{port}"
            _until_it_listens(port, log)
            yield stub
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, monkeypatch)


def _until_it_listens(port: int, log: Path) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"prism does not start: {log.read_text()}")


@pytest.mark.slow
def test_everything_that_submit_does(
    prism: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every request and every answer is as KFP has published them."""
    with behind(prism, tmp_path) as server:
        _submit_everything(server, capsys)
    assert "violation" not in (tmp_path / "prism.log").read_text().lower()


def _submit_everything(server: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    server.token = TOKEN
    server.states = [
        state("PENDING"),
        state("RUNNING", load_data="RUNNING"),
        state("FAILED", error="no", load_data="SUCCEEDED", train="FAILED: exit status 1"),
    ]
    words = ["--token", TOKEN]
    values = ["-p", "rows=3", "-p", "deep=false", "-p", "sizes=[1]", "-p", 'more={"a": [1]}']
    first = submitted(server, capsys, *words, *values)
    again = submitted(server, capsys, *words, "--upload-only")
    assert (first["version"]["new"], again["version"]["new"]) == (True, False)
    assert submit(server, *words, "--wait", "--version-name", "v1") == 1
    assert submit(server, *words, "--recurring", "0 3 * * *") == 0
    assert not submitted(server, capsys, *words, "--recurring", "0 3 * * *")["recurring_run"]["new"]
    assert len(server.versions) == 2
    assert len(server.runs) == 2
    assert len(server.recurring) == 1

    server.multi_user = True
    assert submit(server, *words, "--namespace", "anna") == 0
    (refused,) = submitted(server, capsys, "--token", "wrong", code=2)["diagnostics"]
    assert refused["code"] == "token-refused"


def asked(server: Stub, path: str, body: object = None) -> int:
    """The status that a request gets."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": "x", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.url}{PREFIX}{path}", data, headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        return exc.code


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"display_name": "x"}, 200),
        ({"display_name": 1}, 422),
        ({"display_name": "x", "colour": "red"}, 422),
    ],
)
def test_prism_looks_at_requests(
    prism: str, tmp_path: Path, body: dict[str, Any], status: int
) -> None:
    """A wrong type and an unknown field do not get through; so the test above can fail."""
    with behind(prism, tmp_path) as server:
        assert asked(server, "/pipelines", body) == status
        assert len(server.pipelines) == (status == 200)


@pytest.mark.slow
def test_prism_looks_at_answers(prism: str, tmp_path: Path) -> None:
    """Nor does a wrong answer of the stand-in."""
    with behind(prism, tmp_path) as server:
        assert asked(server, "/healthz") == 200
        server.answers = {("GET", "/healthz"): (200, "application/json", b'{"multi_user": "no"}')}
        assert asked(server, "/healthz") == 500


def test_the_document() -> None:
    """The document has every path that the generated client has, and the fields of its models."""
    made = document()
    assert len(made["paths"]) >= 30
    run = made["paths"]["/apis/v2beta1/runs"]
    assert set(run) == {"get", "post"}
    body = run["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/V2beta1Run"}
    schemas = made["components"]["schemas"]
    assert "FAILED" in schemas["V2beta1RuntimeState"]["enum"]
    assert schemas["V2beta1Run"]["properties"]["runtime_config"] == {
        "$ref": "#/components/schemas/V2beta1RuntimeConfig"
    }
    assert all(
        parameter["schema"] is not None
        for path in made["paths"].values()
        for operation in path.values()
        for parameter in operation["parameters"]
    )
