"""Whether an API server of Kubeflow Pipelines answers, and what its refusals mean.

kfp's own client waits 26 seconds for a server that rejects the token, and prints five tracebacks.
"""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from kale_tag.diagnostics import Diagnostic, UserError, error

SECONDS = 5.0
"""How long the first answer may take."""

PATH = "/apis/v2beta1/healthz"

LONGEST = 65536
"""Bytes of an answer that are read."""

PORT = "`kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80` opens http://localhost:8080"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server, and how to reach it."""

    url: str  # without a slash at its end
    pool: Any  # the pool of connections of kfp's client, which knows certificates and proxy
    headers: dict[str, str] = field(default_factory=dict, repr=False)  # with token or cookies

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> "Answer":
        """The answer to one request.

        Redirects are not followed: the token, or the password, would go with them. Raises
        `UserError` if there is no answer.
        """
        options = {"redirect": False, "retries": False, "preload_content": False}
        try:
            got = self.pool.request(
                method, url, body=body, headers=dict(headers), timeout=SECONDS, **options
            )
            text = got.read(LONGEST).decode(errors="replace")
            got.release_conn()
        except Exception as exc:  # noqa: BLE001  urllib3's, whatever it cannot read
            raise UserError(connection_diagnostic(self, exc)) from None
        kind, location = (got.headers.get(key, "") for key in ("Content-Type", "Location"))
        return Answer(got.status, kind, location, text, got.headers.getlist("Set-Cookie"))

    def without_secrets(self, text: str) -> str:
        """*text* without the token and the cookies."""
        for value in self.headers.values():
            text = text.replace(value, "***").replace(value.split()[-1], "***")
        return text


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a server."""

    status: int  # of HTTP
    kind: str = ""  # the media type
    location: str = ""  # of a redirect
    text: str = ""  # the body
    cookies: Sequence[str] = ()  # the headers that set them

    @property
    def is_html(self) -> bool:
        """Whether it is a page: of a proxy, a login, or the UI."""
        return "html" in self.kind or self.text.lstrip()[:15].lower().startswith(("<!doc", "<html"))

    @property
    def value(self) -> dict[str, Any] | None:
        """The JSON object in it."""
        with contextlib.suppress(ValueError):
            if isinstance(value := json.loads(self.text), dict):
                return value
        return None

    @property
    def message(self) -> str:
        """The error message in the answer, in one line, or ""."""
        if self.value is None:
            return "" if self.is_html else " ".join(self.text.split())[:300]
        # grpc-gateway writes the first two, the upload service the others.
        names = ("message", "error", "error_details", "error_message")
        found = (self.value[name] for name in names if isinstance(self.value.get(name), str))
        return " ".join(next(found, "").split())[:300]


def check(endpoint: Endpoint) -> bool:
    """Whether the server has several users, so that a namespace is needed.

    Raises `UserError` within `SECONDS` if it is not a healthy API server of Kubeflow Pipelines. The
    request runs in a thread: looking up a name, and a server that sends a byte now and then, have
    no time limit otherwise.
    """
    found: Future[Answer] = Future()

    def run() -> None:
        try:
            found.set_result(endpoint.ask("GET", endpoint.url + PATH, endpoint.headers))
        except Exception as exc:  # noqa: BLE001  raised again below
            found.set_exception(exc)

    threading.Thread(target=run, daemon=True).start()
    try:
        answer = found.result(SECONDS)
    except TimeoutError as exc:
        raise UserError(connection_diagnostic(endpoint, exc)) from None
    if answer.status != 200:
        raise UserError(status_diagnostic(endpoint, answer, "connect"))
    if answer.value is None:
        raise UserError(not_the_api(endpoint, answer))
    return answer.value.get("multi_user") is True


