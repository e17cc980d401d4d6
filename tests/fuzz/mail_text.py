"""Fuzz target: transfer encodings, charsets and markup."""

from __future__ import annotations

from postillon.mail.charset import decode_octets
from postillon.mail.decode import decode_base64, decode_transfer
from postillon.mail.text import strip_markup

CHARSETS = (b"", b"utf-7", b"utf-16", b"iso-2022-jp", b"iso-2022-kr", b"hz-gb-2312", b"gb2312",
            b"big5", b"shift_jis", b"euc-kr", b"windows-1252")  # fmt: skip


def one(data: bytes) -> None:
    charset = CHARSETS[data[0] % len(CHARSETS)] if data else b""
    for octets in (data, decode_base64(data), decode_transfer(data, b"quoted-printable")):
        text = decode_octets(octets, charset)
        decode_octets(octets, charset, cut=True)
        strip_markup(text)
