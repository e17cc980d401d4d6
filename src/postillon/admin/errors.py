"""Refusals as an administrator reads them: what is wrong, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from postillon.account.errors import AccountError
from postillon.directory.errors import (
    AddressNotFound,
    BadName,
    DirectoryError,
    DomainNotFound,
    PrincipalNotFound,
)
from postillon.route.hop import HopError

if TYPE_CHECKING:
    from postillon.admin.desk import Desk


class Refused(Exception):
    """An operation that was not done; nothing has changed. `hint` is "" where there is none."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what}; {hint}" if hint else what)
        self.what, self.hint = what, hint


class NotThere(Refused):
    """There is nothing of this name or number."""


@asynccontextmanager
async def refusals(desk: Desk) -> AsyncIterator[None]:
    """Turn what the nouns refuse into a Refused that names the nearest thing there is."""
    try:
        yield
    except (DirectoryError, AccountError, HopError) as error:
        raise Refused(str(error), await _hint(desk, error)) from error


async def _hint(desk: Desk, error: Exception) -> str:
    if isinstance(error, DomainNotFound):
        known = [domain.name for domain in await desk.directory.domains()]
        if not known:
            return "there is no domain yet: postillon domain add NAME"
        return nearest(error.domain, known)
    if isinstance(error, PrincipalNotFound):
        return nearest_address(
            str(error.wanted), [principal.login for principal in await desk.directory.principals()]
        )
    if isinstance(error, AddressNotFound):
        return nearest_address(
            error.address, [alias.text for alias in await desk.directory.aliases()]
        )
    if isinstance(error, BadName) and "@" not in error.text and "no @" in error.problem:
        return "write a whole address, such as ada@example.org"
    return ""


def nearest(wanted: str, known: Sequence[str]) -> str:
    """Up to three names that are like the wanted one, as "nearest: …"; "" if none is."""
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.6)
    return f"nearest: {', '.join(near)}" if near else ""


def nearest_address(wanted: str, known: Sequence[str]) -> str:
    """As `nearest`: a like local part in the same domain, or else one slip in the whole address.

    What all addresses of a domain have in common would make them alike.
    """
    local, _, domain = wanted.rpartition("@")
    here = [text.rpartition("@")[0] for text in known if text.endswith(f"@{domain}")]
    near = [f"{text}@{domain}" for text in difflib.get_close_matches(local, here, n=3, cutoff=0.6)]
    near = near or difflib.get_close_matches(wanted, known, n=3, cutoff=0.85)
    return f"nearest: {', '.join(near)}" if near else ""
