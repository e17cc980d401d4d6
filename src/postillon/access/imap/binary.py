"""Parts without their transfer encoding (BINARY, RFC 3516), decoded as they are read."""

from __future__ import annotations

from collections.abc import AsyncIterator

from postillon.access.imap.sections import Piece, Read, read_pieces
from postillon.account.emails import EmailRow
from postillon.mail.decode import Decoder
from postillon.mail.mime import Part, part_at
from postillon.protocol.imap.commands import Binary


def exists(item: Binary, root: Part) -> bool:
    return not item.path or part_at(root, item.path) is not None


async def decoded(item: Binary, row: EmailRow, root: Part, read: Read) -> AsyncIterator[bytes]:
    """The octets of a part that exists, its partial applied. Raises UnknownEncoding at once."""
    pieces: list[Piece] = []
    encoding = b""
    if item.path:
        part = part_at(root, item.path)
        assert part is not None
        pieces.append((part.body_start, part.end))
        # What holds other parts has no encoding of its own (RFC 2045 section 6.4).
        encoding = b"" if part.children else part.encoding
    else:
        pieces += [row.prefix, (0, row.ref.length)]
    decoder = Decoder(encoding)
    first, last = (item.partial[0], sum(item.partial)) if item.partial else (0, None)
    at = 0
    async for octets in read_pieces(pieces, row, read):
        found = decoder.feed(octets)
        yield found[max(first - at, 0) : None if last is None else max(last - at, 0)]
        at += len(found)
        if last is not None and at >= last:
            return
    found = decoder.finish()
    yield found[max(first - at, 0) : None if last is None else max(last - at, 0)]


async def measure(
    item: Binary, row: EmailRow, root: Part, read: Read, keep: int
) -> tuple[int, bytes | None]:
    """How many octets there are, and they themselves when they are no more than `keep`."""
    size = 0
    kept: list[bytes] | None = []
    async for octets in decoded(item, row, root, read):
        size += len(octets)
        if kept is not None:
            kept.append(octets)
        if size > keep:
            kept = None
    return size, None if kept is None else b"".join(kept)
