"""Servers that do not answer, or refuse: one plain message each, soon, and exit code 2."""

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kfp_stub import Stub, serving
from submitting import prepare, submitted

from kale_tag.cluster import client, health

JSON = "application/json"
SLACK = 15.0
"""Seconds above the deadline in which a busy machine has to be ready."""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, monkeypatch)
    monkeypatch.setattr(health, "SECONDS", 1.0)
    monkeypatch.setattr(client, "TIMEOUT", (1.0, 1.0))


def the_error(
    server: Stub, capsys: pytest.CaptureFixture[str], *words: str, code: int = 2
) -> dict[str, Any]:
    """The one error that `submit` reports."""
    start = time.monotonic()
    done = submitted(server, capsys, *words, code=code)
    assert time.monotonic() - start < health.SECONDS + SLACK
    (diagnostic,) = done["diagnostics"]
    assert diagnostic["help"]
    return dict(diagnostic)


def said(message: str) -> bytes:
    """An error as KFP's API server writes it."""
    return json.dumps({"error": message, "code": 3, "message": message, "details": []}).encode()


LOGIN = b"<!doctype html><html><title>Sign in</title></html>"
ANSWERS = [
    ((401, JSON, said("no valid authorization")), "token-needed", "no valid authorization"),
    ((401, "text/html", LOGIN), "token-needed", ""),
    ((403, JSON, said("User 'x' is not authorized")), "not-allowed", "User 'x' is not authorized"),
    ((403, "text/plain", b"RBAC: access denied"), "not-allowed", "RBAC: access denied"),
    ((404, "text/html", b"<html>404</html>"), "not-the-api", ""),
    ((404, "text/plain", b"404 page not found\n"), "not-the-api", ""),
    ((409, JSON, said("conflict")), "taken", "conflict"),
    ((418, "text/plain", b"\xff\xfe teapot"), "refused", "teapot"),
    ((429, "text/plain", b"slow down"), "refused", "slow down"),
    ((500, JSON, said("Internal Server Error")), "server-error", "Internal Server Error"),
    ((503, "text/plain", b"no healthy upstream"), "server-error", "no healthy upstream"),
    ((200, "text/html", LOGIN), "not-the-api", ""),
    ((200, "text/plain", b"<!DOCTYPE html><p>hello"), "not-the-api", ""),
    ((200, JSON, b"[1]"), "not-the-api", ""),
    ((200, JSON, b"ok"), "not-the-api", ""),
    ((200, JSON, b""), "not-the-api", ""),
    ((302, "text/html", b"https://dex.example.org/auth?state=1"), "not-the-api", "dex.example.org"),
]


