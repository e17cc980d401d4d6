"""A device in the words of people, from what a program says of itself."""

from __future__ import annotations

import re

MAX_AGENT = 400  # characters looked at

# In this order: each says the names of those after it too.
BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"), ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"), ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "ChromeOS"),
    ("Windows", "Windows"), ("Mac OS X", "macOS"), ("Macintosh", "macOS"), ("Linux", "Linux"),
    ("FreeBSD", "FreeBSD"), ("OpenBSD", "OpenBSD"),
)  # fmt: skip
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9 ._-]{0,40}")


def described(agent: str) -> str:
    """ "Firefox on Linux", "Thunderbird on Windows", "curl", or "" for what says nothing."""
    agent = agent[:MAX_AGENT]
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    program = ""
    if "Thunderbird/" in agent:
        program = "Thunderbird"
    elif agent.startswith("Mozilla/"):
        program = next((name for mark, name in BROWSERS if mark in agent), "")
    else:
        match = _PRODUCT.match(agent.partition("/")[0])
        program = match[0].strip() if match else ""
    if program and system:
        return f"{program} on {system}"
    return program or system
