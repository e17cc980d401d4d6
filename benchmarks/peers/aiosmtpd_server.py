"""The program behind `aiosmtpd_peer`: python -m benchmarks.peers.aiosmtpd_server MAIL PORT"""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop
from aiosmtpd.smtp import SMTP, Envelope, Session  # type: ignore[import-not-found]

HOST = "127.0.0.1"
MAX_SIZE = 20_000_000
THREADS = 32


class ToMaildir:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self._next += 1
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(
            None, self._write, f"{self._next}.load", envelope.rcpt_tos, envelope.content
        )
        return "250 2.0.0 ok"

    def _write(self, name: str, recipients: list[str], content: bytes) -> None:
        for recipient in recipients:
            box = self._folder / recipient.partition("@")[0]
            file = os.open(box / "tmp" / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                left = memoryview(content)
                while left:
                    left = left[os.write(file, left) :]
                os.fsync(file)
            finally:
                os.close(file)
            os.rename(box / "tmp" / name, box / "new" / name)
            file = os.open(box / "new", os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(file)  # that of the file keeps its octets, but not its new name
            finally:
                os.close(file)


async def serve(folder: Path, port: int) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS))
    handler = ToMaildir(folder)
    server = await loop.create_server(
        lambda: SMTP(handler, data_size_limit=MAX_SIZE, hostname="mail.example.org"), HOST, port
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
