"""Which encryption a destination must offer, and whether to go on without (FAULTS 3).

The policy of a fixed next hop stands in its spelling, that of servers named by DNS in the
configuration. MTA-STS and DANE decide here when they come; a policy only ever gets stricter by them.
"""

from __future__ import annotations

import msgspec

from postillon.route.hop import NextHop, Security


class TlsPolicy(msgspec.Struct, frozen=True):
    """What a conversation with one destination needs, and where that is written."""

    security: Security
    implicit: bool = False
    source: str = "configuration"

    @property
    def wanted(self) -> bool:
        return self.security is not Security.NONE

    @property
    def required(self) -> bool:
        """Whether a host without TLS, or one whose TLS fails, gets nothing."""
        return self.security in (Security.REQUIRED, Security.VERIFIED)

    @property
    def verified(self) -> bool:
        return self.security is Security.VERIFIED


def policy_for_domain(domain: str, configured: Security) -> TlsPolicy:
    """The policy for the servers DNS names for `domain`."""
    return TlsPolicy(configured, source=f"route.security for {domain}")


def policy_for_hop(hop: NextHop) -> TlsPolicy:
    return TlsPolicy(hop.security, hop.implicit, source="next hop")
