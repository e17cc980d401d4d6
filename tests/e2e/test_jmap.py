"""JMAP against the real server, with two workers: HTTP, blobs, events, WebSocket and Web Push."""

from __future__ import annotations

import asyncio
import base64
import json
import smtplib
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from postillon.net.tls import self_signed
from support.server import PASSWORD, Server

ADA, BOB = "ada@example.org", "bob@example.net"
CORE, BLOB = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:blob"
WAIT_S = 60
BASIC = {"Authorization": "Basic " + base64.b64encode(f"{ADA}:{PASSWORD}".encode()).decode()}


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with certificate and key of the push service."""
    folder = tmp_path_factory.mktemp("push")
    certificate, key = self_signed(["127.0.0.1"])
    (folder / "crt").write_bytes(certificate)
    (folder / "key").write_bytes(key)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, pushed: Path) -> Iterator[Server]:
    settings = {
        "auth": "argon2_memory = 64\nargon2_passes = 1",
        "http": 'trusted_proxies = ["127.0.0.0/8"]',
        "jmap": 'push_networks = ["127.0.0.0/8"]\nmax_size_upload = 300000',
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(pushed / "crt"))
        with Server(tmp_path_factory.mktemp("jmap"), workers=2, settings=settings) as running:
            yield running


class Client:
    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self.server, self.http = server, session
        self.base = f"http://{server.host}:{server.port('http')}"

    async def get(self, path: str, **headers: str) -> tuple[int, Any, bytes]:
        async with self.http.get(self.base + path, headers={**BASIC, **headers}) as answer:
            return answer.status, answer.headers, await answer.read()

    async def session(self, **headers: str) -> Any:
        status, _, body = await self.get("/.well-known/jmap", **headers)
        assert status == 200, body
        return json.loads(body)

    async def call(self, *calls: Any) -> Any:
        request = {"using": [CORE, BLOB], "methodCalls": calls}
        async with self.http.post(self.base + "/jmap/api", json=request, headers=BASIC) as answer:
            assert answer.status == 200, await answer.text()
            return (await answer.json())["methodResponses"]


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    timeout = aiohttp.ClientTimeout(total=WAIT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield Client(server, session)


def deliver(server: Server, to: str = ADA) -> None:
    with smtplib.SMTP(server.host, server.port("smtp"), timeout=WAIT_S) as smtp:
        smtp.sendmail(BOB, [to], b"Subject: news\r\n\r\nhello\r\n")


async def test_a_client_finds_its_way_from_the_session(client: Client) -> None:
    found = await client.session()
    [account] = found["accounts"]
    assert found["apiUrl"] == f"{client.base}/jmap/api"
    assert found["username"] == ADA
    assert found["primaryAccounts"]["urn:ietf:params:jmap:mail"] == account
    octets = bytes(range(256)) * 1_000
    url = found["uploadUrl"].replace("{accountId}", account)
    async with client.http.post(
        url, data=octets, headers={**BASIC, "Content-Type": "image/png"}
    ) as a:
        assert a.status == 201
        kept = await a.json()
    assert (kept["size"], kept["type"]) == (256_000, "image/png")
    path = f"/jmap/download/{account}/{kept['blobId']}/a%20b.png?accept=text/html"
    status, headers, body = await client.get(path, Range="bytes=256000-")
    assert status == 416
    status, headers, body = await client.get(path, Range="bytes=255-257")
    assert (status, body) == (206, b"\xff\x00\x01")
    assert headers["Content-Range"] == "bytes 255-257/256000"
    assert headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in headers["Content-Security-Policy"]
    status, _, body = await client.get(path)
    assert (status, body) == (200, octets)


async def test_an_upload_larger_than_allowed_is_refused(client: Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(400):
            yield b"x" * 1_000

    [account] = (await client.session())["accounts"]
    url = f"{client.base}/jmap/upload/{account}/"
    async with client.http.post(url, data=pieces(), headers=BASIC) as answer:
        assert answer.status == 413
        found = await answer.json(content_type=None)
    assert (found["type"], found["limit"]) == (
        "urn:ietf:params:jmap:error:limit", "maxSizeUpload"
    )  # fmt: skip


async def test_requests_are_answered_by_either_worker(client: Client) -> None:
    for n in range(20):
        [[name, found, call_id]] = await client.call(["Core/echo", {"n": n}, f"c{n}"])
        assert (name, found, call_id) == ("Core/echo", {"n": n}, f"c{n}")


@pytest.mark.parametrize(
    ("body", "kind", "status", "problem"),
    [
        (b'{"using":["urn:ietf:params:jmap:core"],"methodCalls":[],"methodCalls":[]}',
         "application/json", 400, "notJSON"),
        (b"{", "application/json", 400, "notJSON"),
        (b"{}", "text/plain", 400, "notJSON"),
        (b"{}", "application/json", 400, "notRequest"),
        (b'{"using":["urn:x"],"methodCalls":[]}', "application/json", 400, "unknownCapability"),
    ],
)  # fmt: skip
async def test_what_is_no_request_is_a_problem(
    client: Client, body: bytes, kind: str, status: int, problem: str
) -> None:
    headers = {**BASIC, "Content-Type": kind}
    async with client.http.post(client.base + "/jmap/api", data=body, headers=headers) as answer:
        assert answer.status == status
        assert answer.content_type == "application/problem+json"
        found = await answer.json(content_type=None)
    assert found["type"] == f"urn:ietf:params:jmap:error:{problem}"


async def test_nobody_is_answered_without_showing_who_they_are(client: Client) -> None:
    async with client.http.get(client.base + "/.well-known/jmap") as answer:
        assert answer.status == 401
        assert "Basic" in " ".join(answer.headers.getall("WWW-Authenticate"))


async def test_answers_are_compressed_and_urls_are_those_of_the_proxy(client: Client) -> None:
    forwarded = "for=198.51.100.7;proto=https;host=mail.example.org"
    status, headers, body = await client.get(
        "/jmap/session", **{"Accept-Encoding": "gzip", "Forwarded": forwarded}
    )
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    found = json.loads(body)  # the client has unpacked it
    assert found["apiUrl"] == "https://mail.example.org/jmap/api"
    socket = found["capabilities"]["urn:ietf:params:jmap:websocket"]
    assert socket["url"] == "wss://mail.example.org/jmap/ws"
    plain = forwarded.replace("https", "http")
    assert (await client.get("/jmap/session", Forwarded=plain))[0] == 403  # a password in the clear


async def test_a_delivery_is_told_by_events_and_by_websocket(
    client: Client, server: Server
) -> None:
    url = "/jmap/eventsource/?types=EmailDelivery&closeafter=state&ping=0"
    async with (
        client.http.get(client.base + url, headers=BASIC) as events,
        client.http.ws_connect(
            client.base + "/jmap/ws", headers=BASIC, protocols=["jmap"]
        ) as socket,
    ):
        assert await events.content.readline() == b": here\n"
        await socket.send_json({"@type": "WebSocketPushEnable", "dataTypes": ["Email"]})
        await socket.send_json({
            "@type": "Request", "id": "r", "using": [CORE], "methodCalls": [["Core/echo", {}, "c"]]
        })  # fmt: skip
        said = await socket.receive_json(timeout=WAIT_S)
        assert (said["@type"], said["requestId"]) == ("Response", "r")
        await asyncio.to_thread(deliver, server)
        told = (await events.content.read()).decode()  # it closes after the first state
        assert "event: state" in told
        [states] = json.loads(told.partition("data: ")[2].split("\n")[0])["changed"].values()
        assert set(states) == {"EmailDelivery"}
        said = await socket.receive_json(timeout=WAIT_S)
        assert said["@type"] == "StateChange"
        [states] = said["changed"].values()
        assert set(states) == {"Email"}


@asynccontextmanager
async def push_service(folder: Path) -> AsyncIterator[tuple[str, asyncio.Queue[Any]]]:
    taken: asyncio.Queue[Any] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        taken.put_nowait(await request.json())
        return web.Response(status=201)

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "crt", folder / "key")
    application = web.Application()
    application.router.add_post("/push", take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}/push", taken
    await runner.cleanup()


async def test_a_delivery_is_pushed_once_by_two_workers(
    client: Client, server: Server, pushed: Path
) -> None:
    async def next_of(queue: asyncio.Queue[Any]) -> Any:
        async with asyncio.timeout(WAIT_S):
            return await queue.get()

    async with push_service(pushed) as (url, taken):
        create = {"k": {"deviceClientId": "phone", "url": url, "types": ["EmailDelivery"]}}
        [[_, made, _]] = await client.call(["PushSubscription/set", {"create": create}, "0"])
        number = made["created"]["k"]["id"]
        code = (await next_of(taken))["verificationCode"]
        update = {number: {"verificationCode": code}}
        [[_, changed, _]] = await client.call(["PushSubscription/set", {"update": update}, "0"])
        assert number in changed["updated"]
        seen = []
        for _ in range(3):
            await asyncio.to_thread(deliver, server)
            seen.append(await next_of(taken))
        assert taken.empty()
        states = [next(iter(said["changed"].values()))["EmailDelivery"] for said in seen]
        assert len(set(states)) == 3
        await client.call(["PushSubscription/set", {"destroy": [number]}, "0"])


def test_the_server_had_no_fault(server: Server) -> None:
    """Last: what the tests above have asked left nothing behind in the log."""
    for word in ("jmap_failed", "page_failed", "push_fault", "Traceback"):
        assert word not in server.log()
