"""Core/echo (RFC 8620 section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postillon.access.jmap.capability import Capability
from postillon.access.jmap.context import Context, Method

CAPABILITY = "urn:ietf:params:jmap:core"


async def echo(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments


CAPABILITIES = (
    # Its value is made by the session, which knows the addresses.
    Capability("urn:ietf:params:jmap:websocket", account=lambda services, own: None),
)
METHODS: Mapping[str, Method] = {"Core/echo": echo}
