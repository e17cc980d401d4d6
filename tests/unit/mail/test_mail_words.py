"""Encoded words, charsets, base subjects, parameters (RFC 2047, 5256, 2231)."""

from __future__ import annotations

import pytest

from postillon.mail.charset import codec_of, decode_octets
from postillon.mail.parameters import (
    MAX_PARAMETERS,
    decode_parameter,
    file_name,
    format_parameter,
    parse_disposition,
    parse_type,
)  # fmt: skip
from postillon.mail.subject import base_subject
from postillon.mail.words import decode_words, encode_words


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        (b"=?ISO-8859-1?Q?a?=", "a"),
        (b"=?ISO-8859-1?Q?a?= b", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a_b?=", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        (b"=?US-ASCII*EN?Q?Keith?=", "Keith"),
        (b"x =?utf-8?b?w6Q=?= y", "x ä y"),
        (b"=?utf-8?b?w6Q?=", "ä"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "ä"),
        (b"=?unknown?q?=E4?=", "ä"),
        (b"=?utf-8?q?a b?=", "a b"),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"\xc3\xa4", "ä"),
        (b"\xe4", "ä"),
        (b"=?utf-8?q?a=0D=0ABcc=3A?=", "a Bcc:"),
        (b"=?zip?b?AAAA?=", ""),
        (b"", ""),
    ],
)
def test_encoded_words_are_read(raw: bytes, text: str) -> None:
    assert decode_words(raw) == text


def test_words_of_ours_are_short_and_read_back() -> None:
    text = "Grüße aus Köln, 東京 und 🚀 " * 10
    words = encode_words(text)
    assert all(len(word) <= 75 for word in words)
    assert decode_words(" ".join(words).encode()) == text.strip()


def test_words_of_ours_hold_no_line_ends() -> None:
    for bad in ("a\rb", "a\nb", "a\0b"):
        with pytest.raises(ValueError, match="CR, LF"):
            encode_words(bad)


@pytest.mark.parametrize(
    ("octets", "charset", "text"),
    [
        ("äöü".encode(), b"utf-8", "äöü"),
        ("äöü".encode(), b"us-ascii", "äöü"),
        (b"\xe4\x80", b"utf-8", "ä€"),
        (b"\x80", b"iso-8859-1", "€"),
        ("日本".encode("iso2022_jp"), b"ISO-2022-JP", "日本"),
        ("中国".encode("gb18030"), b"gb2312", "中国"),
        ("中国".encode("gb18030") + b"\xff", b"gb2312", "中国�"),
        ("ж".encode("koi8-r"), b'"koi8-r"', "ж"),
        ("a".encode("utf-16"), b"utf-16", "a"),
        (b"\xe4", b"rot13", "ä"),
    ],
)
def test_declared_then_utf_8_then_windows_1252(octets: bytes, charset: bytes, text: str) -> None:
    assert decode_octets(octets, charset) == text


def test_names_that_are_no_charsets_are_unknown() -> None:
    for name in (b"zip", b"idna", b"punycode", b"unicode_escape", b"hex", b"x" * 1000):
        assert codec_of(name) is None


def test_a_cut_text_loses_only_its_last_character() -> None:
    assert decode_octets("aä".encode()[:-1], b"utf-8", cut=True) == "a"
    assert decode_octets("日本".encode("euc_jp")[:-1], b"euc-jp", cut=True) == "日"


@pytest.mark.parametrize(
    ("raw", "base"),
    [
        (b"Hello", "Hello"),
        (b"Re: Hello", "Hello"),
        (b"RE: re: Fwd: FW: hello (fwd) (FWD)", "hello"),
        (b"Re[2]: [list] Hello", "Hello"),
        (b"[list] Re: [list] Hello", "Hello"),
        (b"[fwd: Re: Hello]", "Hello"),
        (b"[only]", "[only]"),
        (b"Re: [only]", "[only]"),
        (b"a\t b  c", "a b c"),
        (b"=?utf-8?q?Re=3A_=C3=A4?=", "ä"),
        (b"Regarding: x", "Regarding: x"),
        (b"Re:", ""),
        (b"", ""),
    ],
)
def test_base_subjects(raw: bytes, base: str) -> None:
    assert base_subject(raw) == base


