"""The mbox format: where messages begin and end, quoting, the mailbox's own fields, dates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postillon.account import keywords
from postillon.mail import maildir, mbox
from postillon.mail.mbox import (
    NotMbox,
    Variant,
    crlf,
    first_separator,
    is_separator,
    quoted,
    separator,
    separator_date,
    spans,
    take_marks,
    unquoted,
)

DATE = "Thu Nov 26 10:15:00 2026"
FROM = f"From ada@example.org {DATE}\n".encode()
AT = 1_795_688_100_000


def split(octets: bytes, variant: Variant = Variant.AUTO) -> list[bytes]:
    def read(offset: int, size: int) -> bytes:
        return octets[offset : offset + size]

    return [octets[span.content : span.end] for span in spans(read, len(octets), 0, variant)]


def test_an_empty_line_and_a_separator_divide_messages() -> None:
    octets = FROM + b"A: 1\n\none\n\n" + FROM + b"A: 2\n\ntwo\n\n"
    assert split(octets) == [b"A: 1\n\none\n", b"A: 2\n\ntwo\n"]


def test_crlf_files_are_divided_in_the_same_way() -> None:
    octets = (FROM + b"A: 1\n\none\n\n" + FROM + b"A: 2\n\ntwo\n\n").replace(b"\n", b"\r\n")
    assert split(octets) == [b"A: 1\r\n\r\none\r\n", b"A: 2\r\n\r\ntwo\r\n"]


@pytest.mark.parametrize(
    "line",
    [
        b"From here on it was easy.",
        b"From: ada@example.org",
        b">From ada@example.org Thu Nov 26 10:15:00 2026",
        b"From the desk of Mon, at noon",
    ],
)
def test_a_line_that_only_looks_like_a_separator_divides_nothing(line: bytes) -> None:
    octets = FROM + b"A: 1\n\none\n\n" + line + b"\nmore\n\n"
    assert len(split(octets)) == 1


def test_a_separator_inside_a_paragraph_divides_nothing() -> None:
    octets = FROM + b"A: 1\n\none\n" + FROM + b"text goes on\n\n"
    assert split(octets) == [b"A: 1\n\none\n" + FROM + b"text goes on\n"]


def test_a_separator_without_an_empty_line_counts_before_a_mail_servers_field() -> None:
    octets = FROM + b"A: 1\n\none\n" + FROM + b"Return-Path: <x@y>\n\ntwo\n"
    assert split(octets) == [b"A: 1\n\none\n", b"Return-Path: <x@y>\n\ntwo\n"]


@pytest.mark.parametrize("line", [
    b"From - Thu Nov 26 10:15:00 2026",
    b"From ???@??? Thu Nov 26 10:15:00 2026",
    b"From MAILER-DAEMON Thu Nov 26 10:15:00 2026",
    b"From 1234@xxx Thu Nov 26 10:15:00 +0000 2026",
    b"From ada@example.org Thu Nov 26 11:15:00 2026 +0100",
    b"From ada@example.org Thu, 26 Nov 2026 05:15:00 -0500",
    b"From ada at example Thu Nov 26 10:15:00 UTC 2026",
])  # fmt: skip
def test_separators_of_the_field_are_known_with_their_date(line: bytes) -> None:
    assert is_separator(line)
    assert separator_date(line) == AT


def test_what_does_not_begin_with_a_separator_is_named_by_its_offset() -> None:
    octets = b"\n\nrubbish\n\n" + FROM + b"A: 1\n\none\n"
    with pytest.raises(NotMbox) as caught:
        split(octets)
    assert caught.value.offset == 2
    found = first_separator(lambda at, size: octets[at : at + size], len(octets), 2)
    assert octets[found:].startswith(FROM)
    assert first_separator(lambda at, size: b"rubbish"[at : at + size], 7, 0) == 7


def test_content_length_spans_bare_separators() -> None:
    body = b"one\n\n" + FROM + b"inside\n"
    head = b"A: 1\nContent-Length: %d\n\n" % len(body)
    octets = FROM + head + body + b"\n" + FROM + b"A: 2\n\ntwo\n"
    assert split(octets) == [head + body, b"A: 2\n\ntwo\n"]
    assert len(split(octets, Variant.MBOXO)) == 3


@pytest.mark.parametrize("length", [b"3", b"999999", b"0", b"5"])
def test_a_content_length_that_leads_nowhere_is_not_followed(length: bytes) -> None:
    octets = FROM + b"Content-Length: " + length + b"\n\none\n\n" + FROM + b"A: 2\n\ntwo\n"
    assert len(split(octets)) == 2


def test_quoting_by_variant() -> None:
    text = b">From a\n>>From b\n"
    assert unquoted(text, Variant.MBOXRD) == b"From a\n>From b\n"
    assert unquoted(text, Variant.AUTO) == b"From a\n>From b\n"
    assert unquoted(text, Variant.MBOXO) == b"From a\n>>From b\n"
    assert unquoted(text, Variant.MBOXCL2) == text


def test_a_message_found_across_windows_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    octets = b"".join(FROM + b"A: %d\n\n%s\n\n" % (n, b"x" * n) for n in range(60))
    expected = split(octets)
    for window in (16, 17, 23, 64):
        monkeypatch.setattr(mbox, "FIRST_WINDOW", window)
        monkeypatch.setattr(mbox, "WINDOW", 2 * window)
        assert split(octets) == expected


def test_the_mailboxs_own_fields_become_flags_and_keywords() -> None:
    text = (
        b"Subject: x\r\nStatus: RO\r\nX-Status: AFDT\r\nX-Keywords: urgent\r\n $label1\r\n"
        b"Content-Length: 5\r\n\r\nStatus: R\r\n"
    )
    rest, marks = take_marks(text)
    assert rest == b"Subject: x\r\n\r\nStatus: R\r\n"
    assert marks == (31, ("urgent", "$label1"), False)


def test_mozillas_fields_are_understood() -> None:
    rest, marks = take_marks(
        b"X-Mozilla-Status: 1007\r\nX-Mozilla-Status2: 00000000\r\nX-Mozilla-Keys: $label2  \r\n"
        b"Subject: x\r\n\r\n"
    )
    assert rest == b"Subject: x\r\n\r\n"
    assert marks == (7, ("$forwarded", "$label2"), False)
    assert take_marks(b"X-Mozilla-Status: 0009\r\n\r\n")[1].expunged


def test_line_ends_become_crlf_and_a_lone_cr_stays() -> None:
    assert crlf(b"a\nb\r\nc\rd\n") == b"a\r\nb\r\nc\rd\r\n"


LINES = st.lists(
    st.one_of(
        st.sampled_from([b"From ", b">From x", b">>From y", b"", b"text", FROM[:-1], b"Status: R"]),
        st.binary(max_size=20).map(lambda b: b.translate(None, b"\r\n\0")),
    ),
    max_size=8,
)


@given(st.lists(st.tuples(LINES, st.integers(0, 31), st.sets(st.sampled_from("abc"))), max_size=5))
def test_what_is_written_is_read_again(messages: list[tuple[list[bytes], int, set[str]]]) -> None:
    """Flags, keywords and every octet, as long as lines end with CRLF."""
    written, expected = b"", []
    for lines, flags, words in messages:
        content = b"".join(line + b"\r\n" for line in [b"Subject: x", b"", *lines])
        written += separator("ada@example.org", DATE)
        written += quoted(content, flags, " ".join(sorted(words)) or None)
        expected.append((content, flags, words))
    found = []
    for text in split(written, Variant.MBOXRD):
        content, marks = take_marks(crlf(text))
        found.append((unquoted(content, Variant.MBOXRD), marks.flags, set(marks.keywords)))
    assert found == expected


def test_flags_are_those_of_the_account() -> None:
    for module in (mbox, maildir):
        for name in ("SEEN", "ANSWERED", "FLAGGED", "DELETED", "DRAFT"):
            assert getattr(module, name) == getattr(keywords, name)


# Maildir names


@pytest.mark.parametrize("name", ["1.a.host:2,FRS", "1.a.host!2,FRS", "1.a.host;2,SRF"])
def test_flags_stand_behind_the_name(name: str) -> None:
    assert maildir.base_of(name) == "1.a.host"
    assert maildir.marks_of(name, {}) == (7, [])


def test_a_name_without_flags_is_whole() -> None:
    assert maildir.base_of("1.a.host,S=12") == "1.a.host,S=12"
    assert maildir.marks_of("1.a.host,S=12", {}) == (0, [])


def test_keywords_have_letters() -> None:
    letters = maildir.read_keywords(b"0 urgent\n1 $label1\nx y\n99 z\n2\n")
    assert letters == {"a": "urgent", "b": "$label1"}
    assert maildir.marks_of("x:2,PSab", letters) == (1, ["$forwarded", "urgent", "$label1"])
    by_word = {word: letter for letter, word in letters.items()}
    assert maildir.name_of("x", 1, ["$forwarded", "urgent"], by_word) == "x:2,PSa"
    assert maildir.read_keywords(maildir.write_keywords(["urgent", "$label1"])) == letters


@given(st.text(min_size=1))
def test_folder_names_are_escaped_and_back(name: str) -> None:
    escaped = maildir.escape(name)
    assert "/" not in escaped
    assert "." not in escaped
    assert maildir.unescape(escaped) == name
