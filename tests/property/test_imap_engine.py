"""Whatever comes, however it is cut: commands or refusals, always the same ones."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from postillon.protocol.imap import mutf7, names, urls
from postillon.protocol.imap.commands import Command
from postillon.protocol.imap.engine import Chunk, Event, ImapEngine, Refusal, Upload
from postillon.protocol.imap.pattern import Pattern

WORDS = [
    b"a", b"b1", b"NOOP", b"UID", b"FETCH", b"STORE", b"SEARCH", b"LOGIN", b"APPEND", b"LIST", b"IDLE",
    b"AUTHENTICATE", b"PLAIN", b"INBOX", b"1:*", b"2,4:7", b"(FLAGS UID)", b"BODY[1.2.TEXT]<0.5>",
    b"BODY.PEEK[HEADER.FIELDS (", b"+FLAGS", b"(\\Seen $x)", b"OR", b"NOT", b"SINCE", b"1-Feb-2020",
    b"RETURN", b"(MIN)", b"CHARSET", b"UTF-8", b'"', b'"x y"', b"\\", b"(", b")", b"{3}", b"{3+}",
    b"{12+}", b"~{3}", b"{99999999}", b"{99999999+}", b"{0}", b"*", b"%", b"NIL", b"ID", b"ENABLE",
    b"CREATE", b"(USE (\\Sent))", b"CATENATE (", b"URL", b"TEXT", b"/x/;UID=1", b"REPLACE", b"NOTIFY",
    b"SET", b"(selected (", b"MessageNew (UID)", b"MessageExpunge))", b"(mailboxes", b"UPDATE",
    b"GENURLAUTH", b"URLFETCH", b"INTERNAL",
    b'" 7-Feb-1994 22:43:04 -0800"', b"&", b"=2F", b"\xc3\xbc", b"\0", b"\r",
]  # fmt: skip
GLUE = [b" ", b"", b"\r\n", b"\n", b" "]

conversations = st.lists(
    st.tuples(st.sampled_from(WORDS) | st.binary(max_size=6), st.sampled_from(GLUE)), max_size=40
).map(lambda pairs: b"".join(word + glue for word, glue in pairs))


def speak(pieces: list[bytes]) -> list[Event]:
    """The events, as a session that takes every second upload; chunks that follow each other joined."""
    engine = ImapEngine()
    engine.max_command = 300
    found: list[Event] = []
    uploads = 0
    for piece in pieces:
        for event in engine.receive(piece):
            if isinstance(event, Upload):
                uploads += 1
                if uploads % 2:
                    engine.accept()
                else:
                    engine.refuse(Refusal(event.tag, "not this one", "NO"))
            elif isinstance(event, Command) and event.verb in ("IDLE", "AUTHENTICATE"):
                engine.expect_line()
            if isinstance(event, Chunk) and found and isinstance(found[-1], Chunk):
                found[-1] = Chunk(found[-1].data + event.data)
            else:
                found.append(event)
    return found


@given(conversations, st.lists(st.integers(0, 400), max_size=12))
def test_where_the_bytes_are_cut_changes_nothing(data: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in pairwise(places)]
    whole = speak([data])
    assert speak(pieces) == whole
    assert speak([data[n : n + 1] for n in range(len(data))]) == whole


@given(st.binary(max_size=600))
def test_any_octets_give_commands_or_refusals(data: bytes) -> None:
    speak([data])
    speak([b"a SEARCH " + data + b"\r\n"])
    speak([b"a FETCH 1 (" + data + b"\r\n"])
    speak([b"a LIST " + data + b"\r\n"])
    speak([b"a NOTIFY SET " + data + b"\r\n"])
    speak([b"a APPEND x CATENATE (" + data + b"\r\n"])
    speak([b"a URLFETCH " + data + b"\r\n"])


PIECES = [
    b"imap://", b"ada%40a.b", b"@", b"host", b":143", b"/", b"INBOX", b";UIDVALIDITY=", b";UID=", b"1",
    b"0", b";SECTION=", b"1.2.MIME", b"HEADER.FIELDS%20(", b")", b"%7B9%7D", b"%0D%0A", b"%FF", b"%",
    b";PARTIAL=", b"0.1", b".", b";EXPIRE=", b"2020-01-01T00:00:00Z", b"9999-12-31T23:59:59-01:00",
    b";URLAUTH=", b"user+", b"authuser", b":internal:", b"0" * 32, b"]", b"\0", b"?",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=20))
def test_any_octets_are_a_url_or_are_refused(pieces: list[bytes]) -> None:
    try:
        url = urls.parse(b"".join(pieces))
    except urls.BadUrl:
        return
    assert url.uid
    assert url.access is None or url.access.rump


@given(st.text(max_size=40).filter(lambda t: not any(0xD800 <= ord(c) <= 0xDFFF for c in t)))
def test_modified_utf7_loses_nothing(text: str) -> None:
    assert mutf7.decode(mutf7.encode(text)) == text


@given(st.binary(max_size=40))
def test_modified_utf7_has_one_spelling(raw: bytes) -> None:
    try:
        text = mutf7.decode(raw)
    except ValueError:
        return
    assert mutf7.encode(text) == raw


components = st.text(st.sampled_from("/=23DFaé&"), min_size=1, max_size=8)


@given(st.lists(components, min_size=1, max_size=4))
def test_every_path_has_a_name(path: list[str]) -> None:
    raw = names.write(tuple(path))
    assert b"/" not in names.write((path[0],))
    assert names.parse(raw) == tuple(path)


@given(st.lists(components.map(lambda c: c.replace("/", "x")), min_size=1, max_size=4))
def test_every_name_is_listed_as_it_was_spelt(parts: list[str]) -> None:
    raw = mutf7.encode("/".join(parts))
    assert names.write(names.parse(raw)) == raw


@given(st.text(st.sampled_from("ab/*%"), max_size=10), st.text(st.sampled_from("ab/"), max_size=10))
def test_patterns_match_like_a_simple_matcher(pattern: str, name: str) -> None:
    def simple(p: str, n: str) -> bool:
        if not p:
            return not n
        if p[0] in "*%":
            limit = len(n) if p[0] == "*" else (n + "/").index("/")
            return any(simple(p[1:], n[k:]) for k in range(limit + 1))
        return n[:1] == p[0] and simple(p[1:], n[1:])

    assert Pattern(pattern.encode()).matches(name) is simple(pattern, name)