@pytest.mark.parametrize(("answer", "code", "says"), ANSWERS)
def test_at_once(
    answer: tuple[int, str, bytes], code: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that answers the first request wrongly is asked nothing else."""
    with serving(Stub(answers={("GET", "/healthz"): answer})) as server:
        diagnostic = the_error(server, capsys)
        assert diagnostic["code"] == code
        assert says in "".join(diagnostic["notes"])
        assert len(server.seen) == 1


LATER = [
    ("POST", "/pipelines"),
    ("POST", "/pipelines/upload_version"),
    ("GET", "/experiments"),
    ("POST", "/experiments"),
    ("POST", "/runs"),
]
CASES = [(("GET", "/pipelines"), *one) for one in ANSWERS[:-1]]
CASES += [(where, *ANSWERS[number]) for where in LATER for number in (2, 7, 9, 11)]
CASES += [(where, (200, JSON, b"{}"), "not-the-api", "") for where in LATER if where[0] == "POST"]


@pytest.mark.parametrize(("where", "answer", "code", "says"), CASES)
def test_later(
    where: tuple[str, str],
    answer: tuple[int, str, bytes],
    code: str,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same answers to any later request are reported as plainly."""
    with serving(Stub(answers={where: answer})) as server:
        diagnostic = the_error(server, capsys)
        assert diagnostic["code"] == code
        assert says in "".join(diagnostic["notes"])


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("where", [("GET", "/pipelines"), ("POST", "/pipelines"), *LATER[1:]])
def test_a_later_redirect(
    status: int, where: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No request follows one to another host: token, package and parameters would go there."""
    with serving(Stub()) as other, serving(Stub(token="t0p-secret")) as server:
        server.answers = {where: (status, "text/html", f"{other.url}/login".encode())}
        diagnostic = the_error(server, capsys, "--token", "t0p-secret")
        assert diagnostic["code"] == "not-the-api"
        assert "t0p-secret" not in json.dumps(diagnostic)
        assert other.seen == []


def test_the_wrong_token(capsys: pytest.CaptureFixture[str]) -> None:
    """401 says something else to somebody who has a token."""
    with serving(Stub(token="right")) as server:
        assert the_error(server, capsys)["code"] == "token-needed"
        assert the_error(server, capsys, "--token", "wrong")["code"] == "token-refused"


def test_a_run_that_is_deleted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting ends where the run is gone."""
    with serving(Stub()) as server:
        look = server._look
        monkeypatch.setattr(server, "_look", lambda _run: look("nobody"))
        assert the_error(server, capsys, "--wait")["code"] == "not-found"


Talk = Callable[[socket.socket], None]


@contextmanager
def talking(talk: Talk) -> Iterator[Stub]:
    """A server at which *talk* does what it likes with each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    stub = Stub(url=f"http://localhost:{listener.getsockname()[1]}")
    over = threading.Event()

    def accept() -> None:
        held = []
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            held.append(connection)
            threading.Thread(target=lambda one=connection: _quietly(talk, one), daemon=True).start()
        for one in held:
            one.close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield stub
    finally:
        over.set()
        thread.join()
        listener.close()


def _quietly(talk: Talk, connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side has left
        talk(connection)


def _hang(_connection: socket.socket) -> None:
    pass


def _leave(connection: socket.socket) -> None:
    connection.recv(10_000)
    connection.shutdown(socket.SHUT_RDWR)


def _drip(connection: socket.socket) -> None:
    connection.recv(10_000)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b" ")
        time.sleep(0.05)


def _babble(connection: socket.socket) -> None:
    connection.recv(10_000)
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" * 3)
    connection.shutdown(socket.SHUT_RDWR)


def _wants_tls(connection: socket.socket) -> None:
    connection.recv(10_000)
    text = b"Client sent an HTTP request to an HTTPS server.\n"
    head = f"HTTP/1.0 400 Bad Request\r\nContent-Length: {len(text)}\r\n\r\n"
    connection.sendall(head.encode() + text)


@pytest.mark.parametrize(
    ("talk", "code"),
    [
        (_hang, "no-answer"),
        (_drip, "no-answer"),
        (_leave, "no-answer"),
        (_babble, "no-answer"),
        (_wants_tls, "needs-tls"),
    ],
)
def test_no_server_of_ours(talk: Talk, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One that hangs, sends a byte now and then, leaves, or speaks another language."""
    with talking(talk) as server:
        assert the_error(server, capsys)["code"] == code


def test_hangs_later(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stops to answer after the check does not hold us either."""
    over = threading.Event()
    with serving(Stub()) as server:
        listed = server._listed

        def hang(*given: Any) -> Any:
            over.wait(60)
            return listed(*given)

        monkeypatch.setattr(server, "_listed", hang)
        try:
            done = submitted(server, capsys, code=2)
        finally:
            over.set()
        assert [one["code"] for one in done["diagnostics"]] == ["no-answer"]


def test_plain_http(capsys: pytest.CaptureFixture[str]) -> None:
    """TLS to a server that has none: write http."""
    with serving(Stub()) as server:
        server.url = server.url.replace("http:", "https:")
        diagnostic = the_error(server, capsys)
        assert diagnostic["code"] == "no-tls"
        assert "http://localhost" in diagnostic["help"]


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A port at which nothing listens, a name that no machine has."""
    with serving(Stub()) as server:
        pass
    assert the_error(server, capsys)["code"] == "not-reachable"
    server.url = "http://nobody.invalid"
    assert the_error(server, capsys)["code"] in {"no-such-host", "no-answer"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A self-signed certificate of `localhost` and its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    key = path.with_name("key.pem")
    program = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    program += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*program, "-keyout", str(key), "-out", str(path)], check=True, capture_output=True
    )
    path.write_text(path.read_text() + key.read_text())
    return str(path)


def test_tls(certificate: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A self-signed certificate is refused with what to do, and taken where it is named."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(Stub(), context) as server:
        diagnostic = the_error(server, capsys)
        assert diagnostic["code"] == "untrusted-certificate"
        assert "self-signed" in diagnostic["message"].replace("self signed", "self-signed")
        assert "--ca-cert" in diagnostic["help"]
        assert submitted(server, capsys, "--ca-cert", certificate)["run"]
        assert len(server.runs) == 1

        server.url = server.url.replace("localhost", "127.0.0.1")
        diagnostic = the_error(server, capsys, "--ca-cert", certificate)
        assert diagnostic["help"] == "use the name that the certificate is for"
        diagnostic = the_error(server, capsys, "--ca-cert", "churn.ipynb")
        assert diagnostic["code"] == "no-certificate"


def test_a_certificate_that_changes(
    certificate: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """kfp's own client meets the same trust: its words are as plain as those of the check."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setattr("kale_tag.cluster.connect.check", lambda _endpoint: False)
    with serving(Stub(), context) as server:
        assert the_error(server, capsys)["code"] == "untrusted-certificate"
