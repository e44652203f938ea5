"""Whether an API server of Kubeflow Pipelines answers: one short request, and plain words if not.

kfp's own client waits 26 seconds for a server that refuses the token, and prints five tracebacks.
"""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from kale_tag.diagnostics import Diagnostic, UserError, error

SECONDS = 5.0
"""After which a server that says nothing is given up."""

PATH = "/apis/v2beta1/healthz"

LONGEST = 65536
"""Bytes of an answer that are looked at."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the server is asked, and as whom.

    *url* has no slash at its end. *headers* hold the token. *ca_cert*, *cert_file* and *key_file*
    are paths, *proxy* is a URL; "" where there is none. *own_ca*: the user named *ca_cert*.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_cert: str = ""
    cert_file: str = ""
    key_file: str = ""
    proxy: str = ""
    own_ca: bool = False

    @property
    def secrets(self) -> list[str]:
        """What must not be shown: the token, with and without the word in front of it."""
        return [part for value in self.headers.values() for part in (value, value.split()[-1])]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered: the status, the media type, where it sends us, the text."""

    status: int
    kind: str = ""
    location: str = ""
    text: str = ""

    @property
    def is_html(self) -> bool:
        """Whether it is a page for people: of a proxy, a login, or the UI."""
        return "html" in self.kind or self.text.lstrip()[:15].lower().startswith(("<!doc", "<html"))

    @property
    def message(self) -> str:
        """What the server says is wrong, in one line; "" where it says nothing that helps."""
        if self.is_html:
            return ""
        try:
            said = json.loads(self.text)
        except ValueError:
            said = self.text
        if isinstance(said, dict):
            # grpc-gateway writes the first two, the upload service the others.
            names = ("message", "error", "error_details", "error_message")
            said = next((said[name] for name in names if isinstance(said.get(name), str)), "")
        return " ".join(str(said).split())[:300] if isinstance(said, str) else ""


def check(endpoint: Endpoint) -> bool:
    """Whether the server at *endpoint* keeps its users apart, so that a namespace is needed.

    Raises `UserError`, `SECONDS` from now at the latest, when there is no API server, or it does
    not take what it is sent.
    """
    context = _trust(endpoint) if endpoint.url.startswith("https://") else None
    answer = within(SECONDS, lambda: _ask(endpoint, context), endpoint)
    if 300 <= answer.status < 400 or (answer.status == 200 and answer.is_html):
        raise UserError(_a_page(endpoint, answer))
    if answer.status != 200:
        raise UserError(status_diagnostic(endpoint, answer, "connect"))
    try:
        said = json.loads(answer.text)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise UserError(_no_api(endpoint, "answers, but is no API server of Kubeflow Pipelines 2"))
    return said.get("multi_user") is True


def within(seconds: float, work: Callable[[], Result], endpoint: Endpoint) -> Result:
    """What *work* gives. Raises `UserError` where it fails to connect or takes too long.

    In a thread of its own: looking up a name, and a server that sends a byte now and then, have no
    time limit of their own.
    """
    done: list[Result] = []
    diagnostics: list[Exception] = []

    def run() -> None:
        try:
            done.append(work())
        except Exception as exc:  # noqa: BLE001  raised again by who waits
            diagnostics.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if done:
        return done[0]
    diagnostic = diagnostics[0] if diagnostics else TimeoutError()
    known = connection_diagnostic(endpoint, diagnostic)
    if known is None:
        raise diagnostic
    raise UserError(known)


