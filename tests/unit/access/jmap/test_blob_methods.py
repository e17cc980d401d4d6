"""Blob/upload, /get, /lookup (RFC 9404) and /copy (RFC 8620 section 6.3)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postillon.account.flags import FlagMode
from postillon.account.grants import ANYONE
from postillon.account.rights import Right
from postillon.account.roles import INBOX_ID
from support.accounts import append
from support.jmap import ADA, BOB, LIMITS, Caller, caller

BLOB = "urn:ietf:params:jmap:blob"
CORE = "urn:ietf:params:jmap:core"


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Caller]:
    async with caller(tmp_path) as found:
        yield found


async def id_of(ada: Caller, login: str = ADA) -> str:
    owner = await ada.at.directory.by_login(login)
    assert owner is not None
    return f"a{owner.id}"


async def call(ada: Caller, name: str, **arguments: Any) -> Any:
    arguments = {"accountId": await id_of(ada), **arguments}
    [[said, found, _]] = await ada.call([name, arguments, "0"], using=[CORE, BLOB])
    return found if said == name else (said, found["type"])


async def made(ada: Caller, text: str) -> str:
    found = await call(ada, "Blob/upload", create={"x": {"data": [{"data:asText": text}]}})
    return str(found["created"]["x"]["id"])


async def test_a_blob_is_made_of_text_base64_and_pieces_of_blobs(ada: Caller) -> None:
    first = await made(ada, "hello world")
    parts = [
        {"data:asText": "ä"},
        {"data:asBase64": base64.b64encode(b"\xff").decode()},
        {"blobId": first, "offset": 6, "length": 5},
        {"blobId": first, "offset": 10},
    ]
    found = await call(ada, "Blob/upload", create={"n": {"data": parts, "type": "text/x"}})
    assert found["created"]["n"]["size"] == 9
    assert found["created"]["n"]["type"] == "text/x"
    status, octets, _ = await ada.download(await id_of(ada), found["created"]["n"]["id"])
    assert (status, octets) == (200, "ä".encode() + b"\xffworldd")


async def test_blobs_of_one_call_are_made_of_each_other_in_any_order(ada: Caller) -> None:
    found = await call(
        ada,
        "Blob/upload",
        create={
            "b": {"data": [{"blobId": "#a"}, {"blobId": "#a"}]},
            "a": {"data": [{"data:asText": "xy"}]},
            "c": {"data": [{"blobId": "#d"}]},
            "d": {"data": [{"blobId": "#c"}]},
        },
    )
    assert found["created"]["b"]["size"] == 4
    assert {name: error["type"] for name, error in found["notCreated"].items()} == {
        "c": "blobNotFound", "d": "blobNotFound"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"data": [{"data:asText": "x", "data:asBase64": "eA=="}]}, "invalidProperties"),
        ({"data": [{}]}, "invalidProperties"),
        ({"data": [{"data:asBase64": "!"}]}, "invalidProperties"),
        ({"data": [{"data:asText": 1}]}, "invalidProperties"),
        ({"data": [{"data:asText": "x", "offset": 0}]}, "invalidProperties"),
        ({"data": "x"}, "invalidProperties"),
        ({"data": [], "colour": "x"}, "invalidProperties"),
        ({"data": [], "type": "x\r\ny"}, "invalidProperties"),
        ({"data": [{"blobId": "Bu1"}]}, "blobNotFound"),
        ({"data": [{"data:asText": "x"}] * 101}, "tooLarge"),
        ({"data": [{"data:asText": "x" * (LIMITS.max_size_upload + 1)}]}, "tooLarge"),
    ],
)
async def test_a_blob_that_cannot_be_made_is_refused(ada: Caller, value: Any, kind: str) -> None:
    found = await call(ada, "Blob/upload", create={"n": value})
    assert found["notCreated"]["n"]["type"] == kind
    assert found["created"] is None


async def test_a_piece_beyond_its_blob_is_refused(ada: Caller) -> None:
    blob = await made(ada, "hello")
    for part in ({"offset": 1, "length": 5}, {"offset": 6}):
        found = await call(ada, "Blob/upload", create={"n": {"data": [{"blobId": blob, **part}]}})
        assert found["notCreated"]["n"]["type"] == "invalidProperties"
    found = await call(ada, "Blob/upload", create={"n": {"data": [{"blobId": blob, "offset": 5}]}})
    assert found["created"]["n"]["size"] == 0


async def test_large_pieces_are_not_read_beyond_the_bound(ada: Caller) -> None:
    blob = await made(ada, "x" * 300_000)
    parts = [{"blobId": blob}] * 50
    found = await call(ada, "Blob/upload", create={"n": {"data": parts}})
    assert found["notCreated"]["n"] == {"type": "tooLarge", "maxSize": LIMITS.max_size_upload}


async def test_octets_are_had_as_text_as_base64_and_as_digest(ada: Caller) -> None:
    blob = await made(ada, "hello")
    found = await call(
        ada, "Blob/get", ids=[blob, "Bu1"],
        properties=["data:asText", "data:asBase64", "size", "digest:sha-256", "digest:sha"],
    )  # fmt: skip
    assert found["notFound"] == ["Bu1"]
    assert found["list"] == [
        {
            "id": blob,
            "data:asText": "hello",
            "data:asBase64": "aGVsbG8=",
            "size": 5,
            "digest:sha-256": base64.b64encode(hashlib.sha256(b"hello").digest()).decode(),
            "digest:sha": base64.b64encode(hashlib.sha1(b"hello").digest()).decode(),
        }
    ]


async def test_a_range_is_had_and_said_to_be_cut(ada: Caller) -> None:
    blob = await made(ada, "hello")
    found = await call(ada, "Blob/get", ids=[blob], offset=1, length=3)
    assert found["list"] == [{"id": blob, "data:asText": "ell", "size": 5}]
    found = await call(ada, "Blob/get", ids=[blob], offset=3, length=9)
    assert found["list"] == [{"id": blob, "data:asText": "lo", "size": 5, "isTruncated": True}]


async def test_what_is_no_text_is_said_to_be_none(ada: Caller) -> None:
    create = {"x": {"data": [{"data:asBase64": "//8="}]}}
    blob = (await call(ada, "Blob/upload", create=create))["created"]["x"]["id"]
    found = await call(ada, "Blob/get", ids=[blob], properties=["data:asText"])
    assert found["list"] == [{"id": blob, "data:asText": None, "isEncodingProblem": True}]
    found = await call(ada, "Blob/get", ids=[blob], properties=["data"])
    assert found["list"] == [{"id": blob, "data:asBase64": "//8=", "isEncodingProblem": True}]


async def test_a_get_has_a_bound_and_known_properties(ada: Caller) -> None:
    blob = await made(ada, "x" * 300_000)
    other = await made(ada, "x" * 300_000)
    assert await call(ada, "Blob/get", ids=[blob, other]) == ("error", "requestTooLarge")
    found = await call(ada, "Blob/get", ids=[blob, other], properties=["size"])
    assert [item["size"] for item in found["list"]] == [300_000, 300_000]
    wrong = await call(ada, "Blob/get", ids=[blob], properties=["digest:md4"])
    assert wrong == ("error", "invalidArguments")


async def test_where_a_blob_is_used_is_looked_up(ada: Caller) -> None:
    owner = await ada.at.directory.by_login(ADA)
    assert owner is not None
    account = ada.at.accounts.open(owner.id)
    await append(account, b"Subject: x\r\n\r\nhello\r\n")
    blob = await made(ada, "x")
    [(email,)] = await ada.at.rows("SELECT email FROM email WHERE account = ?", owner.id)
    found = await call(
        ada, "Blob/lookup", typeNames=["Email", "Mailbox"], ids=[f"Bm{email}", blob, "Bm99"]
    )
    assert found["notFound"] == ["Bm99"]
    assert found["list"] == [
        {
            "id": f"Bm{email}",
            "matchedIds": {"Email": [f"M{email}"], "Mailbox": [f"F{INBOX_ID}"]},
        },
        {"id": blob, "matchedIds": {"Email": [], "Mailbox": []}},
    ]
    unknown = await call(ada, "Blob/lookup", typeNames=["Star"], ids=[])
    assert unknown == ("error", "unknownDataType")


async def test_blobs_are_copied_between_accounts_that_one_sees(ada: Caller) -> None:
    bob = await ada.at.directory.by_login(BOB)
    assert bob is not None
    other = ada.at.accounts.open(bob.id)
    await append(other, b"Subject: x\r\n\r\nhello\r\n")
    [(email,)] = await ada.at.rows("SELECT email FROM email WHERE account = ?", bob.id)
    source = {"fromAccountId": f"a{bob.id}", "blobIds": [f"Bm{email}", "Bu7"]}
    assert await call(ada, "Blob/copy", **source) == ("error", "fromAccountNotFound")
    await other.grant(INBOX_ID, ANYONE, Right.LOOKUP | Right.READ, FlagMode.REPLACE)
    found = await call(ada, "Blob/copy", **source)
    assert found["notCopied"]["Bu7"]["type"] == "notFound"
    copy = found["copied"][f"Bm{email}"]
    _, octets, headers = await ada.download(await id_of(ada), copy)
    assert octets.endswith(b"hello\r\n")
    assert headers["Content-Type"] == "message/rfc822"
