"""All operations of the API, found in their modules."""

from __future__ import annotations

from postillon.server.api import (
    accounts,
    domains,
    lists,
    logins,
    messages,
    queue,
    server,
    signing_in,
)
from postillon.server.api.operation import Operation

PREFIX = "/api/v1"
MODULES = (server, domains, accounts, signing_in, logins, lists, queue, messages)
OPERATIONS: tuple[Operation, ...] = tuple(
    item for module in MODULES for item in vars(module).values() if isinstance(item, Operation)
)
