"""What holds for the mail parsers whatever the octets: no exception, bounds kept, offsets true."""

from __future__ import annotations

import mmap
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from postillon.mail import digest, header, part
from postillon.mail.addresses import MAX_MAILBOXES, parse_mailboxes
from postillon.mail.charset import decode_octets
from postillon.mail.compose import Composer, multipart, text_entity
from postillon.mail.dates import format_date, parse_date
from postillon.mail.decode import decode_base64, decode_transfer
from postillon.mail.mime import MAX_DEPTH, body_text, part_at, scan, walk
from postillon.mail.octets import find_octets
from postillon.mail.parameters import decode_parameter, file_name, parse_disposition, parse_type
from postillon.mail.strip import drop_bcc
from postillon.mail.subject import base_subject
from postillon.mail.text import strip_markup
from postillon.mail.words import decode_words, encode_words

# Octets in which the interesting things are likely.
PIECES = st.sampled_from(
    [
        b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b",", b'"', b"\\", b"(", b")", b"<",
        b">", b"@", b"=?", b"?=", b"=?utf-8?q?", b"=?utf-8?b?", b"=", b"=\r\n", b"'", b"*", b"*0*=",
        b"--", b"--x", b"--x--", b"--y", b"\r\n--x\r\n", b"\r\n--y\r\n", b"\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n", b"Content-Type: message/rfc822\r\n",
        b"Content-Type: multipart/digest; boundary=y\r\n", b"Content-Type: text/html\r\n",
        b"Content-Type: text/plain; charset=utf-16\r\n", b"Subject: ", b"To: ", b"Bcc: ", b"From: ",
        b"Content-Transfer-Encoding: base64\r\n", b"Date: Wed, 25 Nov 2026 02:14:20 +0000\r\n",
        b"Message-ID: <a@b>\r\n", b"References: ", b"Re: ", b"[a]", b"(fwd)", b"<!--", b"<style>",
        b"&#", b"&amp;", b"a", b"1", b"25 Nov 2026", b"\xc3\xa4", b"\xff", b"filename", b"name",
    ]
)  # fmt: skip
OCTETS = st.one_of(
    st.binary(max_size=300),
    st.lists(st.one_of(PIECES, st.binary(max_size=6)), max_size=60).map(b"".join),
)


@given(OCTETS, st.binary(max_size=50))
@settings(max_examples=200)
def test_scan_survives_everything_and_its_offsets_hold(blob: bytes, completed: bytes) -> None:
    found = scan(blob, completed)
    root = found.structure
    assert (root.header_start, root.end) == (0, len(blob))
    for one in walk(root):
        assert 0 <= one.header_start <= one.body_start <= one.end <= len(blob)
        if one.multipart:
            assert one.children
        elif one.message:
            assert [c.header_start for c in one.children] == [one.body_start]
        else:
            assert not one.children
        last = one.body_start
        for child in one.children:
            assert last <= child.header_start
            assert child.end <= one.end
            last = child.end
    assert len(found.preview) <= 256
    assert "\n" not in found.preview
    assert part.unpack(part.pack(root)) == root
    assert digest.unpack(digest.pack(found.digest)) == found.digest


@given(OCTETS)
@settings(max_examples=100)
def test_no_value_of_a_digest_breaks_a_line(blob: bytes) -> None:
    for value in (v for v in _values(scan(blob).digest) if isinstance(v, bytes)):
        assert not any(octet in value for octet in b"\r\n\0")


def _values(found: digest.HeaderDigest) -> list[object]:
    return [getattr(found, name) for name in found.__struct_fields__]


@given(OCTETS)
@settings(max_examples=50)
def test_a_mapped_file_is_scanned_alike(blob: bytes) -> None:
    blob += b"."  # an empty file cannot be mapped
    with tempfile.TemporaryFile() as file:
        file.write(blob)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert scan(mapped) == scan(blob)
            assert drop_bcc(mapped)[:] == drop_bcc(blob)


@given(OCTETS)
@settings(max_examples=200)
def test_that_line_ends_are_pure_changes_nothing_of_a_scan(blob: bytes) -> None:
    pure = blob.replace(b"\r", b"").replace(b"\n", b"\r\n")
    assert scan(pure, pure=True) == scan(pure)


