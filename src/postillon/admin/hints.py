"""How the processes of one server, or of several, hear of each other's changes.

With SQLite they are on one machine and send datagrams (`net.bus`); a store on PostgreSQL has its own
way, which reaches every server.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from postillon.log import SILENT, Log
from postillon.net.bus import Bus
from postillon.store.operation import CommitListener
from postillon.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from postillon.store.choice import AnyStore


class Hints:
    """Tells the others what is committed here, from the beginning; hears them after `listen`.

    data: the data folder; name: this process's own among those on the folder.
    """

    def __init__(self, store: AnyStore, data: Path, name: str, log: Log = SILENT) -> None:
        self._store = store
        self._bus: Bus | None = None
        if isinstance(store, SqliteStore):
            self._bus = Bus(data / "run", name, log)
            store.on_commit(self._bus.send)

    async def listen(self, listener: CommitListener) -> None:
        """Call `listener` with what others have changed, or with EVERYTHING where that was missed."""
        if self._bus is not None:
            await self._bus.open(listener)
        elif not isinstance(self._store, SqliteStore):
            await self._store.listen(listener)

    def close(self) -> None:
        """Say and hear nothing more. The store tells its last changes when it is closed itself."""
        if self._bus is not None:
            self._bus.close()
