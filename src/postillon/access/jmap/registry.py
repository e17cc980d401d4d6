"""The methods there are, each with the capability that it belongs to, and what capabilities tell."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from postillon.access.jmap import (
    blob_methods,
    core,
    emails,
    identities,
    mailboxes,
    mdns,
    notifications,
    principals,
    quotas,
    rules,
    snippets,
    submissions,
    subscriptions,
    threads,
    traces,
    vacations,
)
from postillon.access.jmap.capability import Capability
from postillon.access.jmap.context import Method

MODULES: tuple[ModuleType, ...] = (
    core,
    blob_methods,
    subscriptions,
    mailboxes,
    emails,
    threads,
    snippets,
    identities,
    submissions,
    vacations,
    quotas,
    principals,
    notifications,
    mdns,
    traces,
    rules,
)


def _methods() -> Mapping[str, tuple[str, Method]]:
    found: dict[str, tuple[str, Method]] = {}
    for module in MODULES:
        for name, method in module.METHODS.items():
            assert name not in found, name
            found[name] = (getattr(method, "capability", module.CAPABILITY), method)
    return found


def _capabilities() -> Mapping[str, Capability]:
    """A module that has something to tell of its capability has it in CAPABILITIES."""
    found = {module.CAPABILITY: Capability(module.CAPABILITY) for module in MODULES}
    for module in MODULES:
        for told in getattr(module, "CAPABILITIES", ()):
            found[told.urn] = told
    return found


METHODS = _methods()
CAPABILITIES = _capabilities()