@given(st.binary(min_size=1, max_size=20_000), st.binary(min_size=1, max_size=4), st.data())
@settings(max_examples=50)
def test_pieces_change_nothing_for_finding(blob: bytes, wanted: bytes, data: st.DataObject) -> None:
    blob *= 3
    start = data.draw(st.integers(0, len(blob)))
    stop = data.draw(st.integers(0, len(blob)))
    with mmap.mmap(-1, len(blob)) as mapped:
        mapped[:] = blob
        assert find_octets(mapped, wanted, start, stop) == blob.find(wanted, start, stop)


@given(OCTETS)
@settings(max_examples=200)
def test_every_parser_survives_everything(raw: bytes) -> None:
    decode_words(raw)
    base_subject(raw)
    parse_date(raw)
    parse_type(b"a/b;" + raw)
    parse_type(raw)
    parameters = parse_disposition(b"attachment;" + raw)[1]
    decode_parameter(parameters, b"name")
    name = file_name(parameters, ())
    assert name is None or (name.isprintable() and "/" not in name and len(name) <= 255)
    decode_base64(raw)
    decode_transfer(raw, b"quoted-printable")
    for charset in (b"", b"utf-7", b"iso-2022-jp", b"gb2312", b"utf-16", b"hz-gb-2312", raw[:9]):
        decode_octets(raw, charset)
        decode_octets(raw, charset, cut=True)
    strip_markup(decode_octets(raw))
    assert len(parse_mailboxes(raw)) <= MAX_MAILBOXES
    digest.bare_ids(raw)
    for field in header.split(raw):
        assert raw[field.start : field.end].startswith(field.name)


@given(OCTETS)
@settings(max_examples=100)
def test_bodies_of_all_parts_can_be_read(blob: bytes) -> None:
    for one in walk(scan(blob).structure):
        body_text(blob, one)


@given(OCTETS, st.lists(st.integers(-1, 3), max_size=6))
@settings(max_examples=100)
def test_part_numbers_find_parts_or_nothing(blob: bytes, path: list[int]) -> None:
    root = scan(blob).structure
    found = part_at(root, path)
    assert found is None or any(found is one for one in walk(root))


@given(OCTETS)
@settings(max_examples=100)
def test_fields_tile_the_header_in_order(blob: bytes) -> None:
    end = 0
    for field in header.split(blob):
        assert end <= field.start < field.end <= len(blob)
        end = field.end
    assert end <= header.header_end(blob, 0, len(blob))


@given(OCTETS)
@settings(max_examples=100)
def test_bcc_is_gone_and_all_else_stays(blob: bytes) -> None:
    stripped = drop_bcc(blob)[:]
    names = [f.name.lower() for f in header.split(stripped)]
    assert b"bcc" not in names
    assert drop_bcc(stripped) is stripped
    assert stripped.endswith(blob[header.header_end(blob, 0, len(blob)) :])


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200))
def test_encoded_words_read_back(text: str) -> None:
    assert decode_words(" ".join(encode_words(text)).encode()) == text.strip(" ")


@given(st.text(max_size=300))
def test_composed_headers_stay_one_field(text: str) -> None:
    try:
        block = bytes(Composer().text("Subject", text))
    except ValueError:
        assert any(c in text for c in "\r\n\0")
        return
    assert [f.name for f in header.split(block)] == [b"Subject"]
    assert block.endswith(b"\r\n\r\n")


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=100), min_size=1, max_size=5
    )
)
@settings(max_examples=50)
def test_composed_multiparts_read_back(texts: list[str]) -> None:
    entities = [text_entity(text) for text in texts]
    blob = multipart(Composer(), "mixed", entities, "=_0123456789")
    children = scan(blob).structure.children
    assert [blob[c.header_start : c.end] for c in children] == entities


@given(st.integers(-(10**13), 10**14), st.integers(-1439, 1439))
def test_written_dates_read_back(at: int, offset: int) -> None:
    read = parse_date(format_date(at, offset).encode())
    if at >= 0:
        assert read == (at // 1000 * 1000, offset)


@given(st.integers(1, 300))
@settings(max_examples=20)
def test_depth_is_bounded(depth: int) -> None:
    blob = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(depth)
    )
    assert sum(1 for _ in walk(scan(blob).structure)) <= min(depth + 1, MAX_DEPTH)
