"""The scanner: offsets, nesting, limits (RFC 2046, RFC 9051 section 6.4.5)."""

from __future__ import annotations

import mmap
import tempfile

import pytest

from postillon.mail import mime, part
from postillon.mail.mime import MAX_DEPTH, MAX_PARTS, part_at, scan, walk

# The message of RFC 9051 section 6.4.5.1, in small: parts 1, 2, 3 (a message with 3.1 and 3.2) and
# 4 (a multipart with 4.1, an image, and 4.2, a message).
NESTED = b"""Subject: whole
Content-Type: multipart/mixed; boundary=a

preamble
--a

one
--a
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

dHdv
--a
Content-Type: message/rfc822

Subject: third
From: ada@example.org
Content-Type: multipart/alternative; boundary=b

--b

three point one
--b
Content-Type: text/html

<p>three point two
--b--
--a
Content-Type: multipart/mixed; boundary=c

--c
Content-Type: image/gif

GIF
--c
Content-Type: message/rfc822

Subject: fourth
Content-Type: text/plain

four two
lines
--c--
epilogue
--a--
epilogue
""".replace(b"\n", b"\r\n")


def at(blob: bytes, *path: int) -> part.Part:
    found = part_at(scan(blob).structure, path)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("path", "media", "body"),
    [
        ((1,), b"text/plain", b"one"),
        ((2,), b"application/octet-stream", b"dHdv"),
        ((3, 1), b"text/plain", b"three point one"),
        ((3, 2), b"text/html", b"<p>three point two"),
        ((4, 1), b"image/gif", b"GIF"),
        ((4, 2, 1), b"text/plain", b"four two\r\nlines"),
    ],
)
def test_each_part_is_where_its_number_says(
    path: tuple[int, ...], media: bytes, body: bytes
) -> None:
    found = at(NESTED, *path)
    assert found.media + b"/" + found.subtype == media
    assert found.body(NESTED) == body
    assert found.size == len(body)


def test_the_line_end_before_a_boundary_belongs_to_the_boundary() -> None:
    blob = b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n\r\nline\r\n\r\n--x--\r\n'
    assert at(blob, 1).body(blob) == b"line\r\n"
    assert at(blob, 1).lines == 1


