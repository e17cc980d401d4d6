"""What one scan of a 10 KB multipart/alternative message costs; `python benchmarks/scan.py`."""

from __future__ import annotations

import time

from postillon.mail import part
from postillon.mail.digest import pack
from postillon.mail.mime import scan

ROUNDS = 2_000
SERIES = 9


def message() -> bytes:
    header = (
        b"Received: from mail.example.net (mail.example.net [192.0.2.1])\r\n"
        b"\tby mx.example.org with ESMTPS id 4XyZ1; Wed, 25 Nov 2026 02:14:20 +0000\r\n"
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=s1;\r\n"
        b"\th=from:to:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n"
        b"\tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR\r\n"
        b"From: Ada Lovelace <ada@example.net>\r\n"
        b"To: Charles Babbage <charles@example.org>, Mary <mary@example.org>\r\n"
        b"Subject: Re: [notes] The engine weaves algebraic patterns\r\n"
        b"Date: Wed, 25 Nov 2026 03:14:19 +0100\r\n"
        b"Message-ID: <0123456789abcdef@mail.example.net>\r\n"
        b"In-Reply-To: <fedcba9876543210@mail.example.org>\r\n"
        b"References: <aaaaaaaa@mail.example.org> <fedcba9876543210@mail.example.org>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"User-Agent: Example/1.0\r\n"
        b'Content-Type: multipart/alternative; boundary="=_0123456789abcdef"\r\n'
        b"\r\n"
    )
    line = b"The Analytical Engine has no pretensions whatever to originate anything=2E It=\r\n"
    plain = line * 40
    markup = b"<html><body>\r\n" + b"<p>" + line * 66 + b"</p></body></html>\r\n"
    parts = b"".join(
        b"--=_0123456789abcdef\r\nContent-Type: text/" + kind + b'; charset="utf-8"\r\n'
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + body + b"\r\n"
        for kind, body in ((b"plain", plain), (b"html", markup))
    )
    return header + b"This is MIME.\r\n" + parts + b"--=_0123456789abcdef--\r\n"


def main() -> None:
    blob = message()
    best = both = float("inf")
    for _ in range(SERIES):
        start = time.process_time()
        for _ in range(ROUNDS):
            scan(blob)
        best = min(best, time.process_time() - start)
        start = time.process_time()
        for _ in range(ROUNDS):
            found = scan(blob)
            pack(found.digest)
            part.pack(found.structure)
        both = min(both, time.process_time() - start)
    print(f"scan of {len(blob)} octets: {best / ROUNDS * 1e6:.1f} us")
    print(f"scan and pack:            {both / ROUNDS * 1e6:.1f} us")


if __name__ == "__main__":
    main()
