"""The pages of OAuth: somebody signs in, and says whether a program may use the account.

Steps of a visit: sign-in, code (where there is a second factor), consent. Where it stands is kept in
the database under a ticket whose cookie has ten minutes; what the client asks stays in the address.
"""

from __future__ import annotations

import asyncio
import secrets
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from postillon.access.authority import from_here, origin, private
from postillon.access.signin import pages
from postillon.access.signin.asking import Astray, Fault, Wish, wish_of
from postillon.access.signin.pages import Face
from postillon.access.signin.provider import BadRequest, Provider, form_of
from postillon.access.signin.words import Words, chosen
from postillon.directory import clients, codes, scopes
from postillon.directory.clients import Client
from postillon.directory.codes import SIGNED_IN_MS, Visitor
from postillon.directory.signin import Answer, Denied, Granted
from postillon.directory.tokens import digest, same, user_code
from postillon.store.operation import Steps, Tx

FORM, TICKET = "postillon_form", "postillon_ticket"  # cookies
PATH = "/oauth"


class AuthorizePages:
    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def authorize(self, request: web.Request) -> web.Response:
        """RFC 6749 section 4.1.1 and OAuth 2.1: GET shows where the visit stands, POST goes on."""
        face = self._face(request)
        if not private(request):
            return pages.trouble(face, face.words.problem_private, 403)
        try:
            wish = await wish_of(request, self._provider)
        except Astray as error:
            return pages.trouble(face, getattr(face.words, error.words))
        if isinstance(wish, Fault):
            if wish.told_here:
                return pages.trouble(face, f"{face.words.problem_request} ({wish.description})")
            return self._back(request, wish.redirect, wish.state,
                              error=wish.code, error_description=wish.description)  # fmt: skip
        here = f"/oauth/authorize?{request.rel_url.raw_query_string}"
        if request.method == "POST":
            return await self._step(request, face, here, wish)
        visitor = await self._visitor(request)
        if visitor is None:
            return self._shown(
                request, face, pages.sign_in(face, wish.client.name, wish.hint, "", here)
            )
        if visitor.needs_code:
            return self._shown(request, face, pages.code(face, "", here))
        granted = _granted(visitor, wish.asked.scopes)
        return self._shown(
            request, face,
            pages.consent(
                face, wish.client, visitor.principal.login, granted, wish.asked.redirect, here
            ),
        )  # fmt: skip

    async def device(self, request: web.Request) -> web.Response:
        """RFC 8628 section 3.3: somebody types the code of a device."""
        face = self._face(request)
        if not private(request):
            return pages.trouble(face, face.words.problem_private, 403)
        typed = user_code(request.query.get("user_code", ""))
        here = "/oauth/device" + (f"?{urlencode({'user_code': typed})}" if typed else "")
        if request.method == "POST":
            return await self._step(request, face, here, None, typed)
        visitor = await self._visitor(request)
        if visitor is None:
            return self._shown(request, face, pages.sign_in(face, "", "", "", here))
        if visitor.needs_code:
            return self._shown(request, face, pages.code(face, "", here))
        if not typed:
            return self._shown(request, face, pages.device_code(face))
        found = await self._asking_device(request, visitor, typed)
        if isinstance(found, Denied):
            why = face.words.later if found is Denied.LATER else face.words.device_wrong
            return self._shown(request, face, pages.device_code(face, why))
        client, asked = found
        return self._shown(
            request, face,
            pages.device_consent(
                face, client, visitor.principal.login, _granted(visitor, asked), typed, here
            ),
        )  # fmt: skip

    async def style(self, request: web.Request) -> web.Response:
        headers = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
        return web.Response(
            body=pages.STYLE, content_type="text/css", charset="utf-8", headers=headers
        )

    # Steps

    async def _step(
        self, request: web.Request, face: Face, here: str, wish: Wish | None, typed: str = ""
    ) -> web.Response:
        try:
            form = await form_of(request)
        except BadRequest:
            return pages.trouble(face, face.words.problem_request)
        given, kept = form.get("form", ""), request.cookies.get(FORM, "")
        if not from_here(request) or not kept or not same(digest(given), digest(kept)):
            return pages.trouble(face, face.words.again, 403)
        match form.get("step"):
            case "sign-in":
                return await self._sign_in(request, face, here, form, wish)
            case "code":
                return await self._code(request, face, here, form)
            case "consent" if wish is not None:
                return await self._consent(request, here, form, wish)
            case "consent":
                return await self._device_consent(request, face, here, form, typed)
            case "leave":
                return await self._leave(request, here)
        return pages.trouble(face, face.words.problem_request)

    async def _sign_in(
        self, request: web.Request, face: Face, here: str, form: dict[str, str], wish: Wish | None
    ) -> web.Response:
        provider = self._provider
        login = form.get("login", "").strip()
        attempt = provider.sign_ins.begin("oauth", request.remote or "")
        answer = await attempt.interactive(login, form.get("password", ""), "")
        self._logged(request, login, answer)
        if not isinstance(answer, Granted) and answer is not Denied.NEEDS_CODE:
            name = wish.client.name if wish else ""
            return self._shown(
                request, face, pages.sign_in(face, name, login, _said(face.words, answer), here)
            )
        proof = await provider.sign_ins.credentials.proved(login)
        if proof is None:  # disabled at this very moment
            return self._on(request, here)
        number, now = proof.principal.id, provider.clock()
        needs_code = answer is Denied.NEEDS_CODE
        ticket = await provider.write(lambda tx: codes.signed_in(tx, number, needs_code, now))
        return self._on(request, here, ticket)

    async def _code(
        self, request: web.Request, face: Face, here: str, form: dict[str, str]
    ) -> web.Response:
        provider = self._provider
        visitor = await self._visitor(request)
        if visitor is None or not visitor.needs_code:
            return self._on(request, here)
        principal = visitor.principal
        attempt = provider.sign_ins.begin("oauth", request.remote or "")
        answer = await attempt.code(principal, form.get("code", ""))
        self._logged(request, principal.login, answer)
        if not isinstance(answer, Granted):
            return self._shown(request, face, pages.code(face, _said(face.words, answer), here))
        old, now = request.cookies.get(TICKET, ""), provider.clock()

        def operation(tx: Tx) -> Steps[str]:
            yield from codes.leave(tx, old)
            return (yield from codes.signed_in(tx, principal.id, False, now))

        return self._on(request, here, await provider.write(operation))

    async def _consent(
        self, request: web.Request, here: str, form: dict[str, str], wish: Wish
    ) -> web.Response:
        provider, asked = self._provider, wish.asked
        visitor = await self._visitor(request)
        if visitor is None or visitor.needs_code:
            return self._on(request, here)
        number, login = visitor.principal.id, visitor.principal.login
        ticket, now = request.cookies.get(TICKET, ""), provider.clock()
        if form.get("answer") != "allow":
            await provider.write(lambda tx: codes.leave(tx, ticket))
            provider.log.info(
                "client_refused", client=asked.client, login=login, peer=request.remote
            )
            return self._back(request, asked.redirect, wish.state, error="access_denied")

        def operation(tx: Tx) -> Steps[str]:
            yield from codes.leave(tx, ticket)  # it is good for one decision
            yield from clients.used(tx, asked.client, now)
            return (yield from codes.issue(tx, asked, number, now))

        code = await provider.write(operation)
        provider.log.info(
            "client_allowed", client=asked.client, login=login, scopes=asked.scopes,
            peer=request.remote,
        )  # fmt: skip
        return self._back(request, asked.redirect, wish.state, code=code)

    async def _device_consent(
        self, request: web.Request, face: Face, here: str, form: dict[str, str], typed: str
    ) -> web.Response:
        provider = self._provider
        visitor = await self._visitor(request)
        if visitor is None or visitor.needs_code:
            return self._on(request, here)
        found = await self._asking_device(request, visitor, typed)
        allowed = form.get("answer") == "allow"
        number, now = visitor.principal.id, provider.clock()
        ticket = request.cookies.get(TICKET, "")

        def operation(tx: Tx) -> Steps[bool]:
            decided = yield from codes.decide(tx, typed, number, allowed, now)
            if decided:
                yield from codes.leave(tx, ticket)
            return decided

        if isinstance(found, Denied) or not await provider.write(operation):
            return self._shown(request, face, pages.device_code(face, face.words.device_wrong))
        client, asked = found
        provider.log.info(
            "client_allowed" if allowed else "client_refused", client=client.id, device=True,
            login=visitor.principal.login, scopes=asked, peer=request.remote,
        )  # fmt: skip
        return pages.done(face, client.name, allowed)

    async def _leave(self, request: web.Request, here: str) -> web.Response:
        ticket = request.cookies.get(TICKET, "")
        await self._provider.write(lambda tx: codes.leave(tx, ticket))
        response = self._on(request, here)
        response.del_cookie(TICKET, path=PATH)
        return response

    # What is asked

    async def _visitor(self, request: web.Request) -> Visitor | None:
        ticket = request.cookies.get(TICKET, "")
        if not ticket:
            return None
        return await self._provider.store.query(codes.who(ticket, self._provider.clock()))

    async def _asking_device(
        self, request: web.Request, visitor: Visitor, typed: str
    ) -> tuple[Client, str] | Denied:
        """The device that shows this code. Codes are short: wrong ones count like wrong passwords."""
        provider, throttle = self._provider, self._provider.sign_ins.throttle
        subject, address = f"device code of {visitor.principal.id}", request.remote or ""
        verdict = throttle.check(address, subject)
        if verdict.refused:
            return Denied.LATER
        await asyncio.sleep(verdict.delay_s)
        found = await provider.store.query(codes.device_asks(typed, provider.clock()))
        client = await provider.client(found[0]) if found is not None else None
        if found is None or client is None:
            throttle.failed(address, subject)
            return Denied.WRONG
        return client, found[1]

    # Answers

    def _face(self, request: web.Request) -> Face:
        language = chosen(
            request.headers.get("Accept-Language", ""), request.query.get("ui_locales", "")
        )
        secret = request.cookies.get(FORM, "")
        if not 20 <= len(secret) <= 100:
            secret = secrets.token_urlsafe(24)
        return Face(language, self._provider.name, secret)

    def _shown(self, request: web.Request, face: Face, response: web.Response) -> web.Response:
        """A page with a form, and the cookie that its form must agree with."""
        response.set_cookie(
            FORM, face.secret, path=PATH, httponly=True, samesite="Strict", secure=request.secure
        )
        return response

    def _on(self, request: web.Request, here: str, ticket: str = "") -> web.Response:
        """To the next page of the visit, so that going back and forth repeats nothing."""
        response = web.Response(status=303, headers={**pages.HEADERS, "Location": here})
        if ticket:
            response.set_cookie(
                TICKET, ticket, path=PATH, httponly=True, samesite="Lax", secure=request.secure,
                max_age=SIGNED_IN_MS // 1000,
            )  # fmt: skip
        return response

    def _back(self, request: web.Request, redirect: str, state: str, **said: str) -> web.Response:
        """To the client, with an answer (RFC 6749 section 4.1.2) and who gives it (RFC 9207)."""
        pairs = {name: value for name, value in said.items() if value}
        if state:
            pairs["state"] = state
        pairs["iss"] = origin(request)
        joint = "&" if urlsplit(redirect).query else "?"
        where = f"{redirect}{joint}{urlencode(pairs)}"
        return web.Response(status=303, headers={**pages.HEADERS, "Location": where})

    def _logged(self, request: web.Request, login: str, answer: Answer) -> None:
        provider = self._provider
        if isinstance(answer, Granted):
            provider.log.info("logged_in", login=answer.principal.login, peer=request.remote)
            provider.meter.count("http_logins", "oauth")
        elif answer is not Denied.NEEDS_CODE:
            provider.log.info("login_failed", login=login, peer=request.remote)
            provider.meter.count("http_failed_logins")


def _granted(visitor: Visitor, asked: str) -> frozenset[str]:
    """What scopes give this person: administration only to an administrator."""
    granted = scopes.meant(asked)
    return granted if visitor.principal.admin else granted - {scopes.ADMIN}


def _said(words: Words, answer: Answer) -> str:
    match answer:
        case Denied.LATER:
            return words.later
        case Denied.WRONG_CODE:
            return words.wrong_code
    return words.wrong
