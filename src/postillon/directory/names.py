"""How names are compared, and which ones may be given to somebody new (FAULTS 32).

Every address is compared by octets after NFC and ASCII lower case. A new one must besides be what it
looks like: no compatibility forms (full-width letters, ligatures), nothing invisible, no change of
writing direction; such text finds nobody and is given to nobody.
"""

from __future__ import annotations

import unicodedata

from postillon.directory.errors import BadName
from postillon.mail.address import (
    Address,
    AddressError,
    normalise_domain,
    parse_address,
)

CATCH_ALL = ""  # the local part of a catch-all; written "@example.org" or "*@example.org"
SEPARATORS = "+-=_.~#"  # what may part a sub-address; "" turns sub-addresses off
ALWAYS = frozenset({"postmaster", "abuse"})  # RFC 5321 section 4.5.1, RFC 2142


def domain_name(text: str) -> str:
    """A domain as A-labels in lower case. Raises BadName, also for address literals."""
    try:
        name = normalise_domain(text.strip().rstrip("."))
    except AddressError as error:
        raise BadName(text, str(error)) from error
    if name.startswith("["):
        raise BadName(text, "an address literal is not a domain")
    return name


def address_of(text: str) -> Address:
    """An address in its normal form, of ours or of somebody else. Raises BadName."""
    try:
        address = parse_address(text.strip())
    except AddressError as error:
        raise BadName(text, str(error)) from error
    return normal(address)


def normal(address: Address) -> Address:
    local, domain = address.key
    return Address(local, domain)


def new_address(text: str, separator: str = "") -> Address:
    """An address that somebody may be given. Raises BadName with the reason."""
    address = address_of(text)
    if address.literal:
        raise BadName(text, "an address literal is not a domain")
    if separator and separator in address.local:
        raise BadName(text, f"{separator!r} parts sub-addresses in this domain")
    check_new_local(text, address.local)
    return address


def check_new_local(text: str, local: str) -> None:
    """Raise BadName for a local part that could pass for another one."""
    for character in local:
        if unicodedata.category(character) in {"Cf", "Cc", "Co", "Cn", "Zs", "Zl", "Zp"}:
            raise BadName(text, "spaces and invisible characters are not allowed")
    if unicodedata.normalize("NFKC", local) != local:
        raise BadName(text, "compatibility characters are not allowed")


def detail_of(local: str, separator: str) -> tuple[str, str] | None:
    """Base and detail of a normalised sub-address (RFC 5233), or None where there is none."""
    if not separator:
        return None
    base, found, detail = local.partition(separator)
    return (base, detail) if found and base else None
