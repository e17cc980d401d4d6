"""What the supervisor gives a child process: its name, the configuration, its sockets.

One line of JSON on the child's standard input. The pipe then stays open for as long as the supervisor
lives: its end tells the child to stop, however the supervisor died.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from postillon.server.sections import ListenerConfig

C = TypeVar("C")

READY = b"ready\n"
MAINTENANCE = "m"


class HandedSocket(msgspec.Struct, frozen=True):
    """A listening socket: which of the configured listeners it belongs to, and its descriptor."""

    listener: int
    descriptor: int


class Handover(msgspec.Struct, frozen=True):
    """role: "w0", "w1", … for workers, "m" for maintenance: also the owner's name in the store."""

    role: str
    sockets: tuple[HandedSocket, ...]
    config: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Listening:
    """A socket with what is to be spoken on it."""

    config: ListenerConfig
    sock: socket.socket


def encode(role: str, config: object, sockets: tuple[HandedSocket, ...]) -> bytes:
    raw = msgspec.Raw(msgspec.json.encode(config, enc_hook=_to_text))
    return msgspec.json.encode(Handover(role, sockets, raw)) + b"\n"


def decode(line: bytes, config_type: type[C]) -> tuple[Handover, C]:
    handover = msgspec.json.decode(line, type=Handover)
    config = msgspec.json.decode(handover.config, type=config_type, dec_hook=_from_text)
    return handover, config


def read_handover(config_type: type[C]) -> tuple[Handover, C]:
    """In the child, once, before anything else."""
    return decode(sys.stdin.buffer.readline(), config_type)


def sockets_of(handover: Handover, listeners: tuple[ListenerConfig, ...]) -> list[Listening]:
    return [
        Listening(listeners[handed.listener], socket.socket(fileno=handed.descriptor))
        for handed in handover.sockets
    ]


def say_ready() -> None:
    """Tell the supervisor that connections are served. Standard output is ours for that alone."""
    os.write(sys.stdout.fileno(), READY)


def watch_supervisor(ended: Callable[[], object], give_up_s: float) -> None:
    """Call `ended` (from a thread) once the supervisor is gone; end hard if that does not help."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        ended()
        threading.Event().wait(give_up_s)
        os._exit(os.EX_SOFTWARE)

    threading.Thread(target=wait, name="supervisor-watch", daemon=True).start()


def _to_text(value: Any) -> str:  # Any: msgspec's hook gets what it has no rule for
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value))


def _from_text(kind: type, value: Any) -> Any:
    if issubclass(kind, Path):
        return Path(value)
    raise NotImplementedError(kind)
