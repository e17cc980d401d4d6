"""Fuzz target: the MIME scanner, its offsets and what is read through them."""

from __future__ import annotations

from postillon.mail import digest, part
from postillon.mail.mime import body_text, part_at, scan, walk


def one(data: bytes) -> None:
    found = scan(data)
    for number, entity in enumerate(walk(found.structure)):
        if not 0 <= entity.header_start <= entity.body_start <= entity.end <= len(data):
            raise AssertionError("offsets out of order")
        if entity.multipart != bool(entity.children and not entity.message):
            raise AssertionError("a multipart without children, or children without one")
        if number < 10:
            body_text(data, entity)
    for path in ((), (1,), (1, 1), (2, 1, 1)):
        part_at(found.structure, path)
    if part.unpack(part.pack(found.structure)) != found.structure:
        raise AssertionError("the structure does not survive packing")
    if digest.unpack(digest.pack(found.digest)) != found.digest:
        raise AssertionError("the digest does not survive packing")