def connection_diagnostic(endpoint: Endpoint, diagnostic: BaseException) -> Diagnostic | None:
    """What is said of *fault*, where it or what is behind it is one of the network; else None."""
    from http.client import HTTPException  # noqa: PLC0415  slow to import

    server = endpoint.url
    diagnostics = _linked(diagnostic)
    for one in diagnostics:
        match one:
            case ssl.SSLCertVerificationError():
                return _certificate(endpoint, one)
            case ssl.SSLError():
                return _no_tls(endpoint, one)
            case socket.gaierror():
                return error(
                    "no-such-host",
                    f"no machine is called {urlsplit(server).hostname}",
                    help="check the name in `--host`; are you in the right network, or VPN?",
                )
            case ConnectionRefusedError():
                return error(
                    "not-reachable",
                    f"nothing listens at {server}",
                    help="check the port; `kubectl port-forward -n kubeflow svc/ml-pipeline-ui "
                    "8080:80` makes a cluster reachable at http://localhost:8080",
                )
            case TimeoutError():
                return error(
                    "no-answer",
                    f"{server} does not answer",
                    help="check host and port; a firewall, a VPN or a proxy may be in between",
                )
            case _:
                continue
    last = diagnostics[-1]
    return _broken(endpoint, last) if isinstance(last, OSError | HTTPException) else None


def status_diagnostic(  # noqa: PLR0911  one for each kind of answer
    endpoint: Endpoint, answer: Answer, doing: str
) -> Diagnostic:
    """What is said where the server refuses to *doing*, a verb such as `connect`."""
    server, said = endpoint.url, answer.message
    for secret in endpoint.secrets:
        said = said.replace(secret, "***")
    notes = [f"it says: {said}"] if said else []
    match answer.status:
        case 401 if endpoint.headers:
            return error(
                "token-refused",
                f"{server} does not take the token (401)",
                notes=notes,
                help="it may be wrong, for another server, or too old: get a new one",
            )
        case 401:
            return error(
                "token-needed",
                f"{server} wants to know who you are (401)",
                notes=notes,
                help="put a token into the environment variable KALE_TAG_TOKEN",
            )
        case 403:
            return error(
                "not-allowed",
                f"{server} does not let you {doing} (403)",
                notes=notes,
                help="check `--namespace` and the token; else ask who runs the cluster for the "
                "right to edit pipelines",
            )
        case 404 if said and answer.text.lstrip().startswith("{"):
            return error(
                "not-found",
                f"{server} does not find what it needs to {doing} (404)",
                notes=notes,
                help="was it deleted meanwhile? try again",
            )
        case 404:
            return _no_api(endpoint, "has no API of Kubeflow Pipelines 2 (404)")
        case 409:
            return error(
                "taken",
                f"{server} cannot {doing}: the name is taken (409)",
                notes=notes,
                help="choose another name",
            )
        case 400 if "https" in answer.text.lower() and server.startswith("http://"):
            return error(
                "needs-tls",
                f"{server} speaks TLS only",
                help=f"write https://{server.removeprefix('http://')}",
            )
        case status if status >= 500:
            return error(
                "server-error",
                f"{server} failed to {doing} ({status}): the trouble is at its end",
                notes=notes,
                help="try again in a minute; then ask who runs the cluster for the log of "
                "ml-pipeline",
            )
        case status:
            return error(
                "refused",
                f"{server} refuses to {doing} ({status})",
                notes=notes,
                help="try again later" if status == 429 else "the log of ml-pipeline may say more",
            )


def _trust(endpoint: Endpoint) -> ssl.SSLContext:
    """Whom TLS trusts. Raises `UserError` where a file holds no certificate."""
    try:
        context = ssl.create_default_context(cafile=endpoint.ca_cert or None)
        if endpoint.cert_file:
            context.load_cert_chain(endpoint.cert_file, endpoint.key_file or None)
    except OSError as exc:  # SSLError is one
        name = endpoint.ca_cert
        if endpoint.cert_file:
            name += f" or {endpoint.cert_file}"
        why = (exc.strerror or str(exc)).lower()
        message = f"{name} cannot be used as a certificate: {why}"
        raise UserError(error("no-certificate", message, help="it must be in PEM form")) from None
    return context


