"""An Email that a client creates, as a message (RFC 8621 section 4.6).

First `plan` checks what was given and says which blobs it needs, then `write` makes the octets. Both
raise SetError; the properties it names are those of the Email.
"""

from __future__ import annotations

import re
from base64 import encodebytes
from binascii import b2a_qp
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from postillon.mail.compose import WIDTH, Composer, new_boundary
from postillon.mail.octets import Octets
from postillon.protocol.jmap.errors import SetError, invalid_properties
from postillon.protocol.jmap.headers import CONVENIENT, HeaderProperty, parse_property
from postillon.protocol.jmap.writing import write_field

BODY = frozenset(("bodyStructure", "textBody", "htmlBody", "attachments", "bodyValues"))
MAX_DEPTH = 30  # of multiparts; ours
MAX_PARTS = 1_000  # of one message; ours
_PART = frozenset((
    "partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language",
    "location", "subParts",
))  # fmt: skip
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}")
_TOKEN = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}")

Field = tuple[HeaderProperty, str, Any]  # what, its name as it is to be written, its value


@dataclass(slots=True)
class NewPart:
    """A part to be written. text: its value; blob: whose octets; both None: a multipart."""

    type: str
    text: str | None = None
    blob: str | None = None
    charset: str | None = None
    name: str | None = None
    disposition: str | None = None
    cid: str | None = None
    language: list[str] | None = None
    location: str | None = None
    fields: list[Field] = field(default_factory=list)
    children: list[NewPart] = field(default_factory=list)

    def blobs(self) -> Iterator[str]:
        if self.blob is not None:
            yield self.blob
        for child in self.children:
            yield from child.blobs()


@dataclass(frozen=True, slots=True)
class Plan:
    fields: list[Field]
    root: NewPart

    @property
    def blobs(self) -> list[str]:
        """Ids of the blobs that are needed, each once."""
        return list(dict.fromkeys(self.root.blobs()))


def plan(email: Mapping[str, Any]) -> Plan:
    """email: the properties that make the message, without metadata."""
    fields = _fields(email, allowed=BODY)
    for wanted, _, _ in fields:
        if wanted.name.startswith("content-"):
            raise invalid_properties("this belongs to a part", *_named(email, wanted.name))
    values = _body_values(email.get("bodyValues"))
    root = _root(email, values)
    met = {wanted.name: name for wanted, name, _ in fields}
    for wanted, name, _ in root.fields:  # section 4.6: both would stand in the same header
        if wanted.name in met:
            raise invalid_properties("the Email has this field", f"bodyStructure/{name}")
    if sum(1 for _ in _walk(root)) > MAX_PARTS:
        raise invalid_properties(f"at most {MAX_PARTS} parts", "bodyStructure")
    return Plan(fields, root)


def _named(given: Mapping[str, Any], field_name: str) -> list[str]:
    found = []
    for name in given:
        wanted = CONVENIENT.get(name) or parse_property(name)
        if wanted is not None and wanted.name == field_name:
            found.append(name)
    return found


def _fields(given: Mapping[str, Any], allowed: frozenset[str]) -> list[Field]:
    """The header fields among the properties; null is none. No field may come twice."""
    found: list[Field] = []
    met: dict[str, str] = {}
    for name, value in given.items():
        if name in allowed:
            continue
        wanted = (CONVENIENT.get(name) if allowed is BODY else None) or parse_property(name)
        if wanted is None:
            raise invalid_properties("this cannot be given", name)
        if value is None:
            continue
        if wanted.name in met:
            raise invalid_properties("the same field twice", met[wanted.name], name)
        met[wanted.name] = name
        written = name.split(":")[1] if name.startswith("header:") else _spelling(wanted.name)
        try:
            write_field(Composer(), wanted, written, value)
        except (ValueError, TypeError, KeyError) as error:
            raise invalid_properties(str(error), name) from None
        found.append((wanted, written, value))
    return found


def _spelling(name: str) -> str:
    if name == "message-id":
        return "Message-ID"
    return "-".join(word.capitalize() for word in name.split("-"))


def _body_values(given: Any) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise invalid_properties("an object is wanted", "bodyValues")
    found: dict[str, str] = {}
    for key, item in given.items():
        if not isinstance(item, dict) or not isinstance(item.get("value"), str):
            raise invalid_properties("each has a value", f"bodyValues/{key}")
        if item.get("isEncodingProblem") or item.get("isTruncated"):
            raise invalid_properties("a value is whole and right", f"bodyValues/{key}")
        if set(item) - {"value", "isEncodingProblem", "isTruncated"}:
            raise invalid_properties("there is no such property", f"bodyValues/{key}")
        found[key] = item["value"]
    return found


