"""Transfer encodings and the text of parts."""

from __future__ import annotations

from base64 import encodebytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postillon.mail import decode as module
from postillon.mail.decode import (
    Decoder,
    UnknownEncoding,
    decode_base64,
    decode_transfer,
    decoded,
)
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


def test_white_space_at_the_end_of_a_line_was_added_on_the_way() -> None:
    octets = b"one=20 \t\r\ntwo= \r\n three \t\nfour=\t"
    assert decode_transfer(octets, b"quoted-printable") == b"one \r\ntwo three\nfour"
    # A run of it costs its length once.
    assert decode_transfer(b" " * 1_000_000 + b"x", b"quoted-printable").endswith(b" x")


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


ENCODED = st.one_of(
    st.binary(max_size=80).map(encodebytes),
    st.text("AZaz09+/=\r\n !", max_size=60).map(str.encode),
    st.lists(st.sampled_from([b"=", b"=3D", b"=\r\n", b"=\n", b"a", b" ", b"\r\n", b"\xff"])).map(
        b"".join
    ),
)


@given(
    ENCODED,
    st.sampled_from([b"base64", b"quoted-printable", b"8bit"]),
    st.lists(st.integers(1, 20), min_size=1),
)
def test_where_the_octets_are_cut_changes_nothing(
    octets: bytes, encoding: bytes, steps: list[int]
) -> None:
    decoder, found, at, turn = Decoder(encoding), b"", 0, 0
    while at < len(octets):
        size = steps[turn % len(steps)]
        found += decoder.feed(octets[at : at + size])
        at, turn = at + size, turn + 1
    assert found + decoder.finish() == decode_transfer(octets, encoding)


def test_a_line_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE", 64)
    octets = b"=41b=3D" * 100
    decoder, found = Decoder(b"quoted-printable"), b""
    for start in range(0, len(octets), 5):
        found += decoder.feed(octets[start : start + 5])
        assert len(decoder._rest) <= 64
    assert found + decoder.finish() == b"Ab=" * 100
