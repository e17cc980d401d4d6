"""The SMTP client engine against a server that says anything at any time."""

from postillon.mail.address import parse_address
from postillon.mail.envelope import Envelope, Recipient
from postillon.protocol.sasl.client import ScramClientMechanism
from postillon.protocol.smtp.client import CannotSend, SmtpClientEngine

SEEDS = tuple(
    b"\0".join(pieces)
    for pieces in (
        (
            b"220 mx\r\n",
            b"250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 DSN\r\n",
            b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n550 5.1.1 no\r\n354 go\r\n",
            b"250 2.0.0 ok\r\n",
        ),
        (
            b"220 mx\r\n",
            b"500 what\r\n",
            b"250 mx\r\n",
            b"250 ok\r\n",
            b"250 ok\r\n",
            b"421 bye\r\n",
        ),
        (
            b"220 mx\r\n",
            b"250-mx\r\n250-LIMITS RCPTMAX=1\r\n250 AUTH SCRAM-SHA-256\r\n",
            b"334 cj1hLHM9YixpPTE=\r\n",
        ),
    )
)
PATHS = tuple(Recipient(parse_address(f"{name}@example.org")) for name in ("ada", "bob"))


def one(data: bytes) -> None:
    """Pieces are divided by NUL; the client goes on as soon as it may."""
    lmtp = data[:1] == b"\x80"
    engine = SmtpClientEngine("client.example.net", lmtp=lmtp)
    engine.start()
    tx = None
    said_hello = False
    for piece in data[lmtp:].split(b"\0"):
        engine.receive(piece or b"x")
        if engine.broken:
            break
        if not said_hello:
            engine.ehlo()
            said_hello = True
        elif engine.idle and tx is None:
            try:
                if "AUTH" in engine.extensions and not engine.offers("SIZE"):
                    engine.auth(ScramClientMechanism("ada", "pencil"))
                else:
                    tx = engine.transaction(Envelope(None, PATHS), 3, [b"a\n", b".\r"])
            except CannotSend:
                engine.noop()
        while out := engine.send():
            assert b"\r" not in out.replace(b"\r\n", b"")
            assert b"\n" not in out.replace(b"\r\n", b"")
    engine.receive(b"")
    assert engine.broken
    assert tx is None or tx.finished
    assert engine.limits is not None
    assert engine.recipient_limit >= 1
