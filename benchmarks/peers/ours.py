"""Postillon itself, as `postillon serve` runs it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.peer import (
    BOXES,
    DOMAIN,
    ELSEWHERE,
    HOST,
    MAX_SIZE,
    SINK_PORT,
    Peer,
    Place,
    wait_for,
)
from postillon.admin import domains
from postillon.admin.desk import Desk
from postillon.admin.domains import DomainChange
from postillon.store.sqlite import open_store
from support.server import Server

ROOT = Path(__file__).resolve().parents[2]


def commit() -> str:
    """What is measured: version and commit of this tree."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"{version('postillon')} {described.stdout.strip()}".strip()


class Postillon(Peer):
    key = "postillon"
    title = "Postillon"
    settings = (
        "`postillon serve` with its defaults: 250 after the group commit has synced pack and log."
        f" `smtp.max_size` as the others have it ({MAX_SIZE:,} octets)."
    )

    def prepare(self, cache: Path) -> None:
        pass

    def version(self) -> str:
        return commit()

    def start(self, place: Place) -> None:
        self._server = Server(
            place.folder / "postillon",
            workers=place.workers,
            logins=[f"{box}@{DOMAIN}" for box in BOXES],
            settings={"smtp": f"max_size = {MAX_SIZE}"},
            protocols=("smtp",),
            log_level=None,
        )
        asyncio.run(self._relay())
        with place.cell.inside():
            self._server.start()
        self.port = self._server.port("smtp")
        wait_for(self.port, self)

    async def _relay(self) -> None:
        """A domain whose mail goes on to the sink, for everybody, as relays have it."""
        store = await open_store(self._server.data, self._server.config.store, owner="cli")
        try:
            desk = Desk.over(store, self._server.config.auth)
            hop = f"smtp://{HOST}:{SINK_PORT}"
            await domains.create(desk, ELSEWHERE, DomainChange(split=True, next_hop=hop))
        finally:
            await store.close()

    def copies(self) -> int:
        return self._server.emails()

    def stop(self, place: Place) -> None:
        place.cell.kill()
        if self._server.process is not None:
            self._server.process.wait()
            assert self._server.process.stdout is not None
            self._server.process.stdout.close()
        shutil.rmtree(place.folder / "postillon")

    def words(self) -> str:
        return self._server.log()[-8000:]
