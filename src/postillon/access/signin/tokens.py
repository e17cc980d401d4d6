"""The endpoints of OAuth that programs call: tokens, revocation, devices, registration.

Errors are those of RFC 6749 section 5.2, 7591 section 3.2.2 and 8628 section 3.5.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import OrderedDict
from collections.abc import Mapping
from urllib.parse import unquote, urlencode

from aiohttp import web

from postillon.access.authority import origin, require_private
from postillon.access.signin import devices
from postillon.access.signin.metadata import CODE, DEVICE, GRANTS, REFRESH
from postillon.access.signin.provider import (
    ANYWHERE,
    BadRequest,
    Provider,
    answer,
    form_of,
    json_of,
    ms,
)
from postillon.directory import clients, codes, scopes, sessions
from postillon.directory.clients import BadClient, Client
from postillon.directory.codes import DEVICE_MS, INTERVAL_S, Waiting
from postillon.directory.sessions import Tokens
from postillon.directory.throttle import network

VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 section 4.1
REGISTRATIONS, DEVICES = 20, 100  # of one network in an hour; ours
HOUR_MS = 3_600_000
MAX_NETWORKS = 10_000  # whose requests are counted


class OAuthError(Exception):
    """A request that is refused, in OAuth's words."""

    def __init__(self, code: str, description: str = "", status: int = 400) -> None:
        super().__init__(description or code)
        self.code, self.description, self.status = code, description, status

    def answer(self) -> web.Response:
        said = {"error": self.code}
        if self.description:
            said["error_description"] = self.description
        return answer(said, self.status, ANYWHERE)


