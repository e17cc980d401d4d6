"""Blob/upload, Blob/get and Blob/lookup: small blobs within calls (RFC 9404)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from postillon.access.jmap import blobs, names
from postillon.access.jmap.blobs import MEDIA_TYPE, OCTETS, UPLOADS_KEPT, BlobNotFound, Blobs
from postillon.access.jmap.capability import Capability
from postillon.access.jmap.context import Context, Method, Services
from postillon.account.errors import TooManyUploads
from postillon.protocol.jmap.errors import (
    MethodError,
    SetError,
    invalid_arguments,
    invalid_properties,
)
from postillon.protocol.jmap.kinds import (
    WrongType,
    identifier,
    list_of,
    map_of,
    optional,
    record,
    reference,
    string,
    unsigned,
)
from postillon.protocol.jmap.standard import Arguments
from postillon.store.operation import BlobLost

CAPABILITY = "urn:ietf:params:jmap:blob"
MAX_SOURCES = 100  # parts of one blob; at least 64 (section 3.1)
TYPES = ("Email", "Mailbox", "Thread")
DIGESTS = {"sha": hashlib.sha1, "sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
DATA, TEXT, BASE64, SIZE = "data", "data:asText", "data:asBase64", "size"


async def upload(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """Section 4.1. A blob may be made of others that the same call makes, in whatever order."""
    arguments = Arguments(given)
    account_id = arguments.take("accountId", identifier)
    create = arguments.take("create", map_of(record, identifier))
    arguments.end()
    if len(create) > context.limits.max_objects_in_set:
        raise MethodError("requestTooLarge", f"at most {context.limits.max_objects_in_set} objects")
    account = await context.account(account_id)
    maker = _Maker(
        context, Blobs(context.accounts, account, context.identity.principal), account.id
    )
    created: dict[str, Any] = {}
    failed: dict[str, Any] = {}
    waiting = dict(create)
    while waiting:
        ready = [name for name, value in waiting.items() if not _needs(value) & waiting.keys()]
        for name in ready or list(waiting):  # those that need each other will not be found
            try:
                created[name] = await maker.make(waiting.pop(name))
                context.created[name] = created[name]["id"]
            except SetError as error:
                failed[name] = error.as_json()
    return {"accountId": account_id, "created": created or None, "notCreated": failed or None}


def _needs(value: Mapping[str, Any]) -> set[str]:
    """Creation ids that the parts of a blob name."""
    parts = value.get("data")
    ids = (
        [part.get("blobId") for part in parts if isinstance(part, dict)]
        if isinstance(parts, list)
        else []
    )
    return {one[1:] for one in ids if isinstance(one, str) and one.startswith("#")}


@dataclass(frozen=True, slots=True)
class _Maker:
    context: Context
    opener: Blobs
    account: int

    async def make(self, value: dict[str, Any]) -> dict[str, Any]:
        """Raises SetError."""
        wrong = sorted(value.keys() - {"data", "type"})
        if wrong:
            raise invalid_properties("there are no such properties", *wrong)
        kind, parts = value.get("type"), value.get("data")
        if kind is not None and not (isinstance(kind, str) and MEDIA_TYPE.fullmatch(kind)):
            raise invalid_properties("must be a media type", "type")
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            raise invalid_properties("must be an array of objects", "data")
        most = self.context.limits.max_size_upload
        if len(parts) > MAX_SOURCES:
            raise SetError("tooLarge", f"at most {MAX_SOURCES} parts", maxSize=most)
        content = bytearray()
        for part in parts:
            content += await self._part(part, most - len(content))
            if len(content) > most:
                raise SetError("tooLarge", maxSize=most)
        services, principal = self.context.services, self.context.identity.principal
        uploads = services.accounts.uploads(self.account, principal, most * UPLOADS_KEPT)
        try:
            kept = await uploads.add(bytes(content), kind or OCTETS)
        except TooManyUploads as error:
            raise SetError("overQuota", str(error)) from None
        return {"id": str(blobs.of_upload(kept.id)), "type": kind or OCTETS, "size": kept.size}

    async def _part(self, part: dict[str, Any], room: int) -> bytes:
        """Octets of a data source. Raises SetError; reads no more than there is room, and one more."""
        sources = [name for name in (TEXT, BASE64, "blobId") if part.get(name) is not None]
        allowed = (
            {TEXT, BASE64, "blobId", "offset", "length"} if "blobId" in sources else {TEXT, BASE64}
        )
        if len(sources) != 1 or part.keys() - allowed:
            raise invalid_properties(
                "each part has one of data:asText, data:asBase64 and blobId", "data"
            )
        try:
            if sources[0] == "blobId":
                return await self._piece(part, room)
            text = string(part[sources[0]])
            if sources[0] == TEXT:
                return text.encode()
            return base64.b64decode(text.encode("ascii"), validate=True)
        except WrongType as error:
            raise invalid_properties(f"a part {error}", "data") from None
        except (UnicodeEncodeError, binascii.Error, ValueError):
            raise invalid_properties("a part is no base64", "data") from None

    async def _piece(self, part: dict[str, Any], room: int) -> bytes:
        wanted = self.context.id_of(reference(part["blobId"]))
        start = optional(unsigned)(part.get("offset")) or 0
        length = optional(unsigned)(part.get("length"))
        try:
            opened = await self.opener.open(wanted or "")
            stop = start + room + 1 if length is None else start + min(length, room + 1)
            found = b"".join([piece async for piece in self.opener.stream(opened, start, stop)])
        except (BlobNotFound, BlobLost):
            raise SetError("blobNotFound", notFound=[part["blobId"]]) from None
        if length is not None and len(found) < min(length, room + 1):
            raise invalid_properties("a part ends behind the end of its blob", "data")
        if not found and start and length is None and not await self._reaches(opened, start):
            raise invalid_properties("a part begins behind the end of its blob", "data")
        return found

    async def _reaches(self, opened: blobs.Opened, start: int) -> bool:
        size = opened.size if opened.size is not None else len(await self.opener.read(opened))
        return start <= size


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Of a Blob/get: what of each blob, and which octets of it."""

    properties: tuple[str, ...]
    start: int
    length: int | None

    @property
    def octets(self) -> bool:
        return any(name != SIZE for name in self.properties)


