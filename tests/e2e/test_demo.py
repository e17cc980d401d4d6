"""The demo: nothing to configure, the same table and the same mail at the second start."""

from __future__ import annotations

import contextlib
import imaplib
import json
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from postillon.server.demo import PASSWORDS, PORTS
from postillon.server.sections import ListenerProtocol
from support.server import free_ports

MAIN = """
import sys
from pathlib import Path
from postillon.server import demo
demo.run(Path(sys.argv[1]), shift=int(sys.argv[2]), workers=2)
"""
END = "Ctrl-C stops the server."


def free_shift() -> int:
    """Something to add to the demo's ports so that all of them are free."""
    for port in free_ports(50):
        shift = port - PORTS[ListenerProtocol.SMTP]
        if shift > 0 and all(is_free(base + shift) for base in PORTS.values()):
            return shift
    raise AssertionError("no free ports")


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError):  # taken, or no port at all
        return False
    return True


@contextlib.contextmanager
def demo(folder: Path, shift: int) -> Iterator[list[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, str(folder), str(shift)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.strip() == END:
                break
        else:
            assert process.stderr is not None
            raise AssertionError("no table: " + process.stderr.read())
        yield lines
    finally:
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=40)
    assert "Stopped." in rest
    assert process.returncode == 0
    assert errors == ""


def test_the_second_start_finds_the_same(tmp_path: Path) -> None:
    folder, shift = tmp_path / "demo", free_shift()
    ports = {protocol: port + shift for protocol, port in PORTS.items()}

    with demo(folder, shift) as first:
        kept = folder / PASSWORDS
        assert kept.stat().st_mode & 0o777 == 0o600
        passwords = json.loads(kept.read_text())
        assert len(passwords) == 4
        for login, password in passwords.items():
            assert any(login in line and password in line for line in first)
        context = ssl.create_default_context(cafile=folder / "tls" / "certificate.pem")
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 and later do
        with smtplib.SMTP("127.0.0.1", ports[ListenerProtocol.SUBMISSION], timeout=20) as client:
            client.starttls(context=context)
            client.login("ada@example.org", passwords["ada@example.org"])
            client.sendmail(
                "ada@example.org",
                "bob@example.net",
                "From: ada@example.org\r\nSubject: hi\r\n\r\nx",
            )
            client.sendmail(
                "ada@example.org",
                "far@example.com",
                "From: ada@example.org\r\nSubject: far\r\n\r\nx",
            )
    before = {path: path.read_bytes() for path in (folder / "tls").iterdir()}
    with demo(folder, shift) as second:
        assert second == first
        with imaplib.IMAP4("127.0.0.1", ports[ListenerProtocol.IMAP], timeout=20) as reader:
            reader.login("bob@example.net", passwords["bob@example.net"])
            assert reader.select("INBOX") == ("OK", [b"1"])
    assert before == {path: path.read_bytes() for path in (folder / "tls").iterdir()}


def test_a_taken_port_is_named_with_what_to_change(tmp_path: Path) -> None:
    shift = free_shift()
    with demo(tmp_path / "one", shift):
        other = subprocess.run(
            [sys.executable, "-c", MAIN, str(tmp_path / "two"), str(shift)],
            capture_output=True,
            text=True,
            timeout=40,
        )
    assert other.returncode != 0
    assert f"port {PORTS[ListenerProtocol.SMTP] + shift} is taken" in other.stderr
