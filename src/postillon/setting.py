"""How a section of the configuration is declared, beside the code that reads it.

A section is a frozen, keyword-only dataclass whose fields are made by `setting`: a default that suits
a small server and one sentence of purpose. The manual and the starter file are made from them.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from datetime import timedelta
from typing import Any

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


class ConfigError(Exception):
    """A section whose values cannot hold together. Carries the section and what must hold."""

    def __init__(self, section: str, problem: str) -> None:
        super().__init__(f"[{section}] {problem}")
        self.section, self.problem = section, problem


@dataclass(frozen=True, slots=True)
class Setting:
    """What the reference says of one key. `unit` is empty where the type says enough."""

    name: str
    type: Any  # the annotation as written: text under postponed evaluation
    default: Any
    purpose: str
    unit: str


def setting(default: Any, purpose: str, *, unit: str = "") -> Any:  # Any: as dataclasses.field
    """Declare a key. Mutable defaults are copied for each section (a tuple is better)."""
    metadata = {"purpose": purpose, "unit": unit}
    if isinstance(default, list | dict | set):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def settings_of(section: type) -> list[Setting]:
    """The keys of a section in the order of their declaration."""
    found = []
    for item in fields(section):
        default = item.default
        if default is MISSING and item.default_factory is not MISSING:
            default = item.default_factory()
        found.append(
            Setting(
                item.name,
                item.type,
                default,
                item.metadata.get("purpose", ""),
                item.metadata.get("unit", ""),
            )
        )
    return found


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def days(number: float) -> timedelta:
    return timedelta(days=number)
