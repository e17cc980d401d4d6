"""Where the octets of a delivery go: the database's log by table, checkpoints, pack, log file.

    python benchmarks/octets.py                    # 10 KB, 20 connections, 100 mailboxes
    python benchmarks/octets.py --messages 20000   # the more mail there is, the more pages it touches

Starts a real server whose log is never moved into the database, reads the frames that a load has added
to it, and asks the database whose each page is. A page that has since been given to another
table counts for that one. What a checkpoint would write is the number of different pages.
"""

from __future__ import annotations

import argparse
import shutil
import struct
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import apsw  # noqa: E402

from benchmarks.deliver import send, usage  # noqa: E402
from support.server import Server  # noqa: E402

HEADER, FRAME_HEADER = 32, 24  # octets of SQLite's log before everything, and before each page
NEVER = 1 << 40  # octets of log from which it would be moved


def frames(wal: Path) -> tuple[list[tuple[int, int]], int]:
    """(page, 0 or the size of the database after a commit) of each frame in use; octets of a page."""
    data = wal.read_bytes()
    [size] = struct.unpack(">I", data[8:12])
    salt, found, at = data[16:24], [], HEADER
    while at + FRAME_HEADER <= len(data) and data[at + 8 : at + 16] == salt:
        page, committed = struct.unpack(">II", data[at : at + 8])
        found.append((page, committed))
        at += FRAME_HEADER + size
    return found, size


def owners(data: Path, folder: Path) -> dict[int, str]:
    """The table or index of each page, and whether it is a leaf."""
    for suffix in ("", "-wal"):
        shutil.copy(data / f"postillon.db{suffix}", folder / f"copy.db{suffix}")
    rows = apsw.Connection(str(folder / "copy.db")).execute(
        "SELECT pageno, name, pagetype FROM dbstat"
    )
    return {page: f"{name} {kind}" for page, name, kind in rows}  # type: ignore[misc]


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--messages", type=int, default=8_000, help="before, and as many measured")
    parser.add_argument("--size", type=int, default=10_240, help="octets of a message")
    parser.add_argument("--mailboxes", type=int, default=100)
    options = parser.parse_args()
    options.no_pipelining = options.distinct = False
    with tempfile.TemporaryDirectory(prefix="postillon-bench-") as name:
        folder = Path(name)
        accounts = [f"box{n}@example.org" for n in range(options.mailboxes)]
        settings = {"store": f"checkpoint_octets = {NEVER}"}
        with Server(
            folder, workers=options.workers, logins=accounts, log_level=None, settings=settings
        ) as server:
            wal, packs = server.data / "postillon.db-wal", server.data / "packs"
            send(server, options, range(1, 1 + options.messages), "warm")
            time.sleep(0.5)
            skipped = len(frames(wal)[0])
            before = size_of(packs), server.log_file.stat().st_size, *usage(server.process.pid)
            result = send(server, options, range(10_000_000, 10_000_000 + options.messages), "load")
            time.sleep(0.5)
            after = size_of(packs), server.log_file.stat().st_size, *usage(server.process.pid)
            found, page = frames(wal)
            owner = owners(server.data, folder)
        count = len(result.acknowledged)
        report(found[skipped:], page, owner, count)
        pack, log, cpu, written = (now - then for now, then in zip(after, before, strict=True))
        print(f"{pack / count:8.0f}  pack")
        print(f"{log / count:8.0f}  log file")
        print(f"{written / count:8.0f}  written in all, without checkpoints")
        print(f"{cpu / count * 1000:8.3f}  ms CPU")


def report(found: list[tuple[int, int]], page: int, owner: dict[int, str], count: int) -> None:
    batches = sum(1 for _, committed in found if committed)
    frame = page + FRAME_HEADER
    print(f"octets per message; {count} messages, {count / batches:.1f} a batch, pages of {page}")
    print(f"{len(found) * frame / count:8.0f}  the database's log")
    for name, pages in Counter(owner.get(number, "free") for number, _ in found).most_common(20):
        print(f"{pages * frame / count:8.0f}    {name}, {pages / batches:.1f} pages a batch")
    print(f"{len({number for number, _ in found}) * page / count:8.0f}  a checkpoint of all this")


if __name__ == "__main__":
    main()
