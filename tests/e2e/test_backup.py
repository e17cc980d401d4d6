"""A server is backed up while it works, lost, and another one goes on from the backup."""

from __future__ import annotations

import imaplib
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from support.server import HOST, PASSWORD, Server

BOB = "bob@example.net"


def postillon(*arguments: str) -> None:
    command = [sys.executable, "-m", "postillon.server.main", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def send(server: Server, numbers: range) -> None:
    with smtplib.SMTP(HOST, server.port("smtp")) as client:
        for number in numbers:
            client.sendmail("x@example.com", [BOB], f"Subject: {number}\r\n\r\ntext")


def inbox(server: Server) -> tuple[int, list[str]]:
    """UIDVALIDITY and the subjects, as an IMAP client sees them."""
    with imaplib.IMAP4(HOST, server.port("imap")) as client:
        client.login(BOB, PASSWORD)
        client.select("INBOX", readonly=True)
        validity = int(client.response("UIDVALIDITY")[1][0] or b"")
        _, data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        subjects = [item[1].split()[1].decode() for item in data if isinstance(item, tuple)]
        return validity, subjects


@pytest.mark.timeout(110)
def test_a_server_goes_on_from_a_backup(tmp_path: Path) -> None:
    target = str(tmp_path / "backups")
    with Server(tmp_path / "old") as old:
        send(old, range(5))
        postillon("backup", target, "--config", str(old.config_file))
        send(old, range(5, 8))
        validity, subjects = inbox(old)
        assert len(subjects) == 8
        old.kill()
    new_folder = tmp_path / "new"
    postillon("restore", target, "--into", str(new_folder / "data"))
    with Server(new_folder) as new:
        after, subjects = inbox(new)
        assert subjects == ["0", "1", "2", "3", "4"]
        assert after > validity, "clients must not take the old UIDs for the new ones"
        send(new, range(100, 102))
        assert inbox(new) == (after, [*subjects, "100", "101"])
    assert new.findings() == []
