"""Blob ids, and the octets they name: whole emails, parts of them, uploads, parts of these.

An id says where its octets are: "B", then "m" and an email or "u" and an upload, then the number of a
part, "_1_2", without its transfer encoding. Further numbers behind "-" are parts of the message that
these octets are: Bm12_2-1 is the first part of the message that is attached to email 12 as its part 2.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from postillon.account.account import Account
from postillon.account.accounts import Accounts
from postillon.account.originals import Original
from postillon.account.uploads import Upload
from postillon.mail.decode import Decoder, UnknownEncoding, decode_transfer
from postillon.mail.mime import scan
from postillon.mail.part import Part, PartPath, part_at

MAX_NESTING = 5  # messages in messages that an id may lead through; ours
UPLOADS_KEPT = 20  # uploads of the largest size that one account may keep unused
OCTETS = "application/octet-stream"  # what nobody has named
MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}(?:;[ -~]{0,200})?"
)
AT_ONCE = 256 * 1024  # octets of a blob read at a time
_ID = re.compile(
    r"B([mu])(0|[1-9]\d{0,18})((?:_[1-9]\d{0,5}){0,100})((?:-[1-9]\d{0,5}(?:_[1-9]\d{0,5}){0,100})*)"
)


class BlobNotFound(Exception):
    """No octets have this id, or the caller may not read them."""


@dataclass(frozen=True, slots=True)
class BlobId:
    """email or upload: the number of the one it is in; the other is None. paths: see above."""

    email: int | None
    upload: int | None
    paths: tuple[PartPath, ...] = ()

    def __str__(self) -> str:
        first = "".join(f"_{n}" for n in self.paths[0]) if self.paths else ""
        rest = "".join("-" + "_".join(map(str, path)) for path in self.paths[1:])
        whole = f"m{self.email}" if self.email is not None else f"u{self.upload}"
        return f"B{whole}{first}{rest}"

    def part(self, path: PartPath) -> BlobId:
        """The part of a message whose octets this names.

        Parts of an email itself stand first; so do those of an upload that is a message.
        """
        return replace(self, paths=(*self.paths, path))


def parse(text: str) -> BlobId:
    """Raises BlobNotFound for what can be no id of ours."""
    match = _ID.fullmatch(text)
    if match is None:
        raise BlobNotFound(text)
    kind, number, first, rest = match.groups()
    paths = [tuple(map(int, first[1:].split("_")))] if first else []
    if rest:
        if not paths:
            raise BlobNotFound(text)
        paths += [tuple(map(int, part.split("_"))) for part in rest[1:].split("-")]
    if len(paths) > MAX_NESTING:
        raise BlobNotFound(text)
    if kind == "m":
        return BlobId(int(number), None, tuple(paths))
    return BlobId(None, int(number), tuple(paths))


def of_email(email: int) -> BlobId:
    return BlobId(email, None)


def of_upload(upload: int) -> BlobId:
    return BlobId(None, upload)


@dataclass(frozen=True, slots=True)
class Opened:
    """Octets that are there. size: None where only decoding tells it."""

    id: BlobId
    size: int | None
    media_type: str
    source: Original | Upload
    part: Part | None = None  # directly in the source; deeper ones have been read already
    octets: bytes | None = None


class Blobs:
    """The blobs of one account, for one caller. Raises StoreError where octets cannot be read."""

    def __init__(self, accounts: Accounts, account: Account, actor: int) -> None:
        self._originals = accounts.originals(account.id, actor)
        self._uploads = accounts.uploads(account.id, actor)

    async def open(self, text: str) -> Opened:
        """Raises BlobNotFound."""
        return await self.open_id(parse(text))

    async def open_id(self, wanted: BlobId) -> Opened:
        """As `open`."""
        found = await self._whole(replace(wanted, paths=()))
        for path in wanted.paths:
            found = await self._into(found, path)
        return found

    async def read(self, blob: Opened) -> bytes:
        """All octets."""
        if blob.octets is not None:
            return blob.octets
        if blob.part is None:
            return await self._piece(blob.source, 0, blob.size or 0)
        part = blob.part
        encoded = await self._in_blob(blob.source, part.body_start, part.end)
        return decode_transfer(encoded, b"" if part.children else _encoding(part))

    async def stream(
        self, blob: Opened, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Octets from `start` up to before `stop`, in pieces, without holding all of them."""
        if blob.octets is not None:
            yield blob.octets[start:stop]
            return
        if blob.part is None:
            end = (blob.size or 0) if stop is None else min(stop, blob.size or 0)
            while start < end:
                piece = await self._piece(blob.source, start, min(start + AT_ONCE, end))
                yield piece
                start += len(piece)
            return
        async for piece in self._decoded(blob.source, blob.part, start, stop):
            yield piece

    async def _decoded(
        self, source: Original | Upload, part: Part, start: int, stop: int | None
    ) -> AsyncIterator[bytes]:
        decoder = Decoder(b"" if part.children else _encoding(part))
        place, at = part.body_start, 0
        while place < part.end and (stop is None or at < stop):
            end = min(place + AT_ONCE, part.end)
            found = decoder.feed(await self._in_blob(source, place, end))
            yield found[max(start - at, 0) : None if stop is None else max(stop - at, 0)]
            place, at = end, at + len(found)
        if stop is None or at < stop:
            found = decoder.finish()
            yield found[max(start - at, 0) : None if stop is None else max(stop - at, 0)]

    async def _whole(self, wanted: BlobId) -> Opened:
        if wanted.email is not None:
            original = await self._originals.find(wanted.email)
            if original is None:
                raise BlobNotFound(str(wanted))
            return Opened(wanted, original.size, "message/rfc822", original)
        upload = await self._uploads.find(wanted.upload or 0)
        if upload is None:
            raise BlobNotFound(str(wanted))
        return Opened(wanted, upload.size, upload.media_type, upload)

    async def _into(self, whole: Opened, path: PartPath) -> Opened:
        """A part of a message. Raises BlobNotFound."""
        if isinstance(whole.source, Original) and not whole.id.paths:
            part = part_at(whole.source.root, path)
            if part is None:
                raise BlobNotFound(str(whole.id.part(path)))
            return replace(
                whole,
                id=whole.id.part(path),
                size=_size(part),
                media_type=media_type(part),
                part=part,
            )
        octets = await self.read(whole)
        part = part_at(scan(octets).structure, path)
        if part is None:
            raise BlobNotFound(str(whole.id.part(path)))
        decoded = decode_transfer(part.body(octets), b"" if part.children else _encoding(part))
        return Opened(
            whole.id.part(path), len(decoded), media_type(part), whole.source, None, decoded
        )

    async def _piece(self, source: Original | Upload, start: int, stop: int) -> bytes:
        if isinstance(source, Original):
            return await self._originals.read(source, start, stop)
        return await self._uploads.read(source, start, stop)

    async def _in_blob(self, source: Original | Upload, start: int, stop: int) -> bytes:
        """Octets at offsets of the structure, which does not know of the prefix."""
        if isinstance(source, Original):
            return await self._originals.blob(source, start, stop)
        return await self._uploads.read(source, start, stop)


def media_type(part: Part) -> str:
    return f"{part.media.decode('ascii', 'replace')}/{part.subtype.decode('ascii', 'replace')}"


def _encoding(part: Part) -> bytes:
    """Of a part; one that nobody knows is left as it is."""
    try:
        Decoder(part.encoding)
    except UnknownEncoding:
        return b""
    return part.encoding


def _size(part: Part) -> int | None:
    return (
        part.size
        if part.children or _encoding(part) in (b"", b"7bit", b"8bit", b"binary")
        else None
    )
