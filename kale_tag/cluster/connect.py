"""The cluster that options, environment variables and kfp's own configuration name."""

import getpass
import os
import shlex
import ssl
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib import request
from urllib.parse import urlsplit

from kale_tag.cluster.client import Cluster, quietly
from kale_tag.cluster.health import Endpoint, check
from kale_tag.cluster.login_page import sign_in
from kale_tag.diagnostics import UserError, error

TOKEN = "KALE_TAG_TOKEN"  # noqa: S105  the name of a variable
TOKEN_COMMAND = "KALE_TAG_TOKEN_COMMAND"  # noqa: S105  the same
USER = "KALE_TAG_USER"
PASSWORD = "KALE_TAG_PASSWORD"  # noqa: S105  the same
TOKEN_FILE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105  the same, kfp's
HOST = "KF_PIPELINES_ENDPOINT"
UI_HOST = "KF_PIPELINES_UI_ENDPOINT"
LOGIN = "KF_PIPELINES_IAP_OAUTH2_CLIENT_ID"
"""If it is set, kfp asks the user to log in at Google's."""

POD_NAMESPACE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
HERE = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Access:
    """The options of the user that name a server; "" for those not given."""

    host: str = ""  # a URL, or a host with or without a port
    token: str = field(default="", repr=False)  # a bearer token
    ca_cert: str = ""  # a file
    namespace: str = ""  # of the user's profile
    user: str = ""  # who signs in on a login page
    token_command: str = ""  # prints a token


def connect(access: Access) -> Cluster:
    """The cluster at the host in *access*, else KF_PIPELINES_ENDPOINT, else the cluster around
    this pod, else the current context of kubectl.

    Raises `UserError` if there is none, or its server does not accept requests.
    """
    host = _address(access.host or os.environ.get(HOST, ""))
    if access.ca_cert:
        _check_certificate(access.ca_cert)
    client = _client(access, host)
    api_client = client.runs.run_service_get_run.__self__.api_client
    # By default it would wait four times for an answer.
    api_client.rest_client.pool_manager.connection_pool_kw["retries"] = 0
    # kfp looks for the cluster around it, then for kubectl's, and goes on if there is neither.
    if not host and api_client.configuration.host == type(api_client.configuration)().host:
        hint = f"`--host URL`, or {HOST} in the environment"
        raise UserError(error("no-host", "no cluster is configured", help=hint))
    endpoint = _endpoint(api_client)
    renew = None
    if user := access.user or os.environ.get(USER, ""):
        if "Authorization" in endpoint.headers:
            message = f"there is a token, and a user to sign in: `{user}`"
            raise UserError(error("contradiction", message, help="leave out one of them"))
        renew = partial(_sign_in, api_client, endpoint, user, _password(user))
        renew()
    multi_user = check(endpoint)
    namespace = access.namespace or client.get_user_namespace() or _pod_namespace()
    if multi_user and not namespace:
        message = f"{endpoint.url} has several users and needs a namespace"
        hint = "name your profile in Kubeflow: `--namespace NAME`"
        raise UserError(error("no-namespace", message, help=hint))
    ui = _address(os.environ.get(UI_HOST, "")) or host
    return Cluster(client, endpoint, ui, namespace if multi_user else access.namespace, renew)


def _sign_in(api_client: Any, endpoint: Endpoint, user: str, password: str) -> None:  # noqa: ANN401
    """Begin a session, which kfp's client and *endpoint* then have."""
    endpoint.headers.pop("Cookie", None)
    api_client.cookie = None
    if cookie := sign_in(endpoint, user, password):
        api_client.cookie = endpoint.headers["Cookie"] = cookie


def _password(user: str) -> str:
    if password := os.environ.get(PASSWORD, ""):
        return password
    if not sys.stdin.isatty():
        message = f"signing in as `{user}` needs a password"
        raise UserError(error("password-needed", message, help=f"put it into {PASSWORD}"))
    return getpass.getpass(f"Password of {user}: ")


def _address(text: str) -> str:
    """*text* as a URL to append paths to; without a scheme it is https, on this machine http."""
    if not text:
        return ""
    url = text.partition("#")[0].partition("?")[0].rstrip("/")
    if "://" not in url:
        local = urlsplit(f"//{url}").hostname in HERE
        url = f"{'http' if local else 'https'}://{url}"
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
        parts = None
    if parts is not None and parts.password is not None:
        message = "the address of the server contains a password, which would be shown and stored"
        raise UserError(error("password-in-host", message, help=f"use a token: {TOKEN}"))
    if not good or any(letter.isspace() for letter in url):
        message = f"not an address of a server: `{text}`"
        raise UserError(error("invalid-host", message, help="write it as http://localhost:8080"))
    return url


