"""Address lists for display, in the shape of ENVELOPE (RFC 9051 section 7.5.2)."""

from __future__ import annotations

import pytest

from postillon.mail.addresses import GROUP_END, MAX_MAILBOXES, Mailbox, parse_mailboxes


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"ada@example.org", [(None, b"ada", b"example.org")]),
        (b"Ada <a@b>", [(b"Ada", b"a", b"b")]),
        (b'"Lovelace, Ada" <a@b>, c@d', [(b"Lovelace, Ada", b"a", b"b"), (None, b"c", b"d")]),
        (b'"Ada \\"A\\"" <a@b>', [(b'Ada "A"', b"a", b"b")]),
        (b"a@b (Ada (the first))", [(b"Ada (the first)", b"a", b"b")]),
        (b'"a b"@c', [(None, b"a b", b"c")]),
        (b"a@[192.0.2.1]", [(None, b"a", b"[192.0.2.1]")]),
        (b"a . b @ c . d", [(None, b"a.b", b"c.d")]),
        (b"a@b <a@b>", [(b"a@b", b"a", b"b")]),
        (b"Ada", [(None, b"Ada", b"")]),
        (b'"Ada <a@b>', [(b"Ada", b"a", b"b")]),
        (b"Ada <a@b", [(b"Ada", b"a", b"b")]),
        (b"=?utf-8?q?x=2C?=\r\n =?utf-8?q?y?= <a@b>",
         [(b"=?utf-8?q?x=2C?= =?utf-8?q?y?=", b"a", b"b")]),
        (b"=?utf-8?q?a=40evil?= <a@b>", [(b"=?utf-8?q?a=40evil?=", b"a", b"b")]),
        (b"\xc3\xa4@b", [(None, b"\xc3\xa4", b"b")]),
        (b", ,a@b,,", [(None, b"a", b"b")]),
        (b"", []),
        (b"(nothing)", []),
    ],
)  # fmt: skip
def test_mailboxes(raw: bytes, expected: list[tuple[bytes | None, ...]]) -> None:
    found = parse_mailboxes(raw)
    assert [item[:3] for item in found] == expected
    assert all(item.route is None for item in found)


@pytest.mark.parametrize(
    ("raw", "route"),
    [
        (b"<@h:a@b>", b"@h"),
        (b"Ada <@h,@i:a@b>", b"@h,@i"),
        (b"<@h , @i,\r\n @j: a@b>", b"@h,@i,@j"),
        (b"<h:a@b>", None),
    ],
)
def test_source_routes_stand_beside_the_address(raw: bytes, route: bytes | None) -> None:
    [found] = parse_mailboxes(raw)
    assert (found.local, found.domain, found.route) == (b"a", b"b", route)


def test_groups_have_a_beginning_and_an_end() -> None:
    assert parse_mailboxes(b'My friends: a@b, "C" <c@d>; e@f') == [
        Mailbox(None, b"My friends", None),
        Mailbox(None, b"a", b"b"),
        Mailbox(b"C", b"c", b"d"),
        GROUP_END,
        Mailbox(None, b"e", b"f"),
    ]
    assert parse_mailboxes(b"undisclosed-recipients:") == [
        Mailbox(None, b"undisclosed-recipients", None),
        GROUP_END,
    ]


def test_lists_are_bounded() -> None:
    assert len(parse_mailboxes(b"a@b," * 50_000)) == MAX_MAILBOXES
    assert len(parse_mailboxes(b"(x)a@b," * 50_000)) == MAX_MAILBOXES
