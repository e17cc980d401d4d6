"""Secrets that a machine makes: app passwords, tokens, codes; and how they are kept.

Such a secret has 100 random bits or more, so nobody finds it by trying, however fast a try is. It is
kept as plain SHA-256: the slowness of Argon2 protects what people think of, and here would only cost
each request its tens of milliseconds. A table that leaks holds nothing that could be used.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

TOKEN_OCTETS = 32
ACCESS, REFRESH, KEY = "pa_", "pr_", "pk_"  # how tokens begin, for those who find one in a log
# Nothing that looks like something else.
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
APP_GROUPS, APP_GROUP_LENGTH = 4, 6  # 24 of 31 characters: 118 bits
RECOVERY_GROUPS, RECOVERY_GROUP_LENGTH = 3, 4  # 59 bits, behind the password and the throttle
USER_CODE_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 section 6.1
USER_CODE_LENGTH = 8


def new_token(prefix: str) -> str:
    """256 bits in Base64url."""
    return prefix + secrets.token_urlsafe(TOKEN_OCTETS)


def new_app_password() -> str:
    return _groups(ALPHABET, APP_GROUPS, APP_GROUP_LENGTH)


def new_recovery_code() -> str:
    return _groups(ALPHABET, RECOVERY_GROUPS, RECOVERY_GROUP_LENGTH)


def new_user_code() -> str:
    """As people type it: BCDF-GHJK. 34 bits, good for minutes and few tries."""
    return _groups(USER_CODE_ALPHABET, 2, USER_CODE_LENGTH // 2)


def plain(typed: str) -> str:
    """What was typed or pasted of groups: case, spaces and hyphens do not count."""
    return "".join(typed.split()).replace("-", "").casefold()


def user_code(typed: str) -> str:
    """A user code as it is kept, from what was typed of it; "" for nothing."""
    letters = "".join(letter for letter in typed.upper() if letter in USER_CODE_ALPHABET)
    half = USER_CODE_LENGTH // 2
    return f"{letters[:half]}-{letters[half:]}" if letters else ""


def digest(secret: str) -> str:
    """As it is kept."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def same(first: str, second: str) -> bool:
    """Compare two digests without telling by the time where they differ."""
    return hmac.compare_digest(first.encode(), second.encode())


def _groups(alphabet: str, groups: int, length: int) -> str:
    parts = ("".join(secrets.choice(alphabet) for _ in range(length)) for _ in range(groups))
    return "-".join(parts)
