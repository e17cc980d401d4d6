"""Passwords as they come from an administrator: made for them, or read from a file."""

from __future__ import annotations

import secrets
from pathlib import Path

from postillon.admin.errors import Refused

# Nothing that looks like something else; 20 of 31 characters are 99 bits.
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
GROUPS, GROUP_LENGTH = 4, 5
MAX_FILE = 4_096  # octets of a password file


def generate() -> str:
    """A password that can be typed: four groups of five, 99 bits."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
    return "-".join(groups)


def read(path: Path) -> str:
    """The first line of a file. Raises Refused."""
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE + 1)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    if len(octets) > MAX_FILE:
        raise Refused(f"{path} is larger than {MAX_FILE} octets, that is no password file")
    try:
        text = octets.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise Refused(f"{path} is not UTF-8") from None
    if not text or not text[0]:
        raise Refused(f"{path} is empty")
    return text[0]
