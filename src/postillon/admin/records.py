"""The DNS records a domain should publish so that its mail arrives and is believed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record, as a zone file has it, and what it is good for."""

    name: str
    kind: str
    value: str
    purpose: str

    def __str__(self) -> str:
        return f"{self.name} {self.kind} {self.value}"


def records(domain: str, hostname: str) -> list[DnsRecord]:
    """Names as A-labels, without the dot at the end that a zone file needs."""
    host = f"{hostname}."
    return [
        DnsRecord(f"{domain}.", "MX", f"10 {host}", "mail for the domain comes here (RFC 5321)"),
        DnsRecord(f"{domain}.", "TXT", '"v=spf1 mx -all"', "only this server sends (RFC 7208)"),
        DnsRecord(
            f"_dmarc.{domain}.",
            "TXT",
            f'"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"',
            "others report what they see (RFC 7489)",
        ),
        DnsRecord(
            f"_submissions._tcp.{domain}.", "SRV", f"0 1 465 {host}", "clients send (RFC 8314)"
        ),
        DnsRecord(f"_imaps._tcp.{domain}.", "SRV", f"0 1 993 {host}", "clients read (RFC 6186)"),
    ]
