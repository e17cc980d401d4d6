"""What we write ourselves: trace fields, composed messages, the removal of Bcc."""

from __future__ import annotations

import email
import email.policy
import mmap
import tempfile

import pytest

from postillon.mail import trace
from postillon.mail.address import parse_address
from postillon.mail.compose import Composer, multipart, new_boundary, text_entity
from postillon.mail.decode import decoded
from postillon.mail.header import value
from postillon.mail.mime import scan
from postillon.mail.strip import drop_bcc
from postillon.mail.words import decode_words

ADA = parse_address("ada@example.org")
AT = 1795572860000


def test_a_received_field_says_who_gave_what_to_whom() -> None:
    line = trace.received(
        helo="client.example.net", peer="2001:db8::1", peer_name="host.example.net",
        by="mx.example.org", protocol="ESMTPS", queue_id="ABC", at=AT, forward_path=ADA,
        tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
    )  # fmt: skip
    assert line == (
        b"Received: from client.example.net (host.example.net [IPv6:2001:db8::1])\r\n"
        b"\tby mx.example.org with ESMTPS\r\n\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        b"\tid ABC\r\n\tfor <ada@example.org>;\r\n\tWed, 25 Nov 2026 02:14:20 +0000\r\n"
    )
    assert scan(line + b"\r\n").hops == 1


def test_a_peer_cannot_write_into_our_received_field() -> None:
    line = trace.received(
        helo="x)\r\nBcc: y (" + "z" * 1000, peer="192.0.2.1", by="mx", protocol="SMTP",
        queue_id="A", at=AT,
    )  # fmt: skip
    assert b"\nBcc" not in line
    assert line.count(b"(") == 1
    assert max(map(len, line.split(b"\r\n"))) < 998


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({"extended": False, "tls": False, "authenticated": False}, "SMTP"),
        ({"extended": True, "tls": True, "authenticated": True}, "ESMTPSA"),
        ({"extended": True, "tls": False, "authenticated": True}, "ESMTPA"),
        ({"extended": True, "tls": True, "authenticated": False, "lmtp": True}, "LMTPS"),
        ({"extended": True, "tls": True, "authenticated": True, "utf8": True}, "UTF8SMTPSA"),
        ({"extended": True, "tls": False, "authenticated": False, "utf8": True, "lmtp": True},
         "UTF8LMTP"),
    ],
)  # fmt: skip
def test_with_words(facts: dict[str, bool], word: str) -> None:
    """RFC 3848, RFC 6531 section 4.3."""
    assert trace.protocol(**facts) == word


def test_lines_of_final_delivery() -> None:
    assert trace.return_path(None) == b"Return-Path: <>\r\n"
    assert trace.return_path(ADA) == b"Return-Path: <ada@example.org>\r\n"
    assert trace.delivered_to(ADA) == b"Delivered-To: ada@example.org\r\n"
    assert trace.date(AT) == b"Date: Wed, 25 Nov 2026 02:14:20 +0000\r\n"
    line = trace.message_id("mx.example.org", bytes(range(15)))
    found = scan(line + b"\r\n").digest.id
    assert found.endswith(b"@mx.example.org")
    assert len(found) == 24 + len("@mx.example.org")


@pytest.mark.parametrize("bad", ["a\rb", "a\nb", "a\0b"])
def test_no_value_breaks_out_of_its_field(bad: str) -> None:
    """FAULTS 30: CPython's CVE-2024-6923 and every API that sends mail."""
    with pytest.raises(ValueError):
        Composer().text("Subject", bad)
    with pytest.raises(ValueError):
        Composer().structured("X", bad)
    with pytest.raises(ValueError):
        Composer().mailboxes("To", [(bad, ADA)])
    with pytest.raises(ValueError):
        Composer().parameters("Content-Type", "a/b", {"name": bad})
    with pytest.raises(ValueError):
        Composer().parameters("Content-Type", bad, {})
    with pytest.raises(ValueError):
        Composer().structured(bad, "x")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "ä"])
def test_field_names_are_checked(name: str) -> None:
    with pytest.raises(ValueError):
        Composer().text(name, "x")


def test_long_values_fold_and_read_back() -> None:
    text = "Grüße " * 50
    plain = "word " * 60
    header = bytes(Composer().text("Subject", text).text("X-Plain", plain))
    assert all(len(line) <= 78 for line in header.split(b"\r\n"))
    assert all(line.strip() for line in header.split(b"\r\n")[:-2])
    assert decode_words(value(header, b"subject") or b"") == text.strip()
    assert value(header, b"x-plain") == plain.strip().encode()


def test_a_word_longer_than_a_line_is_refused() -> None:
    with pytest.raises(ValueError):
        Composer().structured("X", "a" * 1000)


def test_display_names_are_quoted_or_encoded() -> None:
    header = bytes(
        Composer().mailboxes("To", [("Ada L", ADA), ('L, "A"', ADA), ("Ädä", ADA), ("", ADA)])
    )
    assert value(header, b"to") == (
        b'Ada L <ada@example.org>, "L, \\"A\\"" <ada@example.org>,'
        b" =?utf-8?b?w4Rkw6Q=?= <ada@example.org>, ada@example.org"
    )


@pytest.mark.parametrize("text", ["Hello\nworld", "Grüße\r\n", "x" * 200, "", "From a\n.\n"])
def test_text_entities_read_back(text: str) -> None:
    blob = text_entity(text)
    root = scan(blob).structure
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    assert decoded(blob, root).decode() == "\r\n".join([*lines, ""])
    assert blob.isascii()
    assert all(len(line) <= 78 for line in blob.split(b"\r\n"))


def test_a_multipart_of_ours_is_read_by_others_and_by_us() -> None:
    original = b"Subject: original\r\n\r\nbody\r\n"
    header = Composer().mailboxes("From", [("", ADA)]).text("Subject", "Bericht: ü").date(AT)
    blob = multipart(
        header, "report",
        [text_entity("Grüße"), (b"Content-Type: message/rfc822\r\n\r\n", original)],
        new_boundary(bytes(15)), {"report-type": "delivery-status"},
    )  # fmt: skip
    root = scan(blob).structure
    assert [p.media for p in root.children] == [b"text", b"message"]
    assert root.children[1].body(blob) == original
    theirs = email.message_from_bytes(blob, policy=email.policy.default)
    assert theirs.get_content_type() == "multipart/report"
    assert theirs["Subject"] == "Bericht: ü"
    assert theirs.get_param("report-type") == "delivery-status"


def test_a_boundary_that_occurs_in_a_part_is_refused() -> None:
    with pytest.raises(ValueError, match="boundary"):
        multipart(Composer(), "mixed", [b"\r\n--x\r\n"], "x")


def test_bcc_is_removed_from_the_header_alone() -> None:
    blob = (
        b"Bcc: a@b\r\nTo: c@d\r\nBCC : e@f,\r\n\tg@h\r\nResent-Bcc: i@j\r\nX-Bcc: k\r\n"
        b" bcc: folded\r\n\r\nBcc: body\r\n"
    )
    assert drop_bcc(blob) == (b"To: c@d\r\nX-Bcc: k\r\n bcc: folded\r\n\r\nBcc: body\r\n")


def test_without_bcc_nothing_is_copied() -> None:
    blob = b"To: c@d\r\n\r\nBcc: body\r\n"
    assert drop_bcc(blob) is blob


def test_bcc_in_a_mapped_file() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"Bcc: a@b\r\nTo: c@d\r\n\r\n" + b"x" * 10_000)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert drop_bcc(mapped) == b"To: c@d\r\n\r\n" + b"x" * 10_000