def test_a_header_holds_the_empty_line_that_ends_it() -> None:
    root = scan(NESTED).structure
    assert root.header(NESTED).endswith(b"boundary=a\r\n\r\n")
    assert at(NESTED, 2).header(NESTED) == (
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    assert at(NESTED, 1).header(NESTED) == b"\r\n"


def test_an_embedded_message_has_digest_lines_and_one_child() -> None:
    found = at(NESTED, 3)
    assert found.message
    assert found.digest is not None
    assert found.digest.subject == b"third"
    assert found.digest.from_ == b"ada@example.org"
    [message] = found.children
    assert message.multipart
    assert message.header_start == found.body_start
    assert message.end == found.end
    assert found.lines == found.body(NESTED).count(b"\n")


def test_numbers_that_lead_nowhere_give_none() -> None:
    root = scan(NESTED).structure
    for path in ((0,), (5,), (1, 1), (2, 1), (3, 3), (3, 1, 1), (4, 2, 2), (4, 2, 1, 1), (-1,)):
        assert part_at(root, path) is None
    assert part_at(root, ()) is root


def test_a_message_without_multipart_has_one_part() -> None:
    root = scan(b"Subject: a\r\n\r\nbody\r\n").structure
    assert part_at(root, (1,)) is root
    assert part_at(root, (2,)) is None
    assert part_at(root, (1, 1)) is None


def test_a_message_that_is_a_message_has_numbers_through_it() -> None:
    blob = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody"
    root = scan(blob).structure
    assert part_at(root, (1,)) is root
    inner = part_at(root, (1, 1))
    assert inner is root.children[0]
    assert inner.body(blob) == b"body"


def test_parts_of_a_digest_are_messages_by_default() -> None:
    blob = (
        b"Content-Type: multipart/digest; boundary=d\r\n\r\n"
        b"--d\r\n\r\nSubject: one\r\n\r\nbody\r\n--d\r\nContent-Type: text/plain\r\n\r\nx\r\n--d--"
    )
    first, second = scan(blob).structure.children
    assert first.message
    assert first.digest is not None
    assert first.digest.subject == b"one"
    assert second.text


def test_message_global_is_embedded_too() -> None:
    blob = b"Content-Type: message/global\r\n\r\nSubject: \xc3\xa4\r\n\r\nbody"
    root = scan(blob).structure
    assert root.digest is not None
    assert root.digest.subject == b"\xc3\xa4"


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable"])
def test_an_encoded_message_part_is_opaque(encoding: bytes) -> None:
    blob = (
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\nabcd"
    )
    root = scan(blob).structure
    assert (root.media, root.subtype, root.children) == (b"application", b"octet-stream", [])


def test_other_message_types_are_leaves() -> None:
    root = scan(b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n").structure
    assert (root.media, root.subtype) == (b"message", b"delivery-status")
    assert not root.children
    assert root.digest is None


@pytest.mark.parametrize(
    "kind",
    [b"multipart/mixed", b"multipart/mixed; boundary=none", b'multipart/mixed; boundary=""'],
)
def test_a_multipart_without_boundaries_is_plain_text(kind: bytes) -> None:
    """RFC 2045 section 5.2: what cannot be read as declared is text/plain."""
    root = scan(b"Content-Type: " + kind + b"\r\n\r\nhello\r\n").structure
    assert (root.media, root.subtype, root.lines) == (b"text", b"plain", 1)


def test_a_multipart_without_its_last_boundary_ends_with_the_message() -> None:
    blob = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none\r\n--x\r\n\r\ntwo\r\n"
    assert [p.body(blob) for p in scan(blob).structure.children] == [b"one", b"two\r\n"]


def test_an_outer_boundary_ends_inner_parts() -> None:
    blob = (
        b"Content-Type: multipart/mixed; boundary=out\r\n\r\n--out\r\n"
        b"Content-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\n\r\ninner\r\n"
        b"--out\r\n\r\nouter\r\n--out--\r\n"
    )
    first, second = scan(blob).structure.children
    assert [p.body(blob) for p in first.children] == [b"inner"]
    assert second.body(blob) == b"outer"


def test_a_boundary_is_a_whole_line() -> None:
    blob = (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x \t\r\n\r\n"
        b"a --x\r\n--xy\r\n--x-\r\n--x--y\r\n--x--"
    )
    [only] = scan(blob).structure.children
    assert only.body(blob) == b"a --x\r\n--xy\r\n--x-\r\n--x--y"


def test_empty_parts_are_parts() -> None:
    blob = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n--x\r\n\r\n--x--"
    sizes = [(p.header_start, p.body_start, p.end) for p in scan(blob).structure.children]
    assert len(sizes) == 2
    assert all(a <= b <= c for a, b, c in sizes)


def test_bare_line_feeds_are_line_ends_here() -> None:
    blob = NESTED.replace(b"\r\n", b"\n")
    assert at(blob, 4, 2, 1).body(blob) == b"four two\nlines"


def test_a_header_without_end_is_all_header() -> None:
    blob = b"Subject: a\r\nno colon here"
    root = scan(blob).structure
    assert (root.body_start, root.end) == (len(blob), len(blob))


def test_defaults_of_a_message_without_mime() -> None:
    root = scan(b"\r\nbody\r\n").structure
    assert (root.media, root.subtype, root.encoding) == (b"text", b"plain", b"7bit")
    assert root.parameters == ((b"charset", b"us-ascii"),)
    assert (root.body_start, root.lines) == (2, 1)


def test_the_fields_of_a_part() -> None:
    blob = (
        b"Content-Type: Image/PNG; Name=x.png\r\nContent-ID: <a@b>\r\nContent-MD5: Q2hlY2s=\r\n"
        b"Content-Description: =?utf-8?q?=C3=A4?=\r\nContent-Language: de, en\r\n"
        b"Content-Location: http://example.org/\r\nContent-Transfer-Encoding: BASE64\r\n"
        b'Content-Disposition: Attachment;\r\n filename="y.png"; size=3\r\n\r\n'
    )
    root = scan(blob).structure
    assert (root.media, root.subtype, root.parameters) == (
        b"image", b"png", ((b"name", b"x.png"),),
    )  # fmt: skip
    assert (root.id, root.md5, root.encoding) == (b"<a@b>", b"Q2hlY2s=", b"base64")
    assert root.description == b"=?utf-8?q?=C3=A4?="
    assert root.language == (b"de", b"en")
    assert root.location == b"http://example.org/"
    assert root.disposition == b"attachment"
    assert root.disposition_parameters == ((b"filename", b"y.png"), (b"size", b"3"))
    assert root.file_name == "y.png"


def test_nesting_ends_at_the_depth_limit() -> None:
    blob = b"Content-Type: message/rfc822\r\n\r\n" * 5_000 + b"Subject: deep\r\n\r\nbody"
    parts = list(walk(scan(blob).structure))
    assert len(parts) == MAX_DEPTH
    assert (parts[-1].media, parts[-1].subtype) == (b"application", b"octet-stream")
    assert part.unpack(part.pack(parts[0])) == parts[0]


def test_parts_end_at_their_limit() -> None:
    blob = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n" * (2 * MAX_PARTS)
    parts = list(walk(scan(blob).structure))
    assert len(parts) <= MAX_PARTS + 1
    assert parts[-1].subtype == b"octet-stream"
    assert parts[-1].end == len(blob)


def test_the_headers_of_all_parts_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mime, "MAX_HEADERS", 100)
    piece = b"--x\r\nContent-Description: " + b"d" * 60 + b"\r\n\r\n\r\n"
    blob = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + piece * 3
    first, second, third = scan(blob).structure.children
    assert first.description
    assert second.subtype == third.subtype == b"octet-stream"
    assert not third.description


def test_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mime, "WORK_FLOOR", 0)
    blob = b"Content-Type: message/rfc822\r\n\r\n" * 50 + b"\r\n" + b"x" * 10_000
    assert len(list(walk(scan(blob).structure))) <= mime.WORK_FACTOR + 1


