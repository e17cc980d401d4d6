"""The routes of the web client: `/`, its assets, the frame that mail is shown in, and remote images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import web

from postillon.access.webmail.files import File, read_files
from postillon.access.webmail.images import Images

FOR_EVER = "public, max-age=31536000, immutable"
ASK_FIRST = "no-cache"  # kept, and used after the server has said that it is still good
# The page runs only its own files, and what stands in it by its hash. Images of mail come as blobs that
# the page itself has fetched.
PAGE_POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "font-src 'self'",
    "img-src 'self' blob: data:", "media-src blob:", "connect-src 'self'", "frame-src 'self' blob:",
    "worker-src 'self'", "manifest-src 'self'", "base-uri 'none'", "form-action 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
# The paper that a message is laid on. It has styles of its own and nothing else: no script runs in it
# and it can ask nobody for anything.
PAPER = "paper.html"
PAPER_POLICY = "; ".join((
    "default-src 'none'", "script-src 'none'", "style-src 'unsafe-inline'", "img-src blob: data:",
    "base-uri 'none'", "form-action 'none'", "frame-ancestors 'self'",
    "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox allow-modals",
))  # fmt: skip
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
NOT_BUILT = (
    "The web client was not built into this copy of Postillon. `./demo` builds it in a checkout;"
    " a wheel from a release contains it.\n"
)


class Webmail:
    """For one worker. images: None where remote images are not fetched.

    others: origins of JMAP servers that the page of mail may talk to beside ours.
    """

    def __init__(
        self,
        images: Images | None = None,
        others: Sequence[str] = (),
        *,
        files: Mapping[str, File] | None = None,
    ) -> None:
        self._others = " ".join(others)
        self._files = read_files() if files is None else files
        self._images = images

    def routes(self) -> list[web.RouteDef]:
        """To be added to the application. HEAD comes with GET."""
        found = [web.get("/", self._index), web.get("/admin", self._admin)]
        pages = ("index.html", "admin.html")
        at_top = [name for name in self._files if "/" not in name and name not in pages]
        found += [web.get(f"/{name}", self._file) for name in at_top]
        found.append(web.get("/assets/{name}", self._file))
        if self._images is not None:
            found.append(web.get("/webmail/image", self._images.answer))
        return found

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return self._said(request, "index.html")

    async def _admin(self, request: web.Request) -> web.StreamResponse:
        return self._said(request, "admin.html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return self._said(request, request.path.removeprefix("/"))

    def _said(self, request: web.Request, name: str) -> web.StreamResponse:
        file = self._files.get(name)
        if file is None:
            text = NOT_BUILT if name in ("index.html", "admin.html") else "There is no such file.\n"
            return web.Response(status=404, text=text)
        encoding, body = file.form(request.headers.get("Accept-Encoding", ""))
        etag = f'{file.etag[:-1]}-{encoding}"' if encoding else file.etag
        # The client asks for the paper that it was built with.
        versioned = name == PAPER and request.query_string != ""
        headers = {
            **HEADERS,
            "Cache-Control": FOR_EVER if file.hashed or versioned else ASK_FIRST,
            "Content-Type": file.media_type,
            "Content-Security-Policy": _policy(name, file, self._others),
            "X-Frame-Options": "SAMEORIGIN" if name == PAPER else "DENY",
            "ETag": etag,
            "Vary": "Accept-Encoding",
        }
        known = request.headers.get("If-None-Match", "")
        if known == "*" or etag in {item.strip().removeprefix("W/") for item in known.split(",")}:
            return web.Response(status=304, headers=headers)
        if encoding:
            headers["Content-Encoding"] = encoding
        return web.Response(body=body, headers=headers)


def _policy(name: str, file: File, others: str) -> str:
    """others: of the page of mail alone; administration talks to us."""
    if name == PAPER:
        return PAPER_POLICY
    policy = PAGE_POLICY
    if others and name == "index.html":
        policy = policy.replace("connect-src 'self'", f"connect-src 'self' {others}")
    return policy.replace("script-src 'self'", " ".join(("script-src 'self'", *file.scripts)))
