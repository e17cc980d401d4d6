"""What systemd is told (sd_notify(3)): ready, reloading, stopping."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping

VARIABLE = "NOTIFY_SOCKET"


def notify(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send `state` ("READY=1") to whoever started us and wants to know. Never fails."""
    address = environment.get(VARIABLE, "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), address)
