"""Codes that change with the time (RFC 6238 over RFC 4226): HMAC-SHA-1, six digits, thirty seconds.

Our own, as it is ten lines over `hmac`: we must know which time step a code belongs to, so that it is
taken once only, and pyotp does not tell. SHA-1 is what every authenticator app can do; as HMAC it is
sound.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from urllib.parse import quote, urlencode

DIGITS = 6
PERIOD_S = 30
SECRET_OCTETS = 20  # as many as the hash has (RFC 4226 section 4)
DRIFT = 1  # steps that a clock may be wrong, either way (RFC 6238 section 5.2)


def new_secret() -> str:
    """160 bits in Base32, as it is shown to people and kept."""
    return base64.b32encode(secrets.token_bytes(SECRET_OCTETS)).decode("ascii")


def step_at(now: int) -> int:
    """The time step of a time. now: ms."""
    return now // 1000 // PERIOD_S


def code_of(secret: str, step: int) -> str:
    """The code of one time step."""
    mac = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 15
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def matching_step(secret: str, typed: str, now: int) -> int | None:
    """The step whose code this is, of those near `now` (ms); None for a wrong code."""
    code = "".join(typed.split())
    if len(code) != DIGITS or not (code.isascii() and code.isdigit()):
        return None
    here = step_at(now)
    found = None
    for step in range(here - DRIFT, here + DRIFT + 1):  # all of them, whichever fits
        if hmac.compare_digest(code_of(secret, step), code):
            found = step
    return found


def uri(secret: str, login: str, issuer: str) -> str:
    """What a QR code for an authenticator app holds."""
    label = quote(f"{issuer}:{login}", safe="@:")
    query = urlencode({"secret": secret, "issuer": issuer, "digits": DIGITS, "period": PERIOD_S})
    return f"otpauth://totp/{label}?{query}"