def _root(email: Mapping[str, Any], values: Mapping[str, str]) -> NewPart:
    lists = [
        name for name in ("textBody", "htmlBody", "attachments") if email.get(name) is not None
    ]
    structure = email.get("bodyStructure")
    if structure is not None:
        if lists:
            raise invalid_properties("not beside a structure", "bodyStructure", *lists)
        return _part(structure, values, "bodyStructure", 0)
    text = _single(email, "textBody", "text/plain", values)
    html = _single(email, "htmlBody", "text/html", values)
    given = email.get("attachments") or []
    if not isinstance(given, list):
        raise invalid_properties("a list is wanted", "attachments")
    attached = [_part(item, values, f"attachments/{n}", 0) for n, item in enumerate(given)]
    return _arranged(text, html, attached)


def _single(
    email: Mapping[str, Any], name: str, kind: str, values: Mapping[str, str]
) -> NewPart | None:
    given = email.get(name)
    if given is None or given == []:
        return None
    if not isinstance(given, list) or len(given) != 1:
        raise invalid_properties(f"exactly one part of type {kind}", name)
    part = _part(given[0], values, f"{name}/0", 0, kind)
    if part.type != kind:
        raise invalid_properties(f"exactly one part of type {kind}", name)
    return part


def _arranged(text: NewPart | None, html: NewPart | None, attached: list[NewPart]) -> NewPart:
    """The usual structure: what the HTML shows goes along with it, the rest stands behind."""
    shown = [part for part in attached if part.disposition == "inline" and part.cid] if html else []
    others = [part for part in attached if part not in shown]
    body = html
    if body is not None and shown:
        body = NewPart("multipart/related", children=[body, *shown])
    if body is not None and text is not None:
        body = NewPart("multipart/alternative", children=[text, body])
    body = body or text
    if not others:
        return body or NewPart("text/plain", text="")
    if body is None and len(others) == 1 and others[0].type.startswith("text/"):
        return NewPart("multipart/mixed", children=others)
    return NewPart("multipart/mixed", children=[body, *others] if body else others)


def _part(
    given: Any, values: Mapping[str, str], where: str, depth: int, default: str = "text/plain"
) -> NewPart:
    if not isinstance(given, dict):
        raise invalid_properties("a part is an object", where)
    if depth > MAX_DEPTH:
        raise invalid_properties(f"at most {MAX_DEPTH} levels", where)
    fields = _fields_of_part(given, where)
    kind = _string(given, "type", where)
    part = NewPart(
        (kind or ("multipart/mixed" if given.get("subParts") else default)).lower(),
        charset=_string(given, "charset", where),
        name=_string(given, "name", where),
        disposition=_string(given, "disposition", where),
        cid=_string(given, "cid", where),
        language=given.get("language"),
        location=_string(given, "location", where),
        fields=fields,
    )
    if not _TYPE.fullmatch(part.type):
        raise invalid_properties("this is no media type", f"{where}/type")
    if part.disposition is not None and not _TOKEN.fullmatch(part.disposition):
        raise invalid_properties("this is no disposition", f"{where}/disposition")
    if part.language is not None and not (
        isinstance(part.language, list)
        and all(isinstance(tag, str) and _TOKEN.fullmatch(tag) for tag in part.language)
    ):
        raise invalid_properties("a list of language tags", f"{where}/language")
    _fill(part, given, values, where, depth)
    return part


def _fill(
    part: NewPart, given: dict[str, Any], values: Mapping[str, str], where: str, depth: int
) -> None:
    part_id, blob, inner = given.get("partId"), given.get("blobId"), given.get("subParts")
    if part.type.startswith("multipart/"):
        if part_id is not None or blob is not None:
            raise invalid_properties("a multipart has parts, and nothing else", where)
        if not isinstance(inner, list) or not inner:
            raise invalid_properties("a multipart has parts", f"{where}/subParts")
        part.children = [
            _part(item, values, f"{where}/subParts/{n}", depth + 1) for n, item in enumerate(inner)
        ]
        return
    if inner:
        raise invalid_properties("only a multipart has parts", f"{where}/subParts")
    if (part_id is None) == (blob is None):
        raise invalid_properties(
            "either a partId or a blobId", f"{where}/partId", f"{where}/blobId"
        )
    if blob is not None:
        if not isinstance(blob, str):
            raise invalid_properties("an Id is wanted", f"{where}/blobId")
        part.blob = blob
        return
    if not isinstance(part_id, str) or part_id not in values:
        raise invalid_properties("there is no such value in bodyValues", f"{where}/partId")
    if part.charset is not None:
        raise invalid_properties("of a value the server chooses it", f"{where}/charset")
    if given.get("size") is not None:
        raise invalid_properties("of a value the server counts it", f"{where}/size")
    if not part.type.startswith("text/"):
        raise invalid_properties("a value is text", f"{where}/type")
    part.text = values[part_id]


