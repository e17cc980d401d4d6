"""Remote images of a message, fetched by the server once the reader has allowed them.

The sender learns the address of the server and not that of the reader, and no image that names a host
inside can be fetched (`net.outward`). What comes back is passed on only if its first octets are those
of a raster image: no SVG, which may hold scripts.
"""

from __future__ import annotations

from aiohttp import web

from postillon.access.authority import Authority, problem
from postillon.directory.scopes import MAIL
from postillon.log import SILENT, Log
from postillon.net.outward import Forbidden, Outward, OutwardError

IMAGE_AGENT = "Postillon image proxy"  # how the server names itself to others
MAX_IMAGE = 10 * 1024 * 1024  # octets
ACCEPT = "image/avif,image/webp,image/png,image/jpeg,image/gif,image/*;q=0.5"
KEPT = "private, max-age=86400"
SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"ftypavif", 4, "image/avif"),
    (b"\x00\x00\x01\x00", 0, "image/x-icon"),
    (b"BM", 0, "image/bmp"),
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def kind_of(octets: bytes) -> str:
    """The media type of a raster image, by its first octets; "" for anything else."""
    for signature, offset, media_type in SIGNATURES:
        if octets.startswith(signature, offset):
            return media_type
    return ""


class Images:
    def __init__(self, outward: Outward, authority: Authority, *, log: Log = SILENT) -> None:
        self._outward = outward
        self._authority = authority
        self._log = log

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """GET /webmail/image?url=…: the image, 403 for what is inward, 502 for what cannot be had."""
        identity = await self._authority.identify(request)
        if MAIL not in identity.scopes:
            raise problem(web.HTTPForbidden, "This needs the right to read mail")
        url = request.query.get("url", "")
        try:
            found = await self._outward.get(url, most=MAX_IMAGE, accept=ACCEPT)
        except Forbidden as error:
            self._log.info("image_refused", reason=str(error), login=identity.login)
            raise problem(web.HTTPForbidden, f"The image is not fetched: {error}") from None
        except OutwardError as error:
            raise problem(web.HTTPBadGateway, f"The image is not to be had: {error}") from None
        media_type = kind_of(found.body)
        if found.status != web.HTTPOk.status_code or not media_type:
            raise problem(web.HTTPBadGateway, "There is no image at this address")
        headers = {**HEADERS, "Cache-Control": KEPT, "Content-Type": media_type}
        return web.Response(body=found.body, headers=headers)