def _ask(endpoint: Endpoint, context: ssl.SSLContext | None) -> Answer:
    """The answer to one GET; redirects are not followed, so that the token stays here."""
    from urllib import request  # noqa: PLC0415  slow to import

    opener = request.OpenerDirector()
    scheme = urlsplit(endpoint.url).scheme
    opener.add_handler(request.ProxyHandler({scheme: endpoint.proxy} if endpoint.proxy else {}))
    opener.add_handler(request.HTTPHandler())
    opener.add_handler(request.HTTPSHandler(context=context))
    asked = request.Request(endpoint.url + PATH, headers=dict(endpoint.headers))  # noqa: S310
    with opener.open(asked, timeout=SECONDS) as got:
        return Answer(
            got.status,
            got.headers.get("Content-Type", ""),
            got.headers.get("Location", ""),
            got.read(LONGEST).decode(errors="replace"),
        )


def _a_page(endpoint: Endpoint, answer: Answer) -> Diagnostic:
    where = answer.location.partition("?")[0]
    hint = "if it is a login page, pass a token (KALE_TAG_TOKEN); if it is the dashboard of "
    hint += f"Kubeflow, the API is often at {endpoint.url}/pipeline"
    return error(
        "not-the-api",
        f"{endpoint.url} shows a page for people instead of the API of Kubeflow Pipelines",
        notes=[f"it sends to {where}"] if where else [],
        help=hint,
    )


def _no_api(endpoint: Endpoint, what: str) -> Diagnostic:
    return error(
        "not-the-api",
        f"{endpoint.url} {what}",
        help="check host, port and path: behind Kubeflow's dashboard it is often "
        f"{endpoint.url}/pipeline; KFP 1 has another API",
    )


def _certificate(endpoint: Endpoint, diagnostic: ssl.SSLCertVerificationError) -> Diagnostic:
    why = str(getattr(diagnostic, "verify_message", "") or diagnostic)
    hint = "`--ca-cert FILE` names the certificate of who signed it (PEM)"
    if "expired" in why or "not yet valid" in why:
        hint = "it has to be renewed by who runs the server; check the clock of this machine too"
    elif "match" in why or "not valid for" in why:
        hint = "use the name that the certificate is for"
    elif endpoint.own_ca:
        hint = f"{endpoint.ca_cert} is not the certificate of who signed it"
    message = f"the certificate of {endpoint.url} cannot be trusted: {why}"
    return error("untrusted-certificate", message, help=hint)


def _no_tls(endpoint: Endpoint, diagnostic: ssl.SSLError) -> Diagnostic:
    plain = endpoint.url.replace("https://", "http://", 1)
    return error(
        "no-tls",
        f"{endpoint.url} does not speak TLS as it should",
        notes=[str(diagnostic.reason or diagnostic).lower().replace("_", " ")],
        help=f"write {plain} if the server has no TLS",
    )


def _broken(endpoint: Endpoint, diagnostic: BaseException) -> Diagnostic:
    hint = "is it an API server of Kubeflow Pipelines? try again"
    if endpoint.url.startswith("http://"):
        hint = f"if the server speaks TLS, write https://{endpoint.url.removeprefix('http://')}"
    said = getattr(diagnostic, "strerror", None) or str(diagnostic) or type(diagnostic).__name__
    return error(
        "no-answer",
        f"{endpoint.url} ends the connection without an answer",
        notes=[" ".join(said.split()).lower()[:200]],
        help=hint,
    )


def _linked(diagnostic: BaseException) -> list[BaseException]:
    """*fault* and what is behind it; urllib and urllib3 wrap the errors of the network."""
    found: list[BaseException] = []
    waiting = [diagnostic]
    while waiting:
        one = waiting.pop(0)
        if one not in found:
            found.append(one)
            links = (getattr(one, "reason", None), one.__cause__, one.__context__, *one.args)
            waiting += [link for link in links if isinstance(link, BaseException)]
    return found
