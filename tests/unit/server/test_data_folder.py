"""One folder, one server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from postillon.server.data_folder import FolderInUse, lock_folder, make_folder

HOLD = """
import os, sys
from pathlib import Path
from postillon.server.data_folder import lock_folder
lock = lock_folder(Path(sys.argv[1]))
if sys.argv[2] == "child":
    os.set_inheritable(lock, True)
    if os.fork() == 0:
        sys.stdin.read()
        os._exit(0)
    print("held", flush=True)
    os._exit(0)
print("held", flush=True)
sys.stdin.read()
"""


def hold(folder: Path, how: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_server_is_refused_at_once_and_told_who_it_is(tmp_path: Path) -> None:
    make_folder(tmp_path)
    with hold(tmp_path, "self") as process:
        with pytest.raises(FolderInUse, match=str(process.pid)):
            lock_folder(tmp_path)
        process.kill()
    os.close(lock_folder(tmp_path))


def test_a_successor_waits_for_the_workers_of_a_dead_supervisor(tmp_path: Path) -> None:
    make_folder(tmp_path)
    with hold(tmp_path, "child") as process:
        process.wait()
        with pytest.raises(FolderInUse):
            lock_folder(tmp_path, wait_s=0)
        assert process.stdin is not None
        process.stdin.close()  # the worker sees the end of its pipe
        os.close(lock_folder(tmp_path, wait_s=10))


def test_new_folders_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "data"
    make_folder(folder)
    make_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "run").stat().st_mode & 0o777 == 0o700
