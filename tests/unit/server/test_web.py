"""The ground of HTTP: headers, compression, bounds, proxies, CORS."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
from aiohttp import web

from postillon.access.authority import origin, private
from postillon.access.web import Page
from postillon.net.limits import ConnectionLimits
from postillon.net.listen import listen
from postillon.server.compression import chosen
from postillon.server.proxies import Proxies
from postillon.server.web import MAX_HEADER, WebServer

TEXT = "some words " * 500


def no_page(path: str) -> Page | None:
    return None


async def told(request: web.Request) -> web.Response:
    return web.json_response(
        {"remote": request.remote, "origin": origin(request), "private": private(request)}
    )


async def long(request: web.Request) -> web.Response:
    return web.Response(text=TEXT)


async def broken(request: web.Request) -> web.Response:
    raise ValueError("a secret of ours")


async def framed(request: web.Request) -> web.Response:
    return web.Response(text="x", headers={"Content-Security-Policy": "default-src 'self'"})


ROUTES = [
    web.get("/told", told),
    web.get("/long", long),
    web.get("/broken", broken),
    web.get("/framed", framed),
    web.post("/jmap/api", long),
]


class Asker:
    """Writes requests as octets and reads what comes until the server closes."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def ask(self, *lines: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        sent = [*lines, "Host: mail.example:8080", "Connection: close"]
        writer.write("\r\n".join([*sent, "", ""]).encode() + body)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        head, _, content = answer.partition(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")
        pairs = (field.partition(": ") for field in fields)
        return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}, content


@asynccontextmanager
async def served(proxies: Proxies | None = None) -> AsyncIterator[Asker]:
    import socket

    server = WebServer(no_page, routes=ROUTES, proxies=proxies)
    await server.start()
    sock = socket.create_server(("127.0.0.1", 0))
    listener = listen(
        sock, server.handle, limits=ConnectionLimits(100, 100), refusal=b"", farewell=b""
    )
    yield Asker(sock.getsockname()[1])
    await server.stop()
    await listener.stop(1)


@pytest.fixture
async def asker() -> AsyncIterator[Asker]:
    async with served() as found:
        yield found


async def test_every_answer_has_the_strict_headers(asker: Asker) -> None:
    for path in ("/told", "/nowhere", "/broken"):
        _, headers, _ = await asker.ask(f"GET {path} HTTP/1.1")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"
        assert headers["server"] == "Postillon"


async def test_a_route_may_widen_what_is_set(asker: Asker) -> None:
    _, headers, _ = await asker.ask("GET /framed HTTP/1.1")
    assert headers["content-security-policy"] == "default-src 'self'"


async def test_text_is_compressed_for_who_takes_it(asker: Asker) -> None:
    _, headers, body = await asker.ask("GET /long HTTP/1.1", "Accept-Encoding: gzip")
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(body).decode() == TEXT
    _, headers, body = await asker.ask("GET /long HTTP/1.1")
    assert "content-encoding" not in headers
    assert body.decode() == TEXT


async def test_a_fault_of_ours_tells_nothing(asker: Asker) -> None:
    status, _, body = await asker.ask("GET /broken HTTP/1.1")
    assert status == 500
    assert b"secret" not in body


async def test_header_fields_are_bounded_together(asker: Asker) -> None:
    many = [f"X-{n}: {'x' * 1_000}" for n in range(MAX_HEADER // 1_000 + 1)]
    status, _, _ = await asker.ask("GET /told HTTP/1.1", *many)
    assert status == 431


async def test_a_page_of_another_site_may_ask_jmap_and_nothing_else(asker: Asker) -> None:
    asked = ("Origin: https://app.example", "Access-Control-Request-Method: POST")
    status, headers, _ = await asker.ask("OPTIONS /jmap/api HTTP/1.1", *asked)
    assert status == 204
    assert headers["access-control-allow-origin"] == "*"
    assert "authorization" in headers["access-control-allow-headers"].lower()
    _, headers, _ = await asker.ask("GET /told HTTP/1.1", "Origin: https://app.example")
    assert "access-control-allow-origin" not in headers


async def test_forwarded_is_believed_only_of_trusted_proxies(asker: Asker) -> None:
    forwarded = "Forwarded: for=198.51.100.7;proto=https;host=mail.example.org"
    _, headers, body = await asker.ask("GET /told HTTP/1.1", forwarded)
    assert b'"remote": "127.0.0.1"' in body
    assert b'"origin": "http://mail.example:8080"' in body
    assert "strict-transport-security" not in headers
    async with served(Proxies([ip_network("127.0.0.0/8")])) as behind:
        _, headers, body = await behind.ask("GET /told HTTP/1.1", forwarded)
        assert b'"remote": "198.51.100.7"' in body
        assert b'"origin": "https://mail.example.org"' in body
        assert b'"private": true' in body
        assert "strict-transport-security" in headers
        _, _, body = await behind.ask("GET /told HTTP/1.1", "X-Forwarded-For: 198.51.100.7")
        assert b'"private": false' in body


async def test_of_several_fields_the_last_is_that_of_the_proxy() -> None:
    forged = ("X-Forwarded-For: 203.0.113.1", "X-Forwarded-Proto: https")
    added = ("X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: http")
    async with served(Proxies([ip_network("127.0.0.0/8")])) as behind:
        _, _, body = await behind.ask("GET /told HTTP/1.1", *forged, *added)
        assert b'"remote": "198.51.100.7"' in body
        assert b'"private": false' in body
        forged = ("Forwarded: for=127.0.0.1;proto=https",)
        status, _, _ = await behind.ask("GET /told HTTP/1.1", *forged, *added)
        assert status == 400


async def test_one_who_watches_is_told_of_health(asker: Asker) -> None:
    status, _, body = await asker.ask("GET /healthz HTTP/1.1")
    assert (status, body) == (200, b"ok\n")


@pytest.mark.parametrize(
    ("field", "coding"),
    [
        ("", None),
        ("gzip, deflate, br", "gzip"),
        ("deflate", "deflate"),
        ("gzip;q=0.5, deflate;q=0.8", "deflate"),
        ("gzip;q=0", None),
        ("*", "gzip"),
        ("*;q=0.5, gzip;q=0", "deflate"),
        ("GZIP ; q=1", "gzip"),
        ("gzip;q=x", None),
        ("br", None),
        ("identity", None),
    ],
)
def test_the_coding_is_the_one_the_client_likes_best(field: str, coding: str | None) -> None:
    assert chosen(field) == coding
