"""Header blocks and digests."""

from __future__ import annotations

from postillon.mail import digest, header
from postillon.mail.digest import HeaderDigest, thread_keys
from postillon.mail.mime import scan

BLOCK = (
    b"Subject: a\r\n\tfolded\r\n value\r\nnot a field\r\nTo : b\r\n c\r\n>From x: y\r\n"
    b"Empty:\r\nTo: d\r\n\r\nTo: body\r\n"
)


def test_fields_come_with_their_octets() -> None:
    fields = list(header.split(BLOCK))
    assert [f.name for f in fields] == [b"Subject", b"To", b"Empty", b"To"]
    assert fields[0].value == b" a\r\n\tfolded\r\n value"
    for field in fields:
        assert BLOCK[field.start : field.end].startswith(field.name)
        assert BLOCK[field.start : field.end].endswith(b"\r\n")


def test_values_by_name_are_unfolded_and_in_order() -> None:
    assert header.values(BLOCK, b"to") == [b"b c", b"d"]
    assert header.value(BLOCK, b"SUBJECT") == b"a\tfolded value"
    assert header.value(BLOCK, b"absent") is None
    assert header.value(BLOCK, b"empty") == b""


def test_a_header_ends_at_its_first_empty_line() -> None:
    for blob, end in (
        (b"a: b\r\n\r\nc", 8), (b"a: b\n\nc\r\n\r\n", 6), (b"a: b\n\r\nc\n\n", 7), (b"\r\nx", 2),
        (b"\nx", 1), (b"", 0), (b"a: b\r\n", 6), (b"a: b\r\n \r\n\r\n", 11), (b"a\r\n\nb", 4),
    ):  # fmt: skip
        assert header.header_end(blob, 0, len(blob)) == end


def test_fields_are_bounded() -> None:
    blob = b"a: b\r\n" * (2 * header.MAX_FIELDS)
    assert len(list(header.split(blob))) == header.MAX_FIELDS
    assert len(header.unfolded(blob)) == header.MAX_FIELDS


def test_a_bare_cr_or_nul_ends_a_value_and_begins_no_field() -> None:
    found = dict(header.unfolded(b"Subject: a\rBcc: b\r\nTo: c\0d\r\n"))
    assert found == {b"subject": b"a", b"to": b"c"}


def test_the_digest_keeps_what_envelope_needs() -> None:
    found = scan(
        b"Date: Wed, 25 Nov 2026 03:14:20 +0100\r\nSubject: Re: =?utf-8?q?=C3=A4?=\r\n"
        b"From: Ada\r\n <ada@example.org>\r\nSender: s@example.org\r\nReply-To: r@example.org\r\n"
        b"To: a@b\r\nTo: c@d\r\nCc: e@f\r\nBcc: g@h\r\nFrom: second@example.org\r\n"
        b"Message-ID: <1@example.org>\r\nIn-Reply-To: <0@example.org> (yesterday)\r\n"
        b"References: <x@y>\r\n\t<0@example.org>\r\n\r\n"
    ).digest
    assert found == HeaderDigest(
        date=b"Wed, 25 Nov 2026 03:14:20 +0100",
        subject=b"Re: =?utf-8?q?=C3=A4?=",
        from_=b"Ada <ada@example.org>",
        sender=b"s@example.org",
        reply_to=b"r@example.org",
        to=b"a@b, c@d",
        cc=b"e@f",
        bcc=b"g@h",
        in_reply_to=b"<0@example.org> (yesterday)",
        message_id=b"<1@example.org>",
        id=b"1@example.org",
        references=(b"x@y", b"0@example.org"),
        base_subject="ä",
        sent_at=1795572860000,
    )
    assert digest.unpack(digest.pack(found)) == found


def test_long_address_lists_are_cut_between_addresses() -> None:
    value = b", ".join(b"a%d@example.org" % n for n in range(10_000))
    found = scan(b"To: " + value + b"\r\n\r\n").digest
    assert len(found.to) <= digest.MAX_VALUE
    assert found.to.endswith(b"@example.org")


def test_reply_and_original_share_a_thread_key() -> None:
    first = scan(b"Message-ID: <1@a>\r\nSubject: Hello\r\n\r\n")
    reply = scan(b"Message-ID: <2@a>\r\nIn-Reply-To: <1@a>\r\nSubject: RE: hello\r\n\r\n")
    other = scan(b"Message-ID: <3@a>\r\nIn-Reply-To: <1@a>\r\nSubject: New\r\n\r\n")
    assert set(first.thread_keys) & set(reply.thread_keys)
    assert not set(first.thread_keys) & set(other.thread_keys)


def test_thread_keys_are_few_and_signed_64_bit() -> None:
    ids = tuple(b"%d@a" % n for n in range(90))
    keys = thread_keys(HeaderDigest(id=b"own@a", references=ids))
    assert len(keys) <= digest.MAX_THREAD_KEYS
    assert all(-(1 << 63) <= key < 1 << 63 for key in keys)
    assert thread_keys(HeaderDigest(subject=b"only")) == ()
    assert keys[-1] == thread_keys(HeaderDigest(id=ids[-1]))[0]


def test_message_ids() -> None:
    assert digest.bare_id(b"<a@b> (c)") == b"a@b"
    assert digest.bare_id(b"a@b") == b"a@b"
    assert digest.bare_id(b"not an id") == b""
    assert digest.bare_ids(b"<a@b><c@d> junk <a@b>") == (b"a@b", b"c@d")
    many = b" ".join(b"<%d@a>" % n for n in range(300))
    kept = digest.bare_ids(many)
    assert len(kept) == digest.MAX_REFERENCES
    assert (kept[0], kept[-1]) == (b"0@a", b"299@a")
