"""The envelope of a submission: given, or made from the header of its email (RFC 8621 section 7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from postillon.access.jmap.sending import MAX_RECIPIENTS, MAX_SIZE
from postillon.mail.address import Address, AddressError, parse_address, quote_local
from postillon.mail.addresses import parse_mailboxes
from postillon.mail.envelope import Body, Envelope, Notify, Recipient
from postillon.mail.header import MAX_HEADER, header_end, unfolded
from postillon.protocol.jmap.errors import SetError, invalid_properties
from postillon.protocol.smtp import grammar

WRONG = "the envelope is {mailFrom, rcptTo}, each with an email and parameters"


@dataclass(frozen=True, slots=True)
class Header:
    """What counts of the header of an email that is sent."""

    froms: tuple[tuple[str, ...], ...]  # addresses, by From field
    sender: str
    to: tuple[str, ...]  # To, Cc and Bcc
    dated: bool
    identified: bool


def header_of(content: bytes) -> Header:
    """Never fails, whatever the octets."""
    block = content[: header_end(content, 0, min(len(content), MAX_HEADER))]
    froms: list[tuple[str, ...]] = []
    sender: tuple[str, ...] = ()
    to: list[str] = []
    names = set()
    for name, value in unfolded(block):
        names.add(name)
        if name == b"from":
            froms.append(_addresses(value))
        elif name == b"sender":
            sender = _addresses(value)
        elif name in (b"to", b"cc", b"bcc"):
            to += _addresses(value)
    return Header(
        tuple(froms), sender[0] if sender else "", tuple(dict.fromkeys(to)), b"date" in names,
        b"message-id" in names,
    )  # fmt: skip


def _addresses(value: bytes) -> tuple[str, ...]:
    found = []
    for item in parse_mailboxes(value):
        if item.local and item.domain:
            local = quote_local(item.local.decode("utf-8", "replace"))
            found.append(f"{local}@{item.domain.decode('utf-8', 'replace')}")
    return tuple(found)


def from_header(header: Header, email: str) -> dict[str, Any]:
    """As JMAP shows it. email: of the identity."""
    author = header.sender or (header.froms[0][0] if header.froms and header.froms[0] else email)
    return {
        "mailFrom": {"email": author, "parameters": None},
        "rcptTo": [{"email": one, "parameters": None} for one in header.to],
    }


def checked(given: Any) -> dict[str, Any]:
    """A given one, in its full form. Raises SetError invalidProperties."""
    if not isinstance(given, dict) or {*given} != {"mailFrom", "rcptTo"}:
        raise invalid_properties(WRONG, "envelope")
    if not isinstance(given["rcptTo"], list):
        raise invalid_properties(WRONG, "envelope")
    return {
        "mailFrom": _address(given["mailFrom"]),
        "rcptTo": [_address(item) for item in given["rcptTo"]],
    }


def _address(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or not {*given} <= {"email", "parameters"}:
        raise invalid_properties(WRONG, "envelope")
    parameters = given.get("parameters")
    if not isinstance(given.get("email"), str) or not isinstance(parameters, dict | None):
        raise invalid_properties(WRONG, "envelope")
    values = () if parameters is None else parameters.values()
    if not all(value is None or isinstance(value, str) for value in values):
        raise invalid_properties("a parameter is a text or null", "envelope")
    return {"email": given["email"], "parameters": parameters}


def read(value: Mapping[str, Any], content: bytes, longest: int, least: int) -> Envelope:
    """For the queue. longest: seconds of a hold; least: of DELIVERBY.

    Raises SetError: invalidProperties, noRecipients, tooManyRecipients or invalidRecipients.
    """
    paths = value["rcptTo"]
    if not paths:
        raise SetError("noRecipients", "nobody is named")
    if len(paths) > MAX_RECIPIENTS:
        raise SetError("tooManyRecipients", maxRecipients=MAX_RECIPIENTS)
    reverse_path = None
    if value["mailFrom"]["email"]:
        try:
            reverse_path = parse_address(value["mailFrom"]["email"])
        except AddressError as error:
            raise invalid_properties(str(error), "envelope") from None
    recipients: dict[object, Recipient] = {}
    wrong = []
    for item in paths:
        try:
            path = parse_address(item["email"])
            recipients.setdefault(path.key, _recipient(path, item["parameters"] or {}))
        except AddressError:
            wrong.append(item["email"])
    if wrong:
        raise invalid_recipients(wrong)
    made = Envelope(
        reverse_path, tuple(recipients.values()),
        Body.SEVEN_BIT if content.isascii() else Body.EIGHT_BIT,
    )  # fmt: skip
    try:
        made = _wishes(made, value["mailFrom"]["parameters"] or {}, longest, least)
    except grammar.Refused as refused:
        raise invalid_properties(str(refused), "envelope") from None
    addresses = [*(item.forward_path for item in made.recipients)]
    if reverse_path is not None:
        addresses.append(reverse_path)
    header = content[: header_end(content, 0, len(content))]
    utf8 = made.smtputf8 or not all(item.ascii for item in addresses) or not header.isascii()
    return replace(made, smtputf8=utf8)


def invalid_recipients(wrong: Iterable[str]) -> SetError:
    return SetError("invalidRecipients", invalidRecipients=list(wrong))


def _wishes(made: Envelope, given: Mapping[str, Any], longest: int, least: int) -> Envelope:
    """MAIL's parameters. Raises grammar.Refused or SetError."""
    for name, text in given.items():
        value = text or ""
        match name.upper():
            case "SIZE":
                if grammar.size(value) > MAX_SIZE:
                    raise SetError("tooLarge", maxSize=MAX_SIZE)
            case "BODY":
                made = replace(made, body=grammar.body(value, binary=True))
            case "SMTPUTF8" if not value:
                made = replace(made, smtputf8=True)
            case "RET":
                made = replace(made, ret_full=grammar.returned(value))
            case "ENVID":
                made = replace(made, envid=grammar.envid(grammar.encode_xtext(value)))
            case "BY":
                made = replace(made, by=grammar.deliver_by(value, least))
            case "HOLDFOR" if longest:
                seconds = 0 if value == "0" else grammar.hold_for(value, longest)
                made = replace(made, hold_for=seconds or None)
            case "HOLDUNTIL" if longest:
                made = replace(made, hold_until=grammar.hold_until(value))
            case _:
                raise invalid_properties(f"there is no parameter {name} here", "envelope")
    if made.hold_for is not None and made.hold_until is not None:
        raise invalid_properties("HOLDFOR and HOLDUNTIL do not go together", "envelope")
    return made


def _recipient(path: Address, given: Mapping[str, Any]) -> Recipient:
    """RCPT's parameters."""
    notify: Notify | None = None
    original = ""
    for name, text in given.items():
        try:
            match name.upper():
                case "NOTIFY":
                    notify = grammar.notify(text or "")
                case "ORCPT":
                    kind, _, address = (text or "").partition(";")
                    original = grammar.original_recipient(f"{kind};{grammar.encode_xtext(address)}")
                case _:
                    raise invalid_properties(f"there is no parameter {name} here", "envelope")
        except grammar.Refused as refused:
            raise invalid_properties(str(refused), "envelope") from None
    return Recipient(path, notify, original)
