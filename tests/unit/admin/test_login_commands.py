"""`postillon logins`, beside what a worker has counted."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from click.testing import CliRunner

from postillon.admin.desk import open_desk
from postillon.directory.config import AuthConfig
from postillon.directory.signin import SignIns
from postillon.directory.throttle import Throttle
from postillon.server.main import main
from postillon.setting import seconds
from postillon.store.config import StoreConfig

FAR, LOGIN = "203.0.113.9", "postmaster@example.org"
QUIET = AuthConfig(longest_delay=seconds(0))


def run(folder: Path, *words: str) -> str:
    place = ["--config", str(folder / "postillon.toml")]
    result = CliRunner().invoke(main, [*words, *place], prog_name="postillon")
    assert result.exit_code == 0, result.output
    return result.stdout


async def _guess(data: Path) -> None:
    async with open_desk(data, StoreConfig(), AuthConfig()) as desk:
        throttle = Throttle(QUIET, desk.credentials.clock)
        sign_ins = SignIns(desk.credentials, throttle)
        for _ in range(120):
            throttle.failed(FAR, LOGIN)
        await sign_ins.begin("imap", FAR).password(LOGIN.encode(), b"a guess")
        await sign_ins.ledger.write()


def test_who_guesses_is_shown_and_let_in_again(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    words = ["init", str(folder), "--hostname", "mail.example.org", "--loopback"]
    assert CliRunner().invoke(main, words).exit_code == 0
    asyncio.run(_guess(folder / "data"))

    assert "turned away" in run(folder, "logins", "list", "--failed")
    (line,) = json.loads(run(folder, "logins", "list", "203.0", "--json"))
    assert (line["login"], line["outcome"]) == (LOGIN, "turned_away")
    said = run(folder, "logins", "slowed")
    assert FAR in said
    assert "waits 30 s" in said
    said = run(folder, "logins", "forgive", FAR, "--dry-run")
    assert said.startswith(f"Would be let in again: {FAR}")
    assert "Still in the way of the same people:\n" in said
    assert run(folder, "logins", "forgive", FAR).startswith(f"Let in again: {FAR}")
    assert "Nothing counts against" in run(folder, "logins", "forgive", FAR)
    run(folder, "logins", "forgive", LOGIN)
    assert "Nobody is slowed down" in run(folder, "logins", "slowed")
    assert "login.forgive" in run(folder, "audit", LOGIN)


def test_limits_are_printed_with_their_settings(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    words = ["init", str(folder), "--hostname", "mail.example.org", "--loopback"]
    assert CliRunner().invoke(main, words).exit_code == 0
    said = run(folder, "limits")
    assert any(line.split()[:2] == ["auth.forget_after", "30m"] for line in said.splitlines()), said
    assert "0 of 100000" in said
    assert "No account has used more than 80 %" in said
    found = json.loads(run(folder, "limits", "--json"))
    assert found["limits"][0]["setting"] == "server.max_connections"
