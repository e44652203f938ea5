"""From what the user, the environment and kfp's own configuration say to a cluster."""

import os
import ssl
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import Any
from urllib import request
from urllib.parse import urlsplit

from kale_tag.cluster.client import Cluster
from kale_tag.cluster.health import Endpoint, check
from kale_tag.cluster.package import quietly
from kale_tag.diagnostics import UserError, error

TOKEN = "KALE_TAG_TOKEN"  # noqa: S105  the name of a variable
TOKEN_FILE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105  the same, kfp's
HOST = "KF_PIPELINES_ENDPOINT"
UI_HOST = "KF_PIPELINES_UI_ENDPOINT"
LOGIN = "KF_PIPELINES_IAP_OAUTH2_CLIENT_ID"
"""Set where kfp logs in at Google's, and asks the user to."""

POD_NAMESPACE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
HERE = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Access:
    """Which server, as whom and in which namespace, as the user says it; "" where not said."""

    host: str = ""
    token: str = field(default="", repr=False)
    ca_cert: str = ""
    namespace: str = ""


def connect(access: Access) -> Cluster:
    """The cluster that *access*, the environment and kfp's own configuration lead to.

    The first of these: the host that is given, KF_PIPELINES_ENDPOINT, the cluster around this pod,
    the current context of kubectl. Raises `UserError` when none is known, or the server does not
    answer as an API server of Kubeflow Pipelines does to somebody that it knows.
    """
    host = _address(access.host or os.environ.get(HOST, ""))
    client = _client(access, host)
    api_client = client.runs.run_service_get_run.__self__.api_client
    # By itself it would wait four times for an answer.
    api_client.rest_client.pool_manager.connection_pool_kw["retries"] = 0
    # kfp looks for the cluster around it, then for kubectl's, and goes on where there is none.
    if not host and api_client.configuration.host == type(api_client.configuration)().host:
        hint = f"`--host URL`, or {HOST} in the environment"
        raise UserError(error("no-host", "no cluster is named", help=hint))
    endpoint = _endpoint(api_client, own_ca=bool(access.ca_cert))
    apart = check(endpoint)
    namespace = access.namespace or client.get_user_namespace() or _pod_namespace()
    if apart and not namespace:
        message = f"{endpoint.url} keeps its users apart, and no namespace is named"
        raise UserError(
            error("no-namespace", message, help="`--namespace NAME`: your profile in Kubeflow")
        )
    ui = _address(os.environ.get(UI_HOST, "")) or host
    return Cluster(client, endpoint, ui, namespace if apart else access.namespace)


def _address(text: str) -> str:
    """*text* as a URL that paths are put behind; without `http`, TLS is meant, but not here."""
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
        message = "a password in the address of the server would be shown and stored"
        raise UserError(error("password-in-host", message, help=f"use a token: {TOKEN}"))
    if not good or any(letter.isspace() for letter in url):
        message = f"`{text}` is no address of a server"
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
        """kfp's client, which does not ask how the server is: `check` does, and does not wait."""

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
    except Exception as exc:  # noqa: BLE001  kfp, Google's login and kubectl's plug-ins say not what
        message = "kfp's own configuration cannot be used"
        said = " ".join(str(exc).split())[:300] or type(exc).__name__
        hint = f"`--host URL` and {TOKEN} are all that is needed"
        raise UserError(error("kfp-configuration", message, notes=[said], help=hint)) from None


def _endpoint(api_client: Any, *, own_ca: bool) -> Endpoint:  # noqa: ANN401  kfp_server_api's
    """Where kfp's client sends its requests, and with which headers."""
    configuration = api_client.configuration
    url = configuration.host if "://" in configuration.host else f"http://{configuration.host}"
    configuration.host = url.rstrip("/")
    _keep_host(configuration)
    headers = {k: v for k, v in api_client.default_headers.items() if k != "User-Agent"}
    if api_client.cookie:
        headers["Cookie"] = api_client.cookie
    if authorization := configuration.get_api_key_with_prefix("authorization"):
        headers["Authorization"] = authorization
    return Endpoint(
        configuration.host,
        headers,
        configuration.ssl_ca_cert or "",
        configuration.cert_file or "",
        configuration.key_file or "",
        configuration.proxy or "",
        own_ca,
    )


def _keep_host(configuration: Any) -> None:  # noqa: ANN401  kfp_server_api's
    """Let a new token of kubectl's not take the way to KFP out of the address.

    The hook of the kubernetes package sets the whole configuration again, itself too, before every
    request; with it alone kfp asks Kubernetes instead of KFP.
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
    token = (access.token or os.environ.get(TOKEN, "")).strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        message = "the token has characters that no token has"
        hint = "it is one word; was something else pasted with it?"
        raise UserError(error("invalid-token", message, help=hint))
    return token


def _token_file() -> str:
    """The file in which the cluster keeps a token for us; kfp reads it anew for every request."""
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
    """The proxy of the environment for *host*, which kfp by itself does not look at."""
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
