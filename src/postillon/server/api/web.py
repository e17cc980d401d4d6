"""The administration API as handlers of HTTP: who asks, what is asked, the answer or the problem."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from postillon.access.authority import (
    Authority,
    Identity,
    problem,
    require_from_here,
    require_private,
)
from postillon.admin.errors import Refused
from postillon.directory.throttle import Throttle
from postillon.log import SILENT, Log
from postillon.meter import SILENT_METER, Meter
from postillon.server import setup
from postillon.server.api.office import Office
from postillon.server.api.openapi import document
from postillon.server.api.operation import Operation, Scope, Unfit, fit
from postillon.server.api.problems import MEDIA_TYPE, Oversized, Problem, problem_of
from postillon.server.api.registry import OPERATIONS, PREFIX
from postillon.server.setup import FirstSteps, WrongCode

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MAX_BODY = 1024 * 1024  # octets of a request
FULL = "admin"  # the scope of everything
SETUP = "setup"  # in place of a login, for counting wrong codes
# What a scope is contained in.
GIVEN_BY = {
    Scope.READ: frozenset({FULL, Scope.READ.value, Scope.WRITE.value}),
    Scope.WRITE: frozenset({FULL, Scope.WRITE.value}),
}
_encode = msgspec.json.Encoder().encode


class AdministrationApi:
    """All routes of the API, for one worker."""

    def __init__(
        self,
        office: Office,
        authority: Authority,
        throttle: Throttle,
        *,
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
    ) -> None:
        self._office = office
        self._throttle = throttle
        self._authority = authority
        self._log = log
        self._meter = meter
        self._document = b""

    def routes(self) -> list[web.RouteDef]:
        """To be added to the application."""
        found = [
            web.route(item.method, PREFIX + item.path, self._handler(item)) for item in OPERATIONS
        ]
        return [
            *found,
            web.get(f"{PREFIX}/openapi.json", self._openapi),
            web.get(f"{PREFIX}/setup", self._setup_state),
            web.post(f"{PREFIX}/setup", self._setup),
            web.route("*", f"{PREFIX}/{{rest:.*}}", self._nothing),
        ]

    def _handler(self, item: Operation) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            if item.method != "GET":
                require_from_here(request)
            identity = await self._admitted(request, item.scope)
            try:
                body = await _body(request) if item.body is not None else None
                query = {name: request.query.getall(name) for name in request.query}
                office = self._office.asked_by(_name(identity))
                result = await item.run(office, request.match_info, query, body)
            except web.HTTPException:
                raise
            except Exception as error:
                found = problem_of(error)
                if found is None:
                    self._log.error("api_failed", operation=item.name, error=repr(error))
                    self._meter.count("http_faults")
                    found = Problem(
                        title="A fault of this server", status=500,
                        detail="it is in the log of the server", hint="try again",
                    )  # fmt: skip
                return _answer(found, found.status, MEDIA_TYPE)
            if item.result is None:
                return web.Response(status=item.status)
            return _answer(result, item.status)

        return handle

    async def _admitted(self, request: web.Request, scope: Scope) -> Identity:
        identity = await self._authority.identify(request)
        if not (identity.admin or identity.scopes & GIVEN_BY[scope]):
            raise problem(
                web.HTTPForbidden, f"This needs an administrator, or the scope {scope.value}"
            )
        return identity

    async def _setup_state(self, request: web.Request) -> web.StreamResponse:
        """Whether the first administrator is still to be made; nothing else is told to strangers."""
        office = self._office
        found = {
            "open": await setup.is_open(office.desk.store),
            "hostname": office.config.server.hostname,
            "code_file": str(setup.code_file(office.config.server.data)),
        }
        return _answer(found if found["open"] else {"open": False}, 200)

    async def _setup(self, request: web.Request) -> web.StreamResponse:
        """The first domain and administrator, for whoever has read the code."""
        require_private(request)
        peer = request.remote or ""
        if self._throttle.check(peer, SETUP).refused:
            raise problem(web.HTTPTooManyRequests, "Too many wrong codes; try again later")
        office = self._office
        try:
            steps = fit(await _body(request), FirstSteps)
            made = await setup.begin(office.desk, office.config.server.data, steps)
        except WrongCode:
            self._throttle.failed(peer, SETUP)
            raise problem(web.HTTPForbidden, "The code is wrong") from None
        except (Refused, Unfit, Oversized) as error:
            found = problem_of(error)
            assert found is not None  # these are known
            return _answer(found, found.status, MEDIA_TYPE)
        return _answer(made, 201)

    async def _openapi(self, request: web.Request) -> web.StreamResponse:
        """The document. It holds no secret: it stands in every copy of the program."""
        if not self._document:
            self._document = _encode(document())
        return web.Response(body=self._document, content_type="application/json")

    async def _nothing(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix(PREFIX)
        methods = sorted({item.method for item in OPERATIONS if _matches(path, item.path)})
        if methods:
            found = Problem(
                title="Not this method", status=405,
                detail=f"{request.method} is not possible here", hint=f"use {' or '.join(methods)}",
            )  # fmt: skip
            answer = _answer(found, found.status, MEDIA_TYPE)
            answer.headers["Allow"] = ", ".join(methods)
            return answer
        raise problem(web.HTTPNotFound, f"There is no {path}; see {PREFIX}/openapi.json")


def _matches(path: str, template: str) -> bool:
    parts, wanted = path.split("/"), template.split("/")
    return len(parts) == len(wanted) and all(
        two.startswith("{") or one == two for one, two in zip(parts, wanted, strict=True)
    )


def _name(identity: Identity) -> str:
    """For the audit log: who it was, and by which key where it was not the password."""
    kind = identity.credential.partition(":")[0]
    if kind in ("password", "session"):
        return identity.login
    return f"{identity.login} ({identity.credential})"


async def _body(request: web.Request) -> object:
    """Decoded JSON. Raises Unfit or Oversized."""
    kind = request.content_type
    if kind != "application/json":
        raise problem(web.HTTPUnsupportedMediaType, "The body must be application/json")
    octets = bytearray()
    async for part in request.content.iter_any():
        octets += part
        if len(octets) > MAX_BODY:
            raise Oversized(f"a request has at most {MAX_BODY} octets")
    try:
        return msgspec.json.decode(bytes(octets))
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unfit([f"the body is no JSON: {error}"]) from None


def _answer(value: object, status: int, media_type: str = "application/json") -> web.Response:
    return web.Response(
        status=status, body=_encode(value), content_type=media_type, charset="utf-8"
    )
