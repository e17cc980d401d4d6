"""The client engine, against our own server engine and against servers with manners of their own."""

import pytest
from msgspec.structs import replace

from postillon.mail.address import parse_address
from postillon.mail.envelope import Body, Envelope, Notify, Recipient
from postillon.protocol.sasl.client import PlainClient
from postillon.protocol.smtp import client as smtp
from postillon.protocol.smtp.client import CannotSend, SmtpClientEngine
from postillon.protocol.smtp.server import Offer
from support.smtp_engine import GREETING, Session


def envelope(*paths, **facts):
    return Envelope(
        parse_address("grace@example.net"),
        tuple(Recipient(parse_address(path)) for path in paths),
        **facts,
    )


def connect(session, **facts):
    engine = SmtpClientEngine("client.example.net", **facts)
    engine.start()
    engine.receive(GREETING)
    engine.ehlo()
    engine.receive(session.receive(engine.send()))
    return engine


def run(engine, session, tx):
    """Carry octets until the transaction is over; returns events and the writes it took."""
    events, writes = [], 0
    while not tx.finished:
        sent = b""
        while data := engine.send():
            sent += data
        writes += 1
        assert writes < 200
        events += engine.receive(session.receive(sent))
    return events, writes


def send(session, sent, content=b"Subject: hi\r\n\r\nhi\r\n", **facts):
    engine = connect(session, **facts)
    tx = engine.transaction(sent, len(content), [content])
    run(engine, session, tx)
    return engine, tx


def plain(session):
    """A server that knows nothing but RFC 5321's minimum."""
    session.offer.keywords = list
    return session


class Bare(Session):
    """A server that offers what it is told to."""

    def __init__(self, *keywords, lmtp=False):
        super().__init__(Offer(max_size=100_000, lmtp=lmtp))
        self._keywords = keywords

    def receive(self, data):
        if data[:5].upper() in (b"EHLO ", b"LHLO "):
            super().receive(data)
            lines = [f"250-{word}" for word in ("mx", *self._keywords)]
            lines[-1] = lines[-1].replace("-", " ", 1)
            return "".join(line + "\r\n" for line in lines).encode()
        return super().receive(data)


def test_a_message_takes_two_writes_where_pipelining_is_offered():
    session = Session()
    engine = connect(session)
    tx = engine.transaction(envelope("ada@example.org", "bob@example.org"), 4, [b"a\r\n", b"b\r\n"])
    events, writes = run(engine, session, tx)
    assert writes == 2
    assert [type(event).__name__ for event in events] == [
        "MailReply", "RcptReply", "RcptReply", "DataGo", "Done",
    ]  # fmt: skip
    assert tx.reply_for(0).code == tx.reply_for(1).code == 250
    assert session.messages[0][1] == b"a\r\nb\r\n"
    assert engine.idle


def test_without_pipelining_each_command_waits_for_its_reply():
    session = Bare()
    engine = connect(session)
    tx = engine.transaction(envelope("ada@example.org", "nobody@example.org"), 4, [b"hi\r\n"])
    _, writes = run(engine, session, tx)
    assert writes == 5
    assert tx.reply_for(0).code == 250
    assert tx.reply_for(1).enhanced == "5.1.1"


@pytest.mark.parametrize("keywords", [(), ("PIPELINING",)])
def test_a_session_goes_on_after_all_recipients_were_refused(keywords):
    session = Bare(*keywords)
    engine, tx = send(session, envelope("nobody@example.org"))
    assert tx.reply_for(0).enhanced == "5.1.1"
    again = engine.transaction(envelope("ada@example.org"), 4, [b"hi\r\n"])
    run(engine, session, again)
    assert again.reply_for(0).code == 250
    assert len(session.messages) == 1


def test_every_recipient_is_answered_when_mail_is_refused():
    engine = connect(Session())
    tx = engine.transaction(envelope("ada@example.org", "bob@example.org"), 4, [b"hi\r\n"])
    engine.send()
    engine.receive(b"451 4.7.1 greylisted\r\n503 5.5.1 a\r\n503 5.5.1 b\r\n503 5.5.1 c\r\n")
    assert tx.finished
    assert [tx.reply_for(n).enhanced for n in (0, 1)] == ["4.7.1", "4.7.1"]


def test_lmtp_has_a_reply_for_each_recipient():
    session = Bare("PIPELINING", lmtp=True)
    engine = connect(session, lmtp=True)
    tx = engine.transaction(
        envelope("ada@example.org", "nobody@example.org", "bob@example.org"), 4, [b"hi\r\n"]
    )
    run(engine, session, tx)
    assert tx.content_sent
    assert tx.finished
    assert [tx.reply_for(n).code for n in range(3)] == [250, 550, 250]


