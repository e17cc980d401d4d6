"""What workers remember of the directory ends with the command that changes it."""

from __future__ import annotations

import smtplib
import subprocess
import sys
from pathlib import Path

from support.server import LOGINS, Server

ADA = LOGINS[0]
CONNECTIONS = 12  # they come to either worker


def answers(server: Server) -> set[bytes]:
    """What several connections are told of one recipient."""
    found = set()
    for _ in range(CONNECTIONS):
        with smtplib.SMTP(server.host, server.port("smtp"), timeout=60) as smtp:
            smtp.ehlo("far.example")
            smtp.mail("far@far.example")
            code, text = smtp.rcpt(ADA)
            found.add(b"%d %s" % (code, text.partition(b" ")[0]))
    return found


def change(server: Server, *words: str) -> None:
    command = [sys.executable, "-m", "postillon.server.main", *words]
    done = subprocess.run(
        [*command, "--config", str(server.config_file)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def test_what_a_command_has_changed_holds_for_all_workers_when_it_ends(tmp_path: Path) -> None:
    with Server(tmp_path, workers=2) as server:
        assert answers(server) == {b"250 2.1.5"}
        change(server, "account", "set", ADA, "--disable")
        assert answers(server) == {b"550 5.2.1"}
        change(server, "account", "set", ADA, "--enable")
        assert answers(server) == {b"250 2.1.5"}
        change(server, "domain", "set", "example.org", "--disable")
        assert answers(server) == {b"550 5.2.1"}
        change(server, "domain", "set", "example.org", "--enable")
        assert answers(server) == {b"250 2.1.5"}
        change(server, "account", "set", ADA, "--quota", "1 KiB")
        with smtplib.SMTP(server.host, server.port("smtp"), timeout=60) as smtp:
            smtp.ehlo("far.example")
            smtp.mail("far@far.example", ["SIZE=5000"])
            assert smtp.rcpt(ADA)[0] == 452
