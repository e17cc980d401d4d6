"""The engine alone: cutting, limits, what is no command."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from postillon.protocol.pop3.engine import Command, Event, Line, Pop3Engine, Refusal


def events(data: bytes, cuts: list[int], max_line: int = 64) -> list[Event]:
    engine = Pop3Engine(max_line)
    found: list[Event] = []
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for start, end in pairwise(places):
        for event in engine.receive(data[start:end]):
            found.append(event)
            if isinstance(event, Refusal) and event.fatal:
                return found
    return found


POP3_LIKE = st.lists(
    st.one_of(
        st.sampled_from(
            [b"USER ada", b"PASS a b ", b"stat", b"LIST 1", b"", b"\0", b"TOP 1 10", b"A" * 70]
        ),
        st.binary(max_size=80),
    ),
    max_size=12,
).map(lambda lines: b"\r\n".join(lines) + b"\r\n")


@given(POP3_LIKE, st.lists(st.integers(0, 400), max_size=10))
def test_cutting_the_octets_anywhere_changes_nothing(data: bytes, cuts: list[int]) -> None:
    assert events(data, cuts) == events(data, [])


@given(POP3_LIKE)
def test_leaving_at_any_event_loses_nothing(data: bytes) -> None:
    engine = Pop3Engine(64)
    found: list[Event] = []
    rest = data
    while True:
        event = next(engine.receive(rest), None)
        rest = b""
        if event is None:
            break
        found.append(event)
        if isinstance(event, Refusal) and event.fatal:
            break
    assert found == events(data, [])


def test_a_verb_is_read_in_any_case_and_its_argument_is_kept() -> None:
    [event] = Pop3Engine().receive(b"pass  with  spaces \r\n")
    assert event == Command("PASS", b" with  spaces ")


def test_a_line_that_was_asked_for_is_no_command() -> None:
    engine = Pop3Engine()
    engine.expect_line()
    assert list(engine.receive(b"QUIT\r\nQUIT\r\n")) == [Line(b"QUIT"), Command("QUIT", b"")]


def test_a_line_of_the_longest_length_is_taken_and_one_octet_more_is_not() -> None:
    longest = b"USER " + b"a" * 57 + b"\r\n"
    assert len(longest) == 64
    assert list(Pop3Engine(64).receive(longest)) == [Command("USER", b"a" * 57)]
    assert list(Pop3Engine(64).receive(b"a" + longest)) == [
        Refusal("The line is too long", fatal=True)
    ]


def test_what_waits_is_counted() -> None:
    engine = Pop3Engine()
    assert next(engine.receive(b"STLS\r\nUSER x\r\n")) == Command("STLS", b"")
    assert engine.buffered == len(b"USER x\r\n")
