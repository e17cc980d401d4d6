"""Who is asking, over HTTP: the one place where a request's credentials are looked at.

Where a request came from is what `request.remote` and `request.secure` say: behind a proxy that is
trusted, the HTTP ground has set both from what the proxy tells (`request.clone`), and nowhere else.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from postillon.directory.credentials import HTTP
from postillon.directory.scopes import ADMIN
from postillon.directory.signin import Answer, Denied, Granted, SignIns
from postillon.directory.tokens import KEY
from postillon.log import SILENT, Log
from postillon.meter import SILENT_METER, Meter
from postillon.net.limits import is_loopback

REALM = "Postillon"
PROTOCOL = "jmap"
RETRY_AFTER_S = (
    300  # said to a network that is turned away; it is let in again sooner if it is quiet
)
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")
MAX_AUTHORIZATION = 8_192  # octets of an Authorization field, as much as a line may have
WRONG = "The login or the password is wrong"
SAID: dict[Answer, str] = {
    Denied.NEEDS_CODE: "This account has a second factor: use an app password, or sign in with OAuth",
    Denied.NOT_FOR_THIS: "This app password was not made for HTTP",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and what they may do.

    principal: 0 for a key of the administration API, whose login is its name. scopes: see
    `directory.scopes`. admin: an administrator who has also been given the scope for it; never a key.
    credential: what proved it, for lists and logs: "password", "app:3", "session:17", "key:4".
    """

    principal: int
    login: str
    scopes: frozenset[str]
    admin: bool
    credential: str


class Authority:
    """Answers for all handlers of one worker."""

    def __init__(
        self, sign_ins: SignIns, *, log: Log = SILENT, meter: Meter = SILENT_METER
    ) -> None:
        self._sign_ins = sign_ins
        self.guests = sign_ins.guests
        self._log = log
        self._meter = meter

    async def identify(self, request: web.Request) -> Identity:
        """Raises HTTPUnauthorized with its challenges, HTTPForbidden without TLS off loopback, or
        HTTPTooManyRequests for a network with too many failures."""
        field = request.headers.get("Authorization", "")
        if len(field) > MAX_AUTHORIZATION:
            raise unauthorized(request, "The Authorization field is too long")
        kind, _, given = field.partition(" ")
        if not kind:
            raise unauthorized(request, "Sign in first")
        require_private(request)
        if kind.lower() == "basic":
            return await self._basic(request, given.strip())
        if kind.lower() == "bearer":
            return await self._bearer(request, given.strip())
        raise unauthorized(request, "Basic and Bearer are what is taken here")

    async def _bearer(self, request: web.Request, token: str) -> Identity:
        """RFC 6750 section 2.1: an access token, or a key of the administration API."""
        if token.startswith(KEY):
            key = await self._sign_ins.credentials.api_key(token)
            if key is not None:
                return Identity(0, key.name, frozenset(key.scopes), False, f"key:{key.id}")
        else:
            answer = await self._sign_ins.begin(HTTP, request.remote or "").token(token)
            if isinstance(answer, Granted):
                return _identity(answer)
        raise unauthorized(request, "The token is not good, or no longer")

    async def _basic(self, request: web.Request, given: str) -> Identity:
        """RFC 7617: a login, a colon and a password, in UTF-8."""
        try:
            login, colon, password = base64.b64decode(given, validate=True).partition(b":")
        except (ValueError, binascii.Error):
            raise unauthorized(request, "The Authorization field is malformed") from None
        if not colon:
            raise unauthorized(request, "The Authorization field is malformed")
        attempt = self._sign_ins.begin(PROTOCOL, request.remote or "")
        answer = await attempt.password(login, password)
        if isinstance(answer, Granted):
            return _identity(answer)
        if attempt.failed:
            self._log.info("login_failed", login=attempt.login, peer=request.remote)
            self._meter.count("http_failed_logins")
        if answer is Denied.LATER:
            raise problem(web.HTTPTooManyRequests, "Too many failed logins; try again later", {
                "Retry-After": str(RETRY_AFTER_S)
            })  # fmt: skip
        raise unauthorized(request, SAID.get(answer, WRONG))


def _identity(granted: Granted) -> Identity:
    principal = granted.principal
    admin = principal.admin and ADMIN in granted.scopes
    scopes = granted.scopes if admin else granted.scopes - {ADMIN}
    return Identity(principal.id, principal.login, scopes, admin, granted.credential)


def origin(request: web.Request) -> str:
    """Scheme, host and port that the client has reached us by, as URLs begin with."""
    host = request.host if _HOST.fullmatch(request.host) else "localhost"
    return f"{request.scheme}://{host}"


def private(request: web.Request) -> bool:
    """Whether a secret may travel: under TLS, or without leaving the machine (FAULTS 44)."""
    return request.secure or is_loopback(request.remote or "")


def require_private(request: web.Request) -> None:
    """Raises HTTPForbidden where a secret must not be sent."""
    if not private(request):
        raise problem(web.HTTPForbidden, "Passwords and tokens are only taken over HTTPS")


def from_here(request: web.Request) -> bool:
    """Whether a request that changes something was made by a page of ours, or by no page.

    Only the host of Origin is compared: a proxy in front may know better than we whether it is https.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.host.lower()


def require_from_here(request: web.Request) -> None:
    """Against pages of other sites where a browser would add by itself what its user has typed once
    (Basic). Raises HTTPForbidden."""
    if not from_here(request):
        raise problem(web.HTTPForbidden, "This is for pages of this server only")


def unauthorized(request: web.Request, detail: str) -> web.HTTPError:
    """401 with what would be taken.

    A script in a page is not told of Basic: the browser would ask for a password in its own window.
    """
    error = problem(web.HTTPUnauthorized, detail)
    scripted = request.headers.get("Sec-Fetch-Dest", "") == "empty"
    bearer = request.headers.get("Authorization", "").lower().startswith("bearer")
    where = f"{origin(request)}/.well-known/oauth-protected-resource"  # RFC 9728 section 5.1
    token = ', error="invalid_token"' if bearer else ""
    challenge = f'Bearer realm="{REALM}"{token}, resource_metadata="{where}"'
    error.headers.add("WWW-Authenticate", challenge)
    if not scripted and not bearer:
        error.headers.add("WWW-Authenticate", f'Basic realm="{REALM}", charset="UTF-8"')
    return error


def problem(
    kind: type[web.HTTPError], detail: str, headers: dict[str, str] | None = None
) -> web.HTTPError:
    """An error whose body is a problem document (RFC 9457)."""
    error = kind(content_type="application/problem+json", headers=headers)
    error.text = json.dumps(
        {"type": "about:blank", "title": error.reason, "status": error.status, "detail": detail}
    )
    return error