def parameters(value: bytes) -> tuple[tuple[bytes, bytes], ...]:
    parsed = parse_type(value)
    assert parsed is not None
    return parsed[2]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text/plain; charset=utf-8", ((b"charset", b"utf-8"),)),
        (b'text/plain ; CharSet = "utf-8" ; x=y', ((b"charset", b"utf-8"), (b"x", b"y"))),
        (b'text/plain; a="b;c\\"d"; e=f', ((b"a", b'b;c"d'), (b"e", b"f"))),
        (b"text/plain; charset=us-ascii (Plain text)", ((b"charset", b"us-ascii"),)),
        (b"text/plain; name=my file.txt", ((b"name", b"my file.txt"),)),
        (b'text/plain; name="unfinished', ((b"name", b"unfinished"),)),
        (b"text/plain;;; charset=a;", ((b"charset", b"a"),)),
        (b"text/plain; junk; a=b", ((b"a", b"b"),)),
        (b"text/plain; a=", ((b"a", b""),)),
    ],
)
def test_parameters_are_read(value: bytes, expected: tuple[tuple[bytes, bytes], ...]) -> None:
    assert parameters(value) == expected


def test_what_is_no_type_is_none() -> None:
    for value in (b"", b"text", b"/plain", b"text/", b";a=b", b"\xff"):
        assert parse_type(value) is None or value == b"\xff"


def test_rfc_2231_values_are_joined_and_decoded() -> None:
    found = parameters(
        b"application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20;"
        b' title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2="isn\'t it!"'
    )
    assert decode_parameter(found, b"title") == "This is even more ***fun*** isn't it!"
    found = parameters(b"a/b; name*=utf-8''%c3%a4; name=fallback")
    assert decode_parameter(found, b"name") == "ä"
    assert decode_parameter(parameters(b'a/b; name="=?utf-8?q?=C3=A4?="'), b"name") == "ä"
    assert decode_parameter(found, b"other") is None
    assert decode_parameter(parameters(b"a/b; name*1=x; name=y"), b"name") == "y"


def test_floods_of_parameters_end() -> None:
    value = b"a/b" + b"".join(b"; x*%d=y" % n for n in range(100_000))
    assert len(parameters(value)) == MAX_PARAMETERS


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b"attachment; filename=a.txt", "a.txt"),
        (b'attachment; filename="../../etc/passwd"', "passwd"),
        (b'attachment; filename="C:\\\\Temp\\\\a.txt"', "a.txt"),
        (b"attachment; filename*=utf-8''a.txt%0d%0a%0d%0a.exe", "a.txt .exe"),
        (b"attachment; filename*=utf-8''a%e2%80%aefdp.exe", "a fdp.exe"),
        (b'attachment; filename=".."', None),
        (b"attachment", None),
    ],
)
def test_file_names_are_harmless(value: bytes, name: str | None) -> None:
    assert file_name(parse_disposition(value)[1], ()) == name


def test_long_file_names_keep_their_end() -> None:
    found = file_name(((b"filename", b"a" * 1000 + b".exe"),), ())
    assert found is not None
    assert found.endswith(".exe")
    assert len(found) == 255


def test_parameters_of_ours() -> None:
    assert format_parameter("a", "b") == "a=b"
    assert format_parameter("a", 'b "c"') == 'a="b \\"c\\""'
    assert format_parameter("a", "ä") == "a*=utf-8''%C3%A4"
    with pytest.raises(ValueError, match="CR, LF"):
        format_parameter("a", "b\r\nc")
