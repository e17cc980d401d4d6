"""The second factor of a person: codes from an app, and recovery codes for the day the app is lost.

States: none; begun (there is a secret, nobody is asked for codes yet); on. A code is taken once only,
in the transaction that looks at it, whatever process it reaches (FAULTS 41).
"""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from postillon.directory import tokens, totp
from postillon.directory.topics import standing_changed
from postillon.store.operation import Steps, Tx

RECOVERY_CODES = 10
MAX_WRONG = 10  # wrong codes in a row: 1 in 30,000 would be right
MAX_WRONG_KNOWN = 100
REST_MS = 15 * 60_000


class Taken(Enum):
    """What became of a code."""

    RIGHT = auto()
    WRONG = auto()
    LATER = auto()  # too many were wrong; this one was not looked at


class SecondFactor(msgspec.Struct, frozen=True):
    """on: whether codes are asked for. recovery_left: recovery codes not used yet."""

    on: bool
    since: int | None  # ms
    recovery_left: int


def status(principal: int) -> Steps[SecondFactor]:
    rows = yield (
        "SELECT confirmed_at, recovery FROM second_factor WHERE principal = ?",
        (principal,),
    )
    if not rows or rows[0][0] is None:
        return SecondFactor(False, None, 0)
    return SecondFactor(True, rows[0][0], len(rows[0][1].split()))


def is_on(principal: int) -> Steps[bool]:
    rows = yield (
        "SELECT 1 FROM second_factor WHERE principal = ? AND confirmed_at IS NOT NULL",
        (principal,),
    )
    return bool(rows)


def begin(tx: Tx, principal: int) -> Steps[str | None]:
    """A new secret, to be confirmed by a code of it; None where one is on already."""
    if (yield from is_on(principal)):
        return None
    secret = totp.new_secret()
    yield (
        "INSERT INTO second_factor (principal, secret, confirmed_at, last_step, recovery, created_at)"
        " VALUES (?, ?, NULL, 0, '', ?) ON CONFLICT (principal) DO UPDATE SET"
        " secret = excluded.secret, last_step = 0, created_at = excluded.created_at",
        (principal, secret, tx.now),
    )
    return secret


def confirm(tx: Tx, principal: int, code: str, now: int) -> Steps[list[str] | None]:
    """Switch it on if the code fits; the recovery codes, shown this once. None for a wrong code."""
    rows = yield (
        "SELECT secret FROM second_factor WHERE principal = ? AND confirmed_at IS NULL",
        (principal,),
    )
    step = totp.matching_step(rows[0][0], code, now) if rows else None
    if step is None:
        return None
    codes, kept = _new_codes()
    yield (
        "UPDATE second_factor SET confirmed_at = ?, last_step = ?, recovery = ? WHERE principal = ?",
        (tx.now, step, kept, principal),
    )
    standing_changed(tx, principal)  # where the password alone was enough
    return codes


def renew(tx: Tx, principal: int) -> Steps[list[str] | None]:
    """New recovery codes in place of the old; None where the second factor is off."""
    codes, kept = _new_codes()
    rows = yield (
        "UPDATE second_factor SET recovery = ? WHERE principal = ? AND confirmed_at IS NOT NULL"
        " RETURNING principal",
        (kept, principal),
    )
    return codes if rows else None


def take(tx: Tx, principal: int, code: str, now: int, *, known: bool = False) -> Steps[Taken]:
    """Try a code; a right one is used up. now: ms.

    A code has six digits only: after `MAX_WRONG` wrong ones none is looked at for `REST_MS`. From where
    the owner has lately signed in (`known`) ten times as many are, so that no stranger shuts them out.
    """
    rows = yield (
        "SELECT secret, last_step, recovery, failures, failed_at FROM second_factor"
        " WHERE principal = ? AND confirmed_at IS NOT NULL",
        (principal,),
    )
    if not rows:
        return Taken.WRONG
    secret, last_step, recovery, failures, failed_at = rows[0]
    rested = now - failed_at >= REST_MS
    if failures >= (MAX_WRONG_KNOWN if known else MAX_WRONG) and not rested:
        return Taken.LATER
    step = totp.matching_step(secret, code, now)
    kept = recovery.split()
    given = tokens.digest(tokens.plain(code))
    left = [item for item in kept if not tokens.same(item, given)]
    if (step is None or step <= last_step) and len(left) == len(kept):
        yield (
            "UPDATE second_factor SET failures = ?, failed_at = ? WHERE principal = ?",
            (1 if rested else failures + 1, now, principal),
        )
        return Taken.WRONG
    yield (
        "UPDATE second_factor SET last_step = ?, recovery = ?, failures = 0 WHERE principal = ?",
        (max(step or 0, last_step), " ".join(left), principal),
    )
    return Taken.RIGHT


def resting(now: int, login: str = "") -> Steps[list[tuple[str, int, int]]]:
    """Logins whose codes are not looked at for now, how many were wrong, and the last time (ms)."""
    rows = yield (
        "SELECT p.login, f.failures, f.failed_at FROM second_factor f"
        " JOIN principal p ON p.principal = f.principal"
        " WHERE f.failures >= ? AND f.failed_at > ? AND (p.login = ? OR ? = '') ORDER BY p.login",
        (MAX_WRONG, now - REST_MS, login, login),
    )
    return [(name, failures, failed_at) for name, failures, failed_at in rows]


def excuse(tx: Tx, principal: int) -> Steps[None]:
    """Look at codes again, however many were wrong."""
    yield ("UPDATE second_factor SET failures = 0 WHERE principal = ?", (principal,))


def remove(tx: Tx, principal: int) -> Steps[bool]:
    """Switch it off. Whether there was one."""
    rows = yield ("DELETE FROM second_factor WHERE principal = ? RETURNING principal", (principal,))
    return bool(rows)


def _new_codes() -> tuple[list[str], str]:
    codes = [tokens.new_recovery_code() for _ in range(RECOVERY_CODES)]
    return codes, " ".join(tokens.digest(tokens.plain(code)) for code in codes)