def connection_diagnostic(endpoint: Endpoint, exc: BaseException) -> Diagnostic:
    """The error for *exc*: of the network, or for an answer that cannot be read."""
    from http.client import HTTPException  # noqa: PLC0415  slow to import

    url, causes = endpoint.url, _causes(exc)
    if any(type(one).__name__ == "ProxyError" for one in causes):  # urllib3's, which kfp brings
        proxy = endpoint.pool.proxy
        message = f"cannot connect to the proxy {proxy.scheme}://{proxy.host}:{proxy.port}"
        hint = (
            f"check http_proxy and https_proxy; without a proxy: no_proxy={urlsplit(url).hostname}"
        )
        return error("not-reachable", message, help=hint)
    address = url.partition("://")[2]
    issuer = (
        "name the certificate of its issuer (PEM): `--ca-cert FILE`; renew one that has expired"
    )
    kinds: list[tuple[type[BaseException], str, str, str]] = [
        (ssl.SSLCertVerificationError, "untrusted-certificate", "untrusted certificate", issuer),
        (ssl.SSLError, "no-tls", "TLS failed", f"without TLS it is http://{address}"),
        (socket.gaierror, "no-such-host", "host not found", "check `--host`, network and VPN"),
        (ConnectionRefusedError, "not-reachable", "connection refused", f"check the port; {PORT}"),
        (TimeoutError, "no-answer", "no answer", "check host, port, firewall, VPN and proxy"),
        (OSError, "no-answer", "connection closed", "check the port, and http:// or https://"),
        (HTTPException, "no-answer", "not an HTTP server", "check the port"),
    ]
    for kind, code, what, hint in kinds:
        if found := next((one for one in causes if isinstance(one, kind)), None):
            where = urlsplit(url).hostname if code == "no-such-host" else url
            why = getattr(found, "verify_message", "") or getattr(found, "reason", "")
            reason = f" ({why})" if isinstance(why, str) and why else ""
            mismatch = "match" in reason or "not valid for" in reason
            own = "use the name that the certificate is for" if mismatch else hint
            return error(code, f"{what}: {where}{reason}", help=own)
    return not_the_api(endpoint)


REFUSALS = {
    401: ("token-needed", "requires authentication", "put a token into KALE_TAG_TOKEN"),
    403: ("not-allowed", "permission denied", "check `--namespace` and the token"),
    404: ("not-found", "not found", "check whether it was deleted"),
    409: ("taken", "the name is taken", "choose another name"),
    500: ("server-error", "server error", "try again; else see the log of ml-pipeline"),
}
"""Code, reason and help for a status."""


def status_diagnostic(endpoint: Endpoint, answer: Answer, doing: str) -> Diagnostic:
    """The error for an *answer* that refuses to *doing*, a verb such as `connect`."""
    url, status = endpoint.url, answer.status
    if status < 400 or (status == 404 and not answer.text.lstrip().startswith("{")):
        return not_the_api(endpoint, answer)
    if status == 400 and "https" in answer.text.lower() and url.startswith("http://"):
        hint = f"write https://{url.removeprefix('http://')}"
        return error("needs-tls", f"requires TLS: {url}", help=hint)
    message = endpoint.without_secrets(answer.message)
    notes = [f"the server: {message}"] if message else []
    other = ("refused", "refused", "see the log of ml-pipeline")
    code, why, hint = REFUSALS.get(min(status, 500), other)
    if status == 401 and "Cookie" in endpoint.headers:
        code, why, hint = "token-refused", "rejects the session", "sign in again"
    elif status == 401 and endpoint.headers:
        code, why, hint = "token-refused", "rejects the token", "get a new token for this server"
    if status == 401:
        return error(code, f"{url} {why} (401)", notes=notes, help=hint)
    return error(code, f"cannot {doing}: {why} ({status}) at {url}", notes=notes, help=hint)


def not_the_api(endpoint: Endpoint, answer: Answer = Answer(200)) -> Diagnostic:
    """The error for an *answer* that no KFP API gives: of a proxy, a login, or the UI."""
    what = "an HTML page" if answer.is_html else "something else"
    notes = [f"redirects to {answer.location.partition('?')[0]}"] if answer.location else []
    hint = f"the API may be at {endpoint.url}/pipeline; for a login page, `--user NAME` or "
    hint += "a token (KALE_TAG_TOKEN)"
    message = f"{endpoint.url} returned {what}, not the KFP API"
    return error("not-the-api", message, notes=notes, help=hint)


def _causes(exc: BaseException) -> list[BaseException]:
    """*exc* and its causes; urllib3 wraps the errors of the network."""
    found: list[BaseException] = []
    todo = [exc]
    while todo:
        one = todo.pop(0)
        if one not in found:
            found.append(one)
            links = (getattr(one, "reason", None), one.__cause__, one.__context__, *one.args)
            todo += [link for link in links if isinstance(link, BaseException)]
    return found
