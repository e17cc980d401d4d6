"""Core/echo (RFC 8620 section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postillon.access.jmap.context import Context, Method

CAPABILITY = "urn:ietf:params:jmap:core"


async def echo(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments


METHODS: Mapping[str, Method] = {"Core/echo": echo}
