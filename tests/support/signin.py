"""Signing in over HTTP for tests: the real handlers on a real port, over a real store, with a clock."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from postillon.access.authority import Authority
from postillon.access.signin.provider import Provider
from postillon.access.signin.routes import routes
from postillon.directory import clients, totp
from postillon.directory.config import ClientConfig, OAuthConfig
from postillon.directory.signin import SignIns
from postillon.directory.throttle import Throttle
from postillon.log import Log
from support.accounts import QUICK, House, house

LOGIN, PASSWORD = "ada@example.org", "correct horse battery"
REDIRECT = "http://127.0.0.1/callback"
CLIENT = "reader"
CONFIG = OAuthConfig(
    client=(
        ClientConfig(
            id=CLIENT, name="The Reader", redirects=(REDIRECT, "com.example.reader:/back")
        ),
        ClientConfig(id="site", name="A <b>Site</b>", redirects=("https://site.example/back?a=b",)),
    )
)


def pkce() -> tuple[str, str]:
    """Verifier and challenge (RFC 7636)."""
    verifier = secrets.token_urlsafe(32)
    hashed = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


@dataclass
class Answer:
    """What came back, with its page taken apart."""

    status: int
    headers: Mapping[str, str]
    text: str
    json: Any

    @property
    def fields(self) -> dict[str, str]:
        """Hidden and other inputs of the first form, by name."""
        form = self.text.partition("<form")[2].partition("</form>")[0]
        found = {}
        for tag in re.findall(r"<input[^>]*>", form):
            name = re.search(r'name="([^"]*)"', tag)
            value = re.search(r'value="([^"]*)"', tag)
            if name:
                found[name[1]] = unescape(value[1]) if value else ""
        return found

    @property
    def back(self) -> dict[str, str]:
        """What the redirect tells the client."""
        query = parse_qs(urlsplit(self.headers["Location"]).query)
        return {name: values[0] for name, values in query.items()}


class Browser:
    """One browser, with its cookies; follows no redirect by itself."""

    def __init__(self, base: str, http: aiohttp.ClientSession, **headers: str) -> None:
        self.base, self.http, self.headers = base, http, headers

    async def ask(self, method: str, path: str, token: str = "", **more: Any) -> Answer:
        headers = {**self.headers, **more.pop("headers", {})}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        url = path if path.startswith("http") else self.base + path
        async with self.http.request(
            method, url, headers=headers, allow_redirects=False, **more
        ) as response:
            body = await response.text()
            kind = response.content_type
            parsed = await response.json(content_type=None) if body and "json" in kind else None
            return Answer(response.status, response.headers.copy(), body, parsed)

    async def get(self, path: str, token: str = "", **more: Any) -> Answer:
        return await self.ask("GET", path, token, **more)

    async def send(self, path: str, form: dict[str, str], **more: Any) -> Answer:
        """Send a form, and go where it leads on this server."""
        answer = await self.ask("POST", path, data=form, **more)
        if answer.status == 303 and answer.headers["Location"].startswith("/"):
            return await self.get(answer.headers["Location"])
        return answer

    async def post(self, path: str, value: object = None, token: str = "", **more: Any) -> Answer:
        return await self.ask("POST", path, token, json=value if value is not None else {}, **more)

    async def sign_in(self, path: str, login: str = LOGIN, password: str = PASSWORD) -> Answer:
        page = await self.get(path)
        return await self.send(path, {**page.fields, "login": login, "password": password})

    async def allow(self, path: str, page: Answer, answer: str = "allow") -> Answer:
        """Press a button of the page that asks for consent."""
        return await self.ask("POST", path, data={**page.fields, "answer": answer})


@dataclass
class Porch:
    """A house with its front door on the web."""

    home: House
    base: str
    provider: Provider
    sign_ins: SignIns
    log: list[bytes]
    opened: list[aiohttp.ClientSession] = field(default_factory=list)

    def browser(self, **headers: str) -> Browser:
        """A browser with no cookies yet."""
        http = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True, treat_as_secure_origin=URL(self.base)),
            headers={"User-Agent": AGENT},
        )
        self.opened.append(http)
        return Browser(self.base, http, **headers)

    def code(self, secret: str) -> str:
        """What an authenticator app shows now."""
        return totp.code_of(secret, totp.step_at(self.home.time()))

    async def session(self, **more: Any) -> Answer:
        """Signed in as our own web client does."""
        return await self.browser().post(
            "/auth/session", {"login": LOGIN, "password": PASSWORD, **more}
        )

    async def second_factor(self, browser: Browser, token: str) -> tuple[str, list[str]]:
        """Switch it on: secret and recovery codes."""
        begun = await browser.post("/auth/totp", {"password": PASSWORD}, token)
        secret = begun.json["secret"]
        done = await browser.post("/auth/totp/confirm", {"code": self.code(secret)}, token)
        self.home.time.now += 60_000  # the code of a moment ago is used up
        return secret, done.json["recovery_codes"]

    def asking(self, challenge: str, **more: str) -> str:
        """The address a client opens in the browser."""
        query = {
            "response_type": "code", "client_id": CLIENT, "redirect_uri": REDIRECT,
            "code_challenge": challenge, "code_challenge_method": "S256", "state": "st/1 &2",
            "scope": "mail send", **more,
        }  # fmt: skip
        return "/oauth/authorize?" + aiohttp.FormData(query)().decode()  # type: ignore[union-attr]

    async def tokens(self, scope: str = "mail send") -> dict[str, Any]:
        """The whole of the code flow."""
        verifier, challenge = pkce()
        browser = self.browser()
        path = self.asking(challenge, scope=scope)
        consent = await browser.sign_in(path)
        back = (await browser.allow(path, consent)).back
        answer = await self.token(
            grant_type="authorization_code", code=back["code"], redirect_uri=REDIRECT,
            code_verifier=verifier,
        )  # fmt: skip
        assert answer.status == 200, answer.text
        return dict(answer.json)

    async def token(self, **form: str) -> Answer:
        form.setdefault("client_id", CLIENT)
        return await self.browser().ask("POST", "/oauth/token", data=form)


@asynccontextmanager
async def porch(
    folder: Path, config: OAuthConfig = CONFIG, *more: web.RouteDef, remote: str = ""
) -> AsyncIterator[Porch]:
    """remote: where requests are said to come from, over HTTPS, as a proxy that is trusted tells."""
    async with house(folder) as home:
        await home.account(LOGIN, name="Ada")
        await home.credentials.set_password(LOGIN, PASSWORD)
        lines: list[bytes] = []
        log = Log(lines.append)
        sign_ins = SignIns(home.credentials, Throttle(QUICK, home.time), metadata="https://x/known")
        provider = Provider(
            home.store, sign_ins, Authority(sign_ins, log=log), config, "Postillon",
            clock=home.time, log=log, named=clients.named(config),
        )  # fmt: skip

        @web.middleware
        async def from_elsewhere(request: web.Request, handler: Any) -> web.StreamResponse:
            if remote:
                request = request.clone(remote=remote, scheme="https")
            return await handler(request)

        application = web.Application(middlewares=[from_elsewhere])
        application.add_routes([*routes(provider), *more])
        server = TestServer(application)
        await server.start_server()
        base = str(server.make_url("")).rstrip("/")
        door = Porch(home, base, provider, sign_ins, lines)
        try:
            yield door
        finally:
            for http in door.opened:
                await http.close()
            await server.close()
            await home.credentials.last_use.written()


AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