def _fields_of_part(given: dict[str, Any], where: str) -> list[Field]:
    try:
        fields = _fields(given, allowed=_PART)
    except SetError as error:
        names = [f"{where}/{name}" for name in error.properties or ()]
        raise invalid_properties(error.description, *names) from None
    for wanted, _, _ in fields:
        if wanted.name == "content-transfer-encoding":
            names = [f"{where}/{name}" for name in _named(given, wanted.name)]
            raise invalid_properties("the server chooses it", *names)
    return fields


def _string(given: dict[str, Any], name: str, where: str) -> str | None:
    value = given.get(name)
    if value is not None and (not isinstance(value, str) or re.search(r"[\r\n\0]", value)):
        raise invalid_properties("a text on one line is wanted", f"{where}/{name}")
    return value


def _walk(part: NewPart) -> Iterator[NewPart]:
    yield part
    for child in part.children:
        yield from _walk(child)


# Writing ---------------------------------------------------------------------------------------------


def write(
    planned: Plan,
    blobs: Mapping[str, Octets],
    random: Callable[[int], bytes],
    missing: Sequence[tuple[str, str]] = (),
) -> bytes:
    """The message. missing: fields in their grammar that are added unless they were given."""
    header = Composer()
    there = {wanted.name for wanted, _, _ in planned.fields}
    for name, value in missing:
        if name.lower() not in there:
            header.structured(name, value)
    try:
        for wanted, name, value in planned.fields:
            write_field(header, wanted, name, value)
        if "mime-version" not in there:
            header.structured("MIME-Version", "1.0")
        return b"".join(_entity(planned.root, header, blobs, random))
    except ValueError as error:
        raise invalid_properties(str(error)) from None


def _entity(
    part: NewPart, header: Composer, blobs: Mapping[str, Octets], random: Callable[[int], bytes]
) -> Iterator[bytes]:
    given = {wanted.name for wanted, _, _ in part.fields}
    for wanted, name, value in part.fields:
        write_field(header, wanted, name, value)
    _describe(part, header, given)
    if part.children:
        boundary = new_boundary(random(15))
        if "content-type" in given:
            raise ValueError("the server writes the Content-Type of a multipart")
        header.parameters("Content-Type", part.type, {"boundary": boundary})
        yield bytes(header)
        for child in part.children:
            yield f"--{boundary}\r\n".encode()
            yield from _entity(child, Composer(), blobs, random)
            yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()
        return
    body, encoding, charset = _encoded(part, blobs)
    if "content-type" not in given:
        parameters = {"charset": charset} if charset else {}
        if part.name is not None:
            parameters["name"] = part.name
        header.parameters("Content-Type", part.type, parameters)
    header.structured("Content-Transfer-Encoding", encoding)
    yield bytes(header)
    yield body


def _describe(part: NewPart, header: Composer, given: set[str]) -> None:
    if "content-disposition" not in given and (part.disposition or part.name is not None):
        parameters = {} if part.name is None else {"filename": part.name}
        header.parameters("Content-Disposition", part.disposition or "attachment", parameters)
    if part.cid is not None and "content-id" not in given:
        header.structured("Content-ID", f"<{part.cid}>")
    if part.language and "content-language" not in given:
        header.structured("Content-Language", ", ".join(part.language))
    if part.location is not None and "content-location" not in given:
        header.structured("Content-Location", part.location)


def _encoded(part: NewPart, blobs: Mapping[str, Octets]) -> tuple[bytes, str, str | None]:
    """Body, transfer encoding and charset of a part."""
    if part.text is not None:
        lines = part.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        body = "\r\n".join(lines)
        plain = body.isascii() and "\0" not in body and all(len(line) <= WIDTH for line in lines)
        if plain:
            return body.encode(), "7bit", "us-ascii"
        encoded = b2a_qp(body.encode("utf-8", "replace"), istext=True)
        return encoded.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), "quoted-printable", "utf-8"
    octets = blobs[part.blob or ""][:]
    if part.type in ("message/rfc822", "message/global", "message/delivery-status"):
        return octets, "7bit" if octets.isascii() else "8bit", None
    charset = part.charset if part.type.startswith("text/") else None
    return encodebytes(octets).replace(b"\n", b"\r\n"), "base64", charset
