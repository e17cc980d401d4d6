"""What the API answers when it does not do what was asked (RFC 9457)."""

from __future__ import annotations

from dataclasses import dataclass

from postillon.account.errors import AccountError, MailboxNotFound
from postillon.admin.errors import NotThere, Refused
from postillon.directory.errors import (
    AddressNotFound,
    AddressTaken,
    CredentialNotFound,
    DomainExists,
    DomainInUse,
    DomainNotFound,
    NameTaken,
    PrincipalNotFound,
)
from postillon.server.api.operation import Unfit
from postillon.store.operation import StoreError, StoreFull

MEDIA_TYPE = "application/problem+json"
_MISSING = (
    AddressNotFound, CredentialNotFound, DomainNotFound, MailboxNotFound, PrincipalNotFound,
)  # fmt: skip
_TAKEN = (AddressTaken, DomainExists, DomainInUse, NameTaken)


class Oversized(Exception):
    """A request with more octets than are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """detail: what is wrong. hint: what to do, "" if nothing is known. problems: one a field."""

    title: str
    status: int
    detail: str
    hint: str = ""
    problems: tuple[str, ...] = ()
    type: str = "about:blank"


def problem_of(error: Exception) -> Problem | None:
    """None for a fault of ours."""
    if isinstance(error, Unfit):
        return Problem(
            title="The request does not fit", status=422, detail=str(error),
            problems=error.problems,
        )  # fmt: skip
    if isinstance(error, Oversized):
        return Problem(title="Too large", status=413, detail=str(error))
    if isinstance(error, Refused):
        return _refused(error)
    if isinstance(error, StoreFull):
        return Problem(
            title="The disk is full", status=507, detail=str(error), hint="make room on the disk"
        )
    if isinstance(error, StoreError):
        return Problem(
            title="The store cannot do it now", status=503, detail=str(error), hint="try again"
        )
    if isinstance(error, AccountError):
        return Problem(title="Refused", status=409, detail=str(error))
    return None


def _refused(error: Refused) -> Problem:
    cause = error.__cause__
    status, title = 422, "Refused"
    if isinstance(cause, _MISSING) or isinstance(error, NotThere):
        status, title = 404, "Not found"
    elif isinstance(cause, _TAKEN):
        status, title = 409, "In conflict with what is there"
    return Problem(title=title, status=status, detail=error.what, hint=error.hint)
