"""A real PostgreSQL in a temporary folder, and databases on it for tests.

One cluster for each test process, started when a test first asks and ended with the process. Without
a PostgreSQL on this machine `cluster` says so, and the fixtures skip.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import functools
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg

from postillon.store.postgresql.dialect import translated
from support.server import free_ports

PASSWORD = "correct horse battery"
USER = "postillon"
PREFIX = "postillon-pg-"  # of folders; the process that made one, then chance
PATIENCE_S = 30.0
ROOM = 512 << 20  # octets a cluster may come to use


class NoPostgres(Exception):
    """There is none on this machine, or it does not start."""


def binaries() -> Path:
    """The folder of `initdb` and `postgres`. Raises NoPostgres."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"),
        key=lambda path: int(re.sub(r"\D", "", path.parts[-3]) or 0),
    )
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    if on_path is None:
        raise NoPostgres("there is no PostgreSQL server on this machine (apt install postgresql)")
    return Path(on_path).resolve().parent


def _run_as() -> dict[str, object]:
    """PostgreSQL does not run as root: then its own user, or nobody, runs it."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NoPostgres("PostgreSQL does not run as root, and there is no other user")


def _end_with_parent() -> None:
    """A killed test run leaves no server behind (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


@dataclass(eq=False)
class Cluster:
    """A running server. Connections by its Unix socket need no password, those by TCP do."""

    folder: Path
    port: int
    durable: bool = False
    log: Path = field(init=False)
    process: subprocess.Popen[bytes] | None = None
    _names: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.log = self.folder / "log"

    def start(self) -> None:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "max_connections": 100,
            "shared_buffers": "64MB",
            "fsync": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
            "max_wal_size": "1GB" if self.durable else "64MB",
            "dynamic_shared_memory_type": "mmap",
            "logging_collector": "off",
            "log_min_messages": "warning",
            "autovacuum_naptime": "10s",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [binaries() / "postgres", "-D", self.folder / "data", *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                preexec_fn=_end_with_parent, **_run_as(),  # type: ignore[call-overload]
            )  # fmt: skip
        until = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise NoPostgres(f"PostgreSQL does not start: {self.log.read_text()[-500:]}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        ready = [binaries() / "pg_isready", "-q", "-h", self.folder, "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0

    def stop(self) -> None:
        """At once, as a crash is: connections break."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(signal.SIGQUIT)
            process.wait(PATIENCE_S)

    def url(self, database: str, *, tcp: bool = False) -> str:
        if tcp:
            return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://{USER}@/{database}?host={quote(str(self.folder))}&port={self.port}"

    def execute(self, sql: str, database: str = "postgres") -> None:
        async def connected() -> None:
            connection = await asyncpg.connect(self.url(database))
            try:
                await connection.execute(sql)
            finally:
                await connection.close()

        # In a thread of its own: the caller may be inside a loop.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(connected())).result()

    def create(self, template: str = "template0") -> str:
        """A new database; returns its name. template: another to copy."""
        name = f"t{next(self._names)}"
        strategy = "" if self.durable else " STRATEGY FILE_COPY"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'{strategy}")
        return name

    def drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def rows_of(url: str, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """The rows of a query in our dialect, blocking, whatever loop the caller is in."""

    async def ask() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return list(map(tuple, await connection.fetch(translated(sql), *arguments)))
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(ask())).result()


def _sweep(base: Path) -> None:
    """Remove what test runs that were killed have left."""
    for path in base.glob(f"{PREFIX}*-*"):
        pid = path.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(path, ignore_errors=True)


def new_cluster(*, durable: bool = False) -> Cluster:
    """Made and started. durable: as in earnest, for benchmarks. Raises NoPostgres."""
    programs = binaries()
    who = _run_as()
    # Tests need no disk, and their temporary folders may lie on a slow one.
    memory = Path("/dev/shm")
    spare = not durable and memory.is_dir() and shutil.disk_usage(memory).free > ROOM
    base = memory if spare else Path(tempfile.gettempdir())
    _sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=base))
    if who:
        os.chown(folder, who["user"], who["group"])  # type: ignore[arg-type]
    secret = folder / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o644)
    # A collation unlike SQLite's, as servers have it: order must not depend on it.
    made = subprocess.run(
        [
            programs / "initdb", "-D", folder / "data", "-U", USER, f"--pwfile={secret}", "-N",
            "--auth-local=trust", "--auth-host=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8",
        ],
        capture_output=True, check=False, cwd=folder, **who,  # type: ignore[call-overload]
    )  # fmt: skip
    if made.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise NoPostgres(f"initdb: {made.stderr.decode()[-300:]}")
    cluster = Cluster(folder, free_ports(1)[0], durable)
    cluster.start()
    return cluster


@functools.cache
def cluster() -> Cluster | NoPostgres:
    """The cluster of this test process, or why there is none."""
    try:
        made = new_cluster()
    except NoPostgres as error:
        return error

    def end() -> None:
        made.stop()
        shutil.rmtree(made.folder, ignore_errors=True)

    atexit.register(end)
    return made
