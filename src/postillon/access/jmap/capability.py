"""What the session says of a capability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from postillon.access.jmap.context import Services


@dataclass(frozen=True, slots=True)
class Capability:
    """What the session says of a capability (RFC 8620 section 2).

    session: its value for the server; account: for an account, given whether it is the caller's own,
    None where an account does not have it.
    """

    urn: str
    session: Callable[[Services], dict[str, Any]] = lambda services: {}
    account: Callable[[Services, bool], dict[str, Any] | None] = lambda services, own: {}
