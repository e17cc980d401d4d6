"""Compressing what is answered, for clients that take it (RFC 9110 sections 8.4.1 and 12.5.3).

Our own, because aiohttp decides before anybody has seen the answer, hands every kilobyte to a thread,
and does not read weights.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Callable, Mapping

from aiohttp import web

SMALLEST = 1_024  # octets; below it is not worth it
IN_THREAD = 256 * 1024  # octets; so many hold up the loop
LEVEL = 5
KINDS = (
    "application/json",
    "application/problem+json",
    "text/",
    "application/xml",
    "image/svg",
)
GZIP, DEFLATE = 31, 15  # wbits of zlib, which make its containers
_WEIGHTED = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;\s*q\s*=\s*([0-9.]{1,5})\s*)?")


async def compressed(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """The same answer, with a smaller body where that is wanted and worth it."""
    if not isinstance(response, web.Response) or response.prepared:
        return response
    body = response.body
    if (
        not isinstance(body, bytes)
        or len(body) < SMALLEST
        or "Content-Encoding" in response.headers
        or "Content-Range" in response.headers
        or not response.content_type.startswith(KINDS)
    ):
        return response
    response.headers.add("Vary", "Accept-Encoding")
    coding = chosen(request.headers.get("Accept-Encoding", ""))
    if coding is None:
        return response
    packing = CODINGS[coding]
    large = len(body) >= IN_THREAD
    response.body = await asyncio.to_thread(packing, body) if large else packing(body)
    response.headers["Content-Encoding"] = coding
    return response


def chosen(field: str) -> str | None:
    """The coding that a client likes best of those we have, in our own order where it likes several."""
    weights: dict[str, float] = {}
    for part in field.split(","):
        match = _WEIGHTED.fullmatch(part)
        if match is not None:
            weights[match[1].lower()] = _weight(match[2])
    others = weights.get("*", 0.0)
    best = max(CODINGS, key=lambda coding: weights.get(coding, others))
    return best if weights.get(best, others) > 0 else None


def _weight(text: str | None) -> float:
    try:
        return 1.0 if text is None else float(text)
    except ValueError:
        return 0.0


def _zlib(wbits: int) -> Callable[[bytes], bytes]:
    def pack(body: bytes) -> bytes:
        packer = zlib.compressobj(LEVEL, zlib.DEFLATED, wbits)
        return packer.compress(body) + packer.flush()

    return pack


CODINGS: Mapping[str, Callable[[bytes], bytes]] = {"gzip": _zlib(GZIP), "deflate": _zlib(DEFLATE)}
