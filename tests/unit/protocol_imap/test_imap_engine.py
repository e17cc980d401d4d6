"""Framing: lines, literals, uploads, and what is refused before it is kept."""

from __future__ import annotations

import pytest

from postillon.protocol.imap.commands import AppendDone, AppendMessage, Command, Login
from postillon.protocol.imap.engine import (
    MAX_BEFORE_LOGIN,
    Chunk,
    Continue,
    Event,
    ImapEngine,
    Line,
    Refusal,
    Upload,
    Uploaded,
)


def events(*pieces: bytes, engine: ImapEngine | None = None) -> list[Event]:
    """All events; uploads are accepted."""
    engine = engine or ImapEngine()
    found: list[Event] = []
    for piece in pieces:
        for event in engine.receive(piece):
            found.append(event)
            if isinstance(event, Upload):
                engine.accept()
    return found


def test_a_literal_is_asked_for_and_used() -> None:
    assert events(b"a LOGIN {3}\r\n", b"ada {3+}\r\npwd\r\n") == [
        Continue(),
        Command("a", "LOGIN", Login(b"ada", b"pwd")),
    ]


def test_a_literal_may_hold_anything_but_nul() -> None:
    assert events(b"a LOGIN {4+}\r\n{1}\r {0+}\r\n\r\n") == [
        Command("a", "LOGIN", Login(b"{1}\r", b""))
    ]
    [refusal] = events(b"a LOGIN {1+}\r\n\0 x\r\n")
    assert refusal == Refusal("a", "NUL in a string")


def test_a_bare_lf_ends_a_line_and_a_bare_cr_is_refused() -> None:
    assert events(b"a NOOP\nb NOOP\r\n") == [Command("a", "NOOP"), Command("b", "NOOP")]
    assert events(b"a NO\rOP\r\n") == [Refusal("a", "NUL or bare CR in a command")]


def test_the_number_is_refused_before_the_octets_come() -> None:
    """FAULTS 26."""
    engine = ImapEngine()
    size = MAX_BEFORE_LOGIN
    [refusal] = events(b"a LOGIN {%d}\r\n" % size, engine=engine)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "LIMIT"
    assert events(b"b NOOP\r\n", engine=engine) == [Command("b", "NOOP")]


def test_many_small_literals_count_together() -> None:
    literal = b" {100+}\r\n" + b"x" * 100
    [refusal] = events(b"a ID (" + literal[1:] + literal * 700 + b")\r\n")
    assert isinstance(refusal, Refusal)
    assert refusal.tag == "a"


@pytest.mark.parametrize("cut", [1, 100, MAX_BEFORE_LOGIN, 10 * MAX_BEFORE_LOGIN])
def test_an_endless_line_is_refused_in_little_memory(cut: int) -> None:
    engine = ImapEngine()
    line = b"a NOOP " + b"x" * (3 * MAX_BEFORE_LOGIN) + b"\r\nb NOOP\r\n"
    found: list[Event] = []
    for start in range(0, len(line), cut):
        found += events(line[start : start + cut], engine=engine)
        assert engine.buffered <= MAX_BEFORE_LOGIN + cut
    assert found == [Refusal("a", "Command too long"), Command("b", "NOOP")]


def test_a_faulty_command_still_has_its_literals_taken() -> None:
    """Or their octets would be run as commands."""
    assert events(b"a FROBS {13+}\r\nx\r\nb LOGOUT\r\n and {2+}\r\nyy\r\nc NOOP\r\n") == [
        Refusal("a", "Unknown command"),
        Command("c", "NOOP"),
    ]


def test_a_message_of_an_append_comes_in_pieces() -> None:
    found = events(b'a APPEND "x y" (\\Seen) {10}\r\n', b"01234", b"56789", b"\r\n")
    assert found == [
        Upload("a", b"x y", ("\\Seen",), None, 10, True, False, True),
        Chunk(b"01234"),
        Chunk(b"56789"),
        Uploaded(),
        Command("a", "APPEND", AppendDone(b"x y", (AppendMessage(("\\Seen",)),))),
    ]


def test_several_messages_and_a_literal_as_mailbox() -> None:
    found = events(b'a APPEND {3+}\r\nabc {1+}\r\nx "01-Jan-2020 00:00:00 +0000" {1+}\r\ny\r\n')
    assert found == [
        Upload("a", b"abc", (), None, 1, False, False, True),
        Chunk(b"x"),
        Uploaded(),
        Upload("a", b"abc", (), b"01-Jan-2020 00:00:00 +0000", 1, False, False, False),
        Chunk(b"y"),
        Uploaded(),
        Command(
            "a",
            "APPEND",
            AppendDone(b"abc", (AppendMessage(), AppendMessage((), b"01-Jan-2020 00:00:00 +0000"))),
        ),
    ]


def test_the_texts_of_a_catenated_message_come_in_pieces_and_its_urls_with_the_command() -> None:
    """RFC 4469 section 5: a literal may be a URL, a text or another message."""
    found = events(
        b"a APPEND x (f) CATENATE (URL {3+}\r\n/u1 TEXT {2+}\r\nab URL /u2 TEXT {0+}\r\n) {1+}\r\nz\r\n"
    )
    assert found == [
        Upload("a", b"x", ("f",), None, 2, False, False, True, part=True),
        Chunk(b"ab"),
        Uploaded(),
        Upload("a", b"x", ("f",), None, 0, False, False, False, part=True),
        Uploaded(),
        Upload("a", b"x", (), None, 1, False, False, False),
        Chunk(b"z"),
        Uploaded(),
        Command(
            "a",
            "APPEND",
            AppendDone(
                b"x",
                (AppendMessage(("f",), None, (b"/u1", None, b"/u2", None)), AppendMessage()),
            ),
        ),
    ]


def test_a_refused_message_is_thrown_away_if_it_comes() -> None:
    engine = ImapEngine()
    found: list[Event] = []
    for event in engine.receive(b"a APPEND x {8+}\r\nb LOGOUT (\\Seen) {3+}\r\nabc\r\nc NOOP\r\n"):
        found.append(event)
        if isinstance(event, Upload):
            engine.refuse(Refusal(event.tag, "no", "NO"))
    assert found[1:] == [Refusal("a", "no", "NO"), Command("c", "NOOP")]


def test_a_refused_message_that_waits_ends_the_command() -> None:
    engine = ImapEngine()
    found: list[Event] = []
    for event in engine.receive(b"a APPEND x {8}\r\nc NOOP\r\n"):
        found.append(event)
        if isinstance(event, Upload):
            engine.refuse(Refusal(event.tag, "no", "NO"))
    assert found[1:] == [Refusal("a", "no", "NO"), Command("c", "NOOP")]


@pytest.mark.parametrize(
    "line", [b"a APPEND\r\n", b"a APPEND x\r\n", b'a APPEND "x {3}\r\n', b"a APPEND x (y {3}\r\n"]
)
def test_a_malformed_append_is_refused(line: bytes) -> None:
    [refusal] = events(line)
    assert isinstance(refusal, Refusal)
    assert (refusal.tag, refusal.status) == ("a", "BAD")


def test_a_line_outside_of_the_grammar() -> None:
    engine = ImapEngine()
    found: list[Event] = []
    for event in engine.receive(b"a IDLE\r\nDONE\r\nb NOOP\r\n"):
        found.append(event)
        if event == Command("a", "IDLE"):
            engine.expect_line()
    assert found == [Command("a", "IDLE"), Line(b"DONE"), Command("b", "NOOP")]
