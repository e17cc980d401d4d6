"""Emails that clients create become messages (RFC 8621 section 4.6)."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from postillon.mail.decode import decoded
from postillon.mail.mime import Scan, scan, walk
from postillon.protocol.jmap import composing
from postillon.protocol.jmap.errors import SetError

BLOBS = {"B1": b"\0\1\2" * 100, "B2": b"picture", "B3": b"Subject: inner\r\n\r\ntext\r\n"}


def made(**email: Any) -> tuple[bytes, Scan]:
    drawn = count(1)
    octets = composing.write(
        composing.plan(email), BLOBS, lambda size: next(drawn).to_bytes(size, "big")
    )
    return octets, scan(octets)


def outline(found: Scan) -> list[str]:
    return [f"{part.media.decode()}/{part.subtype.decode()}" for part in walk(found.structure)]


TEXT = {"partId": "t", "type": "text/plain"}
HTML = {"partId": "h", "type": "text/html"}
VALUES = {"t": {"value": "Hello"}, "h": {"value": "<p>Grüße</p>"}}


def test_nothing_given_is_an_empty_text() -> None:
    _, found = made(subject="x")
    assert outline(found) == ["text/plain"]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"textBody": [TEXT]}, ["text/plain"]),
        ({"htmlBody": [HTML]}, ["text/html"]),
        (
            {"textBody": [TEXT], "htmlBody": [HTML]},
            ["multipart/alternative", "text/plain", "text/html"],
        ),
        (
            {"textBody": [TEXT], "attachments": [{"blobId": "B1", "type": "x/pdf"}]},
            ["multipart/mixed", "text/plain", "x/pdf"],
        ),
        (
            {
                "textBody": [TEXT],
                "htmlBody": [HTML],
                "attachments": [
                    {"blobId": "B2", "type": "image/png", "disposition": "inline", "cid": "p@x"},
                    {"blobId": "B1", "type": "x/pdf"},
                ],
            },
            [
                "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related",
                "text/html", "image/png", "x/pdf",
            ],
        ),
        (
            {
                "bodyStructure": {
                    "type": "multipart/digest",
                    "subParts": [{"blobId": "B3", "type": "message/rfc822"}, TEXT],
                }
            },
            ["multipart/digest", "message/rfc822", "text/plain", "text/plain"],
        ),
    ],
)  # fmt: skip
def test_a_structure_is_made(parts: dict[str, Any], expected: list[str]) -> None:
    octets, found = made(bodyValues=VALUES, **parts)
    assert outline(found) == expected
    for part in walk(found.structure):
        if part.subtype == b"pdf":
            assert decoded(octets, part) == BLOBS["B1"]
        if part.subtype == b"html":
            assert decoded(octets, part).decode() == "<p>Grüße</p>"
            assert part.charset == b"utf-8"
        if part.subtype == b"png":
            assert (part.disposition, part.id) == (b"inline", b"<p@x>")


def test_what_describes_a_part_is_written() -> None:
    _, found = made(
        bodyStructure={
            "blobId": "B1", "type": "application/pdf", "name": "Größe.pdf", "cid": "c@d",
            "disposition": "attachment", "language": ["de", "en"], "location": "https://x",
            "header:X-More:asText": "é",
        }
    )  # fmt: skip
    part = found.structure
    assert part.file_name == "Größe.pdf"
    assert (part.id, part.language, part.location) == (b"<c@d>", (b"de", b"en"), b"https://x")


def test_fields_are_written_in_their_forms_and_lines_stay_short() -> None:
    octets, found = made(
        subject="Grüße " * 40,
        to=[{"name": f"Person {n}", "email": f"p{n}@example.org"} for n in range(30)],
        references=["a@b", "c@d"],
        sentAt="2026-11-25T12:00:00+01:00",
        **{"from": [{"email": "a@b"}], "header:X-List:asURLs:all": [["https://a"], ["https://b"]]},
    )
    assert found.digest.references == (b"a@b", b"c@d")
    assert found.digest.date == b"Wed, 25 Nov 2026 12:00:00 +0100"
    assert octets.count(b"X-List: <") == 2
    assert max(map(len, octets.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    ("email", "properties"),
    [
        ({"headers": []}, ["headers"]),
        ({"nonsense": 1}, ["nonsense"]),
        ({"subject": "a", "header:subject:asText": "b"}, ["subject", "header:subject:asText"]),
        ({"header:From:asText": "a"}, ["header:From:asText"]),
        ({"header:Content-Type": " text/plain"}, ["header:Content-Type"]),
        ({"subject": "a\r\nBcc: b@c"}, ["subject"]),
        ({"from": [{"name": "a"}]}, ["from"]),
        ({"textBody": [TEXT], "bodyStructure": TEXT}, ["bodyStructure", "textBody"]),
        ({"textBody": [TEXT, TEXT]}, ["textBody"]),
        ({"textBody": [HTML]}, ["textBody"]),
        ({"textBody": [{"partId": "x"}]}, ["textBody/0/partId"]),
        ({"textBody": [{**TEXT, "blobId": "B1"}]}, ["textBody/0/partId", "textBody/0/blobId"]),
        ({"textBody": [{**TEXT, "charset": "utf-8"}]}, ["textBody/0/charset"]),
        ({"textBody": [{**TEXT, "headers": []}]}, ["textBody/0/headers"]),
        (
            {"textBody": [{**TEXT, "header:Content-Transfer-Encoding": " 7bit"}]},
            ["textBody/0/header:Content-Transfer-Encoding"],
        ),
        ({"bodyStructure": {"type": "multipart/mixed"}}, ["bodyStructure/subParts"]),
        ({"attachments": [{"type": "a/b"}]}, ["attachments/0/partId", "attachments/0/blobId"]),
        ({"attachments": [{"blobId": "B1", "type": "no type"}]}, ["attachments/0/type"]),
    ],
)
def test_what_cannot_be_is_refused_by_name(email: dict[str, Any], properties: list[str]) -> None:
    with pytest.raises(SetError) as raised:
        composing.plan({"bodyValues": VALUES, **email})
    assert raised.value.kind == "invalidProperties"
    assert list(raised.value.properties or ()) == properties


@pytest.mark.parametrize("name", ["isTruncated", "isEncodingProblem"])
def test_a_value_that_is_not_whole_is_refused(name: str) -> None:
    with pytest.raises(SetError):
        composing.plan({"textBody": [TEXT], "bodyValues": {"t": {"value": "a", name: True}}})
