"""Stands in for a worker in tests of the supervisor: does as the file named by STUB_FOLDER/<role> says.

serve: be ready and wait for the end. fail: end at once. deaf: be ready and ignore SIGTERM.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    role = json.loads(sys.stdin.buffer.readline())["role"]
    folder = Path(os.environ["STUB_FOLDER"])
    order = (folder / role).read_text()
    with (folder / f"{role}.pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    if order == "fail":
        sys.exit(3)
    if order == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, lambda *_: (folder / f"{role}.reloaded").touch())
    os.write(1, b"ready\n")
    while os.read(0, 100):
        pass


if __name__ == "__main__":
    main()
