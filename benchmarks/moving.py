"""Import, export, backup, restore and verification of one mailbox: rate, CPU and memory of each.

    python benchmarks/moving.py [--messages 20000] [--size 10240]

Each step is the command as an administrator types it, start of Python included, on a server that is not
running. CPU and memory are the kernel's accounting of that process.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ADA, BOB = "ada@example.org", "bob@example.net"
FROM = "From ada@example.org Thu Nov 26 10:15:00 2026\n"


@dataclass(frozen=True, slots=True)
class Run:
    """One command: seconds of the clock and of all cores, most memory in MiB."""

    name: str
    wall: float
    cpu: float
    memory: float


def write_mbox(path: Path, messages: int, size: int) -> int:
    """Messages of words, all different, about `size` octets each; returns the octets of the file."""
    dice = random.Random(20_261_125)
    words = [f"{dice.getrandbits(40):x}" for _ in range(5_000)]
    with path.open("w") as file:
        for n in range(messages):
            head = (
                f"{FROM}Return-Path: <ada@example.org>\nMessage-ID: <{n}@example.org>\n"
                "Date: Thu, 26 Nov 2026 10:15:00 +0000\nFrom: Ada <ada@example.org>\n"
                f"To: bob@example.net\nSubject: message {n}\nStatus: RO\nMIME-Version: 1.0\n"
                "Content-Type: text/plain; charset=utf-8\n\n"
            )
            lines = [" ".join(dice.choices(words, k=7)) for _ in range(size // 70)]
            file.write(head + "\n".join(lines) + "\n\n")
    return path.stat().st_size


def run(name: str, *arguments: str) -> Run:
    began = time.perf_counter()
    command = [sys.executable, "-m", "postillon.server.main", *arguments]
    child = os.spawnv(os.P_NOWAIT, sys.executable, command)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - began
    if status:
        raise SystemExit(f"{name} failed: {' '.join(command)}")
    return Run(name, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def measure(folder: Path, messages: int, size: int) -> tuple[list[Run], int]:
    from support.server import Server

    server = Server(folder / "server")
    source = folder / "inbox"
    octets = write_mbox(source, messages, size)
    config = ("--config", str(server.config_file), "--json")
    target = str(folder / "backups")
    runs = [
        run("import of an mbox", "import", ADA, str(source), *config),
        run("the same again", "import", ADA, str(source), *config),
    ]
    for kind in ("mbox", "maildir", "archive"):
        out = str(folder / kind)
        runs.append(run(f"export, {kind}", "export", ADA, out, f"--{kind}", *config))
    for kind in ("maildir", "archive"):
        out = str(folder / kind)
        runs.append(run(f"import of that {kind}", "import", BOB, out, "--into", kind, *config))
    runs += [
        run("backup", "backup", target, *config),
        run("second backup", "backup", target, *config),
        run("check of a backup", "backup", target, "--check", *config),
        run("restore of all", "restore", target, "--into", str(folder / "again"), *config),
        run("verify", "verify", *config),
    ]
    return runs, octets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=10_240)
    parser.add_argument("--folder", type=Path, help="where to work; default: a new temporary one")
    options = parser.parse_args()
    sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        runs, octets = measure(Path(name), options.messages, options.size)
    print(f"{options.messages:,} messages, {octets / 2**20:,.0f} MiB\n")
    print("| step | messages/s | MiB/s | CPU ms/message | memory MiB |")
    print("| --- | --- | --- | --- | --- |")
    for item in runs:
        print(
            f"| {item.name} | {options.messages / item.wall:,.0f} |"
            f" {octets / 2**20 / item.wall:,.0f} | {item.cpu / options.messages * 1000:.2f} |"
            f" {item.memory:.0f} |"
        )


if __name__ == "__main__":
    main()
