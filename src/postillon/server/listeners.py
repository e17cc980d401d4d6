"""Opening the listening sockets: once, in the supervisor, before anything else can go wrong.

A TCP listener gets one SO_REUSEPORT socket for each worker: the kernel then spreads connections evenly,
where one shared socket would wake the same worker again and again. The supervisor keeps every socket
open, so connections that wait in the socket of a dead worker are served by its successor.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from postillon.server.sections import ListenerConfig, ListenerProtocol

BACKLOG = 1024  # connections the kernel keeps waiting for one socket
KEEPALIVE_IDLE_S = 300  # finds dead peers of long idle sessions; shorter than most NAT memories
MAX_UNIX_PATH = 107  # octets that fit into sockaddr_un
UNIX_MODE = 0o660
FIRST_INHERITED = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)


class ListenError(Exception):
    """A listener that cannot be opened, and what to do about it."""

    def __init__(self, listener: ListenerConfig, problem: str, hint: str) -> None:
        super().__init__(f"cannot listen for {listener}: {problem}. {hint}")
        self.listener, self.problem, self.hint = listener, problem, hint


@dataclass(frozen=True, slots=True)
class OpenListener:
    """A listener with its sockets. Those of one worker: `of_worker`."""

    config: ListenerConfig
    sockets: tuple[socket.socket, ...]
    shared: bool  # every worker accepts from the same sockets

    def of_worker(self, number: int) -> tuple[socket.socket, ...]:
        """number: the worker's, from 0."""
        return self.sockets if self.shared else (self.sockets[number],)

    @property
    def port(self) -> int:
        """The TCP port that was really given; 0 for a Unix socket."""
        name = self.sockets[0].getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()
        if self.config.unix:
            self.config.path.unlink(missing_ok=True)


def open_listeners(
    configs: Sequence[ListenerConfig],
    workers: int,
    inherited: Mapping[str, Sequence[socket.socket]] | None = None,
) -> list[OpenListener]:
    """Open all listeners or none. Raises ListenError for the first that cannot be opened."""
    opened: list[OpenListener] = []
    try:
        opened.extend(_open(config, workers, inherited or {}) for config in configs)
    except BaseException:
        for listener in opened:
            listener.close()
        raise
    return opened


def inherited_sockets(
    environment: Mapping[str, str] = os.environ,
) -> dict[str, list[socket.socket]]:
    """The sockets systemd hands over (sd_listen_fds(3)), by their FileDescriptorName=."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return {}
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, list[socket.socket]] = {}
    for number in range(int(environment.get("LISTEN_FDS", "0"))):
        name = names[number] if number < len(names) else "unknown"
        sock = socket.socket(fileno=FIRST_INHERITED + number)
        os.set_inheritable(sock.fileno(), False)
        found.setdefault(name, []).append(sock)
    return found


def _open(
    config: ListenerConfig, workers: int, inherited: Mapping[str, Sequence[socket.socket]]
) -> OpenListener:
    if config.inherited:
        sockets = inherited.get(config.inherited)
        if not sockets:
            known = ", ".join(inherited) or "none"
            raise ListenError(
                config,
                f"no socket named {config.inherited!r} was handed over",
                f"Sockets handed over: {known}.",
            )
        return OpenListener(config, tuple(sockets), shared=True)
    if config.unix:
        return OpenListener(config, (_unix_socket(config),), shared=True)
    try:
        # Metrics are served by the maintenance process alone.
        if config.protocol is ListenerProtocol.METRICS:
            return OpenListener(config, _tcp_sockets(config, 1), shared=True)
        return OpenListener(config, _tcp_sockets(config, workers), shared=False)
    except OSError as error:
        raise ListenError(config, *_explain(config, error)) from error


def _tcp_sockets(config: ListenerConfig, count: int) -> tuple[socket.socket, ...]:
    """`count` sockets on one port, each of them listening."""
    family, address = _family(config.address)
    port = config.effective_port
    # Two servers of one user could both bind with SO_REUSEPORT and share the connections without a
    # word. A socket without it tells us that the port is taken.
    with _tcp_socket(family) as probe:
        probe.bind((address, port))
        port = probe.getsockname()[1]
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            sock = _tcp_socket(family)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind((address, port))
            sock.listen(BACKLOG)
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return tuple(sockets)


def _tcp_socket(family: socket.AddressFamily) -> socket.socket:
    """Accepted connections inherit these options on Linux."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if family is socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return sock


def _family(address: str) -> tuple[socket.AddressFamily, str]:
    """Both families by one socket where no address is given, if the machine has IPv6."""
    if address:
        return (socket.AF_INET6 if ":" in address else socket.AF_INET), address
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return socket.AF_INET, "0.0.0.0"  # noqa: S104 - what an empty address means
    return socket.AF_INET6, "::"


def _unix_socket(config: ListenerConfig) -> socket.socket:
    path = config.path
    if len(os.fsencode(path)) > MAX_UNIX_PATH:
        raise ListenError(
            config, "the path is too long", f"A Unix socket's has at most {MAX_UNIX_PATH} octets."
        )
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            _remove_stale(config, path)
        sock.bind(str(path))
        path.chmod(UNIX_MODE)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ListenError(config, *_explain(config, error)) from error
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(config: ListenerConfig, path: Path) -> None:
    """Remove the socket of a server that is gone; one that answers is somebody's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise ListenError(config, "another server listens there", "Stop it, or choose another path.")


def _explain(config: ListenerConfig, error: OSError) -> tuple[str, str]:
    """The problem and what to change."""
    port = config.effective_port
    if error.errno == errno.EADDRINUSE and not config.unix:
        return (
            f"port {port} is taken",
            f"See who has it with: ss -ltnp 'sport = :{port}'. Stop that server, or give this"
            " listener another port.",
        )
    if error.errno == errno.EACCES and 0 < port < 1024:
        return (
            f"port {port} needs a right this process lacks",
            "Give it CAP_NET_BIND_SERVICE (the systemd unit does), or choose a port from 1024.",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"no interface has the address {config.address}", "See the addresses with: ip addr."
    return error.strerror or str(error), "Change the address, port or path of this listener."
