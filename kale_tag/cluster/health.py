"""Whether an API server of Kubeflow Pipelines answers, and what its refusals mean.

kfp's own client waits 26 seconds for a server that rejects the token, and prints five tracebacks.
"""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from kale_tag.diagnostics import Diagnostic, UserError, error

SECONDS = 5.0
"""How long the first answer may take."""

PATH = "/apis/v2beta1/healthz"

LONGEST = 65536
"""Bytes of an answer that are read."""

_FORWARD = "`kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80` makes a cluster reachable"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server, and how to reach it."""

    url: str  # without a slash at its end
    pool: Any  # the pool of connections of kfp's client, which knows certificates and proxy
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # with the token
    own_ca: str = ""  # the certificate file that the user named

    def without_secrets(self, text: str) -> str:
        """*text* without the token."""
        for value in self.headers.values():
            text = text.replace(value, "***").replace(value.split()[-1], "***")
        return text


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a server."""

    status: int
    kind: str = ""  # the media type
    location: str = ""  # of a redirect
    text: str = ""

    @property
    def is_html(self) -> bool:
        """Whether it is a page: of a proxy, a login, or the UI."""
        return "html" in self.kind or self.text.lstrip()[:15].lower().startswith(("<!doc", "<html"))

    @property
    def message(self) -> str:
        """The error message in the answer, in one line, or ""."""
        try:
            value = json.loads(self.text)
        except ValueError:
            value = "" if self.is_html else self.text
        if isinstance(value, dict):
            # grpc-gateway writes the first two, the upload service the others.
            names = ("message", "error", "error_details", "error_message")
            value = next((value[name] for name in names if isinstance(value.get(name), str)), "")
        return " ".join(value.split())[:300] if isinstance(value, str) else ""