def _client(access: Access, host: str) -> Any:  # noqa: ANN401  a kfp.Client
    token = _token(access)
    with quietly():
        import kfp  # type: ignore[import-untyped]  # noqa: PLC0415  slow to import
        from kfp.client import (  # type: ignore[import-untyped]  # noqa: PLC0415
            ServiceAccountTokenVolumeCredentials,
        )
        from kfp_server_api import (  # type: ignore[import-untyped]  # noqa: PLC0415
            V2beta1GetHealthzResponse,
            rest,
        )

    class Client(kfp.Client):  # type: ignore[misc]  # kfp has no types
        """kfp's client without its slow check of the server; `check` does it."""

        def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:  # noqa: ANN401, ARG002
            return V2beta1GetHealthzResponse(multi_user=False)

    path = "" if token else _token_file()
    trusted = access.ca_cert or ssl.get_default_verify_paths().cafile or rest.certifi.where()
    try:
        with quietly(), redirect_stdout(sys.stderr) if os.environ.get(LOGIN) else quietly():
            return Client(
                host=host or None,
                existing_token=token or None,
                credentials=ServiceAccountTokenVolumeCredentials(path) if path else None,
                proxy=_proxy(host) or None,
                # With kubectl's configuration comes the certificate of its cluster.
                ssl_ca_cert=trusted if host or access.ca_cert else None,
            )
    except Exception as exc:  # noqa: BLE001  kfp, Google's login, plug-ins of kubectl
        message = "kfp cannot use its configuration"
        why = " ".join(str(exc).split())[:300] or type(exc).__name__
        hint = f"`--host URL` and {TOKEN} suffice"
        raise UserError(error("kfp-configuration", message, notes=[why], help=hint)) from None


def _endpoint(api_client: Any) -> Endpoint:  # noqa: ANN401  kfp_server_api's
    """The server to which kfp's client sends its requests, and their headers."""
    configuration = api_client.configuration
    url = configuration.host if "://" in configuration.host else f"http://{configuration.host}"
    configuration.host = url.rstrip("/")
    _keep_host(configuration)
    headers = {k: v for k, v in api_client.default_headers.items() if k != "User-Agent"}
    if api_client.cookie:
        headers["Cookie"] = api_client.cookie
    if authorization := configuration.get_api_key_with_prefix("authorization"):
        headers["Authorization"] = authorization
    pool = api_client.rest_client.pool_manager
    return Endpoint(configuration.host, pool, headers)


def _check_certificate(path: str) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except OSError as exc:  # SSLError is one
        message = f"not a certificate in PEM form: {path}"
        notes = [(exc.strerror or str(exc)).lower()]
        hint = "name a PEM file: `--ca-cert FILE`"
        raise UserError(error("no-certificate", message, notes=notes, help=hint)) from None


def _keep_host(configuration: Any) -> None:  # noqa: ANN401  kfp_server_api's
    """Keep the address of KFP when kubectl's token is refreshed.

    The hook of the kubernetes package sets the whole configuration again, itself too, before every
    request; then kfp would ask Kubernetes instead of KFP.
    """
    refresh, host = configuration.refresh_api_key_hook, configuration.host
    if refresh is None:
        return

    def refreshed(changed: Any) -> None:  # noqa: ANN401  the same
        refresh(changed)
        changed.host = host
        changed.refresh_api_key_hook = refreshed

    configuration.refresh_api_key_hook = refreshed


def _token(access: Access) -> str:
    token = access.token or os.environ.get(TOKEN, "")
    command = access.token_command or os.environ.get(TOKEN_COMMAND, "")
    if command and not token:
        token = _printed_by(command)
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        message = "the token contains a character that no token contains"
        hint = "check for a space or other text around it"
        raise UserError(error("invalid-token", message, help=hint))
    return token


def _printed_by(command: str) -> str:
    """The token that *command* prints."""
    printed = ""
    try:
        words = shlex.split(command)
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603  the user's
        printed = done.stdout.strip()
        why = f"exit code {done.returncode}" if done.returncode else ""
        why = why or ("" if printed else "it printed nothing")
    except (OSError, ValueError) as exc:
        why = (getattr(exc, "strerror", None) or str(exc)).lower()
    if why:
        message = f"the command for the token failed: {why}"
        raise UserError(error("token-command", message, help="run it by itself to see why"))
    return printed


def _token_file() -> str:
    """The file with a token of the cluster; kfp reads it again for every request."""
    path = os.environ.get(TOKEN_FILE, "")
    try:
        if path:
            with open(path, encoding="utf-8"):
                pass
    except OSError as exc:
        message = f"cannot read the token in {path}: {(exc.strerror or str(exc)).lower()}"
        hint = f"check the path in {TOKEN_FILE}, or put a token into {TOKEN}"
        raise UserError(error("not-read", message, help=hint)) from None
    return path


def _proxy(host: str) -> str:
    """The proxy of the environment for *host*, which kfp does not read itself."""
    parts = urlsplit(host)
    if not host or request.proxy_bypass(parts.hostname or ""):
        return ""
    proxy = request.getproxies().get(parts.scheme, "")
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def _pod_namespace() -> str:
    try:
        with open(POD_NAMESPACE, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""
