"""Names, patterns, sequence sets, dates, and the words of responses."""

from __future__ import annotations

import pytest

from postillon.protocol.imap import dates, mutf7, names, numbers, writer
from postillon.protocol.imap.pattern import Pattern


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("INBOX", b"INBOX"),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 section 5.1.3
        ("A & B", b"A &- B"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("😀", b"&2D3eAA-"),
    ],
)
def test_modified_utf7(text: str, raw: bytes) -> None:
    assert mutf7.encode(text) == raw
    assert mutf7.decode(raw) == text


@pytest.mark.parametrize(
    "raw",
    [b"&", b"&AB", b"&AGE-", b"&U,BTFw-&ZeVnLIqe-", b"&2D0-", b"&A-", b"&APx-", b"\xff", b"a\nb"],
)
def test_another_spelling_of_modified_utf7_is_none(raw: bytes) -> None:
    with pytest.raises(ValueError):
        mutf7.decode(raw)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"inbox/x", ("INBOX", "x")),
        (b"a=2Fb/c", ("a/b", "c")),
        (b"a=3D2Fb", ("a=2Fb",)),
        (b"a=3D3D2Fb", ("a=3D2Fb",)),
        (b"1+1=2", ("1+1=2",)),
        ("é".encode(), ("é",)),
    ],
)
def test_paths(raw: bytes, path: tuple[str, ...]) -> None:
    assert names.parse(raw) == path
    assert names.parse(names.write(path)) == path


@pytest.mark.parametrize(
    "raw",
    [b"", b"/", b"a//b", b"/a", b"a/", b"x" * 1001, b"a\tb", b"&AAo-", b"x/" * 60 + b"x"],
)
def test_what_is_no_name(raw: bytes) -> None:
    with pytest.raises(names.BadName):
        names.parse(raw)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        (b"*", "a/b", True), (b"%", "a/b", False), (b"%", "a", True), (b"%/%", "a/b", True),
        (b"a*", "a", True), (b"a%b", "axb", True), (b"a%b", "a/b", False), (b"a*%b", "a/x/b", True),
        (b"inbox", "INBOX", True), (b"INBOX/%", "INBOX/x", True), (b"in%", "INBOX", True),
        (b"iN*x", "INBOX", True), (b"inbox/X", "INBOX/x", False), (b"a", "A", False),
        (b"&AOk-*", "éé", True), (b"", "a", False), (b"*a*a*b", "xaayab", True),
    ],
)  # fmt: skip
def test_patterns(pattern: bytes, name: str, matches: bool) -> None:
    assert Pattern(pattern).matches(name) is matches


def test_a_hostile_pattern_costs_no_more_than_its_length() -> None:
    """FAULTS 27. A matcher that tries again after each star would not come back."""
    pattern, name = Pattern(b"*a" * 400 + b"b"), "a" * 900
    assert not pattern.matches(name)


def test_sequence_sets() -> None:
    assert numbers.parse(b"1,3:5,*,7:*,*:2") == ((1, 1), (3, 5), (0, 0), (7, 0), (0, 2))
    assert numbers.resolve(((4, 2), (5, 5), (9, 0)), 7) == [(2, 5), (7, 9)]
    assert numbers.resolve(((0, 0),), 0) == []
    assert numbers.join([1, 2, 3, 7]) == [(1, 3), (7, 7)]
    assert numbers.write([(1, 3), (7, 7)]) == b"1:3,7"
    assert [n for n in range(10) if numbers.contains([(1, 3), (7, 7)], n)] == [1, 2, 3, 7]


def test_dates() -> None:
    assert dates.parse_date_time(b" 7-Feb-1994 22:43:04 -0800") == 760689784000
    assert dates.parse_date_time(b"31-Feb-1994 22:43:04 -0800") is None
    assert dates.parse_date_time(b"01-Jan-0001 00:00:00 +0100") is not None
    assert dates.format_date_time(760689784000) == b'" 8-Feb-1994 06:43:04 +0000"'
    assert dates.parse_date(b"32-Jan-2020") is None


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        (b"", b'""'), (b'a"b\\', b'"a\\"b\\\\"'), (b"a\r\nb", b"{4}\r\na\r\nb"),
        ("ü".encode(), b"{2}\r\n\xc3\xbc"), (b"a\0", b"{2}\r\na\x80"),
    ],
)  # fmt: skip
def test_strings(raw: bytes, written: bytes) -> None:
    assert writer.string(raw) == written


def test_text_for_humans_is_one_line() -> None:
    assert writer.human("a\r\nb ü") == b"a?b ?"
