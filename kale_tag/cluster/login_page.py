"""Sign-in with user and password on the login page of Dex or an OAuth2 proxy.

The pages are followed as a browser does, on the server's own host only: no other host gets to see
the password or a cookie. The cookies of the session are kept in memory.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit

from kale_tag.cluster.health import PATH, Answer, Endpoint
from kale_tag.diagnostics import Diagnostic, UserError, error

PAGES = 20
"""Pages and redirects that a sign-in may have."""

_TOKEN = "or use a token: KALE_TAG_TOKEN"  # noqa: S105  a hint
_LOGIN_LINK = re.compile(r"/auth/(?:local|ldap)\b|/oauth2/start\b")
"""Dex's list of connectors, those with a password, and the button of OAuth2 proxy."""


@dataclass(slots=True)
class _Form:
    """A form of a page."""

    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)  # of its fields, by name
    user: str = ""  # the name of the field for the user
    password: str = ""  # the name of the field for the password


class _Page(HTMLParser):
    """The forms and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what is on the page."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            method = given.get("method", "get").upper()
            self.forms.append(_Form(given.get("action", ""), method))
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "input" and self.forms and (name := given.get("name")):
            form, kind = self.forms[-1], given.get("type", "text")
            form.values[name] = given.get("value", "")
            if kind == "password":
                form.password = form.password or name
            elif kind in {"text", "email"}:
                form.user = form.user or name

    def way_in(self) -> _Form | None:
        """Where this page leads to a login page."""
        ways = (*self.forms, *(_Form(link, "GET") for link in self.links))
        return next((way for way in ways if _LOGIN_LINK.search(way.action)), None)


def sign_in(endpoint: Endpoint, user: str, password: str) -> str:
    """The `Cookie` header of a new session, "" if the server needs none.

    Raises `UserError` if there is no login page, it is on another host, or it refuses.
    """
    cookies: dict[str, str] = {}
    form, sent = _Form(endpoint.url + PATH, "GET"), False
    for _ in range(PAGES):
        url, answer = _follow(endpoint, form, cookies)
        if 300 <= answer.status < 400 and answer.location:
            form = _Form(urljoin(url, answer.location), "GET")
            continue
        page = _Page(answer.text)
        login = next((one for one in page.forms if one.password), None)
        approval = next(
            (one for one in page.forms if one.values.get("approval") == "approve"), None
        )
        if login and sent:
            hint = f"check both, {_TOKEN}"
            raise UserError(
                error("sign-in-refused", f"{endpoint.url} refuses user or password", help=hint)
            )
        found = login or (approval if sent else page.way_in())
        if found is None:
            if answer.status == 200 and (sent or answer.text.lstrip().startswith("{")):
                return _header(cookies)
            raise UserError(_no_login(endpoint))
        if login:
            sent, login.method = True, "POST"  # never in an address
            login.values |= {login.user or "login": user, login.password: password}
        found.action = urljoin(url, found.action)
        form = found
    raise UserError(_no_login(endpoint))


def _follow(endpoint: Endpoint, form: _Form, cookies: dict[str, str]) -> tuple[str, Answer]:
    """The URL of the page that *form* leads to, and the answer, which may set *cookies*."""
    if _origin(form.action) != _origin(endpoint.url):
        other = form.action.partition("?")[0]
        hint = f"if you trust it and it is the same server, name it as `--host`; {_TOKEN}"
        message = f"the login of {endpoint.url} is on another host: {other}"
        raise UserError(error("other-host", message, help=hint))
    headers = {"Accept": "text/html, application/json"}
    if cookies:
        headers["Cookie"] = _header(cookies)
    url, body = form.action, None
    if form.method == "POST":
        body = urlencode(form.values).encode()
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    elif form.values:
        url = f"{url.partition('?')[0]}?{urlencode(form.values)}"
    answer = endpoint.ask(form.method, url, headers, body)
    for header in answer.cookies:
        _keep(header, cookies)
    return url, answer


def _header(cookies: Mapping[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _keep(header: str, cookies: dict[str, str]) -> None:
    try:
        found = SimpleCookie(header)
    except CookieError:
        return
    for name, morsel in found.items():
        if morsel.value and morsel["max-age"] != "0":
            cookies[name] = morsel.coded_value
        else:
            cookies.pop(name, None)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    usual = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname, parts.port or usual


def _no_login(endpoint: Endpoint) -> Diagnostic:
    message = f"{endpoint.url} shows no login page with user and password"
    return error("no-login-page", message, help=f"check `--host`, {_TOKEN}")
