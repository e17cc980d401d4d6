"""The text indexes of all accounts: `index/xx/ACCOUNT/N.db` in the data folder.

xx are the last two digits of the account in hexadecimal. The file with the highest N counts; one that
is made anew gets the next number, so that nobody reads a file that is being replaced. Only the
maintenance process writes. Everything here may be deleted while the server stands.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock, get_native_id
from typing import TypeVar

from postillon.log import SILENT, Log
from postillon.store.textindex import Hits, IndexDamaged, Marks, TextIndex, Wanted

T = TypeVar("T")

THREADS = 2  # of a worker, that search
KEPT = 16  # files a worker keeps open


class TextIndexes:
    """Belongs to one process. data: the data folder."""

    def __init__(self, data: Path, log: Log = SILENT) -> None:
        self._folder = data / "index"
        self._log = log
        self._open: OrderedDict[Path, TextIndex] = OrderedDict()
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="text-search")

    async def ask(
        self, account: int, questions: Sequence[Wanted]
    ) -> tuple[Marks, list[Hits | None]] | None:
        """See TextIndex.ask; None where there is no sound index."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, self._ask, account, questions
        )

    def close(self) -> None:
        self._pool.shutdown(wait=True)
        while self._open:
            self._open.popitem()[1].close()

    def _ask(
        self, account: int, questions: Sequence[Wanted]
    ) -> tuple[Marks, list[Hits | None]] | None:
        path = self.newest(account)
        if path is None:
            return None
        index: TextIndex | None = None
        try:
            with self._lock:
                index = self._open.pop(path, None)
            index = index or TextIndex(path)
            answers = index.ask(questions)
        except IndexDamaged as error:
            self._log.warning("text_index_unusable", account=account, error=str(error))
            if index is not None:
                index.close()
            return None
        self._keep(path, index)
        return answers

    def _keep(self, path: Path, index: TextIndex) -> None:
        with self._lock:
            other = self._open.pop(path, None)
            self._open[path] = index
            oldest = self._open.popitem(last=False)[1] if len(self._open) > KEPT else None
        for spare in (other, oldest):
            if spare is not None:
                spare.close()

    # Files

    def newest(self, account: int) -> Path | None:
        """The file that counts, if there is one."""
        found = self._files(account)
        return found[-1] if found else None

    def writer(self, account: int) -> TextIndex:
        """Open for writing, made anew where there is none that is sound. For maintenance alone."""
        path = self.newest(account)
        if path is not None:
            try:
                return TextIndex(path, writes=True)
            except IndexDamaged as error:
                self._log.warning("text_index_made_anew", account=account, error=str(error))
        return self.renew(account)

    def renew(self, account: int) -> TextIndex:
        """An empty one instead of what is there."""
        old = self._files(account)
        number = int(old[-1].stem) + 1 if old else 1
        folder = self.folder_of(account)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        index = TextIndex(folder / f"{number}.db", writes=True)
        for path in old:
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                with suppress(FileNotFoundError):
                    os.unlink(folder / name)
        return index

    def remove(self, account: int) -> None:
        shutil.rmtree(self.folder_of(account), ignore_errors=True)

    def accounts(self) -> Iterator[int]:
        """All that have a folder here."""
        if self._folder.is_dir():
            for group in self._folder.iterdir():
                for folder in group.iterdir() if group.is_dir() else ():
                    if folder.name.isdigit():
                        yield int(folder.name)

    def folder_of(self, account: int) -> Path:
        return self._folder / f"{account & 0xFF:02x}" / str(account)

    def _files(self, account: int) -> list[Path]:
        folder = self.folder_of(account)
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            return []
        numbers = sorted(
            int(name[:-3]) for name in names if name.endswith(".db") and name[:-3].isdigit()
        )
        return [folder / f"{number}.db" for number in numbers]


class Quiet:
    """A thread of low priority, so that what it does waits for everything else."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "text-index", initializer=_be_nice)

    async def run(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _be_nice() -> None:
    with suppress(OSError, AttributeError):  # a thread has a priority of its own on Linux alone
        os.setpriority(os.PRIO_PROCESS, get_native_id(), 10)
