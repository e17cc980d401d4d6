"""A glance at octets never says no to a message that, read properly, holds what is looked for."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postillon.mail import digest, mime
from postillon.mail.folding import fold
from postillon.mail.glance import field_may_hold, message_may_hold, word_of
from postillon.mail.searchable import IN_DIGEST, body_texts, field_text, header_lines

WANTED = ("meeting", "a.b@c", "m", "Grüße", "東京", "two words", "...", "fi", "x-y", "5")
# What hides words, joins them, or makes them of something else.
PIECES = st.sampled_from(
    [
        b"meeting", b"mee", b"ting", b"MEETING", b"m", b"a.b@c", b"a.b", b"@c", b"two", b"words",
        b" ", b"\t", b"\r\n ", b"\r\n", b"\r", b"\n", b"\0", b"=\r\n", b"=6D", b"=20", b"5",
        b"<b>", b"</b>", b"<B class='x'>", b"<p>", b"<a href='>'>", b"<!-- x", b"-->", b"<", b">",
        b"<style>", b"</style>", b"<script>", b"</SCRIPT>", b"<span", b"&nbsp;", b"&#109;", b"&fi",
        b"&filig;", b"&eacute;", b"&amp;", b"&#x6d;", b"&hellip;", b"&m", b"x-", b"&shy;", b"y",
        b"=?utf-8?q?mee?=", b"=?utf-8?b?bQ==?=", b"(x)", b"Gr\xc3\xbc\xc3\x9fe", b"\xff",
        b"\xef\xac\x81", b"+AG0-", b"\x1b$B", b"~{", b"~}", b"\xe6\x9d\xb1\xe4\xba\xac",
        b"From: ", b"--b\r\n", b"--b--", b"e", b"eting", b"me", b".", b"/",
    ]
)  # fmt: skip
TEXT = st.lists(PIECES, max_size=12).map(b"".join)
CHARSETS = st.sampled_from(
    [b"", b"utf-8", b"iso-8859-1", b"utf-7", b"hz-gb-2312", b"utf-16", b"none"]
)
ENCODINGS = st.sampled_from([b"", b"7bit", b"8bit", b"quoted-printable", b"base64", b"odd"])


def encoded(text: bytes, encoding: bytes, *, properly: bool) -> bytes:
    if properly and encoding == b"base64":
        return base64.encodebytes(text)
    if properly and encoding == b"quoted-printable":
        return quopri.encodestring(text)
    return text


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    subtype = draw(st.sampled_from([b"plain", b"html", b"calendar"]))
    encoding, charset = draw(ENCODINGS), draw(CHARSETS)
    body = encoded(draw(TEXT), encoding, properly=draw(st.booleans()))
    header = b"Content-Type: text/%b; charset=%b\r\nContent-Transfer-Encoding: %b\r\n" % (
        subtype, charset, encoding,
    )  # fmt: skip
    part = header + b"\r\n" + body
    kind = draw(st.sampled_from(["alone", "inside", "message"]))
    subject = b"Subject: " + draw(TEXT) + b"\r\nFrom: " + draw(TEXT) + b"\r\n"
    if kind == "alone":
        return subject + part
    outer = (
        b"X-Odd: " + draw(TEXT) + b"\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    )
    if kind == "inside":
        return outer + part + b"\r\n--b--\r\n"
    return outer + b"Content-Type: message/rfc822\r\n\r\n" + subject + part + b"\r\n--b--\r\n"


@pytest.mark.parametrize("header", [True, False])
@given(st.data(), messages(), st.sampled_from(WANTED), st.sampled_from([b"", b"X: meeting\r\n"]))
@settings(max_examples=400, deadline=None)
def test_no_message_that_holds_a_text_is_passed_over(
    header: bool, data: st.DataObject, content: bytes, wanted: str, prefix: bytes
) -> None:
    root = mime.scan(content).structure
    folded = fold(wanted)
    word = word_of(folded)
    texts = list(body_texts(content, root))
    if header:
        texts += header_lines(prefix, content, root)
    if word is not None and any(folded in fold(text) for text in texts):
        assert message_may_hold(word, prefix, content, root, header=header)


@given(TEXT, st.sampled_from(sorted(IN_DIGEST)), st.sampled_from(WANTED))
@example(b"a.(x)b@c", b"from", "a.b@c")
@settings(max_examples=400, deadline=None)
def test_no_field_that_holds_a_text_is_passed_over(raw: bytes, name: bytes, wanted: str) -> None:
    found = mime.scan(name + b": " + raw + b"\r\n\r\n").digest
    packed = digest.pack(found)
    value = digest.reader_of(IN_DIGEST[name])(packed)
    assert value == getattr(found, IN_DIGEST[name])
    word = word_of(fold(wanted))
    if word is not None and fold(wanted) in fold(field_text(found, name)):
        assert field_may_hold(word, name, value)


def test_most_messages_are_passed_over_at_a_glance() -> None:
    html = b"<p>Some =\r\n<b>words</b> here&nbsp;and there</p>"
    for body, kind in ((b"Some words", b"text/plain"), (html, b"text/html; charset=utf-8")):
        content = (
            b"Subject: Hello\r\nContent-Type: %b\r\n"
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\n%b" % (kind, body)
        )
        root = mime.scan(content).structure
        assert not message_may_hold(b"meeting", b"X: y\r\n", content, root, header=True)
