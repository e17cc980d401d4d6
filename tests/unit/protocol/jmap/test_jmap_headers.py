"""Header fields in all their forms (RFC 8621 section 4.1.2)."""

from __future__ import annotations

from typing import Any

import pytest

from postillon.mail.compose import Composer
from postillon.protocol.jmap import headers
from postillon.protocol.jmap.headers import Form, HeaderProperty, parse_property, value_of
from postillon.protocol.jmap.writing import write_field

BLOCK = (
    b"Received: one\r\nReceived: two\r\n"
    b"From: =?utf-8?q?J=C3=B6rg?= Meier\r\n <joerg@example.org>, plain@example.org\r\n"
    b'To: "James Smythe" <james@example.com>, Friends:\r\n'
    b" jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?=\r\n <john@example.com>;\r\n"
    b"Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n"
    b"Message-ID: <one@example.org>\r\nReferences: <a@b> <c@d>\r\n"
    b"Date: Wed, 25 Nov 2026 12:00:00 +0100\r\n"
    b"List-Unsubscribe: <mailto:leave@example.org>,\r\n <https://example.org/\r\n leave>\r\n"
    b"X-Odd: =?utf-8?q?a?= b\r\nDate: not one\r\n\r\n"
)
FIELDS = headers.fields(BLOCK)


def get(name: str) -> Any:
    wanted = parse_property(name)
    assert wanted is not None, name
    return value_of(wanted, FIELDS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("header:received", " two"),
        ("header:Received:all", [" one", " two"]),
        ("header:Subject:asText", "Grüße"),
        ("header:Subject:asRaw", " =?utf-8?b?R3LDvMOfZQ==?="),
        ("header:Message-ID:asMessageIds", ["one@example.org"]),
        ("header:References:asMessageIds", ["a@b", "c@d"]),
        ("header:In-Reply-To:asMessageIds", None),
        ("header:In-Reply-To:asMessageIds:all", []),
        ("header:Date:asDate:all", ["2026-11-25T12:00:00+01:00", None]),
        ("header:Date:asDate", None),  # the last one counts, and it is none
        (
            "header:List-Unsubscribe:asURLs",
            ["mailto:leave@example.org", "https://example.org/leave"],
        ),
        ("header:X-Odd:asText", "a b"),
        ("header:X-Odd:asMessageIds", None),
    ],
)
def test_a_form_shows_a_field(name: str, value: Any) -> None:
    assert get(name) == value


def test_addresses_lose_their_groups_and_grouped_ones_keep_them() -> None:
    james = {"name": "James Smythe", "email": "james@example.com"}
    jane = {"name": None, "email": "jane@example.com"}
    john = {"name": "John Smîth", "email": "john@example.com"}
    assert get("header:To:asAddresses") == [james, jane, john]
    assert get("header:To:asGroupedAddresses") == [
        {"name": None, "addresses": [james]},
        {"name": "Friends", "addresses": [jane, john]},
    ]
    assert get("header:From:asAddresses") == [
        {"name": "Jörg Meier", "email": "joerg@example.org"},
        {"name": None, "email": "plain@example.org"},
    ]


@pytest.mark.parametrize(
    "name",
    [
        "header:Subject:asAddresses",
        "header:From:asText",
        "header:From:asDate",
        "header:Received:asText",
        "header:Date:asURLs",
        "header:Message-ID:asText",
        "header:X:asNothing",
        "header:X:all:asText",
        "header:X:asText:all:all",
        "header:",
        "header:a b",
        "header",
        "Subject",
    ],
)
def test_a_form_that_a_field_cannot_have_is_none(name: str) -> None:
    assert parse_property(name) is None


def test_what_is_not_utf8_and_nul_are_replaced_in_raw_values() -> None:
    assert headers.raw(b" a\0b\xff") == " ab\ufffd"


@pytest.mark.parametrize(
    ("form", "value", "written"),
    [
        (Form.RAW, " as it\r\n is", b"X: as it\r\n is\r\n"),
        (Form.TEXT, "Grüße", b"X: =?utf-8?b?R3LDvMOfZQ==?=\r\n"),
        (Form.MESSAGE_IDS, ["a@b", "c@d"], b"X: <a@b> <c@d>\r\n"),
        (Form.DATE, "2026-11-25T12:00:00+01:00", b"X: Wed, 25 Nov 2026 12:00:00 +0100\r\n"),
        (Form.URLS, ["https://a", "mailto:b@c"], b"X: <https://a>, <mailto:b@c>\r\n"),
        (
            Form.ADDRESSES,
            [{"name": "A, B", "email": "a@b"}, {"email": "half an addr"}],
            b'X: "A, B" <a@b>, half an addr\r\n',
        ),
        (
            Form.GROUPED,
            [
                {"name": None, "addresses": [{"name": None, "email": "a@b"}]},
                {"name": "Friends", "addresses": [{"name": "C", "email": "c@d"}]},
            ],
            b"X: a@b, Friends: C <c@d>;\r\n",
        ),
    ],
)
def test_what_is_written_is_read_again(form: Form, value: Any, written: bytes) -> None:
    wanted = HeaderProperty("x", form, False)
    composer = Composer()
    write_field(composer, wanted, "X", value)
    assert bytes(composer) == written + b"\r\n"
    read = value_of(wanted, headers.fields(written))
    if form in (Form.RAW, Form.TEXT, Form.MESSAGE_IDS, Form.DATE, Form.URLS, Form.GROUPED):
        assert read == value


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (Form.RAW, " a\r\nBcc: b@c"),
        (Form.RAW, " a\rb"),
        (Form.TEXT, "a\r\nBcc: b@c"),
        (Form.ADDRESSES, [{"email": "a@b\r\nBcc: c@d"}]),
        (Form.ADDRESSES, [{"name": "x\r\nBcc: c@d", "email": "a@b"}]),
        (Form.ADDRESSES, "a@b"),
        (Form.ADDRESSES, [{"name": "no email"}]),
        (Form.GROUPED, [{"name": "g\r\nBcc: x", "addresses": []}]),
        (Form.MESSAGE_IDS, ["a b"]),
        (Form.MESSAGE_IDS, ["a>\r\nBcc: <b"]),
        (Form.DATE, "2026-11-25"),
        (Form.DATE, "2026-11-25T12:00:00"),
        (Form.URLS, ["https://a>b"]),
    ],
)
def test_nothing_gets_into_a_header_that_does_not_belong_there(form: Form, value: Any) -> None:
    with pytest.raises(ValueError):
        write_field(Composer(), HeaderProperty("x", form, False), "X", value)