async def get(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """Section 4.2."""
    arguments = Arguments(given)
    account_id = arguments.take("accountId", identifier)
    ids = arguments.take("ids", list_of(reference))
    properties = arguments.take("properties", optional(list_of(string)), None)
    start = arguments.take("offset", optional(unsigned), None) or 0
    length = arguments.take("length", optional(unsigned), None)
    arguments.end()
    if len(ids) > context.limits.max_objects_in_get:
        raise MethodError("requestTooLarge", f"at most {context.limits.max_objects_in_get} ids")
    wanted = _Wanted(_properties(properties), start, length)
    account = await context.account(account_id)
    opener = Blobs(context.accounts, account, context.identity.principal)
    listed, missing, room = [], [], context.limits.max_size_upload
    for name in dict.fromkeys(ids):
        try:
            opened = await opener.open(context.id_of(name) or "")
            shown, used = await _shown(opener, opened, wanted, room)
        except (BlobNotFound, BlobLost):
            missing.append(name)
            continue
        listed.append({"id": name if not name.startswith("#") else str(opened.id), **shown})
        room -= used
    return {"accountId": account_id, "list": listed, "notFound": missing}


def _properties(given: list[str] | None) -> tuple[str, ...]:
    """Raises MethodError."""
    if given is None:
        return (DATA, SIZE)
    for name in given:
        kind, _, algorithm = name.partition(":")
        if name not in ("id", DATA, TEXT, BASE64, SIZE) and (
            kind != "digest" or algorithm not in DIGESTS
        ):
            raise invalid_arguments(f"there is no property {name[:100]}", ["properties"])
    return tuple(name for name in dict.fromkeys(given) if name != "id")


async def _shown(
    opener: Blobs, opened: blobs.Opened, wanted: _Wanted, room: int
) -> tuple[dict[str, Any], int]:
    """Properties, and the number of octets that were read. Raises MethodError requestTooLarge."""
    whole = None if opened.size is not None else await opener.read(opened)
    size = len(whole) if whole is not None else opened.size or 0
    stop = size if wanted.length is None else min(size, wanted.start + wanted.length)
    found: dict[str, Any] = {}
    octets = b""
    if wanted.octets:
        if stop - wanted.start > room:
            raise MethodError("requestTooLarge", "these are too many octets for one call")
        if whole is None:
            pieces = [piece async for piece in opener.stream(opened, wanted.start, stop)]
            octets = b"".join(pieces)
        else:
            octets = whole[wanted.start : stop]
        beyond = wanted.start > size or (
            wanted.length is not None and wanted.start + wanted.length > size
        )
        if beyond:
            found["isTruncated"] = True
    for name in wanted.properties:
        if name == SIZE:
            found[SIZE] = size
        elif name.startswith("digest:"):
            made = DIGESTS[name.partition(":")[2]](octets).digest()
            found[name] = base64.b64encode(made).decode()
        else:
            found |= _data(name, octets)
    return found, len(octets)


def _data(name: str, octets: bytes) -> dict[str, Any]:
    """As text where it is text; else as base64 where that will do (section 4.2)."""
    if name == BASE64:
        return {BASE64: base64.b64encode(octets).decode()}
    try:
        return {TEXT: octets.decode()}
    except UnicodeDecodeError:
        if name == TEXT:
            return {TEXT: None, "isEncodingProblem": True}
        return {BASE64: base64.b64encode(octets).decode(), "isEncodingProblem": True}


async def lookup(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """Section 4.3: the emails, threads and mailboxes that a blob is in."""
    arguments = Arguments(given)
    account_id = arguments.take("accountId", identifier)
    types = arguments.take("typeNames", list_of(string))
    ids = arguments.take("ids", list_of(reference))
    arguments.end()
    if len(ids) > context.limits.max_objects_in_get:
        raise MethodError("requestTooLarge", f"at most {context.limits.max_objects_in_get} ids")
    unknown = [name for name in types if name not in TYPES]
    if unknown:
        raise MethodError("unknownDataType", f"{unknown[0][:100]} is not known here")
    account = await context.account(account_id)
    opener = Blobs(context.accounts, account, context.identity.principal)
    objects = context.accounts.objects(account.id, context.identity.principal)
    found: dict[str, blobs.BlobId] = {}
    for name in dict.fromkeys(ids):
        try:
            found[name] = (await opener.open(context.id_of(name) or "")).id
        except (BlobNotFound, BlobLost):
            continue
    emails, _ = await objects.read([one.email for one in found.values() if one.email], whole=False)
    listed = []
    for name, blob in found.items():
        email = emails.get(blob.email or 0)
        matched: dict[str, list[str]] = {kind: [] for kind in dict.fromkeys(types)}
        if email is not None:
            all_of = {
                "Email": [names.name(names.EMAIL, email.email)],
                "Thread": [names.name(names.THREAD, email.thread)],
                "Mailbox": [names.name(names.MAILBOX, one) for one in email.mailboxes],
            }
            matched = {kind: all_of[kind] for kind in matched}
        listed.append({"id": name, "matchedIds": matched})
    missing = [name for name in dict.fromkeys(ids) if name not in found]
    return {"accountId": account_id, "list": listed, "notFound": missing}


def _told(services: Services, own: bool) -> dict[str, Any]:
    return {
        "maxSizeBlobSet": services.limits.max_size_upload,
        "maxDataSources": MAX_SOURCES,
        "supportedTypeNames": list(TYPES),
        "supportedDigestAlgorithms": list(DIGESTS),
    }


CAPABILITIES = (Capability(CAPABILITY, account=_told),)
METHODS: Mapping[str, Method] = {"Blob/upload": upload, "Blob/get": get, "Blob/lookup": lookup}
