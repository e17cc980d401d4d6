"""An address of an envelope: strict grammar, one normal form (RFC 5321 section 4.1.2, RFC 6531).

Addresses are values. Nothing in them is ever decoded, expanded or obeyed: RFC 2047 words stay as they
are, source routes are refused, and `%` and `!` are ordinary characters with no meaning for routing.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import idna

MAX_LOCAL = 64  # octets, RFC 5321 section 4.5.3.1.1
MAX_DOMAIN = 255  # octets, RFC 5321 section 4.5.3.1.2
MAX_PATH = 254  # octets of local part, at sign and domain (section 4.5.3.1.3 less the brackets)
REMEMBERED = 2_000  # addresses read last; those of our own people come again and again

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_DOT_STRING = re.compile(rf"[{_ATEXT}\u0080-\U0010ffff]+(?:\.[{_ATEXT}\u0080-\U0010ffff]+)*\Z")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*)"\Z')
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_LOWER = {n: n + 32 for n in range(ord("A"), ord("Z") + 1)}


class AddressError(ValueError):
    """Text that is not an address. The message says why, for a human."""


@dataclass(frozen=True, slots=True)
class Address:
    """A local part without its quoting, and a domain as lower-case A-labels or as a literal.

    Equality is by octets of both; `key` is what two spellings of one mailbox have in common.
    """

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{quote_local(self.local)}@{self.domain}"

    @property
    def key(self) -> tuple[str, str]:
        return normalise_local(self.local), self.domain

    @property
    def ascii(self) -> bool:
        """Whether it can travel without SMTPUTF8; domains always can."""
        return self.local.isascii()

    @property
    def literal(self) -> bool:
        return self.domain.startswith("[")

    def unicode(self) -> str:
        """With U-labels, for people."""
        return f"{quote_local(self.local)}@{unicode_domain(self.domain)}"


@lru_cache(REMEMBERED)
def parse_address(text: str) -> Address:
    """Read `local@domain` without angle brackets.

    Raises AddressError for anything else: no domain, source routes, control characters, bad labels.
    """
    if text.startswith("@"):
        raise AddressError("source routes are not accepted")
    if text.startswith('"'):
        end = _closing_quote(text)
        local_text, domain_text = text[: end + 1], text[end + 1 :]
        match = _QUOTED.match(local_text)
        if match is None or not domain_text.startswith("@"):
            raise AddressError("the quoted local part is malformed")
        local, domain_text = re.sub(r"\\(.)", r"\1", match[1]), domain_text[1:]
    else:
        local, at, domain_text = text.rpartition("@")
        if not at:
            raise AddressError("there is no @")
        if not _DOT_STRING.match(local):
            raise AddressError("the local part is malformed")
    local = _checked_local(local)
    domain = normalise_domain(domain_text)
    if len(local.encode()) + 1 + len(domain) > MAX_PATH:
        raise AddressError(f"the address is longer than {MAX_PATH} octets")
    return Address(local, domain)


def normalise_domain(text: str) -> str:
    """Lower-case A-labels, or an address literal in its shortest form. Raises AddressError."""
    if text.startswith("["):
        return _literal(text)
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError) as error:
            raise AddressError("the domain is not a valid international name") from error
    text = text.lower()
    if not text or len(text) > MAX_DOMAIN:
        raise AddressError("the domain is empty or too long")
    for label in text.split("."):
        if not _LABEL.match(label):
            raise AddressError("the domain is malformed")
    return text


def normalise_local(local: str) -> str:
    """What is compared: NFC and ASCII lower case, no other folding (FAULTS 32)."""
    if local.isascii():
        return local.lower()
    return unicodedata.normalize("NFC", local).translate(_LOWER)


@lru_cache(REMEMBERED)
def quote_local(local: str) -> str:
    """The local part as it is written in an address, quoted only where it must be."""
    if _DOT_STRING.match(local):
        return local
    escaped = local.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unicode_domain(domain: str) -> str:
    """A domain with U-labels where they are valid; as it is otherwise."""
    if "xn--" not in domain:
        return domain
    try:
        return idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return domain


def _checked_local(local: str) -> str:
    try:
        size = len(local.encode())
    except UnicodeEncodeError as error:
        raise AddressError("the local part is not valid UTF-8") from error
    if not local or size > MAX_LOCAL:
        raise AddressError(f"the local part is empty or longer than {MAX_LOCAL} octets")
    if local.isascii():
        return local
    for character in local:
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
            raise AddressError("the local part holds a control character")
    return unicodedata.normalize("NFC", local)


def _closing_quote(text: str) -> int:
    position = 1
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == '"':
            return position
        position += 1
    raise AddressError("the quoted local part does not end")


def _literal(text: str) -> str:
    if not text.endswith("]"):
        raise AddressError("the address literal does not end")
    inner = text[1:-1]
    try:
        if inner[:5].upper() == "IPV6:":
            return f"[IPv6:{ipaddress.IPv6Address(inner[5:])}]"
        return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError as error:
        raise AddressError("the address literal is malformed") from error
