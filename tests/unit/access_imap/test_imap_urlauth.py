"""URLs that let others in (RFC 4467, RFC 5524), where lines of text cannot show it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from postillon.protocol.imap import urls
from postillon.protocol.imap.commands import SectionText
from support.imap import OTHER, Client, house

MESSAGE = (
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
    b"hello\r\n--b\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--b--\r\n"
)
OF_BOB = "imap://bob%40example.org@mx.example.org/Other%20Users/ada%40example.org/Lists/;UID=1"


async def _authorized(client: Client, url: str) -> str:
    [line] = await client.ok(f'GENURLAUTH "{url}" INTERNAL')
    found = re.fullmatch(rb'\* GENURLAUTH "([^"]+)"', line)
    assert found is not None
    return found[1].decode()


async def test_a_part_is_fetched_decoded_with_its_structure(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ada, bob = await here.client(), await here.client(who=OTHER)
        await ada.ok("APPEND INBOX {}", MESSAGE)
        base = "imap://ada%40example.org@imap.example.org:993/INBOX/;UID=1/;SECTION=2"
        url = await _authorized(ada, f"{base};URLAUTH=user+{OTHER}")
        found = await bob.ok(f'URLFETCH ("{url}" BODYPARTSTRUCTURE BINARY)')
        assert found == [
            f'* URLFETCH "{url}" (BODYPARTSTRUCTURE ("application" "octet-stream" NIL NIL NIL'
            ' "base64" 8 NIL NIL NIL NIL)) (BINARY ~{4}\r\n\0\1\2\3)'.encode()
        ]


async def test_what_is_not_shared_any_more_cannot_be_fetched_with_a_url_of_who_saw_it(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as here:
        ada, bob = await here.client(), await here.client(who=OTHER)
        await ada.ok("CREATE Lists")
        await ada.ok("APPEND Lists {}", MESSAGE)
        [answer] = await bob.do(f'GENURLAUTH "{OF_BOB};URLAUTH=authuser" INTERNAL')
        assert answer.startswith(b"BAD")
        await ada.ok(f"SETACL Lists {OTHER} lr")
        url = await _authorized(bob, f"{OF_BOB};URLAUTH=authuser")
        assert b"hello" in (await ada.ok(f'URLFETCH "{url}"'))[0]
        await ada.ok("RESETKEY")  # her own key, not Bob's
        assert b"hello" in (await ada.ok(f'URLFETCH "{url}"'))[0]
        await ada.ok(f"DELETEACL Lists {OTHER}")
        assert await ada.ok(f'URLFETCH "{url}"') == [f'* URLFETCH "{url}" NIL'.encode()]
        await ada.ok(f"SETACL Lists {OTHER} lr")
        await bob.ok("RESETKEY")
        assert await ada.ok(f'URLFETCH "{url}"') == [f'* URLFETCH "{url}" NIL'.encode()]


async def test_a_mailbox_of_the_same_name_does_not_take_over_the_urls_of_the_old_one(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as here:
        ada = await here.client()
        await ada.ok("CREATE Lists")
        await ada.ok("APPEND Lists {}", MESSAGE)
        base = "imap://ada%40example.org@mx.example.org/Lists/;UID=1"
        url = await _authorized(ada, f"{base};URLAUTH=authuser")
        await ada.ok("DELETE Lists")
        await ada.ok("CREATE Lists")
        await ada.ok("APPEND Lists {}", MESSAGE)
        assert await ada.ok(f'URLFETCH "{url}"') == [f'* URLFETCH "{url}" NIL'.encode()]


async def test_a_large_message_goes_out_in_pieces(tmp_path: Path) -> None:
    big = b"Subject: big\r\n\r\n" + b"0123456789abcdef" * 80_000 + b"\r\n"
    async with house(tmp_path) as here:
        ada = await here.client()
        await ada.ok("APPEND INBOX {}", big)
        base = "imap://ada%40example.org@mx.example.org/INBOX/;UID=1"
        url = await _authorized(ada, f"{base};URLAUTH=anonymous")
        [found] = await ada.ok(f'URLFETCH "{url}"')
        assert found.endswith(big)
        # RFC 4469: the same octets, put together again in a file.
        await ada.ok('APPEND Drafts CATENATE (URL "/INBOX/;UID=1" TEXT {})', b"end\r\n")
        await ada.select("Drafts")
        [row] = await ada.ok("FETCH 1 RFC822.SIZE")
        assert row == b"* 1 FETCH (RFC822.SIZE %d)" % (len(big) + 5)


def test_urls_of_rfc_5092() -> None:
    url = urls.parse(
        b"imap://minbari.example.org/gray-council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024"
    )
    assert url.host == "minbari.example.org"
    assert url.mailbox == b"gray-council"
    assert (url.uid_validity, url.uid) == (385759045, 20)
    assert url.section.partial == (0, 1024)
    url = urls.parse(b"/%E5%8F%B0%E5%8C%97/~peter/;UID=5/;section=1.2.HEADER")
    assert url.mailbox == "台北/~peter".encode()
    assert (url.section.path, url.section.text) == ((1, 2), SectionText.HEADER)
    fields = urls.parse(b";UID=7/;SECTION=HEADER.FIELDS%20(SUBJECT%20TO)").section
    assert fields.fields == (b"subject", b"to")
    assert fields.text is SectionText.FIELDS


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"/INBOX",
        b"/INBOX/;UID=0",
        b"/INBOX/;UID=99999999999",
        b"/INBOX/;UID=1/;SECTION=1.",
        b"/INBOX/;UID=1/;SECTION=1%5D",
        b"/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20%7B1%7D%0D%0Aa",
        b"/INBOX/;UID=1/;PARTIAL=0.0",
        b"/INBOX;UIDVALIDITY=0/;UID=1",
        b"imap:///INBOX/;UID=1",
        b"imap://host",
        b"imap://host/;UID=1",
        b"imap://host/INBOX?SUBJECT%20x",
        b"imap://host/INBOX/;UID=1;URLAUTH=authuser",
        b"imap://a@host/INBOX/;UID=1;URLAUTH=authuser:internal",
        b"imap://a@host/INBOX/;UID=1;URLAUTH=authuser:internal:12",
        b"imap://%ff@host/INBOX/;UID=1",
        b"/" + b"x" * 5_000 + b"/;UID=1",
        "/Entwürfe/;UID=1".encode(),
    ],
)
def test_what_is_no_url_of_a_message_is_refused(raw: bytes) -> None:
    with pytest.raises(urls.BadUrl):
        urls.parse(raw)


async def test_a_user_without_a_domain_is_of_the_host(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ada = await here.client()
        await ada.ok("APPEND INBOX {}", MESSAGE)
        url = await _authorized(ada, "imap://ada@example.org/INBOX/;uid=1;urlauth=authuser")
        assert b"hello" in (await ada.ok(f'URLFETCH "{url}"'))[0]
        other = "imap://ada@example.net/INBOX/;uid=1;urlauth=authuser"
        [answer] = await ada.do(f'GENURLAUTH "{other}" INTERNAL')
        assert answer.startswith(b"BAD")
