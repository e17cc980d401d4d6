"""A real server for tests: `postillon serve`'s process tree in a folder of its own, on free ports.

with Server(tmp_path, workers=2) as server:
    smtplib.SMTP(server.host, server.port("smtp"))
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from postillon.admin.desk import Desk
from postillon.net.tls import self_signed
from postillon.server import config as configuration
from postillon.store.choice import open_any
from postillon.store.operation import Steps
from postillon.store.verify import Finding, verify

if TYPE_CHECKING:
    from postillon.store.choice import AnyStore

T = TypeVar("T")

HOST = "127.0.0.1"
PORTS = (10_000, 32_000)
PROTOCOLS = (
    "smtp",
    "submission",
    "submissions",
    "lmtp",
    "imap",
    "imaps",
    "pop3",
    "pop3s",
    "https",
    "http",
    "metrics",
)
DOMAINS = ("example.org", "example.net")
PASSWORD = "correct horse battery"
LOGINS = ("ada@example.org", "bob@example.net")
READY_S = 60.0
STOP_S = 40.0

MAIN = """
import sys
from pathlib import Path
from postillon.server import config, supervisor
supervisor.run(config.load(Path(sys.argv[1])), on_ready=lambda _: print("READY", flush=True))
"""


def compiled() -> dict[str, str]:
    """The environment of a server whose modules are compiled once, as those of a package are."""
    return {key: it for key, it in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


class Server:
    """Starts as a process group of its own; `kill` ends all of it as a power cut would.

    settings: more TOML for the configuration, by section: {"smtp": "max_size = 1000"}.
    populate: False where another server on the same database has made domains and accounts.
    log_level: None is the product's own default, for what is measured.
    """

    host = HOST

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 1,
        logins: Sequence[str] = LOGINS,
        settings: dict[str, str] | None = None,
        protocols: Sequence[str] = PROTOCOLS,
        log_level: str | None = "debug",
        populate: bool = True,
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.config_file = folder / "postillon.toml"
        self.log_file = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if not self.config_file.exists():
            self._write_config(workers, settings or {}, protocols, log_level)
        self.config = configuration.load(self.config_file)
        if populate and not self.data.exists():
            asyncio.run(self._populate(logins))

    def port(self, protocol: str) -> int:
        for listener in self.config.listeners:
            if listener.protocol.value == protocol:
                return listener.effective_port
        raise KeyError(protocol)

    # Life

    def start(self) -> None:
        """Returns when every process serves. Raises RuntimeError with the log if that fails."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", MAIN, str(self.config_file)],
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env=compiled(),
            )
        assert self.process.stdout is not None
        late = threading.Timer(READY_S, self.kill)
        late.start()
        said = self.process.stdout.readline()
        late.cancel()
        if said != b"READY\n":
            self.kill()
            raise RuntimeError("the server did not start:\n" + self.log())

    def stop(self) -> int:
        """As Ctrl-C by its supervisor: a clean stop. Returns the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self._wait()

    def kill(self) -> None:
        """kill -9 for every process at once."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self._wait()

    def restart(self) -> None:
        self.start()

    def workers(self) -> dict[str, int]:
        """Process ids by role, from the system."""
        assert self.process is not None
        found: dict[str, int] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if _parent(entry) != self.process.pid:
                    continue
                command = (entry / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if b"postillon.server.maintenance" in command:
                found["m"] = int(entry.name)
            elif b"postillon.server.worker" in command:
                found[f"w{len([role for role in found if role != 'm'])}"] = int(entry.name)
        return found

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def emails(self) -> int:
        """How many emails all accounts hold, asked beside the running server."""

        def steps() -> Steps[int]:
            rows = yield "SELECT COALESCE(SUM(emails), 0) FROM account", ()
            return int(rows[0][0])

        return asyncio.run(self.ask(lambda store: store.read_apart(steps())))

    def findings(self) -> list[Finding]:
        """What `postillon verify` finds; the server is stopped."""
        return asyncio.run(self.ask(verify))

    async def split(self, domain: str) -> None:
        """Let what is unknown at a domain of ours travel on, to where DNS says."""

        async def question(store: AnyStore) -> None:
            desk = Desk.over(store, self.config.auth)
            known = {item.name for item in await desk.directory.domains()}
            change = (
                desk.directory.update_domain if domain in known else desk.directory.create_domain
            )
            await change(domain, split=True)

        await self.ask(question)

    async def ask(self, question: Callable[[AnyStore], Awaitable[T]]) -> T:
        store = await open_any(self.data, self.config.store, owner="cli")
        try:
            return await question(store)
        finally:
            await store.close()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        if error is not None:
            self.kill()
            error.add_note("the server's log:\n" + self.log()[-8_000:])
            return
        self.stop()

    # Making

    def _wait(self) -> int:
        assert self.process is not None
        try:
            status = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    def _write_config(
        self,
        workers: int,
        settings: dict[str, str],
        protocols: Sequence[str],
        log_level: str | None,
    ) -> None:
        certificate, key = self_signed(["localhost", HOST])
        (self.folder / "cert.pem").write_bytes(certificate)
        (self.folder / "key.pem").write_bytes(key)
        sections: dict[str, str] = {
            "server": f'hostname = "mail.example.org"\ndata = "data"\nworkers = {workers}\n'
            'allow_root = true\nstop_patience = "5s"\n'
            + ("" if log_level is None else f'log_level = "{log_level}"\n'),
            "tls": 'certificate = "cert.pem"\nkey = "key.pem"\n',
            "route": 'smarthost = "smtp://127.0.0.1:9"\n',
        }
        for name, text in settings.items():
            sections[name] = sections.get(name, "") + text + "\n"
        lines = [f"[{name}]\n{text}" for name, text in sections.items()]
        lines += [
            f'[[listener]]\nprotocol = "{protocol}"\naddress = "{HOST}"\nport = {port}\n'
            for protocol, port in zip(protocols, free_ports(len(protocols)), strict=True)
        ]
        self.config_file.write_text("\n".join(lines))

    async def _populate(self, logins: Sequence[str]) -> None:
        store = await open_any(self.data, self.config.store, owner="cli")
        try:
            desk = Desk.over(store, self.config.auth)
            password = await desk.credentials.prepare(PASSWORD)
            for domain in sorted({login.partition("@")[2] for login in logins} | set(DOMAINS)):
                await desk.directory.create_domain(domain)
            for login in logins:
                await desk.accounts.create(login, password=password)
        finally:
            await store.close()


def free_ports(count: int) -> list[int]:
    """Ports nobody had a moment ago, all different.

    Below those that the system gives to outgoing connections: one of these might take it meanwhile.
    """
    sockets: list[socket.socket] = []
    while len(sockets) < count:
        with suppress(OSError):  # somebody has it
            sockets.append(socket.create_server((HOST, random.randrange(*PORTS))))
    ports = [int(sock.getsockname()[1]) for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def _parent(entry: Path) -> int:
    stat: Any = (entry / "stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])
