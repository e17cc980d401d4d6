"""An Email as JSON (RFC 8621 section 4.1): from what is kept of it and, if need be, its octets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from postillon.access.jmap import names
from postillon.access.jmap.mail import check_properties
from postillon.mail import digest as digests
from postillon.mail.digest import HeaderDigest
from postillon.mail.octets import Octets
from postillon.mail.part import Part, PartPath
from postillon.protocol.jmap import bodies, headers
from postillon.protocol.jmap.bodies import BodyPart
from postillon.protocol.jmap.errors import invalid_arguments
from postillon.protocol.jmap.headers import CONVENIENT, parse_property
from postillon.protocol.jmap.kinds import boolean, list_of, optional, string, unsigned
from postillon.protocol.jmap.standard import More

METADATA = ("id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt")
OF_BODY = (
    "bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments", "hasAttachment", "preview",
)  # fmt: skip
DEFAULT = (
    *METADATA, "messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc",
    "replyTo", "subject", "sentAt", "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody",
    "attachments",
)  # fmt: skip
PARSED = DEFAULT[len(METADATA) :]  # section 4.9
KNOWN = frozenset((*METADATA, *CONVENIENT, *OF_BODY, "headers"))
PART_LISTS = frozenset(("bodyStructure", "textBody", "htmlBody", "attachments"))
CHEAP = frozenset((*METADATA,))  # known without the row of the email's text
MORE: More = {
    "bodyProperties": (optional(list_of(string)), None),
    "fetchTextBodyValues": (boolean, False),
    "fetchHTMLBodyValues": (boolean, False),
    "fetchAllBodyValues": (boolean, False),
    "maxBodyValueBytes": (unsigned, 0),
}
# Properties for which the digest is as good as the header.
_IN_DIGEST: dict[str, Callable[[HeaderDigest], bytes]] = {
    "messageId": lambda d: d.message_id,
    "inReplyTo": lambda d: d.in_reply_to,
    "sender": lambda d: d.sender,
    "from": lambda d: d.from_,
    "to": lambda d: d.to,
    "cc": lambda d: d.cc,
    "bcc": lambda d: d.bcc,
    "replyTo": lambda d: d.reply_to,
    "subject": lambda d: d.subject,
    "sentAt": lambda d: d.date,
}


@dataclass(frozen=True)
class Wishes:
    """What a client wants to see of emails."""

    properties: tuple[str, ...]
    body_properties: tuple[str, ...]
    text_values: bool
    html_values: bool
    all_values: bool
    most: int  # octets of a body value; 0: all

    @classmethod
    def of(
        cls, properties: Sequence[str] | None, default: Sequence[str], more: dict[str, Any]
    ) -> Wishes:
        """Raises MethodError invalidArguments."""
        chosen = tuple(default if properties is None else dict.fromkeys(properties))
        check_properties(chosen, is_property, "properties")
        given = more["bodyProperties"]
        of_parts = tuple(bodies.DEFAULT if given is None else dict.fromkeys(given))
        check_properties(of_parts, _is_part_property, "bodyProperties")
        if more["maxBodyValueBytes"] < 0:
            raise invalid_arguments("maxBodyValueBytes must not be negative", ["maxBodyValueBytes"])
        return cls(
            chosen, of_parts, more["fetchTextBodyValues"], more["fetchHTMLBodyValues"],
            more["fetchAllBodyValues"], more["maxBodyValueBytes"],
        )  # fmt: skip

    @cached_property
    def whole(self) -> bool:
        """Whether more is needed than the few facts of an email."""
        return not CHEAP.issuperset(self.properties)

    @cached_property
    def _of_parts(self) -> frozenset[str]:
        """What of parts cannot be told without octets, if parts are wanted at all."""
        if not any(name in PART_LISTS for name in self.properties):
            return frozenset()
        return frozenset(
            name for name in self.body_properties if name == "size" or _reads_header(name)
        )

    @cached_property
    def _values(self) -> bool:
        some = self.text_values or self.html_values or self.all_values
        return some and "bodyValues" in self.properties

    @cached_property
    def _header(self) -> bool:
        return any(_reads_header(name) or name == "references" for name in self.properties)

    def octets(self, root: Part, digest: HeaderDigest) -> int:
        """Up to which octet of the blob must be read; 0: none is needed."""
        if "subject" in self.properties and not digest.subject:
            return max(root.body_start, self._octets(root))  # missing or empty?
        return self._octets(root)

    def _octets(self, root: Part) -> int:
        if self._values:
            return root.end
        wanted = self._of_parts
        if wanted:
            others = bool(wanted - {"size"})
            if others and root.children:
                return root.end
            if "size" in wanted and any(
                part.part.encoding in (b"base64", b"quoted-printable")
                for part in bodies.leaves(bodies.tree(root))
            ):
                return root.end
            if others:
                return root.body_start
        return root.body_start if self._header else 0


def _reads_header(name: str) -> bool:
    return name == "headers" or name.startswith("header:")


def is_property(name: str) -> bool:
    return name in KNOWN or parse_property(name) is not None


def _is_part_property(name: str) -> bool:
    return name in bodies.PROPERTIES or parse_property(name) is not None


@dataclass(slots=True)
class Source:
    """A message to be shown. octets: as far as `Wishes.octets` asks; before: lines in front of it."""

    root: Part
    digest: HeaderDigest
    preview: str
    before: bytes
    octets: Octets
    blob_id: Callable[[PartPath], str]
    _tree: BodyPart | None = None
    _bodies: bodies.Bodies | None = None
    _fields: list[tuple[bytes, bytes]] | None = field(default=None)

    @property
    def tree(self) -> BodyPart:
        if self._tree is None:
            self._tree = bodies.tree(self.root)
        return self._tree

    @property
    def bodies(self) -> bodies.Bodies:
        if self._bodies is None:
            self._bodies = bodies.bodies(self.tree)
        return self._bodies

    @property
    def header(self) -> bytes:
        return self.before + bytes(self.octets[: self.root.body_start])

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        if self._fields is None:
            self._fields = headers.fields(self.header)
        return self._fields


def content_json(source: Source, wishes: Wishes) -> dict[str, Any]:
    """What the message itself says: all wanted properties but the metadata."""
    found: dict[str, Any] = {}
    describe = bodies.Describer(
        wishes.body_properties, source.blob_id, source.octets, source.before
    )
    for name in wishes.properties:
        if name in METADATA:
            continue
        look = _IN_DIGEST.get(name)
        if look is not None:
            value = look(source.digest)
            found[name] = headers.READERS[CONVENIENT[name].form](value) if value else None
            if name == "subject" and not value:
                found[name] = headers.value_of(CONVENIENT[name], source.fields)
        elif name == "hasAttachment":
            found[name] = bodies.has_attachment(source.root)
        elif name == "preview":
            found[name] = source.preview
        elif name == "bodyStructure":
            found[name] = describe(source.tree, deep=True)
        elif name == "textBody":
            found[name] = [describe(part) for part in source.bodies.text]
        elif name == "htmlBody":
            found[name] = [describe(part) for part in source.bodies.html]
        elif name == "attachments":
            found[name] = [describe(part) for part in source.bodies.attachments]
        elif name == "bodyValues":
            found[name] = _values(source, wishes)
        elif name == "headers":
            found[name] = headers.as_sent(source.header)
        else:
            wanted = CONVENIENT.get(name) or parse_property(name)
            assert wanted is not None
            found[name] = headers.value_of(wanted, source.fields)
    return found


def _values(source: Source, wishes: Wishes) -> dict[str, Any]:
    parts: list[BodyPart] = []
    if wishes.text_values:
        parts += source.bodies.text
    if wishes.html_values:
        parts += source.bodies.html
    if wishes.all_values:
        parts += bodies.leaves(source.tree)
    found: dict[str, Any] = {}
    for part in parts:
        if part.part.media == b"text" and part.id is not None and part.id not in found:
            value = bodies.body_value(part.part, source.octets, wishes.most)
            found[part.id] = value.as_json()
    return found


def digest_of(packed: bytes) -> HeaderDigest:
    return digests.unpack(packed)


def mailbox_ids(numbers: Sequence[int]) -> dict[str, bool]:
    return {names.name(names.MAILBOX, number): True for number in numbers}
