"""aiosmtpd with the least that a durable server must do: a Maildir, each file synced, and its name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

from benchmarks.peers.ground import environment, library
from benchmarks.peers.peer import BOXES, PORT, Peer, Place, maildir_copies, wait_for

ROOT = Path(__file__).resolve().parents[2]


class Aiosmtpd(Peer):
    key = "aiosmtpd"
    title = "aiosmtpd to Maildir"
    settings = (
        "one process on uvloop; each message is written to `tmp`, synced in a thread, and renamed"
        " to `new`, one file for every recipient, and `new` is synced, before its 250. No queue, no"
        " log, no look at the content."
    )
    relays = False

    def prepare(self, cache: Path) -> None:
        self._library = library("aiosmtpd", cache)

    def version(self) -> str:
        [found] = [
            item
            for item in distributions(path=[str(self._library)])
            if item.metadata["Name"] == "aiosmtpd"
        ]
        return found.version

    def start(self, place: Place) -> None:
        self._folder = place.folder / "mail"
        for box in BOXES:
            for name in ("tmp", "new", "cur"):
                (self._folder / box / name).mkdir(parents=True)
        with place.cell.inside():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.peers.aiosmtpd_server", str(self._folder),
                 str(PORT)],
                cwd=ROOT,
                env={**environment(), "PYTHONPATH": str(self._library)},
            )  # fmt: skip
        wait_for(self.port, self)

    def copies(self) -> int:
        return maildir_copies(self._folder)

    def stop(self, place: Place) -> None:
        place.cell.kill()
        self._process.wait()
        shutil.rmtree(self._folder)
