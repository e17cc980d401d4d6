"""PushSubscription and Web Push, against a push service on loopback by TLS (RFC 8620 section 7.2)."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from postillon.access.jmap.pusher import CODES_AN_HOUR, HOUR_MS
from postillon.account.flags import FlagMode
from postillon.account.keywords import SEEN
from postillon.account.roles import INBOX_ID
from postillon.directory import app_passwords, push
from postillon.net.outward import Outward
from postillon.net.tls import self_signed
from postillon.protocol.jmap.webpush import base64url, encoded, from_base64url, new_key
from support.accounts import append
from support.jmap import BOB, PASSWORD, Caller, Nowhere, caller
from support.stores import KINDS, using


class PushService:
    """Takes what is posted, and answers with the statuses it is told, at last 201."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
        self.statuses: list[int] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/push/abc"

    async def next(self) -> tuple[dict[str, str], bytes]:
        async with asyncio.timeout(10):
            return await self.taken.get()

    async def next_json(self) -> Any:
        return json.loads((await self.next())[1])

    async def take(self, request: web.Request) -> web.Response:
        self.taken.put_nowait((dict(request.headers), await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 201)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[PushService]:
    found = PushService()
    certificate, key = self_signed(["127.0.0.1"])
    (tmp_path / "push.crt").write_bytes(certificate)
    (tmp_path / "push.key").write_bytes(key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "push.crt", tmp_path / "push.key")
    application = web.Application()
    application.router.add_post("/push/abc", found.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    found.port = runner.addresses[0][1]
    yield found
    await runner.cleanup()


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> Iterator[None]:
    with using(request.param):
        yield


@pytest.fixture
async def ada(database: None, tmp_path: Path, service: PushService) -> AsyncIterator[Caller]:
    trusting = ssl.create_default_context(cafile=str(tmp_path / "push.crt"))
    outward = Outward(
        Nowhere(), agent="test", permitted=lambda address: True, ports=None, tls=trusting
    )
    async with caller(tmp_path, outward=outward) as found:
        yield found


async def subscribe(ada: Caller, service: PushService, **more: Any) -> Any:
    """Make one and prove it with the code that came; its id."""
    value = {"deviceClientId": "phone", "url": service.url, "types": None, **more}
    [[_, made, _]] = await ada.call(["PushSubscription/set", {"create": {"k": value}}, "0"])
    assert made["notCreated"] is None, made
    number = made["created"]["k"]["id"]
    if "keys" not in more:
        said = await service.next_json()
        assert said["@type"] == "PushVerification"
        assert said["pushSubscriptionId"] == number
        await verify(ada, number, said["verificationCode"])
    return number


async def verify(ada: Caller, number: str, code: str) -> None:
    [[_, changed, _]] = await ada.call(
        ["PushSubscription/set", {"update": {number: {"verificationCode": code}}}, "0"]
    )
    assert number in changed["updated"], changed


async def change(ada: Caller) -> None:
    owner = await ada.at.directory.by_login("ada@example.org")
    assert owner is not None
    await append(ada.at.accounts.open(owner.id))


async def test_a_change_is_pushed_to_who_has_proved_to_be_there(
    ada: Caller, service: PushService
) -> None:
    await subscribe(ada, service)
    await change(ada)
    headers, body = await service.next()
    said = json.loads(body)
    assert said["@type"] == "StateChange"
    [states] = said["changed"].values()
    assert set(states) == {"Email", "EmailDelivery", "Mailbox", "Thread"}
    assert headers["TTL"].isdigit()
    assert headers["Authorization"].startswith("vapid t=")
    session = await ada.session()
    key = session["capabilities"]["urn:ietf:params:jmap:webpush-vapid"]["applicationServerKey"]
    assert headers["Authorization"].endswith(f"k={key}")


async def test_nothing_is_pushed_before_the_code_was_given_back(
    ada: Caller, service: PushService
) -> None:
    value = {"deviceClientId": "phone", "url": service.url}
    [[_, made, _]] = await ada.call(["PushSubscription/set", {"create": {"k": value}}, "0"])
    number = made["created"]["k"]["id"]
    said = await service.next_json()
    await change(ada)
    [[_, wrong, _]] = await ada.call(
        ["PushSubscription/set", {"update": {number: {"verificationCode": "guess"}}}, "0"]
    )
    assert wrong["notUpdated"][number]["type"] == "invalidProperties"
    await verify(ada, number, said["verificationCode"])
    await change(ada)
    await service.next_json()
    assert service.taken.empty()  # the change before was told to nobody


async def test_only_types_that_are_wanted_are_pushed(ada: Caller, service: PushService) -> None:
    await subscribe(ada, service, types=["EmailDelivery"])
    owner = await ada.at.directory.by_login("ada@example.org")
    assert owner is not None
    account = ada.at.accounts.open(owner.id)
    placed = await append(account)
    [states] = (await service.next_json())["changed"].values()
    assert set(states) == {"EmailDelivery"}
    await account.store_flags(INBOX_ID, [(placed.uid, placed.uid)], FlagMode.ADD, SEEN)
    await append(account)
    [again] = (await service.next_json())["changed"].values()
    assert set(again) == {"EmailDelivery"}
    assert again != states


async def test_content_is_encrypted_for_the_client(ada: Caller, service: PushService) -> None:
    client, auth = new_key(), b"0123456789abcdef"
    public = encoded(client.public_key())
    keys = {"p256dh": base64url(public), "auth": base64url(auth)}
    number = await subscribe(ada, service, keys=keys)
    headers, body = await service.next()
    assert headers["Content-Encoding"] == "aes128gcm"
    said = json.loads(decrypted(body, client, public, auth))
    assert said["pushSubscriptionId"] == number
    [[_, shown, _]] = await ada.call(["PushSubscription/get", {"ids": None}, "0"])
    assert set(shown["list"][0]) == {"id", "deviceClientId", "verificationCode", "expires", "types"}


def decrypted(body: bytes, own: ec.EllipticCurvePrivateKey, public: bytes, auth: bytes) -> bytes:
    """As a client does it (RFC 8291 section 3.4)."""
    salt, sender, sealed = body[:16], body[21:86], body[86:]
    other = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)

    def derive(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
        return HKDF(hashes.SHA256(), length, salt, info).derive(secret)

    shared = own.exchange(ec.ECDH(), other)
    secret = derive(auth, shared, b"WebPush: info\0" + public + sender, 32)
    key = derive(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
    nonce = derive(salt, secret, b"Content-Encoding: nonce\0", 12)
    plain = AESGCM(key).decrypt(nonce, sealed, None)
    assert plain.endswith(b"\x02")
    return plain[:-1]


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_the_service_has_ended_is_removed(
    ada: Caller, service: PushService, status: int
) -> None:
    await subscribe(ada, service)
    service.statuses.append(status)
    await change(ada)
    await service.next()
    async with asyncio.timeout(10):
        while (await listed(ada))["list"]:
            await asyncio.sleep(0.01)


async def test_what_a_service_cannot_take_now_is_tried_again_with_what_has_come_since(
    ada: Caller, service: PushService
) -> None:
    await subscribe(ada, service)
    service.statuses += [503, 429]
    await change(ada)
    first, second, third = [await service.next_json() for _ in range(3)]
    assert first["changed"].keys() == second["changed"].keys() == third["changed"].keys()
    assert not service.statuses


async def listed(ada: Caller, **arguments: Any) -> Any:
    [[_, found, _]] = await ada.call(["PushSubscription/get", arguments, "0"])
    return found


async def test_a_subscription_goes_with_the_credential_that_made_it(
    ada: Caller, service: PushService
) -> None:
    await subscribe(ada, service)
    owner = await ada.at.directory.by_login("ada@example.org")
    assert owner is not None
    ada.at.time.now += 1
    await ada.at.credentials.set_password("ada@example.org", "another one")
    await change(ada)
    async with asyncio.timeout(10):
        while await ada.at.rows("SELECT 1 FROM push_subscription"):
            await asyncio.sleep(0.01)
    while not service.taken.empty():  # what was about to be told when the password changed
        service.taken.get_nowait()
    await change(ada)
    await ada.at.credentials.set_password("ada@example.org", PASSWORD)
    await subscribe(ada, service)  # the next that comes is its code, and no change


async def test_nobody_sees_the_subscriptions_of_others(ada: Caller, service: PushService) -> None:
    number = await subscribe(ada, service)
    ada.login = BOB
    assert (await listed(ada, ids=[number]))["notFound"] == [number]
    [[_, found, _]] = await ada.call(["PushSubscription/set", {"destroy": [number]}, "0"])
    assert found["notDestroyed"][number]["type"] == "notFound"


async def test_a_subscription_is_shortened_and_destroyed(ada: Caller, service: PushService) -> None:
    number = await subscribe(ada, service)
    [[_, found, _]] = await ada.call(
        ["PushSubscription/set", {"update": {number: {"expires": "2100-01-01T00:00:00Z"}}}, "0"]
    )
    assert found["updated"][number]["expires"] < "2100"  # not as long as it was asked for
    assert (await listed(ada))["list"][0]["expires"] == found["updated"][number]["expires"]
    [[_, found, _]] = await ada.call(["PushSubscription/set", {"destroy": [number]}, "0"])
    assert found["destroyed"] == [number]
    assert (await listed(ada))["list"] == []


@pytest.mark.parametrize(
    ("value", "properties"),
    [
        ({"url": "http://push.example/"}, ["url"]),
        ({"url": "https://a:b@push.example/"}, ["url"]),
        ({"url": 1}, ["url"]),
        ({"deviceClientId": ""}, ["deviceClientId"]),
        ({"keys": {"p256dh": "AAAA", "auth": "AAAA"}}, ["keys"]),
        ({"keys": {"p256dh": 1, "auth": None}}, ["keys"]),
        ({"expires": "yesterday"}, ["expires"]),
        ({"expires": "2001-01-01T00:00:00Z"}, ["expires"]),
        ({"types": "Email"}, ["types"]),
        ({"verificationCode": "x"}, ["verificationCode"]),
        ({"colour": "x"}, ["colour"]),
    ],
)
async def test_a_subscription_that_cannot_be_is_refused(
    ada: Caller, value: dict[str, Any], properties: list[str]
) -> None:
    given = {"deviceClientId": "phone", "url": "https://push.example/", **value}
    [[_, found, _]] = await ada.call(["PushSubscription/set", {"create": {"k": given}}, "0"])
    assert found["notCreated"]["k"]["type"] == "invalidProperties"
    assert found["notCreated"]["k"]["properties"] == properties


async def test_nobody_makes_us_knock_at_doors_without_end(
    ada: Caller, service: PushService
) -> None:
    value = {"deviceClientId": "phone", "url": service.url}
    create = {f"k{n}": value for n in range(CODES_AN_HOUR + 1)}
    [[_, found, _]] = await ada.call(["PushSubscription/set", {"create": create}, "0"])
    assert len(found["created"]) == CODES_AN_HOUR
    [error] = found["notCreated"].values()
    assert error["type"] == "rateLimit"
    ada.at.time.now += HOUR_MS
    [[_, found, _]] = await ada.call(["PushSubscription/set", {"create": {"k": value}}, "0"])
    assert found["notCreated"] is None


@pytest.mark.parametrize("changes", [{"url": "https://x.example/"}, {"keys": None}, {"id": "1"}])
async def test_what_makes_a_subscription_is_not_changed(
    ada: Caller, service: PushService, changes: dict[str, Any]
) -> None:
    number = await subscribe(ada, service)
    [[_, found, _]] = await ada.call(["PushSubscription/set", {"update": {number: changes}}, "0"])
    assert found["notUpdated"][number]["type"] == "invalidProperties"


async def test_url_and_keys_are_not_shown(ada: Caller) -> None:
    [[name, found, _]] = await ada.call(["PushSubscription/get", {"properties": ["url"]}, "0"])
    assert (name, found["type"]) == ("error", "forbidden")


async def test_what_two_workers_would_tell_is_told_once(ada: Caller, service: PushService) -> None:
    await subscribe(ada, service)
    owner = await ada.at.directory.by_login("ada@example.org")
    assert owner is not None
    [item] = await ada.at.store.query(push.every(owner.id, ada.at.time()))
    assert await ada.at.do(lambda tx: push.claim(tx, item, "1:1.1"))
    assert not await ada.at.do(lambda tx: push.claim(tx, item, "1:1.2"))


async def test_a_push_service_inside_is_never_talked_to(tmp_path: Path) -> None:
    async with caller(tmp_path, outward=Outward(Nowhere(), agent="test", ports=None)) as ada:
        value = {"deviceClientId": "x", "url": "https://127.0.0.1:1/"}
        await ada.call(["PushSubscription/set", {"create": {"k": value}}, "0"])
        async with asyncio.timeout(10):
            while (await listed(ada))["list"]:
                await asyncio.sleep(0.01)


def test_what_was_made_by_an_app_password_is_known_by_its_kind() -> None:
    """`directory.standing` reads credentials as `access.authority` writes them."""
    assert app_passwords.APP == "app"
    assert from_base64url(base64url(b"abc")) == b"abc"
