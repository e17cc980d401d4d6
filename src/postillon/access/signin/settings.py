"""One's own settings of signing in: password, second factor, app passwords, sessions.

All need the scope `account`: a session of the web client, the password itself, or a client that was
given it. What could shut the owner out (password, second factor) asks for the password again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from postillon.access.authority import Identity, problem, require_private
from postillon.access.signin.own import refusal, session_of
from postillon.access.signin.provider import Provider, answer, json_of, moment, text
from postillon.directory import (
    app_passwords,
    principals,
    scopes,
    second_factor,
    sessions,
    totp,
)
from postillon.directory.app_passwords import AppPassword
from postillon.directory.errors import BadName, BadPassword, CredentialNotFound, TooMany
from postillon.directory.principals import Principal
from postillon.directory.sessions import Session
from postillon.directory.signin import Granted

DAY_MS = 86_400_000
MAX_DAYS = 3_650  # until an app password expires
MAX_ID = 2**62

Handler = Callable[[web.Request, Principal, Identity], Awaitable[web.Response]]
Said = Mapping[str, object]  # the body of a request
Confirmed = Callable[[web.Request, Principal, Identity, Said], Awaitable[web.Response]]


class Settings:
    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def of_owner(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        """A handler that is given whose settings these are, and turns refusals into answers."""

        async def handle(request: web.Request) -> web.Response:
            require_private(request)
            identity = await self._provider.authority.identify(request)
            if scopes.ACCOUNT not in identity.scopes:
                raise problem(web.HTTPForbidden, "This needs the scope account")
            principal = await self._provider.store.query(principals.get(identity.principal))
            if principal is None:
                raise problem(web.HTTPForbidden, "This is for people, not for keys")
            try:
                return await handler(request, principal, identity)
            except (BadName, BadPassword, TooMany) as error:
                raise problem(web.HTTPUnprocessableEntity, str(error)) from None
            except CredentialNotFound as error:
                raise problem(web.HTTPNotFound, str(error)) from None

        return handle

    def after_password(self, handler: Confirmed, field: str = "password") -> Handler:
        """A handler for those who say their password again, in this member of the body."""

        async def handle(
            request: web.Request, owner: Principal, identity: Identity
        ) -> web.Response:
            said = await json_of(request)
            attempt = self._provider.sign_ins.begin("web", request.remote or "")
            result = await attempt.again(owner, text(said, field))
            if isinstance(result, Granted):
                return await handler(request, owner, identity, said)
            self._provider.log.info("login_failed", login=owner.login, peer=request.remote)
            response = refusal(result)
            if response.status == 401:
                # The session is as good as before: 401 would send the web client to its sign-in.
                response.set_status(422)
                del response.headers["WWW-Authenticate"]
            return response

        return handle

    # Password

    async def password(
        self, request: web.Request, owner: Principal, identity: Identity, said: Said
    ) -> web.Response:
        """POST /auth/password: {old, new}. All other sessions end."""
        kept = session_of(identity)
        await self._provider.sign_ins.credentials.set_password(owner.login, text(said, "new"), kept)
        self._note(request, "password_changed", owner)
        return web.Response(status=204)

    # Second factor

    async def factor(
        self, request: web.Request, owner: Principal, identity: Identity
    ) -> web.Response:
        """GET /auth/totp."""
        found = await self._provider.store.query(second_factor.status(owner.id))
        return answer(
            {"on": found.on, "since": moment(found.since), "recovery_codes": found.recovery_left}
        )

    async def begin_factor(
        self, request: web.Request, owner: Principal, identity: Identity, said: Said
    ) -> web.Response:
        """POST /auth/totp: {password}. A secret for an authenticator app, to be confirmed."""
        secret = await self._provider.write(lambda tx: second_factor.begin(tx, owner.id))
        if secret is None:
            raise problem(web.HTTPConflict, "There is a second factor already")
        uri = totp.uri(secret, owner.login, self._provider.name)
        return answer({"secret": secret, "uri": uri}, 201)

    async def confirm_factor(
        self, request: web.Request, owner: Principal, identity: Identity
    ) -> web.Response:
        """POST /auth/totp/confirm: {code}. It is on from here; the recovery codes are shown once."""
        provider = self._provider
        code = text(await json_of(request), "code", 100)
        now = provider.clock()
        codes = await provider.write(lambda tx: second_factor.confirm(tx, owner.id, code, now))
        if codes is None:
            return answer({"error": "wrong_code"}, 422)
        self._note(request, "second_factor_on", owner)
        return answer({"recovery_codes": codes})

    async def renew_codes(
        self, request: web.Request, owner: Principal, identity: Identity, said: Said
    ) -> web.Response:
        """POST /auth/totp/recovery-codes: {password}. New ones; the old are good no longer."""
        codes = await self._provider.write(lambda tx: second_factor.renew(tx, owner.id))
        if codes is None:
            raise problem(web.HTTPConflict, "There is no second factor")
        self._note(request, "recovery_codes_renewed", owner)
        return answer({"recovery_codes": codes})

    async def end_factor(
        self, request: web.Request, owner: Principal, identity: Identity, said: Said
    ) -> web.Response:
        """DELETE /auth/totp: {password}."""
        await self._provider.write(lambda tx: second_factor.remove(tx, owner.id))
        self._note(request, "second_factor_off", owner)
        return web.Response(status=204)

    # App passwords

    async def app_passwords(
        self, request: web.Request, owner: Principal, identity: Identity
    ) -> web.Response:
        """GET /auth/app-passwords."""
        found = await self._provider.store.query(app_passwords.every(owner.id))
        return answer(
            {"app_passwords": list(map(_app, found)), "protocols": list(scopes.PROTOCOLS)}
        )

    async def add_app_password(
        self, request: web.Request, owner: Principal, identity: Identity
    ) -> web.Response:
        """POST /auth/app-passwords: {name, protocols?, expires_in_days?}. Shown this once."""
        provider = self._provider
        said = await json_of(request)
        name, chosen, days = (
            text(said, "name", 200),
            said.get("protocols"),
            said.get("expires_in_days"),
        )
        if chosen is not None and not (
            isinstance(chosen, list) and chosen and all(isinstance(item, str) for item in chosen)
        ):
            raise problem(web.HTTPUnprocessableEntity, "protocols is a list of names, not empty")
        if days is not None and not (type(days) is int and 1 <= days <= MAX_DAYS):
            raise problem(web.HTTPUnprocessableEntity, f"expires_in_days lies in 1 to {MAX_DAYS}")
        expires_at = provider.clock() + days * DAY_MS if isinstance(days, int) else None
        made, password = await provider.sign_ins.credentials.add_app_password(
            owner, name, chosen or (), expires_at
        )
        self._note(request, "app_password_made", owner, id=made.id, name=name)
        return answer({**_app(made), "password": password}, 201)

    async def remove_app_password(
        self, request: web.Request, owner: Principal, identity: Identity
    ) -> web.Response:
        """DELETE /auth/app-passwords/{id}."""
        number = _number(request)
        await self._provider.write(lambda tx: app_passwords.remove(tx, owner.id, number))
        self._note(request, "app_password_revoked", owner, id=number)
        return web.Response(status=204)

    # Sessions

    async def sessions(
        self, request: web.Request, owner: Principal, identity: Identity
    ) -> web.Response:
        """GET /auth/sessions: the web client on other devices, and clients that were let in."""
        provider = self._provider
        found = await provider.store.query(sessions.every(owner.id, provider.clock()))
        here = session_of(identity)
        return answer({"sessions": [_session(item, here) for item in found]})

    async def end_session(
        self, request: web.Request, owner: Principal, identity: Identity
    ) -> web.Response:
        """DELETE /auth/sessions/{id}."""
        number = _number(request)
        await self._provider.write(lambda tx: sessions.end_of(tx, owner.id, number))
        self._note(request, "session_ended", owner, session=number)
        return web.Response(status=204)

    async def end_sessions(
        self, request: web.Request, owner: Principal, identity: Identity
    ) -> web.Response:
        """DELETE /auth/sessions: all but the one that asks."""
        here = session_of(identity)
        count = await self._provider.write(lambda tx: sessions.end_all(tx, owner.id, here))
        self._note(request, "sessions_ended", owner, count=count)
        return answer({"ended": count})

    def _note(self, request: web.Request, event: str, owner: Principal, **facts: object) -> None:
        self._provider.log.info(event, login=owner.login, peer=request.remote, **facts)


def _app(item: AppPassword) -> dict[str, object]:
    return {
        "id": item.id,
        "name": item.name,
        "protocols": list(item.protocols),
        "created_at": moment(item.created_at),
        "used_at": moment(item.used_at),
        "expires_at": moment(item.expires_at),
    }


def _session(item: Session, here: int) -> Mapping[str, object]:
    own = item.client == sessions.OWN_CLIENT
    return {
        "id": item.id,
        "kind": "web" if own else "client",
        "name": item.client_name,
        "device": item.device,
        "address": item.address,
        "scopes": sorted(scopes.meant(item.scopes)),
        "created_at": moment(item.created_at),
        "used_at": moment(item.used_at),
        "expires_at": moment(item.expires_at),
        "current": item.id == here,
    }


def _number(request: web.Request) -> int:
    """The id in the path. Raises CredentialNotFound for what is none."""
    given = request.match_info["id"]
    if not (given.isascii() and given.isdigit()) or int(given[:30]) > MAX_ID:
        raise CredentialNotFound("credential", given[:30])
    return int(given)
