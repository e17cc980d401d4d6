"""Listeners open all or none, and say what to change when they cannot."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from postillon.server.listeners import (
    ListenError,
    inherited_sockets,
    open_listeners,
)
from postillon.server.sections import ListenerConfig, ListenerProtocol, TlsMode
from postillon.setting import ConfigError

SMTP, LMTP = ListenerProtocol.SMTP, ListenerProtocol.LMTP


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def on_loopback(port: int, protocol: ListenerProtocol = SMTP) -> ListenerConfig:
    return ListenerConfig(protocol=protocol, address="127.0.0.1", port=port)


def test_each_worker_gets_a_socket_of_its_own() -> None:
    [listener] = open_listeners([on_loopback(free_port())], workers=3)
    own = [listener.of_worker(number) for number in range(3)]
    assert len({sock.fileno() for sockets in own for sock in sockets}) == 3
    assert len({sock.getsockname() for sockets in own for sock in sockets}) == 1
    listener.close()


def test_the_maintenance_process_alone_serves_metrics() -> None:
    [listener] = open_listeners([on_loopback(free_port(), ListenerProtocol.METRICS)], workers=3)
    assert len(listener.sockets) == 1
    listener.close()


def test_a_port_of_another_server_is_not_shared_silently() -> None:
    port = free_port()
    [first] = open_listeners([on_loopback(port)], workers=2)
    with pytest.raises(ListenError, match=f"port {port} is taken") as caught:
        open_listeners([on_loopback(port)], workers=2)
    assert "another port" in caught.value.hint
    first.close()


def test_after_a_failure_nothing_is_left_open(tmp_path: Path) -> None:
    free, taken = free_port(), socket.create_server(("127.0.0.1", 0))
    path = tmp_path / "lmtp.sock"
    configs = [
        on_loopback(free),
        ListenerConfig(protocol=LMTP, path=path),
        on_loopback(taken.getsockname()[1]),
    ]
    with pytest.raises(ListenError):
        open_listeners(configs, workers=1)
    assert not path.exists()
    with socket.create_server(("127.0.0.1", free)):
        taken.close()


def test_the_socket_of_a_dead_server_is_replaced_and_that_of_a_living_one_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lmtp.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    config = ListenerConfig(protocol=LMTP, path=path)
    [listener] = open_listeners([config], workers=2)
    assert listener.of_worker(0) == listener.of_worker(1)
    assert path.stat().st_mode & 0o777 == 0o660
    with pytest.raises(ListenError, match="another server listens there"):
        open_listeners([config], workers=1)
    listener.close()
    assert not path.exists()


def test_a_long_path_is_explained(tmp_path: Path) -> None:
    config = ListenerConfig(protocol=LMTP, path=tmp_path / ("x" * 120))
    with pytest.raises(ListenError, match="too long"):
        open_listeners([config], workers=1)


def test_an_empty_address_takes_ipv4_too() -> None:
    port = free_port()
    [listener] = open_listeners([ListenerConfig(protocol=SMTP, port=port)], workers=1)
    socket.create_connection(("127.0.0.1", port)).close()
    listener.close()


def test_sockets_for_another_process_are_not_ours() -> None:
    assert inherited_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == {}
    assert inherited_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"}) == {}


def test_sockets_of_systemd_are_taken_by_their_names() -> None:
    """As systemd does: descriptors from 3 on, described in the environment of this very process."""
    code = (
        "import os, sys\n"
        "from postillon.server.listeners import inherited_sockets\n"
        "os.dup2(int(sys.argv[1]), 3)\n"
        "os.environ['LISTEN_PID'] = str(os.getpid())\n"
        "found = inherited_sockets()\n"
        "print({name: [s.getsockname()[1] for s in socks] for name, socks in found.items()})\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as sock:
        result = subprocess.run(
            [sys.executable, "-c", code, str(sock.fileno())],
            env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "smtp"},
            pass_fds=[sock.fileno()],
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout == f"{{'smtp': [{sock.getsockname()[1]}]}}\n"


def test_an_inherited_socket_is_shared_by_the_workers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        config = ListenerConfig(protocol=SMTP, inherited="smtp")
        [listener] = open_listeners([config], 2, {"smtp": [sock]})
        assert listener.of_worker(1) == (sock,)
        with pytest.raises(ListenError, match="no socket named"):
            open_listeners([config], 2, {"imap": [sock]})


@pytest.mark.parametrize(
    ("protocol", "tls", "mode"),
    [
        ("smtp", "auto", "starttls"),
        ("submissions", "auto", "implicit"),
        ("imaps", "auto", "implicit"),
        ("imap", "none", "none"),
        ("imap", "implicit", "implicit"),
        ("metrics", "auto", "none"),
    ],
)
def test_when_tls_begins(protocol: str, tls: str, mode: str) -> None:
    config = ListenerConfig(protocol=ListenerProtocol(protocol), tls=TlsMode(tls))
    assert config.mode is TlsMode(mode)


@pytest.mark.parametrize(
    "values",
    [
        {"address": "mail.example.org"},
        {"port": 70_000},
        {"path": Path("x.sock")},
        {"protocol": LMTP, "path": Path("x.sock"), "port": 24},
        {"protocol": ListenerProtocol.IMAPS, "tls": TlsMode.NONE},
        {"protocol": ListenerProtocol.METRICS, "tls": TlsMode.IMPLICIT},
    ],
)
def test_what_cannot_hold_together_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ListenerConfig(**values)  # type: ignore[arg-type]
