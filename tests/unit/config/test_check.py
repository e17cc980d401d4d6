"""What `postillon check` finds out about the machine."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from postillon.net.tls import self_signed
from postillon.server.check import Finding, Weight, check
from postillon.server.config import parse
from postillon.store.database import NAME


async def findings(folder: Path, text: str) -> dict[str, Finding]:
    config = parse(text, folder)
    return {finding.key: finding for finding in await check(config, network=False)}


def file(folder: Path, **changes: str) -> str:
    server = {"hostname": '"mail.example.org"', "data": '"data"', "allow_root": "true"} | changes
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    pairs = "".join(f"{name} = {value}\n" for name, value in server.items())
    return f'[server]\n{pairs}[[listener]]\nprotocol = "imap"\naddress = "127.0.0.1"\nport = {port()}\n'


def port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_a_sound_configuration_has_only_its_own_certificate_to_warn_of(
    tmp_path: Path,
) -> None:
    found = await findings(tmp_path, file(tmp_path))
    assert set(found) == {"tls"}
    assert found["tls"].weight is Weight.WARNING


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("mail", Weight.WARNING),
        ("localhost", Weight.WARNING),
        ("192.0.2.1", Weight.ERROR),
        ("no_host.example", Weight.ERROR),
    ],
)
async def test_the_host_name_is_a_full_name(tmp_path: Path, name: str, weight: Weight) -> None:
    found = await findings(tmp_path, file(tmp_path, hostname=f'"{name}"'))
    assert found["server.hostname"].weight is weight


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        taken = sock.getsockname()[1]
        text = file(tmp_path) + f'[[listener]]\naddress = "127.0.0.1"\nport = {taken}\n'
        found = await findings(tmp_path, text)
    assert found["listener[2]"].weight is Weight.ERROR
    assert str(taken) in found["listener[2]"].what


async def test_two_listeners_in_one_place_are_an_error(tmp_path: Path) -> None:
    text = file(tmp_path) + '[[listener]]\naddress = "127.0.0.1"\nport = 2525\n' * 2
    found = await findings(tmp_path, text)
    assert "same place" in found["listener[3]"].what


async def test_what_is_open_to_everybody_is_warned_of(tmp_path: Path) -> None:
    text = file(tmp_path)
    for protocol in ("metrics", "lmtp"):
        text += f'[[listener]]\nprotocol = "{protocol}"\nport = {port()}\n'
    text += f'[[listener]]\nprotocol = "submission"\ntls = "none"\nport = {port()}\n'
    found = await findings(tmp_path, text)
    assert "metrics" in found["listener[2]"].what
    assert "LMTP" in found["listener[3]"].what
    assert "nobody can log in" in found["listener[4]"].what


async def test_a_store_that_a_newer_version_has_changed_is_told_of(tmp_path: Path) -> None:
    text = file(tmp_path)
    with closing(sqlite3.connect(tmp_path / "data" / NAME)) as database, database:
        database.execute("CREATE TABLE migration (number, name, hash, applied_at)")
        database.execute("INSERT INTO migration VALUES (1, '', 'of another time', 0)")
    before = sorted((tmp_path / "data").iterdir())
    found = await findings(tmp_path, text)
    assert "has changed since it was applied" in found["server.data"].what
    with closing(sqlite3.connect(tmp_path / "data" / NAME)) as database, database:
        database.execute("UPDATE migration SET number = 9999")
    found = await findings(tmp_path, text)
    assert "a newer version" in found["server.data"].what
    assert sorted((tmp_path / "data").iterdir()) == before


async def test_a_data_folder_others_can_read_is_warned_of(tmp_path: Path) -> None:
    text = file(tmp_path)
    (tmp_path / "data").chmod(0o755)
    found = await findings(tmp_path, text)
    assert found["server.data"].hint == f"chmod 700 {tmp_path / 'data'}"


def certificate(folder: Path, name: str, made: datetime) -> str:
    certificate_pem, key_pem = self_signed([name], made)
    (folder / "certificate.pem").write_bytes(certificate_pem)
    (folder / "key.pem").write_bytes(key_pem)
    (folder / "key.pem").chmod(0o600)
    return '[tls]\ncertificate = "certificate.pem"\nkey = "key.pem"\n'


async def test_a_certificate_must_be_valid_ours_and_its_key_secret(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    text = file(tmp_path)
    assert await findings(tmp_path, text + certificate(tmp_path, "mail.example.org", now)) == {}
    assert await findings(tmp_path, text + certificate(tmp_path, "*.example.org", now)) == {}
    found = await findings(tmp_path, text + certificate(tmp_path, "other.example.org", now))
    assert "other.example.org, not mail.example.org" in found["tls.certificate"].what
    old = now - timedelta(days=3660)
    found = await findings(tmp_path, text + certificate(tmp_path, "mail.example.org", old))
    assert "expired" in found["tls.certificate"].what
    tls = certificate(tmp_path, "mail.example.org", now)
    (tmp_path / "key.pem").chmod(0o644)
    assert "everybody can read" in (await findings(tmp_path, text + tls))["tls.key"].what
    (tmp_path / "key.pem").write_bytes(self_signed(["x"])[1])
    found = await findings(tmp_path, text + tls)
    assert found["tls.certificate"].weight is Weight.ERROR


async def test_a_next_hop_with_a_login_needs_a_secret_file(tmp_path: Path) -> None:
    text = file(tmp_path) + '[route]\nsmarthost = "smtps://me@relay.example.net"\n'
    assert "needs a password" in (await findings(tmp_path, text))["route.credentials"].what
    text += 'credentials = "secret"\n'
    assert "No such file" in (await findings(tmp_path, text))["route.credentials"].what
    (tmp_path / "secret").write_text("relay.example.net me password\n")
    (tmp_path / "secret").chmod(0o644)
    assert "everybody can read" in (await findings(tmp_path, text))["route.credentials"].what
    (tmp_path / "secret").chmod(0o600)
    assert "route.credentials" not in await findings(tmp_path, text)
