"""Whatever a message is (RFC 7103), FETCH answers it, and another client's parser reads the answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from imapclient.response_parser import parse_fetch_response

from support.imap import Client, house

H = b"From: a@b\r\nSubject: t\r\nMIME-Version: 1.0\r\n"
MIXED = H + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
MESSAGES = {
    "no last boundary": MIXED + b"--x\r\n\r\none\r\n--x\r\nContent-Type: text/html\r\n\r\ntwo",
    "no boundary named": H + b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\none\r\n--x--\r\n",
    "a boundary that never comes": MIXED + b"hello\r\n",
    "parts without anything": MIXED + b"--x\r\n--x\r\n--x--\r\n",
    "the outer boundary inside": MIXED
    + b"--x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\n\r\nX\r\n--x\r\n\r\nY\r\n"
    b"--y--\r\n--x--\r\n",
    "one boundary for both": MIXED
    + b"--x\r\nContent-Type: multipart/related; boundary=x\r\n\r\n--x\r\n\r\nX\r\n--x--\r\n",
    "damaged base 64": H
    + b"Content-Transfer-Encoding: base64\r\n\r\naGVs*bG8\r\n====gd29ybGQ\r\n!!",
    "damaged quoted-printable": H
    + b"Content-Transfer-Encoding: quoted-printable\r\n\r\na=ZZb=3\r\n=\r\nc=",
    "raw octets in the header": b'From: J\xe4\xf6 <a@b>\r\nSubject: \xe4\xff\xfe"\\\r\n'
    b'Content-Type: text/plain; name="\xe4.txt"\r\n\r\n\xe4\r\n',
    "a line that is no field": b"From: a@b\r\nthis is none\r\nSubject: after\r\n\r\nbody\r\n",
    "a first line that is no field": b"garbage\r\nFrom: a@b\r\n\r\nbody\r\n",
    "bare carriage returns": b"From: a@b\r\nSubject: a\rb\r\n\r\nbare\rcr\r\n",
    "bare line feeds": b"From: a@b\nSubject: lf\n\none\ntwo\n",
    "no header": b"\r\nonly body\r\n",
    "nothing but a header": b"From: a@b\r\nSubject: x",
    "one octet": b"x",
    "half a Content-Type": H + b"Content-Type: text\r\nContent-Disposition: ;;;\r\n"
    b"Content-Language: ,,\r\nContent-ID:\r\n\r\nx\r\n",
    "strange parameters": H + b'Content-Type: text/plain; charset; x=; =y; name="open\r\n\r\nx\r\n',
    "two Content-Types": H + b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n",
    "a message without anything": MIXED + b"--x\r\nContent-Type: message/rfc822\r\n\r\n--x--\r\n",
    "strange addresses": b'From: "open <a@b\r\nTo: a@b@c, <>, ,;:, list:;, "q\\"x" <a@b>, (c (n) c) d@e'
    b", <a b@c>, foo bar, @, x@, <@r,@s:a@b>\r\nSender: \x01\x02\r\nDate: nonsense\r\n\r\n\r\n",
    "10,000 parts": MIXED + b"--x\r\n\r\na\r\n" * 10_000 + b"--x--\r\n",
    "100 levels of parts": H
    + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(100)
    )
    + b"\r\nhello\r\n",
    "100 levels of messages": H
    + b"Content-Type: message/rfc822\r\n\r\nFrom: x@y\r\n" * 100
    + b"\r\nhello\r\n",
    "a header of a megabyte": b"From: "
    + b", ".join(b"u%d@example.org" % n for n in range(20_000))
    + b"\r\nSubject: "
    + b"x" * 500_000
    + b"\r\n\r\nb\r\n",
}
SHAPE = "(UID RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY PREVIEW)"
OCTETS = (
    "(UID BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2]"
    " BODY.PEEK[1.1] BODY.PEEK[1.HEADER] BODY.PEEK[HEADER.FIELDS (FROM X)]"
    " BODY.PEEK[HEADER.FIELDS.NOT (FROM)] BINARY.SIZE[1] BINARY.PEEK[1] BINARY.PEEK[2.1]<3.5>)"
)


async def _fetched(client: Client, items: str) -> dict[bytes, object]:
    """Of the last message, as IMAPClient reads it."""
    [response] = await client.ok(f"UID FETCH * {items}")
    pieces = _cut(response.removeprefix(b"* ").replace(b" FETCH ", b" ", 1))
    [values] = parse_fetch_response(pieces).values()
    return dict(values)


def _cut(response: bytes) -> list[bytes | tuple[bytes, bytes]]:
    """As imaplib gives it: each literal in a pair with what stands before it."""
    found: list[bytes | tuple[bytes, bytes]] = []
    while True:
        start = response.find(b"}\r\n")
        if start < 0:
            return [*found, response]
        size = int(response[response.rindex(b"{", 0, start) + 1 : start])
        found.append((response[: start + 1], response[start + 3 : start + 3 + size]))
        response = response[start + 3 + size :]


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_malformed_message_is_fetched(tmp_path: Path, name: str) -> None:
    content = MESSAGES[name]
    async with house(tmp_path) as here:
        client = await here.client()
        await client.ok("APPEND INBOX {}", content)
        await client.select()
        shape = await _fetched(client, SHAPE)
        assert shape[b"RFC822.SIZE"] == len(content)
        assert len(shape[b"ENVELOPE"].__dict__) == 10
        octets = await _fetched(client, OCTETS)
        assert octets[b"BODY[]"] == content
        assert octets[b"BODY[HEADER]"] + octets[b"BODY[TEXT]"] == content  # type: ignore[operator]
        await client.ok("SEARCH TEXT hello")
        assert not here.faults
