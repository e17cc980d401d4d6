"""What holds for every SMTP conversation, whatever the octets and wherever they are cut."""

from hypothesis import given, settings
from hypothesis import strategies as st

from postillon.mail.address import parse_address
from postillon.mail.envelope import Envelope, Recipient
from postillon.mail.outcome import Reply
from postillon.protocol.smtp.client import SmtpClientEngine
from postillon.protocol.smtp.content import Stuffer, Unstuffer, pure_lines
from postillon.protocol.smtp.grammar import decode_xtext, encode_xtext
from postillon.protocol.smtp.replies import BadReply, ReplyReader
from postillon.protocol.smtp.server import Content, Offer
from support.smtp_engine import GREETING, Session

WORDS = st.sampled_from(
    [
        b"EHLO a\r\n", b"HELO a\r\n", b"MAIL FROM:<>\r\n", b"MAIL FROM:<a@b.example> SIZE=9\r\n",
        b"MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n", b"RCPT TO:<ada@example.org>\r\n",
        b"RCPT TO:<nobody@example.org>\r\n", b"DATA\r\n", b".\r\n", b"\r\n.\r\n", b"..\r\n",
        b"RSET\r\n", b"NOOP\r\n", b"BDAT 3\r\nabc", b"BDAT 4 LAST\r\na\r\nb", b"BDAT 0 LAST\r\n",
        b"AUTH PLAIN\r\n", b"*\r\n", b"STARTTLS\r\n", b"\r", b"\n", b"\0", b"text\r\n", b"\xff\xfe\r\n",
        b"x" * 600, b"GET / HTTP/1.1\r\n",
    ]
)  # fmt: skip
CONVERSATION = st.lists(WORDS | st.binary(max_size=20), max_size=25).map(b"".join)
CUTS = st.lists(st.integers(0, 2000), max_size=12)
LINES = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"..", b"\r\n.\r\n"]), max_size=30
)


def cut(data, places):
    places = sorted({place for place in places if place < len(data)})
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        if start < end:
            yield data[start:end]


def told(session):
    """The events, with neighbouring content joined: how much comes at a time means nothing."""
    joined = []
    for event in session.events:
        if isinstance(event, Content):
            if joined and isinstance(joined[-1], bytes):
                joined[-1] += event.octets
            elif event.octets:
                joined.append(event.octets)
        else:
            joined.append(event)
    return joined


@settings(max_examples=200)
@given(CONVERSATION, CUTS)
def test_where_the_bytes_are_cut_changes_nothing(data, places):
    """But for what comes before its turn: that it came too early is seen only if it came at once."""
    octets = Session(Offer(max_size=60))
    one = b"".join(octets.receive(data[n : n + 1]) for n in range(len(data)))
    pieces = Session(Offer(max_size=60))
    other = b"".join(pieces.receive(piece) for piece in cut(data, places))
    if b"554 5.5.0" in other or b"501 5.5.1" in other:
        return
    assert told(octets) == told(pieces)
    assert one == other


@settings(max_examples=200)
@given(st.binary(max_size=400) | CONVERSATION)
def test_any_octets_give_events_and_replies_and_nothing_else(data):
    session = Session(Offer(max_size=60))
    out = session.receive(data)
    assert out == b"" or out.endswith(b"\r\n")
    for line in out.splitlines():
        assert line[:3].isdigit()
    for _, content in session.messages:
        assert len(content) <= 60


@settings(max_examples=200)
@given(LINES.map(b"".join), CUTS)
def test_content_survives_the_way_through_both_engines(content, places):
    stuffer = Stuffer()
    wire = b"".join(stuffer.feed(piece) for piece in cut(content, places)) + stuffer.finish()
    assert pure_lines(wire)
    unstuffer = Unstuffer()
    got, rest = unstuffer.feed(wire + b"QUIT\r\n")
    assert rest == b"QUIT\r\n"
    assert unstuffer.pure
    whole = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    assert got == (whole if not whole or whole.endswith(b"\r\n") else whole + b"\r\n")


@settings(max_examples=200)
@given(LINES.map(b"".join), CUTS)
def test_content_ends_at_the_first_crlf_dot_crlf_and_nowhere_else(data, places):
    unstuffer = Unstuffer()
    got, rest = b"", None
    pieces = list(cut(data, places))
    while pieces and rest is None:
        octets, rest = unstuffer.feed(pieces.pop(0))
        got += octets
    end = (b"\r\n" + data).find(b"\r\n.\r\n")
    if end < 0:
        assert rest is None
        return
    assert rest is not None
    assert rest + b"".join(pieces) == data[end + 3 :]
    content = (b"\r\n" + data)[: end + 2]
    assert got == content.replace(b"\r\n.", b"\r\n")[2:]
    assert unstuffer.pure == pure_lines(content)


@settings(max_examples=100)
@given(st.text(max_size=40).filter(str.isprintable))
def test_xtext_gives_back_what_it_was_given(text):
    assert decode_xtext(encode_xtext(text)) == text


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"250-a\r\n", b"250 a\r\n"]), max_size=8))
def test_replies_are_read_or_refused(pieces):
    reader = ReplyReader()
    try:
        for piece in pieces:
            reader.feed(piece)
            while (said := reader.next()) is not None:
                assert isinstance(said, Reply)
                assert all(line.isprintable() for line in said.lines)
    except BadReply:
        pass


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from(["ada", "nobody", "bob"]), min_size=1, max_size=6),
    LINES.map(b"".join),
    st.integers(1, 50),
)
def test_client_and_server_agree_on_every_recipient(names, content, piece):
    session = Session()
    engine = SmtpClientEngine("client.example.net")
    engine.start()
    engine.receive(GREETING)
    engine.ehlo()
    engine.receive(session.receive(engine.send()))
    paths = [Recipient(parse_address(f"{name}@example.org")) for name in names]
    tx = engine.transaction(Envelope(None, tuple(paths)), len(content), [content])
    while not tx.finished:
        sent = b""
        while data := engine.send():
            sent += data
        back = session.receive(sent)
        assert back
        for start in range(0, len(back), piece):
            engine.receive(back[start : start + piece])
    for number, name in enumerate(names):
        assert tx.reply_for(number).positive == (name != "nobody")
    assert len(session.messages) == (set(names) != {"nobody"})


@settings(max_examples=200)
@given(
    st.lists(st.binary(max_size=60) | st.just(b"250 ok\r\n") | st.just(b"354 go\r\n"), max_size=10)
)
def test_the_client_survives_any_server(pieces):
    engine = SmtpClientEngine("client.example.net")
    engine.start()
    engine.receive(GREETING)
    engine.ehlo()
    engine.send()
    engine.receive(b"250-mx\r\n250 PIPELINING\r\n")
    tx = engine.transaction(Envelope(None, (Recipient(parse_address("a@b.example")),)), 2, [b"hi"])
    for piece in pieces:
        engine.receive(piece)
        while engine.send():
            pass
    engine.receive(b"")
    assert tx.finished
    tx.reply_for(0)
