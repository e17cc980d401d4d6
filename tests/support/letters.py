"""Real-looking mail of many kinds, for tests that look at it and for pictures of it."""

# ruff: noqa: E501 - lines of letters are as long as their writers made them
from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

ADA = "Ada Lovelace <ada@example.org>"


@dataclass(frozen=True)
class Letter:
    mailbox: str
    octets: bytes
    seen: bool
    flagged: bool = False
    at: datetime = datetime(2026, 11, 25, tzinfo=UTC)


def png(width: int, height: int, colour: tuple[int, int, int], band: tuple[int, int, int]) -> bytes:
    """A picture with a band across it."""

    def pixel(x: int, y: int) -> bytes:
        return bytes(band if abs(y * width - x * height) < width * 8 else colour)

    rows = b"".join(b"\0" + b"".join(pixel(x, y) for x in range(width)) for y in range(height))

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


NEWSLETTER = """<html><head><style>
.card{background:#fffaf0;border:1px solid #e5d9bd;border-radius:10px;padding:20px;font-family:Georgia,serif}
h1{color:#7a3b12;font-size:26px;margin:0 0 8px} .btn{background:#7a3b12;color:#fff;padding:10px 18px;
text-decoration:none;border-radius:6px;display:inline-block}</style></head>
<body bgcolor="#f3ead7"><table width="600" align="center" cellpadding="16"><tr><td>
<img src="https://images.example.com/mast.png" width="560" height="80" alt="The Garden Letter">
<div class="card"><h1>What to plant in late November</h1>
<p>Bulbs go in until the ground freezes. Tulips like it late; <b>alliums</b> do not mind at all.</p>
<ul><li>Tulips, 15 cm deep</li><li>Garlic, before the first hard frost</li><li>Bare-root roses</li></ul>
<p><a class="btn" href="https://garden.example.com/november?utm_source=mail">Read the full letter</a></p>
</div><p style="color:#8a7a60;font-size:12px">You get this because you asked for it.
<a href="https://garden.example.com/leave">Unsubscribe</a>
<img src="https://track.example.com/p.gif?u=ada" width="1" height="1"></p></td></tr></table></body></html>"""

INVOICE = """<div style="font-family:Arial,sans-serif;color:#222"><h2 style="margin:0 0 12px">Invoice 2026-1143</h2>
<table cellpadding="8" style="border-collapse:collapse"><tr style="background:#eef2f6"><th align="left">Item</th>
<th align="right">Hours</th><th align="right">Amount</th></tr>
<tr><td>Review of the engine drawings</td><td align="right">14</td><td align="right">€ 1,330.00</td></tr>
<tr><td>Notes on the Bernoulli numbers</td><td align="right">9</td><td align="right">€ 855.00</td></tr>
<tr style="font-weight:bold"><td>Total</td><td></td><td align="right">€ 2,185.00</td></tr></table>
<p>Payable until 9 December. Thank you!</p></div>"""


def _message(
    sender: str, subject: str, at: datetime, *, to: str = ADA, cc: str = "", number: int = 0
) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, to, subject
    if cc:
        made["Cc"] = cc
    made["Date"] = format_datetime(at)
    made["Message-ID"] = f"<{number}.{int(at.timestamp())}@letters.example>"
    return made


def _answers(made: EmailMessage, earlier: list[EmailMessage]) -> None:
    ids = [str(one["Message-ID"]) for one in earlier]
    made["In-Reply-To"], made["References"] = ids[-1], " ".join(ids)


SHORT = (
    ("Post office <parcels@post.example>", "Your parcel arrives today", "Parcel 3351-77 is out for delivery. It should reach you between 14:00 and 16:00."),
    ("Mary Somerville <mary@example.net>", "Dinner on Friday?", "Charles and I would love to have you over. Eight o'clock? Bring the dog."),
    ("Railway <tickets@rail.example>", "Your ticket to Turin", "Coach 7, seat 42. Departure 08:14 from platform 3. The ticket is attached as a PDF in the app."),
    ("Michael Faraday <michael@example.net>", "Re: Lecture notes", "These are wonderful. I have marked two places on page 12 where the induction ring is drawn the wrong way round."),
    ("Library <desk@library.example>", "Two books are due on Monday", "Sketch of the Analytical Engine; On the Connexion of the Physical Sciences. You can renew both until Sunday."),
    ("Grace Hopper <grace@example.org>", "Compiler: first light", "It compiles itself. I am going to bed now. Numbers tomorrow."),
    ("Bank <no-reply@bank.example>", "Your statement for October", "Your monthly statement is ready. For your safety this message contains no links."),
    ("Emmy Noether <emmy@example.net>", "Symmetries, second draft", "Please read section 4 with a hostile eye. I am not happy with the boundary terms."),
    ("Choir <choir@example.net>", "Rehearsal moved to Thursday", "The hall is taken on Wednesday. Same time, same place, a day later. Altos please bring the Byrd."),
    ("Société des Lettres <lettres@exemple.example>", "Votre abonnement d’hiver", "Bonjour, votre abonnement se termine le 15 décembre. Répondez simplement à ce message pour le prolonger."),
    ("山田花子 <hanako@example.net>", "会議の議事録", "先日の会議の議事録をお送りします。ご確認をお願いいたします。"),
    ("Дмитрий <dmitri@example.net>", "Таблица элементов", "Посылаю исправленную таблицу. Три клетки пока пустые, но ненадолго."),
)  # fmt: skip