def test_a_mapped_file_reads_like_octets() -> None:
    blob = NESTED.replace(b"dHdv", b"dHdv\r\n" * 300_000)
    with tempfile.TemporaryFile() as file:
        file.write(blob)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert scan(mapped) == scan(blob)


def test_completed_fields_count_for_the_digest_and_not_for_offsets() -> None:
    blob = b"Subject: a\r\n\r\nbody"
    found = scan(blob, b"Message-ID: <x@y>\r\nDate: Wed, 25 Nov 2026 02:14:20 +0000\r\n")
    assert found.digest.id == b"x@y"
    assert found.digest.sent_at == 1795572860000
    assert found.structure == scan(blob).structure


def test_hops_delivered_to_and_authors_are_reported() -> None:
    blob = (
        b"Received: from a\r\n by b\r\nreceived: from c\r\nDelivered-To: ada@example.org\r\n"
        b"From: a@b\r\nFROM : c@d\r\n\r\n"
    )
    found = scan(blob)
    assert found.hops == 2
    assert found.delivered_to == (b"ada@example.org",)
    assert found.authors == (b"a@b", b"c@d")


def test_structure_survives_packing() -> None:
    root = scan(NESTED).structure
    assert part.unpack(part.pack(root)) == root


@pytest.mark.parametrize(
    ("blob", "expected"),
    [
        (b"\r\nHello,\r\n\r\n  world\r\n", "Hello, world"),
        (b"Content-Type: text/html\r\n\r\n<style>p{}</style><p>A &amp; <b>B</b></p>", "A & B"),
        (b"Content-Type: text/plain; charset=utf-8\r\n"
         b"Content-Transfer-Encoding: base64\r\n\r\nw6TDtsO8", "äöü"),
        (b"Content-Type: text/plain; charset=iso-8859-1\r\n"
         b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4=\r\n=F6", "äö"),
        (b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nno", ""),
        (b"Content-Type: image/png\r\n\r\nPNG", ""),
        (b"", ""),
    ],
)  # fmt: skip
def test_preview(blob: bytes, expected: str) -> None:
    assert scan(blob).preview == expected


def test_a_preview_prefers_plain_text_and_is_bounded() -> None:
    blob = (
        b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/html"
        b"\r\n\r\nmarkup\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        + "ä".encode() * 1500 + b"\r\n--x--"
    )  # fmt: skip
    assert scan(blob).preview == "ä" * 256


def test_white_space_does_not_empty_a_preview() -> None:
    assert scan(b"\r\n" + b" \r\n" * 200 + b"text").preview == "text"
