"""Hints between the processes of one server: "this account changed", "look into the queue".

One datagram per committed batch and peer, over Unix sockets in a folder of their own. A hint may be
lost (a full buffer, a restart): truth is in the store, and who waits for a change looks there now and
then. Messages are MessagePack with bounds, never a text protocol (FAULTS 8).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import msgspec

from postillon.log import SILENT, Log

MAX_CHANGES = 2_000  # pairs in one datagram; 18 octets each stay below MAX_DATAGRAM
MAX_TOPICS = 64
MAX_TOPIC = 100  # characters
MAX_DATAGRAM = 60_000  # octets
MAX_AT_ONCE = 64  # datagrams taken before the loop's other work gets its turn
BUFFER = 1 << 20  # octets the kernel keeps for a receiver that is behind
SUFFIX = ".bus"

OnMessage = Callable[[Sequence[tuple[int, int]], Sequence[str]], None]


class Hint(msgspec.Struct, array_like=True, frozen=True):
    """What one datagram holds."""

    changes: list[tuple[int, int]]  # account, MODSEQ
    topics: list[str]


class Bus:
    """This process's place on the bus. Sending works without `open`, for commands that only tell."""

    def __init__(self, folder_run: Path, name: str, log: Log = SILENT) -> None:
        folder = folder_run / "bus"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A socket's path has room for about 100 octets; through a descriptor it is always short.
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._name = name + SUFFIX
        self._log = log
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Hint).decode
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.setblocking(False)
        self._receiver: socket.socket | None = None
        self._on_message: OnMessage | None = None
        self._peers: list[str] = []
        self._seen_at = -1  # st_mtime_ns of the folder when the peers were listed
        self.lost = 0  # hints a peer had no room for

    async def open(self, on_message: OnMessage) -> None:
        """Listen; `on_message` is called in the loop's thread. The name must be free or left behind."""
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.setblocking(False)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        with suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._folder)
        try:
            receiver.bind(self._path(self._name))
        except OSError:
            receiver.close()
            raise
        self._receiver = receiver
        self._on_message = on_message
        asyncio.get_running_loop().add_reader(receiver.fileno(), self._receive)

    def send(self, changes: Sequence[tuple[int, int]], topics: Sequence[str] = ()) -> None:
        """Tell all peers, never waiting. Of an account that occurs often only the last is told."""
        if self._folder < 0:
            return
        pairs = iter(dict(changes).items())
        words = [topic for topic in topics if len(topic) <= MAX_TOPIC][:MAX_TOPICS]
        while (some := list(islice(pairs, MAX_CHANGES))) or words:
            data = self._encode(Hint(some, words))
            words = []
            for peer in self._current_peers():
                self._send(peer, data)

    def _send(self, peer: str, data: bytes) -> None:
        try:
            self._sender.sendto(data, self._path(peer))
        except (BlockingIOError, InterruptedError):
            self.lost += 1
        except (ConnectionRefusedError, FileNotFoundError):
            pass  # its process is gone; the name is taken over by the next one of that slot
        except OSError as error:
            self.lost += 1
            self._log.warning("bus send failed", peer=peer, error=str(error))

    def _current_peers(self) -> list[str]:
        seen_at = os.stat(self._folder).st_mtime_ns
        if seen_at != self._seen_at:
            names = os.listdir(self._folder)
            self._peers = [n for n in names if n.endswith(SUFFIX) and n != self._name]
            self._seen_at = seen_at
        return self._peers

    def _receive(self) -> None:
        receiver, on_message = self._receiver, self._on_message
        if receiver is None or on_message is None:
            return
        for _ in range(MAX_AT_ONCE):
            try:
                data = receiver.recv(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._log.warning("bus receive failed", error=str(error))
                return
            try:
                hint = self._decode(data)
            except msgspec.MsgspecError:
                self._log.warning("bus datagram not understood", octets=len(data))
                continue
            try:
                on_message(hint.changes, hint.topics)
            except Exception as error:
                self._log.error("bus listener failed", error=repr(error))

    def _path(self, name: str) -> str:
        return f"/proc/self/fd/{self._folder}/{name}"

    def close(self) -> None:
        """Leave the bus. May be called twice; sending afterwards does nothing."""
        if self._folder < 0:
            return
        if self._receiver is not None:
            with suppress(RuntimeError):  # the loop may be closed already
                asyncio.get_running_loop().remove_reader(self._receiver.fileno())
            self._receiver.close()
            self._receiver = None
            with suppress(FileNotFoundError):
                os.unlink(self._name, dir_fd=self._folder)
        self._sender.close()
        os.close(self._folder)
        self._folder = -1
