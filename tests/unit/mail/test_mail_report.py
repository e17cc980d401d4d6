"""Delivery reports: RFC 3464, 6522, 6533, 3834, read back with the standard library."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message

import pytest

from postillon.mail.address import parse_address
from postillon.mail.outcome import Reply, Status
from postillon.mail.report import Action, Original, Report, Reported, compose_report

AT = 1_764_000_000_000
REFUSED = Status(
    "5.1.1", "refused", Reply(550, "5.1.1", ("No such user", "Goodbye")), "mx.example.net"
)
ORIGINAL = Original(
    b"From: Ada <ada@example.org>\r\nSubject: Hello\r\n\r\n",
    message_id="<one@example.org>",
    references=("<zero@example.org>",),
    subject="Hello",
    envid="QQ314159",
    arrived_at=AT,
)


def report(*recipients: Reported, original: Original = ORIGINAL, to: str = "ada@x.org") -> Report:
    return compose_report(
        hostname="mail.example.org",
        to=parse_address(to),
        recipients=recipients,
        original=original,
        now=AT,
        message_id="<two@mail.example.org>",
        boundary="=_boundary",
    )


def failed(path: str = "bob@example.net", status: Status = REFUSED, original: str = "") -> Reported:
    return Reported(parse_address(path), Action.FAILED, status, original, last_try_at=AT)


def parts(made: Report) -> tuple[Message, list[Message]]:
    whole = message_from_bytes(made.content)
    return whole, [part for part in whole.get_payload() if isinstance(part, Message)]


def groups(part: Message) -> list[Message]:
    return [group for group in part.get_payload() if isinstance(group, Message)]


def test_a_failure_has_words_fields_and_the_header_of_the_original() -> None:
    whole, (words, fields, header) = parts(report(failed(original="rfc822;bob@old.example")))
    assert whole.get_content_type() == "multipart/report"
    assert whole.get_param("report-type") == "delivery-status"
    assert whole["Auto-Submitted"] == "auto-replied"
    assert whole["In-Reply-To"] == "<one@example.org>"
    assert whole["References"] == "<zero@example.org> <one@example.org>"
    text = words.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert b"bob@old.example" in text  # as the sender wrote it
    assert b"The server mx.example.net said: 550 5.1.1 No such user Goodbye" in text
    message, recipient = groups(fields)
    assert message["Reporting-MTA"] == "dns; mail.example.org"
    assert message["Original-Envelope-Id"] == "QQ314159"
    assert recipient["Original-Recipient"] == "rfc822; bob@old.example"
    assert recipient["Final-Recipient"] == "rfc822; bob@example.net"
    assert recipient["Action"] == "failed"
    assert recipient["Status"] == "5.1.1"
    assert recipient["Remote-MTA"] == "dns; mx.example.net"
    assert recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 No such user Goodbye"
    assert header.get_content_type() == "text/rfc822-headers"


def test_one_report_speaks_for_many_recipients() -> None:
    many = [failed(f"n{n}@example.net") for n in range(50)]
    whole, (_, fields, _) = parts(report(*many))
    assert whole["Subject"] == "Not delivered: your message to n0@example.net and 49 more"
    assert len(groups(fields)) == 51


def test_a_delay_says_the_next_try_and_when_we_give_up() -> None:
    delayed = Reported(
        parse_address("bob@example.net"),
        Action.DELAYED,
        Status("4.4.1", "nobody answers at mx.example.net"),
        last_try_at=AT,
        next_try_at=AT + 3_600_000,
        give_up_at=AT + 86_400_000,
    )
    _, (words, fields, _) = parts(report(delayed))
    text = str(words.get_payload())
    assert "need not do anything" in " ".join(text.split())
    assert "Next try:   Mon 24 Nov 2025 17:00 UTC" in text
    assert "We give up: Tue 25 Nov 2025 16:00 UTC" in text
    assert groups(fields)[1]["Will-Retry-Until"] == "Tue, 25 Nov 2025 16:00:00 +0000"


def test_what_a_peer_said_cannot_add_a_field() -> None:
    hostile = Status("5.0.0", "x", Reply(550, "", ("a\r\nBcc: eve@evil.example\r\n\r\n\0b",)), "h")
    whole, (_, fields, _) = parts(report(failed(status=hostile, original="rfc822;a\r\nX: y")))
    assert whole["Bcc"] is None
    assert groups(fields)[1]["Bcc"] is None
    assert groups(fields)[1]["X"] is None
    assert len(groups(fields)) == 2


def test_a_value_of_ours_with_a_line_end_is_refused() -> None:
    with pytest.raises(ValueError):
        compose_report(
            hostname="mail.example.org\r\nX: y",
            to=parse_address("ada@example.org"),
            recipients=[failed()],
            original=ORIGINAL,
            now=AT,
            message_id="<a@b>",
            boundary="=_b",
        )


def test_an_address_beyond_ascii_makes_the_report_international() -> None:
    made = report(failed("grün@example.net"))
    _, (_, fields, _) = parts(made)
    assert made.smtputf8
    assert made.eight_bit
    assert fields.get_content_type() == "message/global-delivery-status"
    assert b"Final-Recipient: utf-8; gr\xc3\xbcn@example.net\r\n" in made.content


def test_a_broken_header_is_returned_in_seven_bits() -> None:
    broken = Original(b"Subject: Gr\xfc\xdfe\r\nX: " + b"y" * 5_000 + b"\r\n\r\n")
    made = report(failed(), original=broken)
    _, (_, _, header) = parts(made)
    assert made.content.isascii()
    assert not made.eight_bit
    decoded = header.get_payload(decode=True)
    assert isinstance(decoded, bytes)
    assert decoded.replace(b"\r\n", b"\n").strip() == broken.header.replace(b"\r\n", b"\n").strip()
    assert max(map(len, made.content.split(b"\r\n"))) <= 998


def test_a_whole_message_is_returned_unchanged_and_needs_what_it_needed() -> None:
    content = ORIGINAL.header + b"Gr\xc3\xbc\xc3\x9fe\r\n"
    whole = Original(ORIGINAL.header, content, message_id="<one@example.org>")
    made = report(failed(), original=whole)
    assert b"Content-Type: message/rfc822\r\n" in made.content
    assert content in made.content
    assert made.eight_bit
    assert not made.smtputf8


def test_an_oversized_header_is_cut_at_a_line() -> None:
    long = Original(b"".join(b"X-%d: value\r\n" % n for n in range(20_000)) + b"\r\n")
    made = report(failed(), original=long)
    assert len(made.content) < 70_000
    assert b": val\r\n--=_" not in made.content
