"""Outlook's Autodiscover for IMAP, POP3 and SMTP accounts: the old XML ("POX") and the JSON before it.

[MS-OXDSCLI] for the XML; the JSON answers only where the XML is. Clients write the path and the
names in any letter case, leave out parts, and send the request with and without a schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from xml.sax.saxutils import escape

from postillon.mail.services import Description, Service, Use

REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
ENVELOPE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
MAX_ADDRESS = 320  # characters

# Not parsed as XML: one element is wanted, of whoever sends what, and nothing of it may be expanded.
_ADDRESS = re.compile(rb"<(?:[\w.-]+:)?EMailAddress\s*>\s*([^<>]{1,2000}?)\s*</", re.IGNORECASE)
_SCHEMA = re.compile(
    rb"<(?:[\w.-]+:)?AcceptableResponseSchema\s*>\s*([^<>]{1,2000}?)\s*</", re.IGNORECASE
)
_NAMES = {Use.IMAP: "IMAP", Use.POP3: "POP3", Use.SUBMISSION: "SMTP"}


class Unanswerable(Exception):
    """A request nobody can answer: `code` and text of an Autodiscover error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


INVALID = (600, "Invalid Request")
NO_PROVIDER = (601, "Provider is not available")


def address_of(body: bytes) -> str:
    """The address that a POX request asks for. Raises Unanswerable."""
    schema = _SCHEMA.search(body)
    if schema is not None and schema[1].decode("utf-8", "replace").lower() != RESPONSE:
        raise Unanswerable(*NO_PROVIDER)  # ActiveSync's, which is another protocol
    found = _ADDRESS.search(body)
    address = unescape(found[1].decode("utf-8", "replace")) if found is not None else ""
    if "@" not in address or len(address) > MAX_ADDRESS:
        raise Unanswerable(*INVALID)
    return address


def response(description: Description, address: str) -> bytes:
    """The POX answer: the best service of each kind, as Outlook takes only one."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<Autodiscover xmlns="{ENVELOPE}">',
        f'  <Response xmlns="{RESPONSE}">',
        "    <User>",
        f"      <DisplayName>{escape(address)}</DisplayName>",
        "    </User>",
        "    <Account>",
        "      <AccountType>email</AccountType>",
        "      <Action>settings</Action>",
    ]
    for use in Use:
        service = description.best(use)
        if service is not None:
            lines += _protocol(service, address)
    lines += ["    </Account>", "  </Response>", "</Autodiscover>", ""]
    return "\n".join(lines).encode()


def _protocol(service: Service, address: str) -> list[str]:
    sending = service.use is Use.SUBMISSION
    return [
        "      <Protocol>",
        f"        <Type>{_NAMES[service.use]}</Type>",
        f"        <Server>{escape(service.host)}</Server>",
        f"        <Port>{service.port}</Port>",
        "        <DomainRequired>off</DomainRequired>",
        f"        <LoginName>{escape(address)}</LoginName>",
        "        <SPA>off</SPA>",
        "        <SSL>on</SSL>",
        f"        <Encryption>{'SSL' if service.implicit else 'TLS'}</Encryption>",
        "        <AuthRequired>on</AuthRequired>",
        *(["        <UsePOPAuth>off</UsePOPAuth>"] if sending else []),
        "      </Protocol>",
    ]


def error(code: int, text: str, at: str) -> bytes:
    """An answer to what cannot be answered; at: the time of day, HH:MM:SS."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<Autodiscover xmlns="{ENVELOPE}">\n'
        f'  <Response>\n    <Error Time="{at}" Id="0">\n'
        f"      <ErrorCode>{code}</ErrorCode>\n      <Message>{escape(text)}</Message>\n"
        "      <DebugData/>\n    </Error>\n  </Response>\n</Autodiscover>\n"
    ).encode()


def json_answer(hostname: str, query: Mapping[str, str]) -> tuple[int, dict[str, str]]:
    """Autodiscover v2: status and document. query: names in lower case."""
    protocol = query.get("protocol", "")
    if not protocol:
        return 400, {
            "ErrorCode": "MandatoryParameterMissing",
            "ErrorMessage": "A valid value must be provided for the query parameter 'Protocol'",
        }
    if protocol.lower() != "autodiscoverv1":
        return 404, {
            "ErrorCode": "InvalidProtocol",
            "ErrorMessage": "The protocol is not offered here. Supported: 'AutodiscoverV1'",
        }
    url = f"https://{hostname}/autodiscover/autodiscover.xml"
    return 200, {"Protocol": "AutodiscoverV1", "Url": url}
