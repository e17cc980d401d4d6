"""Fetching for a reader never reaches inward, whatever the name, the redirect or the size says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from postillon.net.dns import NoSuchName
from postillon.net.outward import Forbidden, Outward, OutwardError, is_public

HOST = "127.0.0.1"


class Names:
    """A resolver that knows what it was told, and counts how often it is asked."""

    def __init__(self, **known: tuple[str, ...]) -> None:
        self.known = {name.replace("_", "."): found for name, found in known.items()}
        self.asked: list[str] = []

    async def addresses(self, name: str) -> tuple[str, ...]:
        self.asked.append(name)
        if name not in self.known:
            raise NoSuchName(name, "NXDOMAIN")
        return self.known[name]


@asynccontextmanager
async def site(handler: web.RequestHandler | object) -> AsyncIterator[int]:
    application = web.Application()
    application.router.add_get("/{path:.*}", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(application)
    await runner.setup()
    place = web.TCPSite(runner, HOST, 0)
    await place.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def outward(names: Names, port: int, *, open_to: tuple[str, ...] = (HOST,)) -> Outward:
    return Outward(
        names, agent="test", permitted=lambda address: address in open_to, ports=frozenset({port})
    )


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1",
        "::1", "::", "fe80::1", "fc00::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::1", "fe80::1%eth0",
        "2001:0:7f00:1::1",
    ],
)  # fmt: skip
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"]
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/a.png", "file:///etc/passwd", "data:image/png;base64,AAAA", "//x/y", "",
        "http://user:secret@example.org/a.png", "http://example.org:22/", "http://example.org:8080/",
        "http:///nohost", "gopher://example.org/",
    ],
)  # fmt: skip
async def test_only_plain_web_addresses_are_fetched(url: str) -> None:
    names = Names(example_org=("93.184.216.34",))
    with pytest.raises(OutwardError):
        await Outward(names, agent="test").get(url, most=1, accept="*/*")
    assert names.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "0x7f.1", "2130706433"])
async def test_an_address_inside_that_is_written_out_is_refused(host: str) -> None:
    with pytest.raises(OutwardError):
        await Outward(Names(), agent="test").get(f"http://{host}/", most=1, accept="*/*")


@pytest.mark.parametrize(
    "host",
    ["2130706433", "127.1", "0x7f.1", "0177.0.0.1", "127.0.0.1.", "0x7f000001", "x.0x1", "1."],
)
async def test_an_address_in_an_odd_form_is_refused_even_if_dns_answers_for_everything(
    host: str,
) -> None:
    class Hijacked:
        async def addresses(self, name: str) -> tuple[str, ...]:
            return ("93.184.216.34",)

    with pytest.raises(Forbidden):
        await Outward(Hijacked(), agent="test").get(f"http://{host}/", most=1, accept="*/*")


async def test_a_name_that_means_an_address_inside_is_refused() -> None:
    names = Names(inside_example=("93.184.216.34", "10.0.0.1"))
    with pytest.raises(Forbidden):
        await Outward(names, agent="test").get("http://inside.example/", most=1, accept="*/*")


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """The name is looked up once: a second answer cannot lead inward (DNS rebinding)."""
    seen: list[web.BaseRequest] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(body=b"octets", content_type="image/png")

    async with site(answer) as port:
        names = Names(pictures_example=(HOST,))
        found = await outward(names, port).get(
            f"http://pictures.example:{port}/a.png#part", most=100, accept="image/*"
        )
    assert (found.status, found.media_type, found.body) == (200, "image/png", b"octets")
    assert names.asked == ["pictures.example"]
    [request] = seen
    assert request.headers["Host"] == f"pictures.example:{port}"
    assert {"Cookie", "Referer", "Authorization", "X-Forwarded-For"} & set(request.headers) == set()


async def test_a_redirect_inward_is_refused() -> None:
    async def answer(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"http://inside.example:{request.url.port}/secret")

    async with site(answer) as port:
        names = Names(outside_example=(HOST,), inside_example=("10.0.0.1",))
        with pytest.raises(Forbidden):
            await outward(names, port).get(
                f"http://outside.example:{port}/", most=100, accept="*/*"
            )
    assert names.asked == ["outside.example", "inside.example"]


async def test_a_redirect_in_a_circle_ends() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        raise web.HTTPFound("/again")

    async with site(answer) as port:
        with pytest.raises(OutwardError):
            await outward(Names(a_example=(HOST,)), port).get(
                f"http://a.example:{port}/", most=100, accept="*/*"
            )
    assert len(asked) == 4


async def test_more_than_the_bound_is_not_read() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * 101)

    async with site(answer) as port:
        with pytest.raises(OutwardError):
            await outward(Names(a_example=(HOST,)), port).get(
                f"http://a.example:{port}/", most=100, accept="*/*"
            )


async def test_a_name_that_does_not_exist_is_said() -> None:
    with pytest.raises(OutwardError):
        await Outward(Names(), agent="test").get("http://gone.example/", most=1, accept="*/*")
