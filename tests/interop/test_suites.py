"""Other people's test suites against the real server, whole; what they ask is not ours to choose."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.server import PASSWORD, Server

ADA = "ada@example.org"
WAIT_S = 300

# What fails in IMAPClient 4.1 with every server: it compares objects that have no length, looks into
# its settings as if they were a mapping, wants a time-out on loopback, calls what imaplib has not got;
# and a subscription to a name that is not there yet, which is allowed (RFC 3501 section 6.3.6).
THEIRS = {
    "test_fetch",
    "test_getacl",
    "test_move",
    "test_small_connection_timeout_fail",
    "test_small_read_timeout_fail",
    "test_subscriptions",
}


@pytest.mark.torture
def test_the_live_tests_of_imapclient(tmp_path: Path) -> None:
    with Server(tmp_path, workers=2) as server:
        settings = tmp_path / "live.ini"
        settings.write_text(
            f"[DEFAULT]\nhost = {server.host}\nport = {server.port('imap')}\n"
            f"username = {ADA}\npassword = {PASSWORD}\nssl = false\n"
        )
        done = subprocess.run(
            [sys.executable, "-m", "imapclient.livetest", str(settings)],
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        ran = re.search(r"^Ran (\d+) tests", done.stderr, re.MULTILINE)
        assert ran is not None, done.stderr[-2000:]
        assert int(ran[1]) >= 59
        failed = set(re.findall(r"^(?:FAIL|ERROR): (\w+)", done.stderr, re.MULTILINE))
        assert failed <= THEIRS, done.stderr[-4000:]