class TokenEndpoints:
    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._recent: OrderedDict[tuple[str, str], list[int]] = OrderedDict()

    async def token(self, request: web.Request) -> web.Response:
        """RFC 6749 section 3.2: a code, a refresh token or a device code becomes tokens."""
        try:
            form = await _form(request)
            match form.get("grant_type"):
                case "authorization_code":
                    made = await self._by_code(request, form)
                case "refresh_token":
                    made = await self._by_refresh(request, form)
                case found if found == DEVICE:
                    made = await self._by_device(request, form)
                case None | "":
                    raise OAuthError("invalid_request", "grant_type is missing")
                case _:
                    raise OAuthError("unsupported_grant_type")
        except OAuthError as error:
            self._provider.log.info(
                "token_refused", error=error.code, why=error.description, peer=request.remote
            )
            return error.answer()
        self._provider.log.info("token_given", session=made.session, peer=request.remote)
        self._provider.meter.count("oauth_tokens", form["grant_type"].rpartition(":")[2])
        said: dict[str, object] = {
            "access_token": made.access,
            "token_type": "Bearer",
            "expires_in": ms(self._provider.config.access_time) // 1000,
            "scope": made.scopes,
        }
        if made.refresh is not None:
            said["refresh_token"] = made.refresh
        return answer(said, headers=ANYWHERE)

    async def _by_code(self, request: web.Request, form: Mapping[str, str]) -> Tokens:
        provider = self._provider
        client = await self._client(form)
        code, verifier = form.get("code", ""), form.get("code_verifier", "")
        if not code:
            raise OAuthError("invalid_request", "code is missing")
        if not VERIFIER.fullmatch(verifier):
            raise OAuthError("invalid_request", "code_verifier is missing or malformed")
        opening = provider.opening(
            request, client.id, client.name, _device(request), provider.config.refresh_time
        )
        redirect, now = form.get("redirect_uri"), provider.clock()
        made = await provider.write(
            lambda tx: codes.redeem(tx, code, redirect, verifier, opening, now)
        )
        if made is None:
            raise OAuthError("invalid_grant", "the code is not good, or no longer")
        return made

    async def _by_refresh(self, request: web.Request, form: Mapping[str, str]) -> Tokens:
        provider = self._provider
        client = form.get("client_id")
        if client is not None:
            await self._client(form)
        token = form.get("refresh_token", "")
        if not token:
            raise OAuthError("invalid_request", "refresh_token is missing")
        config, now = provider.config, provider.clock()
        made = await provider.write(
            lambda tx: sessions.refresh(
                tx, token, client, request.remote or "", ms(config.access_time),
                ms(config.refresh_time), now,
            )
        )  # fmt: skip
        if made is None:
            raise OAuthError("invalid_grant", "the refresh token is not good, or no longer")
        return made

    async def _by_device(self, request: web.Request, form: Mapping[str, str]) -> Tokens:
        provider = self._provider
        client = await self._client(form)
        code = form.get("device_code", "")
        if not code:
            raise OAuthError("invalid_request", "device_code is missing")
        opening = provider.opening(
            request, client.id, client.name, _device(request), provider.config.refresh_time
        )
        now = provider.clock()
        made = await provider.write(lambda tx: codes.redeem_device(tx, code, opening, now))
        if isinstance(made, Waiting):
            raise OAuthError(made.value)
        return made

    async def device(self, request: web.Request) -> web.Response:
        """RFC 8628 section 3.1: a device without keyboard or browser asks for a code to show."""
        provider = self._provider
        try:
            form = await _form(request)
            client = await self._client(form)
            asked = scopes.known(form.get("scope", "") or scopes.USUAL)
            if not asked:
                raise OAuthError("invalid_scope")
            now = provider.clock()
            self._not_too_often("device", request, DEVICES, now)
            made = await provider.write(lambda tx: codes.begin_device(tx, client.id, asked, now))
            if made is None:
                raise OAuthError("temporarily_unavailable", status=503)
        except OAuthError as error:
            return error.answer()
        device, typed = made
        where = f"{origin(request)}/oauth/device"
        said = {
            "device_code": device,
            "user_code": typed,
            "verification_uri": where,
            "verification_uri_complete": f"{where}?{urlencode({'user_code': typed})}",
            "expires_in": DEVICE_MS // 1000,
            "interval": INTERVAL_S,
        }
        return answer(said, headers=ANYWHERE)

    async def revoke(self, request: web.Request) -> web.Response:
        """RFC 7009. A token that is not known is as good as revoked."""
        provider = self._provider
        try:
            form = await _form(request)
            token = form.get("token", "")
            if not token:
                raise OAuthError("invalid_request", "token is missing")
            client = form.get("client_id")
            await provider.write(lambda tx: sessions.revoke(tx, token, client))
        except OAuthError as error:
            return error.answer()
        provider.log.info("token_revoked", client=client, peer=request.remote)
        return web.Response(headers=ANYWHERE)

    async def register(self, request: web.Request) -> web.Response:
        """RFC 7591: a public client that nobody has named before."""
        provider = self._provider
        try:
            if not provider.config.registration:
                raise OAuthError("access_denied", "clients cannot register here", 403)
            try:
                said = await json_of(request)
            except web.HTTPException:
                raise OAuthError("invalid_client_metadata", "a JSON object is needed") from None
            grants = said.get("grant_types", [CODE, REFRESH])
            if not isinstance(grants, list) or not set(map(str, grants)) <= set(GRANTS):
                raise OAuthError("invalid_client_metadata", f"grant_types are of {GRANTS}")
            if said.get("response_types", ["code"]) not in (["code"], []):
                raise OAuthError("invalid_client_metadata", "response_types is code")
            try:
                name = clients.check_name(said.get("client_name"))
                redirects = list[str]()
                if CODE in grants or said.get("redirect_uris"):
                    redirects = clients.check_redirects(said.get("redirect_uris"))
            except BadClient as error:
                raise OAuthError(error.code, error.problem) from None
            now = provider.clock()
            self._not_too_often("register", request, REGISTRATIONS, now)
            most = provider.config.most_clients
            client = await provider.write(
                lambda tx: clients.register(tx, name, redirects, most, now)
            )
            if client is None:
                raise OAuthError("temporarily_unavailable", "no room for more clients", 503)
        except OAuthError as error:
            return error.answer()
        provider.log.info("client_registered", client=client.id, name=name, peer=request.remote)
        registered = {
            "client_id": client.id,
            "client_id_issued_at": now // 1000,
            "client_name": name,
            "redirect_uris": redirects,
            "grant_types": grants,
            "response_types": ["code"] if CODE in grants else [],
            "token_endpoint_auth_method": "none",
            "scope": " ".join(scopes.OFFERED),
        }
        return answer(registered, 201, ANYWHERE)

    async def preflight(self, request: web.Request) -> web.Response:
        """What a browser asks before a page of another site may send something."""
        return web.Response(status=204, headers=ANYWHERE)

    async def _client(self, form: Mapping[str, str]) -> Client:
        client = await self._provider.client(form.get("client_id", ""))
        if client is None:
            raise OAuthError("invalid_client", "client_id is missing or not known")
        return client

    def _not_too_often(self, what: str, request: web.Request, most: int, now: int) -> None:
        """Raises OAuthError where a network asks more often in an hour than people do."""
        name, loopback = network(request.remote or "")
        if loopback:
            return
        key = (what, name)
        recent = [at for at in self._recent.get(key, []) if now - at < HOUR_MS]
        if len(recent) >= most:
            raise OAuthError("temporarily_unavailable", "too many from your network", 429)
        self._recent[key] = [*recent, now]
        self._recent.move_to_end(key)
        while len(self._recent) > MAX_NETWORKS:
            self._recent.popitem(last=False)


async def _form(request: web.Request) -> dict[str, str]:
    """The form, with the client that some programs name by Basic and no password. Raises OAuthError."""
    require_private(request)
    try:
        form = await form_of(request)
    except BadRequest as error:
        raise OAuthError("invalid_request", str(error)) from None
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic" and "client_id" not in form:
        try:
            pair = base64.b64decode(given.strip(), validate=True).decode("ascii")
        except (ValueError, binascii.Error):
            raise OAuthError("invalid_client") from None
        form["client_id"] = unquote(pair.partition(":")[0])
    return form


def _device(request: web.Request) -> str:
    return devices.described(request.headers.get("User-Agent", ""))
