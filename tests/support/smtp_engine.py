"""The SMTP engine with the simplest session behind it: everybody at example.org exists."""

from __future__ import annotations

from postillon.mail.outcome import Reply, reply
from postillon.protocol.smtp import server as smtp
from postillon.protocol.smtp.server import Offer, SmtpServerEngine

HOST = "mx.example.org"
GREETING = f"220 {HOST} ESMTP Postillon\r\n".encode()


class Session:
    """What a driver does, without any waiting. `messages` are (envelope, content) accepted."""

    def __init__(self, offer: Offer | None = None) -> None:
        self.offer = offer or Offer(
            max_size=100_000, max_recipients=100, max_transactions=1_000, least_by=60
        )
        self.engine = SmtpServerEngine(self.offer)
        self.messages: list[tuple[object, bytes]] = []
        self.events: list[object] = []
        self.closed = False
        self._envelope = None
        self._recipients: list[object] = []
        self._content = bytearray()

    def receive(self, data: bytes) -> bytes:
        out = b""
        if self.closed:
            return out
        for event in self.engine.receive(data):
            self.events.append(event)
            for answer in self._answers(event):
                self.engine.answered(event, answer.code)
                out += bytes(answer)
        return out

    def _answers(self, event: object) -> list[Reply]:
        match event:
            case smtp.Content(octets):
                self._content += octets
                return []
            case smtp.Fault(answer, close):
                self.closed = self.closed or close
                return [] if answer is None else [answer]
            case smtp.End(_, refusal):
                return self._end(refusal)
        return [self._answer(event)]

    def _end(self, refusal: Reply | None) -> list[Reply]:
        count = len(self._recipients) if self.offer.lmtp else 1
        content, self._content = bytes(self._content), bytearray()
        if refusal is not None:
            return [refusal] * count
        self.messages.append((self._envelope.to(*self._recipients), content))
        return [reply(250, "2.0.0", f"Accepted as {len(self.messages)}")] * count

    def _answer(self, event: object) -> Reply:
        match event:
            case smtp.Hello(verb, _):
                self._content.clear()
                lines = () if verb == "HELO" else self.offer.keywords()
                return reply(250, "", HOST, *lines)
            case smtp.Mail(envelope):
                self._envelope, self._recipients = envelope, []
                return reply(250, "2.1.0", "Sender ok")
            case smtp.Rcpt(recipient):
                if recipient.forward_path.domain != "example.org":
                    return reply(550, "5.7.1", "this server does not relay for you to that domain")
                if recipient.forward_path.local == "nobody":
                    return reply(550, "5.1.1", "there is no such mailbox here")
                self._recipients.append(recipient)
                return reply(250, "2.1.5", "Recipient ok")
            case smtp.Data():
                self._content.clear()
                return reply(354, "", "End with <CRLF>.<CRLF>")
            case smtp.ChunkEnd(_, refusal):
                return refusal or reply(250, "2.0.0", "Chunk received")
            case smtp.Simple("QUIT", _):
                self.closed = True
                return reply(221, "2.0.0", "Goodbye")
            case smtp.Simple("RSET", _):
                self._content.clear()
                return reply(250, "2.0.0", "Ok")
            case smtp.Simple("VRFY", _):
                return reply(252, "2.1.5", "Send a message and see")
            case smtp.Simple("EXPN", _):
                return reply(502, "5.5.1", "EXPN is not offered")
            case smtp.Simple("HELP", _):
                return reply(214, "2.0.0", "See RFC 5321; mail to postmaster reaches a person")
            case smtp.Simple():
                return reply(250, "2.0.0", "Ok")
            case smtp.StartTls():
                return reply(502, "5.5.1", "Not offered here")
            case smtp.Auth():
                return reply(502, "5.5.1", "Not offered here")
        raise TypeError(event)