def test_lmtp_replies_may_differ():
    engine = connect(Bare("PIPELINING", lmtp=True), lmtp=True)
    tx = engine.transaction(envelope("ada@example.org", "bob@example.org"), 4, [b"hi\r\n"])
    engine.send()
    engine.receive(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    while engine.send():
        pass
    engine.receive(b"250 2.0.0 a\r\n")
    assert not tx.finished
    engine.receive(b"452 4.2.2 full\r\n")
    assert tx.finished
    assert [tx.reply_for(n).code for n in (0, 1)] == [250, 452]


@pytest.mark.parametrize(
    ("content", "arrives"),
    [
        (b".", b".\r\n"),
        (b"", b""),
        (b"a", b"a\r\n"),
        (b".\r\n..\r\n.a", b".\r\n..\r\n.a\r\n"),
        (b"a\n.\nb\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r.\r", b"a\r\n.\r\n"),
        (b"a\r\r\nb", b"a\r\n\r\nb\r\n"),
        (b"\r\n.\r\n", b"\r\n.\r\n"),
    ],
)
@pytest.mark.parametrize("piece", [1, 2, 100])
def test_content_arrives_as_it_was_with_whole_lines(content, arrives, piece):
    session = Session()
    engine = connect(session)
    chunks = [content[n : n + piece] for n in range(0, len(content), piece)]
    tx = engine.transaction(envelope("ada@example.org"), len(content), chunks)
    run(engine, session, tx)
    assert session.messages[0][1] == arrives


def test_binary_content_travels_by_chunks_unchanged():
    content = bytes(range(256)) * 700
    session = Session(Offer(max_size=1_000_000))
    engine, tx = send(session, envelope("ada@example.org", body=Body.BINARY), content)
    assert tx.reply_for(0).code == 250
    assert session.messages[0][1] == content
    assert engine.idle


def test_binary_content_is_not_sent_where_it_is_not_offered():
    engine = connect(Bare("PIPELINING"))
    with pytest.raises(CannotSend) as refused:
        engine.transaction(envelope("ada@example.org", body=Body.BINARY), 1, [b"\0"])
    assert refused.value.status.code == "5.6.3"
    assert engine.idle


def test_a_message_over_size_is_not_sent():
    engine = connect(Session())
    with pytest.raises(CannotSend) as refused:
        engine.transaction(envelope("ada@example.org"), 100_001, [b""])
    assert refused.value.status.code == "5.3.4"


def test_smtputf8_is_asked_for_or_refused():
    ours = envelope("däta@example.org", "ada@example.org")
    engine = connect(Session())
    engine.transaction(ours, 4, [b"hi\r\n"])
    assert b" SMTPUTF8\r\n" in engine.send()
    old = connect(Bare("PIPELINING"))
    tx = old.transaction(ours, 4, [b"hi\r\n"])
    assert old.send().count(b"RCPT") == 1
    assert tx.reply_for(0).enhanced == "5.6.7"
    with pytest.raises(CannotSend):
        connect(Bare()).transaction(envelope("ada@example.org"), 4, [b""], utf8_header=True)
    with pytest.raises(CannotSend):
        connect(Bare()).transaction(
            replace(ours, reverse_path=parse_address("däta@example.org")), 4, [b""]
        )


def test_dsn_wishes_are_passed_on_where_dsn_is_offered():
    recipient = Recipient(
        parse_address("ada@example.org"), Notify.SUCCESS | Notify.DELAY, "rfc822;a b@example.org"
    )
    sent = Envelope(None, (recipient,), ret_full=False, envid="x+y")
    engine = connect(Session())
    engine.transaction(sent, 4, [b"hi\r\n"])
    assert engine.send().split(b"\r\n")[:2] == [
        b"MAIL FROM:<> SIZE=4 RET=HDRS ENVID=x+2By",
        b"RCPT TO:<ada@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+20b@example.org",
    ]
    other = connect(Bare("PIPELINING"))
    other.transaction(sent, 4, [b"hi\r\n"])
    assert b"NOTIFY" not in other.send()


def test_helo_follows_a_refused_ehlo():
    engine = SmtpClientEngine("client.example.net")
    engine.start()
    engine.receive(b"220 old\r\n")
    engine.ehlo()
    engine.send()
    assert engine.receive(b"500 what?\r\n") == []
    assert engine.send() == b"HELO client.example.net\r\n"
    assert isinstance(engine.receive(b"250 old\r\n")[0], smtp.Hello)
    assert engine.idle


def test_starttls_with_more_behind_its_reply_is_a_broken_session():
    engine = connect(Session())
    engine.starttls()
    engine.send()
    [event] = engine.receive(b"220 go\r\n250 injected\r\n")
    assert isinstance(event, smtp.Broken)
    assert engine.broken


def test_starttls_forgets_what_was_offered():
    engine = connect(Session())
    engine.starttls()
    engine.send()
    [event] = engine.receive(b"220 go\r\n")
    assert isinstance(event, smtp.TlsGo)
    engine.secured()
    assert not engine.extensions


def test_auth_sends_the_initial_response_and_reports_the_end():
    engine = connect(Session())
    engine.auth(PlainClient("ada", "pencil"))
    assert engine.send() == b"AUTH PLAIN AGFkYQBwZW5jaWw=\r\n"
    assert engine.receive(b"235 2.7.0 ok\r\n")[0].ok


def test_421_answers_everything_that_is_open():
    engine = connect(Session())
    tx = engine.transaction(envelope("ada@example.org", "bob@example.org"), 4, [b"hi\r\n"])
    engine.send()
    events = engine.receive(b"250 ok\r\n250 ok\r\n421 4.3.2 going down\r\n")
    assert isinstance(events[-1], smtp.Broken)
    assert tx.finished
    assert [tx.reply_for(n).code for n in (0, 1)] == [421, 421]


def test_a_lost_connection_leaves_the_outcome_open():
    engine = connect(Session())
    tx = engine.transaction(envelope("ada@example.org"), 4, [b"hi\r\n"])
    engine.send()
    engine.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    while engine.send():
        pass
    engine.receive(b"")
    assert tx.finished
    assert tx.content_sent
    assert tx.reply_for(0) is None


def test_a_refusal_in_the_middle_of_content_is_kept():
    engine = connect(Session())
    tx = engine.transaction(envelope("ada@example.org"), 9, [b"hi\r\n" * 50_000])
    engine.send()
    engine.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    engine.send()
    engine.receive(b"552 5.3.4 too big\r\n")
    assert tx.finished
    assert tx.reply_for(0).enhanced == "5.3.4"
    assert engine.broken


@pytest.mark.parametrize(
    "junk", [b"hello\r\n", b"999 x\r\n", b"250-a\r\n251 b\r\n", b"2" * 5000, b"250-x\r\n" * 500]
)
def test_what_is_no_reply_breaks_the_session(junk):
    engine = connect(Session())
    engine.noop()
    engine.send()
    assert isinstance(engine.receive(junk)[-1], smtp.Broken)


def test_a_reply_to_nothing_breaks_the_session():
    engine = connect(Session())
    assert isinstance(engine.receive(b"250 ok\r\n")[0], smtp.Broken)


def test_limits_bound_the_recipients():
    engine = connect(Bare("LIMITS RCPTMAX=20 MAILMAX=5"))
    assert engine.recipient_limit == 20
    assert engine.limits["MAILMAX"] == 5
    assert connect(Bare()).recipient_limit == 100


def test_control_characters_in_a_reply_are_not_passed_on():
    engine = connect(Session())
    engine.noop()
    engine.send()
    [event] = engine.receive(b"250 2.0.0 a\x1b[31mb\x00\r\n")
    assert event.reply.text == "a?[31mb?"
    assert event.reply.enhanced == "2.0.0"


def test_a_challenge_that_is_not_base64_cancels_the_login():
    engine = connect(Session())
    engine.auth(PlainClient("ada", "pencil"))
    engine.send()
    engine.receive("334 cä\r\n".encode())
    assert engine.send() == b"*\r\n"
    assert not engine.receive(b"501 5.7.0 cancelled\r\n")[0].ok


def test_each_reply_has_the_time_of_rfc_5321():
    engine = SmtpClientEngine("client.example.net")
    engine.start()
    times = [engine.patience]  # greeting
    engine.receive(GREETING)
    engine.ehlo()
    for said in (b"250 mx\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"):
        engine.send()
        times.append(engine.patience)  # EHLO, MAIL, RCPT, DATA
        engine.receive(said)
        if len(times) == 2:
            engine.transaction(envelope("ada@example.org"), 3, [b"a\r\n"])
    times.append(engine.patience)  # a piece of content
    while engine.send():
        pass
    times.append(engine.patience)  # its end
    assert times == [300, 300, 300, 300, 120, 180, 600]
