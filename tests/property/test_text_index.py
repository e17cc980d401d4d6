"""A search finds the same messages whether the text index is there, behind, or not there at all."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import pytest

from postillon.account.arriving import ToAppend
from postillon.account.roles import INBOX_ID
from postillon.mail.folding import fold
from postillon.mail.mime import scan
from postillon.mail.terms import MAX_NEEDLE, WINDOW, analyse, needle
from support.imap import Client, House, house

WORDS = (
    "red reader already spread", "Grüße STRASSE straße", "naïve café Café",
    "文件", "文 件", "件文", "文。件夹", "文ab件", "文 ab件",
    "ab文cd 文ab文", "Ёж ежик", "한국어 한국", "हिन्दी हिन्दि", "ไทย ภาษาไทย", "ﬁle ＦＵＬＬ ｶﾀ カタカナ",
    "x1y2 2024-11-25 a.b@example.org <id.7@x>", "'quoted' \"double\" back\\slash", "e\u0301te",
    "ΣΊΣΥΦΟΣ σίσυφος", "🎉 party🎉", "under_score _a_", "x" * (WINDOW + 9) + "end", "İstanbul",
    "base64+/=== 100% * ( ) NEAR AND OR NOT", "\u05e9\u05c1\u05dc\u05d5\u05dd", "مُحَمَّد",
)  # fmt: skip
GLUE = (" ", "  ", ", ", "\r\n", "", "-", "\u00a0", "。")
FEW = "aÁb文件 -"  # of which every short text is made at some time
FIELDS = ("Subject", "From", "To", "Cc", "Bcc", "Sender", "X-Mood", "Message-ID")


def words(choice: random.Random, most: int) -> str:
    if choice.random() < 0.5:
        return "".join(choice.choices(FEW, k=2 * most))
    found = ""
    for _ in range(choice.randint(1, most)):
        piece = choice.choice(WORDS)
        if choice.random() < 0.6:
            piece = choice.choice(piece.split())
        found += piece + choice.choice(GLUE)
    return found


def message(choice: random.Random) -> bytes:
    """A message with raw UTF-8 header lines and a text part, or two, one of them markup."""
    lines = [
        f"{field}: {' '.join(words(choice, 3).split())}"
        for field in FIELDS
        if choice.random() < 0.6
    ]
    text = words(choice, choice.choice((1, 1, 8)))
    if choice.random() < 0.3:
        lines.append("Content-Type: multipart/mixed; boundary=b")
        text = (
            f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>{text}<b>{words(choice, 3)}</b>"
            f"\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{words(choice, 3)}\r\n--b--\r\n"
        )
    else:
        lines.append("Content-Type: text/plain; charset=utf-8")
    return ("\r\n".join(lines) + "\r\n\r\n" + text).encode()


def wanted(choice: random.Random) -> str:
    """A piece of what may stand in a message, cut anywhere."""
    text = words(choice, 2)
    start = choice.randrange(len(text))
    text = text[start : start + choice.choice((1, 2, 3, 4, 6, 9, 15, 90))]
    return text.swapcase() if choice.random() < 0.3 else text


def key(choice: random.Random, literals: list[bytes], depth: int = 0) -> str:
    kind = choice.randrange(10 if depth < 2 else 7)
    if kind == 7:
        return "NOT " + key(choice, literals, depth + 1)
    if kind == 8:
        return f"OR {key(choice, literals, depth + 1)} {key(choice, literals, depth + 1)}"
    if kind == 9:
        return f"({key(choice, literals, depth + 1)} {key(choice, literals, depth + 1)})"
    if kind == 6:
        return choice.choice(("SEEN", "5:20", "UNSEEN", "LARGER 300"))
    literals.append(wanted(choice).encode())
    loosely = "FUZZY " if choice.random() < 0.15 else ""
    if choice.random() < 0.6:
        return (
            loosely + choice.choice(("TEXT", "BODY", "SUBJECT", "FROM", "TO", "CC", "BCC")) + " {}"
        )
    return f"{loosely}HEADER {choice.choice(FIELDS)} {{}}"


async def answer(client: Client, search: str, literals: list[bytes]) -> bytes:
    [found] = await client.ok(f"UID SEARCH {search}", *literals)
    return found


async def fill(house_: House, choice: random.Random, number: int) -> None:
    contents = [message(choice) for _ in range(number)]
    items = [ToAppend(content, scan(content), flags=choice.randrange(2)) for content in contents]
    await house_.account.append_many(INBOX_ID, items)


async def compare(folder: Path, seed: int, rounds: int) -> None:
    choice = random.Random(seed)
    async with house(folder) as here:
        await fill(here, choice, 30)
        assert await here.index() == 30
        client = await here.client("INBOX")
        # Some are gone since the index was filled, some have come, two are copies.
        await client.ok("STORE 3,7 +FLAGS (\\Deleted)")
        await client.ok("EXPUNGE")
        await client.ok("COPY 5:6 INBOX")
        await fill(here, choice, 6)
        await client.ok("NOOP")
        searches = []
        for _ in range(rounds):
            literals: list[bytes] = []
            searches.append((key(choice, literals), literals))
        behind = [await answer(client, *search) for search in searches]
        assert await here.index() == 8
        full = [await answer(client, *search) for search in searches]
        shutil.rmtree(folder / "data" / "index")
        absent = [await answer(client, *search) for search in searches]
        for search, one, two, three in zip(searches, behind, full, absent, strict=True):
            assert one == two == three, search


@pytest.mark.parametrize("seed", range(4))
def test_the_text_index_changes_no_result(tmp_path: Path, seed: int) -> None:
    asyncio.run(compare(tmp_path, seed, 120))


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(100, 130))
def test_the_text_index_changes_no_result_of_many(tmp_path: Path, seed: int) -> None:
    asyncio.run(compare(tmp_path, seed, 600))


def test_a_text_that_contains_another_has_its_words() -> None:
    """What `needle` says of words holds for `analyse` of every text around it."""
    choice = random.Random(7)
    for _ in range(20_000):
        text = fold(words(choice, 4))
        start = choice.randrange(len(text))
        part = text[start : start + choice.randint(1, MAX_NEEDLE)]
        said = needle(part)
        if said is None:
            continue
        found = analyse(text).text.split(" ")
        assert any(
            _fits(found[at:], said.words, said.begins, said.ends) for at in range(len(found))
        )


def _fits(found: list[str], said: tuple[str, ...], begins: bool, ends: bool) -> bool:
    if len(found) < len(said):
        return False
    first, *_, last = *said, said[-1]
    if len(said) == 1:
        word = found[0]
        if begins and ends:
            return word == first
        return word.startswith(first) if begins else word.endswith(first) if ends else first in word
    inner = list(said[1:-1]) == found[1 : len(said) - 1]
    right = found[len(said) - 1]
    return (
        inner
        and (found[0] == first if begins else found[0].endswith(first))
        and (right == last if ends else right.startswith(last))
    )
