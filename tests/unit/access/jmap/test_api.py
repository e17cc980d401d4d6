"""JMAP over HTTP on a real store: session, calls, upload, download (RFC 8620 sections 2, 3 and 6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postillon.access.jmap.registry import CAPABILITIES
from postillon.access.jmap.web import disposition, ranged
from postillon.account.flags import FlagMode
from postillon.account.grants import ANYONE
from postillon.account.rights import Right
from postillon.directory import sessions
from postillon.directory.sessions import Opening
from postillon.protocol.jmap.request import Limits
from support.accounts import append
from support.jmap import CORE, Caller, caller


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Caller]:
    async with caller(tmp_path) as found:
        yield found


async def account_of(caller: Caller) -> str:
    found = await caller.session()
    assert isinstance(found["primaryAccounts"][CORE], str)
    return str(found["primaryAccounts"][CORE])


async def test_the_session_says_where_and_what(ada: Caller) -> None:
    found = await ada.session()

    base = str(ada.client.make_url("")).rstrip("/")
    assert found["username"] == "ada@example.org"
    assert found["apiUrl"] == f"{base}/jmap/api"
    assert "{accountId}" in found["uploadUrl"]
    for name in ("{accountId}", "{blobId}", "{type}", "{name}"):
        assert name in found["downloadUrl"]
    for name in ("{types}", "{closeafter}", "{ping}"):
        assert name in found["eventSourceUrl"]
    assert found["capabilities"][CORE]["maxCallsInRequest"] == 4
    account = found["accounts"][found["primaryAccounts"][CORE]]
    assert (account["isPersonal"], account["isReadOnly"]) == (True, False)
    assert CORE in account["accountCapabilities"]


async def test_the_state_of_a_session_changes_with_the_session(ada: Caller) -> None:
    before = await ada.session()
    assert (await ada.session())["state"] == before["state"]
    bob = await ada.at.directory.by_login("bob@example.org")
    assert bob is not None
    inbox = (await ada.at.accounts.open(bob.id).mailboxes())[0]
    await ada.at.accounts.open(bob.id).grant(
        inbox.id, ANYONE, Right.LOOKUP | Right.READ, FlagMode.REPLACE
    )

    after = await ada.session()

    assert after["state"] != before["state"]
    assert len(after["accounts"]) == 2
    assert not after["accounts"][f"a{bob.id}"]["isPersonal"]


async def test_without_a_password_nobody_is_answered(ada: Caller) -> None:
    for method, path in (
        ("GET", "/jmap/session"),
        ("POST", "/jmap/api"),
        ("POST", "/jmap/upload/a1/"),
    ):
        async with ada.client.request(method, path) as answer:
            assert answer.status == 401
            assert "Bearer" in str(answer.headers.getall("WWW-Authenticate"))


async def test_calls_are_answered_in_order_each_with_its_id(ada: Caller) -> None:
    assert await ada.call(
        ["Core/echo", {"hello": True, "high": 5}, "b3ff"], ["Core/echo", {}, "b3ff"]
    ) == [["Core/echo", {"hello": True, "high": 5}, "b3ff"], ["Core/echo", {}, "b3ff"]]


async def test_a_call_that_fails_does_not_stop_the_others(ada: Caller) -> None:
    responses = await ada.call(
        ["Core/echo", {"a": [1, 2]}, "1"],
        ["Nothing/get", {}, "2"],
        ["Core/echo", {"#b": {"resultOf": "1", "name": "Core/echo", "path": "/a/1"}}, "3"],
        ["Core/echo", {"#b": {"resultOf": "2", "name": "Nothing/get", "path": "/a"}}, "4"],
    )

    assert [item[2] for item in responses] == ["1", "2", "3", "4"]
    assert (responses[1][0], responses[1][1]["type"]) == ("error", "unknownMethod")
    assert responses[2][1] == {"b": 2}
    assert responses[3][1]["type"] == "invalidResultReference"


async def test_a_method_of_a_capability_that_is_not_used_is_unknown(ada: Caller) -> None:
    (response,) = await ada.call(["Core/echo", {}, "1"], using=[])
    assert response[1]["type"] == "unknownMethod"


async def test_created_ids_come_back_where_they_were_given(ada: Caller) -> None:
    body = {"using": [CORE], "methodCalls": [], "createdIds": {"k": "M5"}}
    _, found = await ada.post(json.dumps(body).encode())
    assert found["createdIds"] == {"k": "M5"}
    _, found = await ada.post(json.dumps({"using": [CORE], "methodCalls": []}).encode())
    assert "createdIds" not in found
    assert found["sessionState"] == (await ada.session())["state"]


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        (b"{", "application/json", "notJSON"),
        (b'{"using": [], "using": [], "methodCalls": []}', "application/json", "notJSON"),
        (b'{"using": [], "methodCalls": []}', "text/plain", "notJSON"),
        (b'{"using": []}', "application/json", "notRequest"),
        (b'{"using": ["urn:x"], "methodCalls": []}', "application/json", "unknownCapability"),
        (b'{"using": [], "methodCalls": ["' + b'","' * 9 + b'"]}', "application/json", "limit"),
    ],
)
async def test_a_request_that_is_none_is_a_problem(
    ada: Caller, body: bytes, kind: str, error: str
) -> None:
    status, found = await ada.post(body, kind)

    assert (status, found["status"]) == (400, 400)
    assert found["type"] == f"urn:ietf:params:jmap:error:{error}"


async def test_what_is_uploaded_is_downloaded(ada: Caller) -> None:
    account = await account_of(ada)
    for octets in (b"", b"hello", b"x" * 300_000):
        status, found = await ada.upload(account, octets, "text/plain;charset=utf-8")
        assert (status, found["size"], found["accountId"]) == (201, len(octets), account)
        status, got, headers = await ada.download(account, found["blobId"], "b%C3%BCcher.txt")
        assert (status, got) == (200, octets)
        assert headers["Content-Type"].startswith("text/plain")
        assert "filename*=UTF-8''b%C3%BCcher.txt" in headers["Content-Disposition"]
        assert "immutable" in headers["Cache-Control"]


async def test_a_part_of_a_blob_is_had_by_range(ada: Caller) -> None:
    account = await account_of(ada)
    _, found = await ada.upload(account, b"0123456789")

    status, got, headers = await ada.download(account, found["blobId"], Range="bytes=2-4")
    assert (status, got, headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    assert (await ada.download(account, found["blobId"], Range="bytes=-3"))[1] == b"789"
    assert (await ada.download(account, found["blobId"], Range="bytes=10-"))[0] == 416
    assert (await ada.download(account, found["blobId"], Range="lines=1-2"))[0] == 200
    etag = headers["ETag"]
    status, got, _ = await ada.download(account, found["blobId"], **{"If-None-Match": etag})
    assert (status, got) == (304, b"")


async def test_an_upload_that_is_too_large_is_refused(ada: Caller) -> None:
    status, found = await ada.upload(await account_of(ada), b"x" * 400_001)
    assert (status, found["limit"]) == (413, "maxSizeUpload")


async def test_emails_and_their_parts_are_blobs(ada: Caller) -> None:
    account = await account_of(ada)
    inner = b"Subject: inner\r\nContent-Type: text/plain\r\n\r\ninner text\r\n"
    message = (
        b"Subject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n"
    )
    owner = ada.at.accounts.open(int(account[1:]))
    inbox = (await owner.mailboxes())[0]
    placed = await append(owner, message, inbox.id)
    blob = f"Bm{placed.email}"

    assert (await ada.download(account, blob))[1] == message
    _, got, headers = await ada.download(account, f"{blob}_1")
    assert (got, headers["Content-Type"]) == (b"hello", "text/plain")
    assert (await ada.download(account, f"{blob}_2"))[1] == inner
    assert (await ada.download(account, f"{blob}_2-1"))[1] == b"inner text\r\n"
    for wrong in (f"{blob}_3", f"{blob}_2-2", "Bm999", "Bx1", "B", f"{blob}-1"):
        assert (await ada.download(account, wrong))[0] == 404


async def test_nobody_reads_the_blobs_of_others(ada: Caller) -> None:
    account = await account_of(ada)
    _, found = await ada.upload(account, b"secret")

    ada.login = "bob@example.org"

    assert (await ada.download(account, found["blobId"]))[0] == 404
    assert (await ada.download(await account_of(ada), found["blobId"]))[0] == 404
    assert (await ada.upload(account, b"x"))[0] == 404


async def test_html_is_never_shown_in_our_name(ada: Caller) -> None:
    account = await account_of(ada)
    _, found = await ada.upload(account, b"<script>", "text/html")

    _, _, headers = await ada.download(account, found["blobId"], "page.html")

    assert headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("", (0, 10)),
        ("bytes=0-0", (0, 1)),
        ("bytes=5-", (5, 10)),
        ("bytes=-20", (0, 10)),
        ("bytes=3-99", (3, 10)),
        ("bytes=-0", None),
        ("bytes=4-3", None),
        ("bytes=-", (0, 10)),
        ("bytes=1-2,4-5", (0, 10)),
    ],
)
def test_ranges_are_read(field: str, found: Any) -> None:
    assert ranged(field, 10) == found


def test_a_file_name_cannot_leave_its_field() -> None:
    assert disposition('a"b\\c.png', "image/png").startswith('inline; filename="a_b_c.png"')
    assert disposition("", "text/html") == "attachment"


@pytest.mark.parametrize(
    ("scopes", "refused"),
    [
        ("mail", {"EmailSubmission/set"}),
        ("send", {"Email/get", "Blob/copy"}),
        ("mail send", set()),
    ],
)
async def test_a_token_is_good_for_what_it_was_made_for(
    ada: Caller, scopes: str, refused: set[str]
) -> None:
    owner = await ada.at.directory.by_login("ada@example.org")
    assert owner is not None
    opening = Opening("c", "c", scopes, "", "127.0.0.1", 3_600_000, 3_600_000)
    now = ada.at.time()
    tokens = await ada.at.do(lambda tx: sessions.open_(tx, owner.id, opening, now))
    names = ["Core/echo", "Email/get", "Blob/copy", "EmailSubmission/set"]
    request = {"using": list(CAPABILITIES), "methodCalls": [[name, {}, name] for name in names]}
    headers = {"Authorization": f"Bearer {tokens.access}"}
    async with ada.client.post("/jmap/api", json=request, headers=headers) as answer:
        found = (await answer.json())["methodResponses"]
    forbidden = {
        call for said, given, call in found if said == "error" and given["type"] == "forbidden"
    }
    assert forbidden == refused
    own = f"a{owner.id}"
    async with ada.client.get(f"/jmap/download/{own}/Bm1/x", headers=headers) as answer:
        assert answer.status == (404 if "mail" in scopes else 403)


async def test_requests_at_a_time_are_bounded(tmp_path: Path) -> None:
    async with caller(tmp_path, Limits(max_concurrent_requests=1)) as ada:
        waiting = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b'{"using":['
            await waiting.wait()
            yield b'"urn:ietf:params:jmap:core"],"methodCalls":[]}'

        headers = ada.headers({"Content-Type": "application/json"})
        first = asyncio.create_task(ada.client.post("/jmap/api", data=slow(), headers=headers))
        body = b'{"using":[],"methodCalls":[]}'
        async with asyncio.timeout(10):
            while True:  # until the first one has arrived
                status, found = await ada.post(body)
                if status != 200:
                    break
        assert found["type"] == "urn:ietf:params:jmap:error:limit"
        assert found["limit"] == "maxConcurrentRequests"
        waiting.set()
        async with await first as answer:
            assert answer.status == 200
        assert (await ada.post(body))[0] == 200
