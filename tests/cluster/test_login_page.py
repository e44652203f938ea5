"""Signing in on a login page like Dex's behind an OAuth2 proxy, against a stand-in."""

import getpass
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from kfp_stub import PREFIX, Seen, Stub, serving
from submitting import TOKEN, prepare, submit, submitted

PASSWORD = "open & sesame"
HTML = "text/html; charset=utf-8"
FORM = """<!doctype html><form method="post" action="{action}">
<input name="state" type="hidden" value="s1"><input name="login" type="text">
<input name="password" type="password"><input type="submit"></form>"""
CHOICE = '<!doctype html><a href="/dex/auth/saml?r=1">x</a><a href="/dex/auth/local?r=1">y</a>'
BUTTON = """<!doctype html><form method="GET" action="/dex/auth/local?r=0">
<input type="hidden" name="r" value="1"></form>"""
APPROVAL = """<!doctype html>
<form method="post"><input type="hidden" name="approval" value="rejected"></form>
<form method="post"><input type="hidden" name="approval" value="approve"></form>"""


@dataclass
class Dex(Stub):
    """The stand-in for KFP behind a proxy that wants a session; each serves *uses* requests."""

    uses: int = 1000
    start: str = "/dex/auth?client_id=kubeflow"
    action: str = "/dex/auth/local/login?state=s1"
    choice: str = CHOICE
    sessions: dict[str, int] = field(default_factory=dict)

    def answer(self, request: Seen) -> tuple[int, str, bytes]:  # noqa: PLR0911  a table
        """What the proxy, Dex or KFP answers."""
        if request.path.startswith(PREFIX):
            return self._behind(request)
        self.seen.append(request)
        match request.method, request.path:
            case "GET", "/dex/auth":
                self.cookie = "odd@name=1"
                return 200, HTML, self.choice.encode()
            case "GET", "/dex/auth/local":
                assert dict(request.query) == {"r": "1"}
                self.cookie = "csrf=1; Path=/"
                return 302, HTML, b"local/login?state=s1"
            case "GET", "/dex/auth/local/login":
                return 200, HTML, FORM.format(action=self.action).encode()
            case "POST", "/dex/auth/local/login":
                sent = parse_qs(request.body.decode())
                if sent != {"state": ["s1"], "login": ["me@example.com"], "password": [PASSWORD]}:
                    return 401, HTML, FORM.format(action=self.action).encode()
                assert request.headers["cookie"] == "csrf=1"
                self.cookie = "csrf=; Max-Age=0"
                return 303, HTML, b"/dex/approval?req=1"
            case "GET", "/dex/approval":
                return 200, HTML, APPROVAL.encode()
            case "POST", "/dex/approval":
                assert request.body == b"approval=approve"
                return 303, HTML, b"/oauth2/callback?code=c1"
            case "GET", "/oauth2/callback":
                name = f"secret-{len(self.sessions)}"
                self.sessions[name] = self.uses
                self.cookie = f"_oauth2_proxy={name}; Path=/; HttpOnly"
                return 302, HTML, f"{PREFIX}/healthz".encode()
            case _:
                return 404, HTML, b"<html>"

    def _behind(self, request: Seen) -> tuple[int, str, bytes]:
        session = request.headers.get("cookie", "").removeprefix("_oauth2_proxy=")
        if not self.sessions.get(session):
            self.seen.append(request)
            return 302, HTML, self.start.encode()
        self.sessions[session] -= 1
        return super().answer(request)

    @property
    def told(self) -> list[str]:
        """The paths of the requests that had the password."""
        return [one.path for one in self.seen if "sesame" in f"{one.body!r}{one.query}"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, monkeypatch)
    monkeypatch.setenv("KALE_TAG_PASSWORD", PASSWORD)


@pytest.fixture
def server() -> Iterator[Dex]:
    """A server with a login page."""
    stub = Dex()
    with serving(stub):
        yield stub


USER = ("--user", "me@example.com")


@pytest.mark.parametrize("choice", [CHOICE, BUTTON], ids=["links", "button"])
def test_sign_in(choice: str, server: Dex, capfd: pytest.CaptureFixture[str]) -> None:
    """The password goes to the login page alone, the cookie of the session to the API."""
    server.choice = choice
    assert submit(server, *USER) == 0
    assert len(server.runs) == 1
    assert server.told == ["/dex/auth/local/login"]
    shown = "".join(capfd.readouterr())
    assert "sesame" not in shown
    assert "secret-0" not in shown


