"""Delivery reports: RFC 3464, 6522, 6533, 3834, 3282, read back with the standard library."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage, Message

import pytest

from postillon.mail.address import parse_address
from postillon.mail.cause import cause_of
from postillon.mail.outcome import Reply, Status
from postillon.mail.report import (
    Action,
    Original,
    Report,
    Reported,
    compose_report,
    compose_summary,
)
from postillon.mail.wording.catalogue import Cause
from postillon.mail.wording.languages import WORDINGS

AT = 1_764_000_000_000
HOUR = 3_600_000
HOST = "mx.example.net"
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


def report(
    *recipients: Reported,
    original: Original = ORIGINAL,
    to: str = "ada@x.org",
    language: str = "en",
) -> Report:
    return compose_report(
        hostname="mail.example.org",
        to=parse_address(to),
        recipients=recipients,
        original=original,
        now=AT,
        message_id="<two@mail.example.org>",
        boundary="=_boundary",
        wording=WORDINGS[language],
    )


def failed(
    path: str = "bob@example.net",
    status: Status = REFUSED,
    original: str = "",
    expired_after: int | None = None,
    note: str = "",
) -> Reported:
    return Reported(
        parse_address(path),
        Action.FAILED,
        status,
        original,
        Cause.ADMINISTRATOR if note else cause_of(status),
        note,
        tries=1,
        first_try_at=AT,
        last_try_at=AT,
        expired_after=expired_after,
    )


def delayed(status: Status, tries: int = 12) -> Reported:
    return Reported(
        parse_address("bob@example.net"),
        Action.DELAYED,
        status,
        cause=cause_of(status),
        tries=tries,
        first_try_at=AT if tries else None,
        last_try_at=AT + 4 * HOUR if tries else None,
        next_try_at=AT + 5 * HOUR,
        give_up_at=AT + 120 * HOUR,
    )


def parts(made: Report) -> tuple[Message, list[Message]]:
    whole = message_from_bytes(made.content)
    return whole, [part for part in whole.get_payload() if isinstance(part, Message)]


def groups(part: Message) -> list[Message]:
    return [group for group in part.get_payload() if isinstance(group, Message)]


def words(made: Report) -> str:
    """The text for people, its lines joined."""
    first = message_from_bytes(made.content, policy=policy.default).get_payload(0)
    assert isinstance(first, EmailMessage)
    return " ".join(first.get_content().split())


# The fields -----------------------------------------------------------------------------------------


def test_a_failure_has_words_fields_and_the_header_of_the_original() -> None:
    made = report(failed(original="rfc822;bob@old.example"))
    whole, (text, fields, header) = parts(made)
    assert whole.get_content_type() == "multipart/report"
    assert whole.get_param("report-type") == "delivery-status"
    assert whole["Auto-Submitted"] == "auto-replied"
    assert whole["In-Reply-To"] == "<one@example.org>"
    assert whole["References"] == "<zero@example.org> <one@example.org>"
    assert whole["Content-Language"] == text["Content-Language"] == "en"
    assert "bob@old.example" in words(made)  # as the sender wrote it
    assert "mx.example.net said: 550 5.1.1 No such user Goodbye" in words(made)
    message, recipient = groups(fields)
    assert message["Reporting-MTA"] == "dns; mail.example.org"
    assert message["Original-Envelope-Id"] == "QQ314159"
    assert message["Arrival-Date"] == "Mon, 24 Nov 2025 16:00:00 +0000"
    assert list(recipient.keys()) == [
        "Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA",
        "Diagnostic-Code", "Last-Attempt-Date",
    ]  # fmt: skip
    assert recipient["Original-Recipient"] == "rfc822; bob@old.example"
    assert recipient["Final-Recipient"] == "rfc822; bob@example.net"
    assert recipient["Action"] == "failed"
    assert recipient["Status"] == "5.1.1"
    assert recipient["Remote-MTA"] == "dns; mx.example.net"
    assert recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 No such user Goodbye"
    assert recipient["Last-Attempt-Date"] == "Mon, 24 Nov 2025 16:00:00 +0000"
    assert header.get_content_type() == "text/rfc822-headers"


def test_one_report_speaks_for_many_recipients_and_explains_a_cause_once() -> None:
    many = [failed(f"n{n}@example.net") for n in range(50)]
    made = report(*many)
    whole, (_, fields, _) = parts(made)
    assert whole["Subject"] == "Not delivered: your message to n0@example.net and 49 more"
    assert len(groups(fields)) == 51
    assert words(made).count("Check the address for typing errors") == 1
    assert words(made).count("First try:") == 1  # one history for all who share it
    assert all(f" n{n}@example.net " in words(made) for n in range(50))


def test_recipients_with_different_causes_are_explained_apart() -> None:
    full = Status("5.2.2", "refused", Reply(552, "5.2.2", ("Quota exceeded",)), "mx.example.net")
    text = words(report(failed("a@example.net"), failed("b@example.net", full)))
    assert text.index("a@example.net") < text.index("does not know this address")
    assert text.index("b@example.net") < text.index("mailbox is full")
    assert text.count("What you can do") == 2


def test_a_delay_says_what_happened_the_next_try_and_when_we_give_up() -> None:
    made = report(delayed(Status("4.4.1", "no answer to the connection", host="mx.example.net")))
    _, (_, fields, _) = parts(made)
    text = words(made)
    assert "You need not do anything" in text
    assert "cannot be reached" in text
    assert "Tries: 12 in 4 hours" in text
    assert "no answer from mx.example.net" in text
    assert "Next try: Monday, 24 November 2025, 21:00 UTC" in text
    assert "We give up: Saturday, 29 November 2025, 16:00 UTC" in text
    assert "What you can do" not in text
    assert groups(fields)[1]["Action"] == "delayed"
    assert groups(fields)[1]["Will-Retry-Until"] == "Sat, 29 Nov 2025 16:00:00 +0000"
    assert groups(fields)[1]["Diagnostic-Code"] == "X-Postillon; no answer to the connection"


def test_a_server_that_is_not_fit_for_the_message_is_not_blamed_for_silence() -> None:
    unfit = Status("5.6.7", "The next host takes no message that needs SMTPUTF8", host=HOST)
    text = words(report(failed("grün@example.net", unfit)))
    assert "no answer" not in text
    assert f"UTC {HOST} Technical detail: The next host takes no message" in text


def test_one_that_was_never_tried_tells_what_is_known_of_its_destination() -> None:
    said = Reply(421, "4.3.2", ("Closing",))
    text = words(report(delayed(Status("4.3.2", "busy", said, "mx.example.net"), tries=0)))
    assert "First try" not in text
    assert "Last answer: mx.example.net said: 421 4.3.2 Closing" in text


def test_times_are_those_of_the_sender_and_name_their_zone() -> None:
    for minutes, shown in ((0, "16:00 UTC"), (60, "17:00 UTC+1"), (-570, "06:30 UTC-9:30")):
        there = Original(ORIGINAL.header, subject="Hello", arrived_at=AT, offset=minutes)
        assert f"Sent: Monday, 24 November 2025, {shown} " in words(
            report(failed(), original=there)
        )


def test_what_expired_says_for_how_long_it_was_tried() -> None:
    busy = Status("4.2.2", "refused", Reply(452, "4.2.2", ("Full",)), "mx.example.net")
    text = words(report(failed(status=busy, expired_after=120 * HOUR)))
    assert "although we kept trying for 5 days" in text
    assert "Tell the recipient by other means" in text


def test_the_words_of_an_administrator_are_told() -> None:
    returned = Status("5.0.0", "returned by the administrator: wrong department")
    text = words(report(failed(status=returned, note="wrong department")))
    assert 'The administrator wrote: "wrong department"' in text


@pytest.mark.parametrize(
    ("action", "begins"),
    [(Action.DELIVERED, "Delivered"), (Action.RELAYED, "Handed on"), (Action.EXPANDED, "Distri")],
)
def test_a_success_is_short_and_has_its_action(action: Action, begins: str) -> None:
    made = report(Reported(parse_address("bob@example.net"), action, Status("2.0.0", "done")))
    whole, (_, fields, _) = parts(made)
    assert str(whole["Subject"]).startswith(begins)
    assert groups(fields)[1]["Action"] == action.value
    assert "Diagnostic-Code" not in groups(fields)[1]
    assert "What happened" not in words(made)


# Hostile and international values -------------------------------------------------------------------


def test_what_a_peer_said_cannot_add_a_field() -> None:
    hostile = Status("5.0.0", "x", Reply(550, "", ("a\r\nBcc: eve@evil.example\r\n\r\n\0b",)), "h")
    whole, (_, fields, _) = parts(report(failed(status=hostile, original="rfc822;a\r\nX: y")))
    assert whole["Bcc"] is None
    assert groups(fields)[1]["Bcc"] is None
    assert groups(fields)[1]["X"] is None
    assert len(groups(fields)) == 2


def test_braces_in_what_others_wrote_are_only_braces() -> None:
    odd = Status("5.7.1", "x", Reply(550, "5.7.1", ("{count} {0} {host.x}",)), "{host}")
    original = Original(ORIGINAL.header, subject="{whom} {", arrived_at=AT)
    text = words(report(failed('"{whom}"@example.net', odd), original=original))
    assert "{count} {0} {host.x}" in text
    assert "Subject: {whom} {" in text


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


def test_a_sender_beyond_ascii_gets_an_international_report() -> None:
    made = report(failed("grün@example.net", original="utf-8;grün@example.net"), to="jürgen@x.org")
    _, (_, fields, _) = parts(made)
    assert made.smtputf8
    assert made.eight_bit
    assert fields.get_content_type() == "message/global-delivery-status"
    assert b"Original-Recipient: utf-8; gr\xc3\xbcn@example.net\r\n" in made.content
    assert b"Final-Recipient: utf-8; gr\xc3\xbcn@example.net\r\n" in made.content


def test_a_sender_in_ascii_gets_seven_bits_whatever_the_recipient() -> None:
    """RFC 6533 section 3: utf-8-addr-xtext in message/delivery-status, which everybody can read."""
    made = report(failed("grün+a@example.net", original="utf-8;grün+a@example.net"))
    _, (_, fields, _) = parts(made)
    assert not made.smtputf8
    assert not made.eight_bit
    assert made.content.isascii()
    assert fields.get_content_type() == "message/delivery-status"
    assert groups(fields)[1]["Final-Recipient"] == r"utf-8; gr\x{FC}n\x{2B}a@example.net"
    assert groups(fields)[1]["Original-Recipient"] == r"utf-8; gr\x{FC}n\x{2B}a@example.net"
    assert "grün+a@example.net" in words(made)


def test_a_broken_header_is_returned_in_seven_bits() -> None:
    broken = Original(b"Subject: Gr\xfc\xdfe\r\nX: " + b"y" * 5_000 + b"\r\n\r\n")
    made = report(failed(), original=broken)
    _, (_, _, header) = parts(made)
    assert made.content.isascii()
    assert not made.eight_bit
    assert header.get_content_type() == "text/rfc822-headers"
    decoded = header.get_payload(decode=True)
    assert isinstance(decoded, bytes)
    assert decoded.replace(b"\r\n", b"\n").strip() == broken.header.replace(b"\r\n", b"\n").strip()
    assert max(map(len, made.content.split(b"\r\n"))) <= 998


def test_an_international_header_is_returned_as_one() -> None:
    made = report(failed(), original=Original("Subject: Grüße\r\n\r\n".encode()))
    _, (_, _, header) = parts(made)
    assert header.get_content_type() == "message/global-headers"
    assert made.content.isascii()


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


# A summary ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", WORDINGS)
def test_a_summary_names_messages_for_people_and_all_recipients_for_programs(language: str) -> None:
    messages = [(ORIGINAL, [failed(f"n{n}@example.net")]) for n in range(120)]
    made = compose_summary(
        hostname="mail.example.org",
        to=parse_address("ada@x.org"),
        messages=messages,
        more=30,
        now=AT,
        message_id="<two@mail.example.org>",
        boundary="=_boundary",
        wording=WORDINGS[language],
    )
    whole, (_, fields) = parts(made)
    assert whole["Auto-Submitted"] == "auto-replied"
    assert whole["Content-Language"] == language
    assert len(groups(fields)) == 121
    text = words(made)
    assert "150" in text  # all of them
    assert "100" in text  # those that are not listed
    assert " n49@example.net " in text
    assert " n50@example.net " not in text


def test_a_clock_that_was_set_back_spoils_no_report() -> None:
    back = Reported(
        parse_address("bob@example.net"), Action.FAILED, REFUSED, tries=3, first_try_at=AT,
        last_try_at=AT - HOUR,
    )  # fmt: skip
    assert "Tries: 3 Last answer" in words(report(back))


def test_an_original_recipient_too_long_for_a_line_is_left_out() -> None:
    made = report(failed(original="utf-8;" + "文" * 490 + "@example.net"))
    _, (_, fields, _) = parts(made)
    assert groups(fields)[1]["Original-Recipient"] is None
    assert groups(fields)[1]["Final-Recipient"] == "rfc822; bob@example.net"
    assert max(map(len, made.content.split(b"\r\n"))) <= 998
