"""The mail that is read: made up, the same at every run, with the shapes of an office's mailbox."""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import accumulate

from benchmarks.search import VOCABULARY, vocabulary

RARE = "quarterlyfigures"  # in the text of one message of 5,000
SOME = "meeting"  # in the text and subject of one of 100
PEOPLE = 400  # correspondents
FIRST_AT = datetime(2024, 1, 8, 8, tzinfo=UTC)
TRAIL = (
    "Return-Path: <{address}>\r\n"
    "Received: from out{host}.example.net (out{host}.example.net [192.0.2.{host}])\r\n"
    "\tby mx.example.org with ESMTPS id {token};\r\n\t{date}\r\n"
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=s1;\r\n"
    "\th=from:to:subject:date:message-id;\r\n\tb={signature}\r\n"
)


class Writer:
    """Writes messages one after the other; about a third answer an earlier one."""

    def __init__(self, seed: int = 1) -> None:
        self._choice = random.Random(seed)
        self._words = vocabulary(self._choice)
        self._frequencies = list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
        self._people = [self._person(n) for n in range(PEOPLE)]
        self._recent: list[tuple[str, str, list[str]]] = []  # id, subject, references

    def messages(self, count: int) -> Iterator[bytes]:
        for n in range(count):
            yield self._message(n)

    def _message(self, n: int) -> bytes:
        choice = self._choice
        name, address = self._people[min(int(choice.expovariate(0.02)), PEOPLE - 1)]
        moment = FIRST_AT + timedelta(minutes=17 * n)
        date = format_datetime(moment)
        own = f"{choice.getrandbits(64):x}.{n}@mail.example.net"
        fields = [f"From: {name} <{address}>", "To: Ada Lovelace <ada@example.org>"]
        if n % 3 == 0:
            other = self._people[choice.randrange(PEOPLE)]
            fields.append(f"Cc: {other[0]} <{other[1]}>, office@example.org")
        words = self._text(160)
        subject, references = " ".join(words[2:7]), []
        if n % 100 == 0:
            words[9] = SOME
            subject += f" {SOME}"
        if n % 5_000 == 0:
            words[12] = RARE
        if self._recent and choice.random() < 0.35:
            answered, subject, chain = choice.choice(self._recent)
            references = [*chain[-8:], answered]
            subject = subject if subject.startswith("Re: ") else f"Re: {subject}"
            fields.append(f"In-Reply-To: <{answered}>")
            fields.append("References: " + "\r\n ".join(f"<{item}>" for item in references))
        self._recent = [*self._recent[-200:], (own, subject, references)]
        fields += [f"Subject: {subject}", f"Date: {date}", f"Message-ID: <{own}>"]
        fields += ["MIME-Version: 1.0"]
        trail = TRAIL.format(
            address=address, host=n % 90 + 1, token=f"{choice.getrandbits(48):012x}", date=date,
            signature=b64encode(choice.randbytes(256)).decode(),
        )  # fmt: skip
        lines = [" ".join(words[at : at + 12]) for at in range(0, len(words), 12)]
        return (trail + "\r\n".join(fields) + "\r\n" + self._body(n, lines)).encode()

    def _body(self, n: int, lines: list[str]) -> str:
        text = "\r\n".join(lines) + "\r\n"
        if n % 20 == 19:
            attached = b64encode(self._choice.randbytes(9_000)).decode()
            rows = "\r\n".join(attached[at : at + 76] for at in range(0, len(attached), 76))
            return (
                f"Content-Type: multipart/mixed; boundary=m{n}\r\n\r\n--m{n}\r\n"
                f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--m{n}\r\n"
                f'Content-Type: application/pdf; name="report{n}.pdf"\r\n'
                "Content-Transfer-Encoding: base64\r\n"
                f'Content-Disposition: attachment; filename="report{n}.pdf"\r\n\r\n'
                f"{rows}\r\n--m{n}--\r\n"
            )
        if n % 5 < 2:
            html = "".join(f"<p>{line}</p>\r\n" for line in lines)
            return (
                f"Content-Type: multipart/alternative; boundary=a{n}\r\n\r\n--a{n}\r\n"
                f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--a{n}\r\n"
                "Content-Type: text/html; charset=utf-8\r\n"
                f"Content-Transfer-Encoding: quoted-printable\r\n\r\n{html}\r\n--a{n}--\r\n"
            )
        return f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"

    def _text(self, count: int) -> list[str]:
        return self._choice.choices(self._words, cum_weights=self._frequencies, k=count)

    def _person(self, n: int) -> tuple[str, str]:
        first, last = self._choice.sample(self._words, 2)
        return f"{first.title()} {last.title()}", f"{first}.{last}{n}@example.net"
