"""The DNS records a domain should publish: its mail arrives and is believed, clients find it."""

from __future__ import annotations

from dataclasses import dataclass

from postillon.mail.services import Description, Use


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record, as a zone file has it, and what it is good for."""

    name: str
    kind: str
    value: str
    purpose: str

    def __str__(self) -> str:
        return f"{self.name} {self.kind} {self.value}"


def records(domain: str, hostname: str, description: Description) -> list[DnsRecord]:
    """domain, hostname: A-labels. hostname: the server's own name; the description has its services."""
    return [
        DnsRecord(
            f"{domain}.", "MX", f"10 {hostname}.", "mail for the domain comes here (RFC 5321)"
        ),
        DnsRecord(f"{domain}.", "TXT", '"v=spf1 mx -all"', "only this server sends (RFC 7208)"),
        DnsRecord(
            f"_dmarc.{domain}.",
            "TXT",
            f'"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"',
            "others report what they see (RFC 7489)",
        ),
        *_services(domain, description),
        *_set_up(domain, description),
    ]


_PURPOSE = {
    Use.IMAP: "clients find where to read (RFC 6186)",
    Use.POP3: "clients find where to fetch (RFC 6186)",
    Use.SUBMISSION: "clients find where to send (RFC 8314)",
}


def _services(domain: str, description: Description) -> list[DnsRecord]:
    """Each with its rank as priority: TLS at once before STARTTLS, IMAP before POP3 (section 3.3)."""
    found = []
    reading = [service for service in description.services if service.use is not Use.SUBMISSION]
    for group in (reading, description.of(Use.SUBMISSION)):
        for rank, service in enumerate(group):
            found.append(
                DnsRecord(
                    f"{service.srv}.{domain}.",
                    "SRV",
                    f"{rank * 10} 1 {service.port} {service.host}.",
                    _PURPOSE[service.use],
                )
            )
    return found


def _set_up(domain: str, description: Description) -> list[DnsRecord]:
    """For clients that ask by HTTPS. The certificate must have these names, or they ask in vain."""
    if not description.web:
        return []
    host = f"{description.hostname}."
    return [
        DnsRecord(f"autoconfig.{domain}.", "CNAME", host, "Thunderbird sets itself up"),
        DnsRecord(f"autodiscover.{domain}.", "CNAME", host, "Outlook sets itself up"),
        DnsRecord(
            f"_autodiscover._tcp.{domain}.",
            "SRV",
            f"0 1 {description.web} {host}",
            "Outlook sets itself up, where the certificate lacks that name",
        ),
    ]
