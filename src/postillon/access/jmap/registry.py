"""The methods there are, each with the capability that it belongs to, and what capabilities tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from postillon.access.jmap import core
from postillon.access.jmap.context import Method, Services

MODULES: tuple[ModuleType, ...] = (core,)


@dataclass(frozen=True, slots=True)
class Capability:
    """What the session says of a capability (RFC 8620 section 2).

    session: its value for the server; account: for an account, given whether it is the caller's own,
    None where an account does not have it.
    """

    urn: str
    session: Callable[[Services], dict[str, Any]] = lambda services: {}
    account: Callable[[Services, bool], dict[str, Any] | None] = lambda services, own: {}


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