def check(endpoint: Endpoint) -> bool:
    """Whether the server has several users, so that a namespace is needed.

    Raises `UserError` within `SECONDS` if it is not a healthy API server of Kubeflow Pipelines.
    """
    answer = _in_time(lambda: _ask(endpoint), endpoint)
    if answer.status != 200 or answer.is_html:
        raise UserError(status_diagnostic(endpoint, answer, "connect"))
    try:
        value = json.loads(answer.text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UserError(_not_the_api(endpoint, "did not return JSON"))
    return value.get("multi_user") is True


def connection_diagnostic(  # noqa: PLR0911  one for each kind of error
    endpoint: Endpoint, exc: BaseException
) -> Diagnostic | None:
    """The error for *exc* if it is about the network, else None."""
    from http.client import HTTPException  # noqa: PLC0415  slow to import

    url, causes = endpoint.url, _causes(exc)
    for cause in causes:
        match cause:
            case ssl.SSLCertVerificationError():
                return _certificate(endpoint, cause)
            case ssl.SSLError():
                notes = [str(cause.reason or cause).lower().replace("_", " ")]
                hint = f"without TLS it is {url.replace('https://', 'http://', 1)}"
                return error("no-tls", f"TLS failed: {url}", notes=notes, help=hint)
            case socket.gaierror():
                hint = "check the name in `--host`, the network and the VPN"
                return error("no-such-host", f"host not found: {urlsplit(url).hostname}", help=hint)
            case ConnectionRefusedError():
                hint = f"check the port; {_FORWARD} at http://localhost:8080"
                return error("not-reachable", f"connection refused: {url}", help=hint)
            case TimeoutError():
                hint = "check host and port, and any firewall, VPN or proxy"
                return error("no-answer", f"no answer: {url}", help=hint)
            case _:
                pass
    last = causes[-1]
    if not isinstance(last, OSError | HTTPException):
        return None
    why = getattr(last, "strerror", None) or str(last) or type(last).__name__
    hint = "check that it is an API server of Kubeflow Pipelines, and try again"
    if url.startswith("http://"):
        hint = f"with TLS it is https://{url.removeprefix('http://')}"
    notes = [" ".join(why.split()).lower()[:200]]
    return error("no-answer", f"connection closed without an answer: {url}", notes=notes, help=hint)


_REFUSALS = {
    403: ("not-allowed", "permission denied", "check `--namespace` and the token"),
    404: ("not-found", "not found", "check whether it was deleted, and try again"),
    409: ("taken", "the name is taken", "choose another name"),
}
"""Code, reason and help for statuses that mean one thing each."""


def status_diagnostic(endpoint: Endpoint, answer: Answer, doing: str) -> Diagnostic:
    """The error for an *answer* that refuses to *doing*, a verb such as `connect`."""
    url, status = endpoint.url, answer.status
    if status < 400 or (status == 404 and not (answer.message and answer.text.lstrip()[:1] == "{")):
        what = "returned an HTML page" if status < 400 else "returned 404"
        where = answer.location.partition("?")[0]
        return _not_the_api(endpoint, what, *([f"redirects to {where}"] if where else []))
    if status == 400 and "https" in answer.text.lower() and url.startswith("http://"):
        hint = f"write https://{url.removeprefix('http://')}"
        return error("needs-tls", f"requires TLS: {url}", help=hint)
    message = endpoint.without_secrets(answer.message)
    notes = [f"the server: {message}"] if message else []
    if status == 401:
        code, hint = "token-needed", "put a token into the environment variable KALE_TAG_TOKEN"
        what = "requires authentication"
        if endpoint.headers:
            code, what = "token-refused", "rejects the token"
            hint = "get a new token: this one may be wrong, expired, or for another server"
        return error(code, f"{url} {what} (401)", notes=notes, help=hint)
    code, why, hint = _REFUSALS.get(status, ("refused", "refused", "see the log of ml-pipeline"))
    if status >= 500:
        code, why = "server-error", "server error"
        hint = "try again in a minute; else see the log of ml-pipeline"
    return error(code, f"cannot {doing}: {why} ({status}) at {url}", notes=notes, help=hint)


def _ask(endpoint: Endpoint) -> Answer:
    """The answer to one GET. Redirects are not followed: the token would go with them."""
    found = endpoint.pool.request(
        "GET",
        endpoint.url + PATH,
        headers=dict(endpoint.headers),
        redirect=False,
        retries=False,
        timeout=SECONDS,
        preload_content=False,
    )
    kind, location = (found.headers.get(name, "") for name in ("Content-Type", "Location"))
    return Answer(found.status, kind, location, found.read(LONGEST).decode(errors="replace"))


def _in_time(work: Callable[[], Answer], endpoint: Endpoint) -> Answer:
    """The result of *work*, done in a thread.

    Looking up a name, and a server that sends a byte now and then, have no time limit otherwise.
    """
    done: list[Answer] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            done.append(work())
        except Exception as exc:  # noqa: BLE001  raised again below
            failed.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    if done:
        return done[0]
    exc = failed[0] if failed else TimeoutError()
    known = connection_diagnostic(endpoint, exc)
    if known is None:
        raise exc
    raise UserError(known)


def _not_the_api(endpoint: Endpoint, what: str, *notes: str) -> Diagnostic:
    message = f"{endpoint.url} {what}, not the KFP API"
    hint = f"behind Kubeflow's dashboard the API is often at {endpoint.url}/pipeline; a login page "
    hint += "needs a token (KALE_TAG_TOKEN)"
    return error("not-the-api", message, notes=notes, help=hint)


def _certificate(endpoint: Endpoint, exc: ssl.SSLCertVerificationError) -> Diagnostic:
    why = str(getattr(exc, "verify_message", "") or exc)
    hint = "name the certificate of its issuer (PEM): `--ca-cert FILE`"
    if "expired" in why or "not yet valid" in why:
        hint = "the server needs a new certificate; check the clock of this machine too"
    elif "match" in why or "not valid for" in why:
        hint = "use the name that the certificate is for"
    elif endpoint.own_ca:
        hint = f"{endpoint.own_ca} is not the certificate of its issuer"
    message = f"untrusted certificate of {endpoint.url}: {why}"
    return error("untrusted-certificate", message, help=hint)


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
