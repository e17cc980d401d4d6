"""Whether a credential is good still that was good once: for what outlives the request it came with."""

from __future__ import annotations

from postillon.directory import principals, second_factor
from postillon.store.operation import Steps


def stands(principal: int, credential: str, since: int, now: int) -> Steps[bool]:
    """Whether a credential is there still, and its owner may sign in.

    credential: as an identity has it: password, app:3, session:17. since: ms, when it was good; a
    password that was changed after that is another one, and alone it opens nothing once there is a
    second factor.
    """
    found = yield from principals.get(principal)
    if found is None or not found.may_sign_in:
        return False
    kind, _, number = credential.partition(":")
    if kind == "session":
        rows = yield (
            "SELECT 1 FROM session WHERE session = ? AND principal = ? AND expires_at > ?",
            (int(number), principal, now),
        )
        return bool(rows)
    rows = yield (
        "SELECT 1 FROM credential WHERE principal = ? AND credential = ? AND created_at <= ?"
        " AND (expires_at IS NULL OR expires_at > ?)",
        (principal, int(number or 1), since, now),
    )
    if rows and not number:
        return not (yield from second_factor.is_on(principal))
    return bool(rows)
