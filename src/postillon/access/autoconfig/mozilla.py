"""Mozilla's autoconfig, format 1.1: Thunderbird, K-9, FairEmail, Evolution, KMail and others.

https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from postillon.mail.services import Description, Service, Use

PLACEHOLDER = "%EMAILADDRESS%"  # the client puts its user's address there


def config(description: Description, domain: str) -> bytes:
    """The document for the accounts of a domain."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<clientConfig version="1.1">',
        f'  <emailProvider id="{escape(domain)}">',
        f"    <domain>{escape(domain)}</domain>",
        f"    <displayName>{escape(description.name)}</displayName>",
        f"    <displayShortName>{escape(domain)}</displayShortName>",
    ]
    for service in description.services:
        lines += _server(service)
    lines += ["  </emailProvider>", "</clientConfig>", ""]
    return "\n".join(lines).encode()


def _server(service: Service) -> list[str]:
    element = "outgoingServer" if service.use is Use.SUBMISSION else "incomingServer"
    return [
        f'    <{element} type="{service.use.value}">',
        f"      <hostname>{escape(service.host)}</hostname>",
        f"      <port>{service.port}</port>",
        f"      <socketType>{'SSL' if service.implicit else 'STARTTLS'}</socketType>",
        "      <authentication>password-cleartext</authentication>",
        f"      <username>{PLACEHOLDER}</username>",
        f"    </{element}>",
    ]
