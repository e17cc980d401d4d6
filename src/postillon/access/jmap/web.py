"""JMAP as handlers of HTTP: the session, calls, upload and download (RFC 8620 sections 2, 3 and 6)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from postillon.access.authority import Authority, Identity, origin, problem, require_from_here
from postillon.access.jmap.api import Api
from postillon.access.jmap.blobs import (
    MEDIA_TYPE,
    OCTETS,
    UPLOADS_KEPT,
    BlobNotFound,
    Blobs,
    Opened,
    of_upload,
)
from postillon.access.jmap.context import Context, Services
from postillon.access.jmap.events import events
from postillon.access.jmap.registry import CAPABILITIES
from postillon.access.jmap.session import API, SESSION, Sessions
from postillon.access.jmap.socket import Talk
from postillon.access.jmap.uploading import TooLarge, receive
from postillon.account.account import Account
from postillon.account.errors import TooManyUploads
from postillon.directory.scopes import MAIL, SEND
from postillon.log import SILENT, Log
from postillon.meter import SILENT_METER, Meter
from postillon.protocol.jmap.errors import MethodError, RequestError
from postillon.protocol.jmap.request import Call, exceeded, parse
from postillon.store.operation import StoreFull, StoreStopped

PUSHES, MAX_PUSHES = "maxConcurrentPush", 30  # connections of one caller that wait for changes
FOREVER = "private, immutable, max-age=31536000"  # a blob id names the same octets for ever
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
# What a browser shows without running anything in it; the rest is offered for saving.
SHOWN = re.compile(r"image/(?:png|jpeg|gif|webp|avif|bmp)|text/plain|application/pdf|audio/|video/")
_encode = msgspec.json.Encoder().encode


class JmapWeb:
    """For one worker. spool: the folder for uploads while they come; None keeps them in memory."""

    def __init__(
        self,
        services: Services,
        authority: Authority,
        *,
        spool: Path | None = None,
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
    ) -> None:
        self._services = services
        self._authority = authority
        self._api = Api(services, meter=meter)
        self._sessions = Sessions(services)
        self._spool = spool
        self._log = log
        self._running: Counter[int] = Counter()  # requests by principal
        self._uploading: Counter[int] = Counter()
        self._listening: Counter[int] = Counter()

    def routes(self) -> list[web.RouteDef]:
        """To be added to the application."""
        return [
            web.get("/.well-known/jmap", self._session),
            web.get(SESSION, self._session),
            web.post(API, self._call),
            web.post("/jmap/upload/{account}/", self._upload),
            web.get("/jmap/download/{account}/{blob}/{name:[^/]*}", self._download),
            web.get("/jmap/eventsource/", self._events, allow_head=False),
            web.get("/jmap/ws", self._socket, allow_head=False),
        ]

    async def identify(self, request: web.Request) -> Identity:
        """Raises HTTPUnauthorized, or HTTPForbidden for a token that was not made for this."""
        identity = await self._authority.identify(request)
        if not identity.principal or not identity.scopes & {MAIL, SEND}:
            raise problem(web.HTTPForbidden, "This token was not made for mail")
        return identity

    async def _session(self, request: web.Request) -> web.StreamResponse:
        identity = await self.identify(request)
        found = await self._sessions.of(identity, origin(request))
        return _json(found, headers={"Cache-Control": "no-cache, no-store, must-revalidate"})

    async def _call(self, request: web.Request) -> web.StreamResponse:
        identity = await self.identify(request)
        try:
            with self._counted(self._running, identity, "maxConcurrentRequests"):
                body = await self._body(request)
                asked = parse(body, CAPABILITIES.keys(), self._services.limits)
                responses, context = await self._api.run(asked, identity)
                state = await self._sessions.state(identity, origin(request))
        except RequestError as error:
            return refused(error)
        return _json(response_of(responses, context, asked.created_ids is not None, state))

    async def _body(self, request: web.Request) -> bytes:
        """Raises RequestError."""
        if request.content_type != "application/json":
            raise RequestError("notJSON", "The request must be application/json")
        most = self._services.limits.max_size_request
        if (request.content_length or 0) > most:
            raise exceeded("maxSizeRequest")
        try:
            return bytes(await receive(request, most, None))
        except TooLarge:
            raise exceeded("maxSizeRequest") from None

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        identity = await self.identify(request)
        account = await self._account(identity, request.match_info["account"])
        most = self._services.limits.max_size_upload
        kind = request.headers.get("Content-Type", OCTETS)
        kind = kind if MEDIA_TYPE.fullmatch(kind) else OCTETS
        try:
            with self._counted(self._uploading, identity, "maxConcurrentUpload"):
                if (request.content_length or 0) > most:
                    raise exceeded("maxSizeUpload")
                content = await receive(request, most, self._spool)
                uploads = self._services.accounts.uploads(
                    account.id, identity.principal, most * UPLOADS_KEPT
                )
                kept = await uploads.add(content, kind)
        except TooLarge:
            return refused(exceeded("maxSizeUpload"), 413)
        except RequestError as error:
            return refused(error, 413 if error.limit == "maxSizeUpload" else 429)
        except TooManyUploads as error:
            return refused(RequestError("limit", str(error), limit="uploads"), 429)
        except (StoreFull, OSError) as error:
            self._log.error("upload_refused", error=str(error))
            raise problem(web.HTTPInsufficientStorage, "There is no room on the disk") from None
        except StoreStopped:
            raise problem(web.HTTPServiceUnavailable, "Try again later") from None
        found = {
            "accountId": request.match_info["account"],
            "blobId": str(of_upload(kept.id)),
            "type": kind,
            "size": kept.size,
        }
        return _json(found, status=201)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        identity = await self.identify(request)
        if MAIL not in identity.scopes:
            raise problem(web.HTTPForbidden, "This token was not made for reading mail")
        account = await self._account(identity, request.match_info["account"])
        blobs = Blobs(self._services.accounts, account, identity.principal)
        try:
            blob = await blobs.open(request.match_info["blob"])
        except BlobNotFound:
            raise problem(web.HTTPNotFound, "There is no such blob") from None
        kind = request.query.get("accept", "") or blob.media_type
        kind = kind if MEDIA_TYPE.fullmatch(kind) else OCTETS
        etag = f'"{blob.id}"'
        headers = {
            "Content-Type": kind,
            "Content-Disposition": disposition(request.match_info["name"], kind),
            "Cache-Control": FOREVER,
            "ETag": etag,
            "Accept-Ranges": "bytes",
            # Whatever it says it is, nothing in it runs in our name.
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        if etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        return await self._send(request, blobs, blob, headers)

    async def _send(
        self, request: web.Request, blobs: Blobs, blob: Opened, headers: dict[str, str]
    ) -> web.StreamResponse:
        size, octets = blob.size, b""
        if size is None:  # only decoding tells, so it is decoded now
            octets = await blobs.read(blob)
            size = len(octets)
        wanted = ranged(request.headers.get("Range", ""), size)
        if wanted is None:
            headers["Content-Range"] = f"bytes */{size}"
            return web.Response(status=416, headers=headers)
        start, stop = wanted
        status = 200
        if _RANGE.fullmatch(request.headers.get("Range", "").strip()):
            status = 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = stop - start
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        if blob.size is None:
            await response.write(octets[start:stop])
        else:
            async for piece in blobs.stream(blob, start, stop):
                await response.write(piece)
        await response.write_eof()
        return response

    async def _events(self, request: web.Request) -> web.StreamResponse:
        identity = await self.identify(request)
        try:
            with self._counted(self._listening, identity, PUSHES):
                return await events(request, self._services, identity, self._authority.guests)
        except RequestError as error:
            return refused(error, 429)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        """No script can show here who it is: of a page elsewhere, only the browser would (RFC 6455
        section 10.2)."""
        require_from_here(request)
        identity = await self.identify(request)
        state = partial(self._sessions.state, identity, origin(request))
        try:
            with self._counted(self._listening, identity, PUSHES):
                talk = Talk(self._services, identity, self._api, state, self._authority.guests)
                return await talk.run(request)
        except RequestError as error:
            return refused(error, 429)

    async def _account(self, identity: Identity, text: str) -> Account:
        """Raises HTTPNotFound."""
        try:
            context = Context(self._services, identity, frozenset())
            return await context.account(text)
        except MethodError:
            raise problem(web.HTTPNotFound, "There is no such account") from None

    @contextmanager
    def _counted(self, table: Counter[int], identity: Identity, limit: str) -> Iterator[None]:
        """Raises RequestError where the caller has as many under way as they may."""
        limits = self._services.limits
        most = {
            "maxConcurrentUpload": limits.max_concurrent_upload,
            "maxConcurrentRequests": limits.max_concurrent_requests,
            PUSHES: MAX_PUSHES,
        }[limit]
        if table[identity.principal] >= most:
            raise exceeded(limit)
        table[identity.principal] += 1
        try:
            yield
        finally:
            table[identity.principal] -= 1
            if not table[identity.principal]:
                del table[identity.principal]


def response_of(
    responses: list[Call], context: Context, wants_created: bool, state: str
) -> dict[str, Any]:
    """RFC 8620 section 3.4."""
    found: dict[str, Any] = {
        "methodResponses": [[item.name, item.arguments, item.call_id] for item in responses],
        "sessionState": state,
    }
    return {**found, "createdIds": context.created} if wants_created else found


def refused(error: RequestError, status: int | None = None) -> web.Response:
    """A request-level error as a problem document (RFC 8620 section 3.6.1)."""
    found = error.as_json()
    code = status or error.status
    return web.Response(
        status=code,
        body=_encode({**found, "status": code}),
        content_type="application/problem+json",
    )


def disposition(name: str, kind: str) -> str:
    """With the name as RFC 6266 has it, and RFC 8187 for what is not ASCII."""
    shown = "inline" if SHOWN.match(kind) else "attachment"
    if not name:
        return shown
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in name)
    return f"{shown}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def ranged(field: str, size: int) -> tuple[int, int] | None:
    """First octet and the one behind the last of a Range; all where there is none that we know.

    None: it lies beyond the end (RFC 9110 section 14.1.2).
    """
    match = _RANGE.fullmatch(field.strip())
    if match is None or match[0] == "bytes=-":
        return 0, size
    first, last = match.groups()
    if not first:
        return (max(0, size - int(last)), size) if int(last) and size else None
    start = int(first)
    stop = size if not last else min(int(last) + 1, size)
    if start >= size or stop <= start:
        return None
    return start, stop


def _json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    response = web.Response(
        status=status, body=_encode(value), content_type="application/json", headers=headers
    )
    response.headers.setdefault("Cache-Control", "no-store")
    return response
