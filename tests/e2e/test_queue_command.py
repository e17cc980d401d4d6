"""`postillon queue` beside a running server, and killed in the middle of its work."""

from __future__ import annotations

import asyncio
import os
import signal
import smtplib
import sqlite3
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from postillon.store.config import StoreConfig
from postillon.store.database import NAME
from postillon.store.sqlite import open_store
from support.backlog import fill
from support.remote_smtp import RemoteServer, listening
from support.server import HOST, LOGINS, PASSWORD, Server, free_ports

PROMPT_S = 20.0  # without a word to the workers it is a minute or more until the next probe
MESSAGES = 3_000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def command(config: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "postillon.server.main", "queue", *words, "--config", str(config)]


async def run(config: Path, *words: str) -> str:
    """A command's answer; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        *command(config, *words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


def lenient() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def send(server: Server, to: str) -> None:
    with smtplib.SMTP_SSL(server.host, server.port("submissions"), context=lenient()) as client:
        client.login(LOGINS[0], PASSWORD)
        client.sendmail(LOGINS[0], [to], "Subject: one\r\n\r\nHello.\r\n")


def test_the_workers_do_at_once_what_a_command_asks_for(tmp_path: Path) -> None:
    """A destination is down; told to try again it is probed, long before its time."""
    [port] = free_ports(1)
    hop = f"smtp://{HOST}:{port}"
    with Server(tmp_path, settings={"route": f'routes = ["far.example {hop}"]'}) as server:
        send(server, "x@far.example")
        database = sqlite3.connect(server.data / NAME, isolation_level=None)
        down = "SELECT 1 FROM queue_destination WHERE down_since IS NOT NULL"
        while not database.execute(down).fetchall():
            time.sleep(0.02)
        database.close()
        asyncio.run(try_again(server.config_file, hop, port))


async def try_again(config: Path, hop: str, port: int) -> None:
    remote = RemoteServer()
    async with listening(remote, HOST, port):
        told = await run(config, "retry", "--destination", hop, "--yes")
        assert f"{hop}: is probed now" in told
        async with asyncio.timeout(PROMPT_S):
            while not remote.messages:
                await asyncio.sleep(0.02)


def test_a_verb_killed_in_the_middle_leaves_whole_batches_and_the_next_one_does_the_rest(
    tmp_path: Path,
) -> None:
    config = tmp_path / "postillon.toml"
    config.write_text('[server]\nhostname = "mail.example.org"\ndata = "data"\n')

    async def make() -> None:
        await (await open_store(tmp_path / "data", StoreConfig(), owner="cli")).close()

    asyncio.run(make())
    fill(tmp_path / "data", MESSAGES, now=int(time.time() * 1000) - 1_000, each=2)
    database = sqlite3.connect(tmp_path / "data" / NAME, isolation_level=None)

    def count(sql: str) -> int:
        return int(database.execute(sql).fetchone()[0])

    def left() -> int:
        return count("SELECT COUNT(*) FROM queue_message")

    words = ("drop", "--domain", "big.example", "--yes")
    process = subprocess.Popen(command(config, *words), stdout=subprocess.DEVNULL)
    recipients = "SELECT COUNT(*) FROM queue_recipient"
    while count(recipients) == 2 * MESSAGES and process.poll() is None:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    gone = 2 * MESSAGES - count(recipients)
    assert 0 < gone < MESSAGES
    assert count("SELECT COUNT(*) FROM trace_event WHERE kind = 'dropped'") == gone
    assert left() == MESSAGES  # each message has a recipient that was not meant
    rest = subprocess.run(command(config, *words), check=True, capture_output=True, text=True)
    assert f"{MESSAGES - gone:,} recipients of {MESSAGES - gone:,} messages removed" in rest.stdout
    assert count("SELECT COUNT(*) FROM queue_recipient WHERE destination = 'big.example'") == 0
    assert count(recipients) == left() == MESSAGES
    database.close()
