"""What the benchmark asks of every server, and how a Maildir is counted."""

from __future__ import annotations

import os
import shutil
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.cell import Cell
from benchmarks.peers.ground import Root, Unavailable, packages

HOST = "127.0.0.1"
PORT = 2525  # of the server measured; the network is ours alone
SINK_PORT = 2526
DOMAIN = "example.org"  # whose mailboxes the server has
ELSEWHERE = "relay.example"  # whose mail it hands to the sink
BOXES = tuple(f"box{n}" for n in range(100))
MAX_SIZE = 20_000_000  # octets of a message, for those who ask
MAX_CONNECTIONS = 250
READY_S = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where one run of one server happens. `folder` is new and on a real disk."""

    folder: Path
    cache: Path
    cell: Cell
    workers: int  # processes, for those who are told how many


class Peer(ABC):
    """A server that can be started, loaded, counted and ended, again and again."""

    key: str  # short, for the command line
    title: str
    settings: str  # what makes it durable and unbounded, in words for the documentation
    relays: bool = True
    relay_s = 60.0  # the longest load to relay: who accepts faster than it sends on leaves a queue
    port = PORT
    pipelining = False  # whether it offers it; the load then uses it

    @abstractmethod
    def prepare(self, cache: Path) -> None:
        """Fetch what is needed. Raises Unavailable."""

    @abstractmethod
    def version(self) -> str:
        """As people write it; after the first start."""

    @abstractmethod
    def start(self, place: Place) -> None:
        """Start inside the cell; returns when it takes connections. Raises Unavailable."""

    @abstractmethod
    def copies(self) -> int:
        """Messages in mailboxes at this moment, one for each mailbox."""

    @abstractmethod
    def stop(self, place: Place) -> None:
        """End it and leave nothing; the folder may then be removed."""

    def words(self) -> str:
        """The end of what it logged, for a run that failed."""
        return ""


class Unpacked(Peer):
    """A server of the distribution, delivering to Maildirs under /mail."""

    packages: Sequence[str]
    main: str  # the package whose version counts
    _root: Root | None = None
    _unpacked: Path
    _version = ""

    @abstractmethod
    def files(self) -> Mapping[str, str]:
        """Its configuration, by path."""

    @abstractmethod
    def launch(self, root: Root) -> None:
        """Give folders their owners and start it."""

    def prepare(self, cache: Path) -> None:
        self._unpacked = packages(self.packages, cache)
        [deb] = (cache / "debs").glob(f"{self.main}_*.deb")
        self._version = deb.name.split("_")[1].replace("%3a", ":")

    def version(self) -> str:
        return self._version

    def start(self, place: Place) -> None:
        self._root = root = Root(place.folder / "root", self._unpacked, self.files())
        with place.cell.inside():
            self.launch(root)
        wait_for(self.port, self)

    def copies(self) -> int:
        return 0 if self._root is None else maildir_copies(self._root.folder / "mail")

    def stop(self, place: Place) -> None:
        place.cell.kill()
        if self._root is not None:
            self._root.close()
            shutil.rmtree(self._root.folder)
            self._root = None

    def words(self) -> str:
        if self._root is None:
            return ""
        logs = self._root.folder / "var/log"
        files = [path for path in logs.rglob("*") if path.is_file()]
        return "\n".join(f"{path}:\n{path.read_text(errors='replace')[-3000:]}" for path in files)


def maildir_copies(folder: Path) -> int:
    """Messages in the `new` of all Maildirs in a folder."""
    total = 0
    for box in os.listdir(folder):
        try:
            total += len(os.listdir(folder / box / "new"))
        except FileNotFoundError:
            continue
    return total


def wait_for(port: int, peer: Peer) -> None:
    """Return when a server has said hello, and note what it offers. Raises Unavailable."""
    late = time.monotonic() + READY_S
    while time.monotonic() < late:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=5) as sock:
            replies = sock.makefile("rwb")
            if replies.readline().startswith(b"220"):
                replies.write(b"EHLO load.example.org\r\n")
                replies.flush()
                offers = [replies.readline()]
                while offers[-1][3:4] == b"-":
                    offers.append(replies.readline())
                peer.pipelining = any(b"PIPELINING" in line for line in offers)
                return
        time.sleep(0.05)
    raise Unavailable(f"{peer.title} does not answer:\n{peer.words()}")


def lines(pairs: Sequence[str]) -> str:
    return "".join(f"{pair}\n" for pair in pairs)
