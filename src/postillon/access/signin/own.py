"""Sessions of our own web client: an access token for its scripts, a refresh token they cannot read.

The refresh token is a cookie that goes to /auth only, and only from pages of ours (SameSite=Strict, and
what `from_here` says of the request).
"""

from __future__ import annotations

from aiohttp import web

from postillon.access.authority import (
    RETRY_AFTER_S,
    Identity,
    problem,
    require_from_here,
    require_private,
)
from postillon.access.signin import devices
from postillon.access.signin.provider import (
    NO_STORE,
    Provider,
    answer,
    json_of,
    ms,
    text,
)
from postillon.directory import principals, second_factor, sessions
from postillon.directory.scopes import ADMIN, EVERYTHING
from postillon.directory.sessions import OWN_CLIENT, Opening, Tokens
from postillon.directory.signin import Answer, Denied, Granted

COOKIE = "postillon_session"
PATH = "/auth"
# What a sign-in answers when it does not succeed.
ERRORS = {
    Denied.NEEDS_CODE: "code_required",
    Denied.WRONG_CODE: "wrong_code",
    Denied.LATER: "later",
}


class OwnSession:
    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def begin(self, request: web.Request) -> web.Response:
        """POST /auth/session: {login, password, code?, remember?}."""
        require_private(request)
        require_from_here(request)
        said = await json_of(request)
        login, password = text(said, "login", 320), text(said, "password")
        remember = said.get("remember") is True
        provider = self._provider
        attempt = provider.sign_ins.begin("web", request.remote or "")
        result = await attempt.interactive(login, password, text(said, "code", 100))
        if not isinstance(result, Granted):
            if result is not Denied.NEEDS_CODE:
                provider.log.info("login_failed", login=login, peer=request.remote)
                provider.meter.count("http_failed_logins")
            return refusal(result)
        config, now, principal = provider.config, provider.clock(), result.principal
        life = config.session_time if remember else config.short_session_time
        scopes = " ".join(sorted(EVERYTHING if principal.admin else EVERYTHING - {ADMIN}))
        device = devices.described(request.headers.get("User-Agent", ""))
        opening = Opening(
            OWN_CLIENT, provider.name, scopes, device, request.remote or "",
            ms(config.access_time), ms(life),
        )  # fmt: skip
        made = await provider.write(lambda tx: sessions.open_(tx, principal.id, opening, now))
        provider.log.info("logged_in", login=principal.login, peer=request.remote, device=device)
        provider.meter.count("http_logins", "web")
        response = await self._given(made)
        assert made.refresh is not None
        self._keep(request, response, made.refresh, ms(life) // 1000 if remember else None)
        return response

    async def refresh(self, request: web.Request) -> web.Response:
        """POST /auth/session/refresh: the cookie for another access token.

        Without a cookie there is nothing to refuse: 204, and a browser's console stays clean.
        """
        require_private(request)
        require_from_here(request)
        provider = self._provider
        token = request.cookies.get(COOKIE, "")
        if not token:
            return web.Response(status=204, headers=NO_STORE)
        kept = token.removeprefix("r:")  # with it: stay signed in when the browser closes
        remember = kept != token
        config, now = provider.config, provider.clock()
        made = None
        if kept:
            made = await provider.write(
                lambda tx: sessions.refresh(
                    tx, kept, OWN_CLIENT, request.remote or "", ms(config.access_time), None, now
                )
            )
        if made is None:
            return self._left(answer({"error": "signed_out"}, 401, BEARER))
        response = await self._given(made)
        if made.refresh is not None:
            age = ms(config.session_time) // 1000 if remember else None
            self._keep(request, response, made.refresh, age)
        return response

    async def end(self, request: web.Request) -> web.Response:
        """DELETE /auth/session: sign out here."""
        require_from_here(request)
        provider = self._provider
        token = request.cookies.get(COOKIE, "").removeprefix("r:")
        if token:
            await provider.write(lambda tx: sessions.revoke(tx, token, OWN_CLIENT))
        if request.headers.get("Authorization"):
            number = session_of(await provider.authority.identify(request))
            if number:
                await provider.write(lambda tx: sessions.end(tx, number))
        return self._left(web.Response(status=204, headers=NO_STORE))

    async def show(self, request: web.Request) -> web.Response:
        """GET /auth/session: who the bearer of this token is."""
        identity = await self._provider.authority.identify(request)
        return answer(await self._about(identity.principal, session_of(identity)))

    async def _given(self, made: Tokens) -> web.Response:
        about = await self._about(made.principal, made.session)
        life = ms(self._provider.config.access_time) // 1000
        token = {"access_token": made.access, "token_type": "Bearer", "expires_in": life}
        return answer({**token, **about})

    async def _about(self, number: int, session: int) -> dict[str, object]:
        store = self._provider.store
        principal = await store.query(principals.get(number))
        if principal is None:
            raise problem(web.HTTPForbidden, "This is for people, not for keys")
        factor = await store.query(second_factor.status(number))
        return {
            "session": session,
            "account": {
                "id": f"a{number}",
                "login": principal.login,
                "name": principal.name,
                "language": principal.language,
                "admin": principal.admin,
                "second_factor": factor.on,
            },
        }

    def _keep(
        self, request: web.Request, response: web.Response, token: str, max_age: int | None
    ) -> None:
        """max_age: seconds; None: until the browser closes."""
        response.set_cookie(
            COOKIE, token if max_age is None else f"r:{token}", path=PATH, httponly=True,
            samesite="Strict", secure=request.secure, max_age=max_age,
        )  # fmt: skip

    def _left(self, response: web.Response) -> web.Response:
        response.del_cookie(COOKIE, path=PATH, httponly=True, samesite="Strict")
        return response


BEARER = {"WWW-Authenticate": 'Bearer realm="Postillon"'}  # of 401; never Basic, browsers would ask


def refusal(result: Answer) -> web.Response:
    """Why a password or code was not taken: an error that a program can tell apart."""
    error = ERRORS.get(result, "wrong") if isinstance(result, Denied) else "wrong"
    if result is Denied.LATER:
        said = {"error": error, "retry_after": RETRY_AFTER_S}
        return answer(said, 429, {"Retry-After": str(RETRY_AFTER_S)})
    return answer({"error": error}, 401, BEARER)


def session_of(identity: Identity) -> int:
    """The session that a token belongs to; 0 for other credentials."""
    kind, _, number = identity.credential.partition(":")
    return int(number) if kind == "session" else 0
