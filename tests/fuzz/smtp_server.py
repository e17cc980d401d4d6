"""The SMTP server engine: whatever arrives, replies or a hang-up, and no smuggled message."""

from postillon.protocol.smtp.server import Offer
from support.smtp_engine import Session

SEEDS = (
    b"EHLO a\r\nMAIL FROM:<a@b.example> SIZE=3 BODY=8BITMIME RET=HDRS ENVID=x+2By\r\n"
    b"RCPT TO:<ada@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+40b\r\nDATA\r\n",
    b"HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<ada@example.org>\r\nBDAT 4\r\na\r\nbBDAT 3 LAST\r\n\r\n.",
    b"LHLO a\r\nMAIL FROM:<\"a b\"@[IPv6:::1]> SMTPUTF8\r\nRCPT TO:<postmaster>\r\nRSET\r\n",
    b"EHLO a\r\nAUTH PLAIN AGEAYg==\r\nAUTH LOGIN\r\n*\r\nSTARTTLS\r\nVRFY x\r\nQUIT\r\n",
    b"a\r\n.\r\n", b"\r\n.\n", b"..\r\n",
)  # fmt: skip


def one(data: bytes) -> None:
    """The first octet chooses how the rest is cut."""
    step = (data[0] % 40 + 1) if data else 1
    session = Session(Offer(max_size=500, lmtp=bool(data) and data[0] >= 128))
    body = data[1:]
    for start in range(0, len(body), step):
        out = session.receive(body[start : start + step])
        for line in out.splitlines(keepends=True):
            assert line.endswith(b"\r\n"), line
            assert line[:3].isdigit(), line
    for _, content in session.messages:
        assert len(content) <= 500