def letters(now: datetime) -> Iterator[Letter]:
    """Oldest first."""
    ages = [timedelta(days=40 - n * 0.9, minutes=n * 37) for n in range(44)]
    for n, age in enumerate(ages):
        sender, subject, text = SHORT[n % len(SHORT)]
        at = now - age
        made = _message(sender, subject if n < len(SHORT) else f"{subject} ({n})", at, number=n)
        made.set_content(text + "\n\nWith kind regards\n" + sender.partition(" <")[0] + "\n")
        mailbox = "Archive" if n % 5 == 4 else "INBOX"
        yield Letter(mailbox, made.as_bytes(), seen=True, flagged=n % 9 == 3, at=at)
    yield from _conversation(now)
    yield from _special(now)


def _conversation(now: datetime) -> Iterator[Letter]:
    people = ("Charles Babbage <charles@example.net>", ADA, "Charles Babbage <charles@example.net>",
              "Grace Hopper <grace@example.org>")  # fmt: skip
    texts = (
        "Dear Ada,\n\nThe mill is ready for your operation cards. Could you look over the attached table\n"
        "before Thursday? See also https://engine.example.net/cards (still rough).\n\nYours\nCharles\n",
        "Dear Charles,\n\nI have. Column seven wants another variable card, or the loop never ends.\n\n"
        "> Could you look over the attached table\n> before Thursday?\n\nAda\n",
        "You are quite right, as ever. A corrected table is attached.\n\n"
        "On Tuesday, Ada Lovelace wrote:\n> Dear Charles,\n>\n> I have. Column seven wants another variable card,\n"
        "> or the loop never ends.\n>\n>> Could you look over the attached table\n>> before Thursday?\n>\n> Ada\n",
        "If I may: a loop that never ends is only a bug when nobody is watching it.\n\nI could have it"
        " punched\non the new machine by tomorrow, if you send me the final column.\n\n-- \nGrace\nNanoseconds a speciality\n",
    )  # fmt: skip
    earlier: list[EmailMessage] = []
    for n, (sender, text) in enumerate(zip(people, texts, strict=True)):
        at = now - timedelta(hours=30 - 9 * n)
        to = "Charles Babbage <charles@example.net>" if sender == ADA else ADA
        subject = "Operation cards for the mill" if not n else "Re: Operation cards for the mill"
        made = _message(sender, subject, at, to=to, cc="Grace Hopper <grace@example.org>", number=n)
        made.set_content(text)
        if earlier:
            _answers(made, earlier)
        if n in (0, 2):
            table = "card,column,value\n" + "".join(f"{i},{i % 9},{i * i}\n" for i in range(40))
            made.add_attachment(
                table.encode(), maintype="text", subtype="csv", filename="table.csv"
            )
        earlier.append(made)
        yield Letter("Sent" if sender == ADA else "INBOX", made.as_bytes(), seen=n < 3, at=at)


def _special(now: datetime) -> Iterator[Letter]:
    at = now - timedelta(hours=5)
    news = _message(
        "The Garden Letter <letter@garden.example.com>", "What to plant in late November", at
    )
    news["List-Unsubscribe"] = "<https://garden.example.com/leave>"
    news.set_content("Bulbs go in until the ground freezes.\n")
    news.add_alternative(NEWSLETTER, subtype="html")
    yield Letter("INBOX", news.as_bytes(), seen=False, at=at)

    at = now - timedelta(hours=3)
    bill = _message("Analytical Services <accounts@services.example>", "Invoice 2026-1143", at)
    bill.set_content("Invoice 2026-1143: € 2,185.00\n")
    bill.add_alternative(INVOICE, subtype="html")
    bill.add_attachment(b"%PDF-1.4\n% an invoice\n", maintype="application", subtype="pdf",
                        filename="invoice-2026-1143.pdf")  # fmt: skip
    yield Letter("INBOX", bill.as_bytes(), seen=False, flagged=True, at=at)

    at = now - timedelta(hours=2)
    photos = _message("Mary Somerville <mary@example.net>", "Photographs from the observatory", at)
    photos.set_content("The comet, twice.\n")
    photos.add_alternative(
        '<p>The comet, twice. The second one is the better exposure:</p><p><img src="cid:comet@example"'
        ' width="420" alt="The comet"></p><p>Mary</p>', subtype="html",
    )  # fmt: skip
    html = photos.get_payload()[1]  # type: ignore[index]
    html.add_related(png(420, 220, (18, 24, 52), (240, 228, 190)), maintype="image", subtype="png",
                     cid="<comet@example>", filename="comet.png")  # type: ignore[union-attr]  # fmt: skip
    for name, sky in (("first-plate.png", (30, 20, 60)), ("second-plate.png", (10, 40, 70))):
        photos.add_attachment(png(320, 200, sky, (250, 240, 200)), maintype="image", subtype="png",
                              filename=name)  # fmt: skip
    photos.add_attachment(b"Right ascension 14h 29m, declination -62.7\n", maintype="text",
                          subtype="plain", filename="positions.txt")  # fmt: skip
    yield Letter("INBOX", photos.as_bytes(), seen=False, at=at)

    at = now - timedelta(minutes=25)
    brief = _message("Grace Hopper <grace@example.org>", "Lunch?", at)
    brief.set_content("Twelve, the usual place. I will bring the moth.\n")
    yield Letter("INBOX", brief.as_bytes(), seen=False, at=at)

    at = now - timedelta(hours=8)
    spam = _message("Prize Office <win@lottery.example>", "You have WON !!!", at)
    spam.set_content("Click here to claim your prize.\n")
    yield Letter("Junk", spam.as_bytes(), seen=False, at=at)