def test_a_prompt(server: Dex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable the password is asked for on a terminal; the user may be one, too."""
    monkeypatch.delenv("KALE_TAG_PASSWORD")
    monkeypatch.setenv("KALE_TAG_USER", "me@example.com")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(getpass, "getpass", lambda _: PASSWORD)
    assert submit(server) == 0


def test_no_terminal(
    server: Dex, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody can answer, the variable is named."""
    monkeypatch.delenv("KALE_TAG_PASSWORD")
    (diagnostic,) = submitted(server, capsys, *USER, code=2)["diagnostics"]
    assert diagnostic["code"] == "password-needed"
    assert "KALE_TAG_PASSWORD" in diagnostic["help"]


def test_the_wrong_password(
    server: Dex, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent once, and never shown."""
    monkeypatch.setenv("KALE_TAG_PASSWORD", "sesame?")
    assert submit(server, *USER) == 2
    err = capfd.readouterr().err
    assert err.startswith(f"error[sign-in-refused]: {server.url} refuses user or password")
    assert "sesame" not in err
    assert server.told == ["/dex/auth/local/login"]
    assert not server.pipelines


def test_a_session_that_ends(server: Dex) -> None:
    """A new session begins, with the same password; the work goes on."""
    server.uses = 3
    assert submit(server, *USER, "--wait") == 0
    assert len(server.runs) == 1
    assert len(server.sessions) > 1


@pytest.mark.parametrize("where", ["start", "action"])
def test_another_host(where: str, server: Dex, capfd: pytest.CaptureFixture[str]) -> None:
    """A login page elsewhere, or a form that sends there, gets nothing."""
    with serving(Stub()) as other:
        setattr(server, where, f"{other.url}/dex/auth/local/login?state=s1")
        assert submit(server, *USER) == 2
        assert other.seen == []
    err = capfd.readouterr().err
    assert err.startswith("error[other-host]: the login of")
    assert f"{other.url}/dex/auth/local/login\n" in err
    assert server.told == []


def test_a_session_that_is_refused(server: Dex, capsys: pytest.CaptureFixture[str]) -> None:
    """A new session is tried once."""
    server.answers = {("GET", "/pipelines"): (401, "text/plain", b"")}
    (diagnostic,) = submitted(server, capsys, *USER, code=2)["diagnostics"]
    assert diagnostic["message"].endswith("rejects the session (401)")
    assert len(server.sessions) == 2


def test_pages_without_end(server: Dex, capsys: pytest.CaptureFixture[str]) -> None:
    """A page that leads to itself is none for a login."""
    server.start = f"{PREFIX}/healthz"
    (diagnostic,) = submitted(server, capsys, *USER, code=2)["diagnostics"]
    assert diagnostic["code"] == "no-login-page"


def test_no_login_page(capsys: pytest.CaptureFixture[str]) -> None:
    """A server that wants a token has none; one that wants nothing needs no session."""
    with serving(Stub(token=TOKEN)) as server:
        (diagnostic,) = submitted(server, capsys, *USER, code=2)["diagnostics"]
        assert diagnostic["code"] == "no-login-page"
        (diagnostic,) = submitted(server, capsys, *USER, "--token", "x", code=2)["diagnostics"]
        assert diagnostic["code"] == "contradiction"
    with serving(Stub()) as server:
        assert submit(server, *USER) == 0
        assert not [one for one in server.seen if "cookie" in one.headers]


def test_a_command_for_the_token(capfd: pytest.CaptureFixture[str]) -> None:
    """What it prints is the token; if it fails, nothing is sent."""
    with serving(Stub(token=TOKEN)) as server:
        command = f"{sys.executable} -c 'print(\"{TOKEN}\")'"
        assert submit(server, "--token-command", command) == 0
        capfd.readouterr()
        server.seen.clear()
        for wrong, why in (
            (f"{sys.executable} -c 'print(\"{TOKEN}\"); exit(3)'", "exit code 3"),
            ("/no/such/program", "no such file or directory"),
            (f"{sys.executable} -c ''", "it printed nothing"),
        ):
            assert submit(server, "--token-command", wrong) == 2
            first = capfd.readouterr().err.splitlines()[0]
            assert first == f"error[token-command]: the command for the token failed: {why}"
        assert server.seen == []
