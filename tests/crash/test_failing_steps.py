"""Let the disk fail at each step in turn: nothing acknowledged is lost, nothing refused remains."""

from __future__ import annotations

import asyncio
import errno
import shutil
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from postillon.setting import KIB
from postillon.store.checkpoint import checkpoint
from postillon.store.compact import Compactor, remove_retired, sweep
from postillon.store.config import StoreConfig
from postillon.store.operation import Brief, NewBlob, StoreError, StoreStopped
from postillon.store.sqlite import open_store
from postillon.store.verify import verify
from support import mailrows
from support.faults import FailingFiles, FailingVfs, Fault
from support.mailrows import Put

CONFIG = StoreConfig(pack_octets=64 * KIB, grace=timedelta(0), garbage=10)
MOST_STEPS = 1_000
IN_THREAD = (1, 20)  # put as operations that the store's own thread runs
_names = count()


class Promises:
    """What the scenario was told."""

    def __init__(self) -> None:
        self.put: dict[bytes, Put] = {}
        self.refused: set[bytes] = set()
        self.unknown: set[bytes] = set()  # the store stopped: either is right
        self.removed: set[bytes] = set()


def content_of(n: int) -> bytes:
    return bytes([n]) * (9_000 + n)


async def scenario(folder: Path, fault: Fault, promises: Promises) -> None:
    name = f"failing-{next(_names)}"
    vfs = FailingVfs(name, fault)
    try:
        store = await open_store(folder, CONFIG, owner="w0", files=FailingFiles(fault), vfs=name)
    except StoreError:
        vfs.unregister()
        return

    async def put(n: int) -> None:
        content = content_of(n)
        operation = mailrows.put(1, content)
        if n not in IN_THREAD:
            operation = Brief(operation)
        try:
            placed = await store.write(operation, NewBlob(content, b"envelope"))
        except StoreStopped:
            promises.unknown.add(content)
        except StoreError:
            promises.refused.add(content)
        else:
            promises.put[content] = placed

    async def remove(n: int) -> None:
        placed = promises.put.get(content_of(n))
        if placed is None:
            return
        promises.unknown.add(content_of(n))
        with suppress(StoreError):
            await store.write(mailrows.remove(1, placed.email))
            promises.unknown.discard(content_of(n))
            promises.removed.add(content_of(n))

    for n in range(3):
        await put(n)
    await asyncio.gather(*(put(n) for n in range(3, 10)))
    with suppress(StoreError):
        await checkpoint(store, force=True)
    for n in range(5):
        await remove(n)
    compactor = Compactor(store)
    for step in (compactor.compact_once, lambda: remove_retired(store), lambda: sweep(store)):
        with suppress(StoreError):
            await step()
    await put(20)
    with suppress(StoreError):
        await checkpoint(store, force=True)
    await put(21)
    await store.close()
    vfs.unregister()


async def check(folder: Path, promises: Promises) -> None:
    store = await open_store(folder, CONFIG, owner="w0")
    try:
        problems = [f for f in await verify(store) if "a sweep removes it" not in f.problem]
        assert problems == []
        there = set(mailrows.contents(store).values())
        sure = promises.put.keys() - promises.unknown - promises.removed
        assert sure <= there
        assert not promises.removed & there
        assert not (promises.refused - promises.unknown) & there
        await sweep(store)
        assert await verify(store) == []
        after = content_of(30)
        await store.write(mailrows.put(1, after), NewBlob(after))
        assert after in mailrows.contents(store).values()
    finally:
        await store.close()


KINDS = [(errno.EIO, 1), (errno.ENOSPC, 1), (errno.ENOSPC, 12), (errno.EIO, MOST_STEPS)]


@pytest.mark.parametrize("kind", range(len(KINDS)))
async def test_a_failure_at_any_step(tmp_path: Path, kind: int) -> None:
    """Each step fails in one of the ways; the long form tries every way at each."""
    await fail_at(tmp_path, *KINDS[kind], first=1 + kind, stride=len(KINDS))


@pytest.mark.torture
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", range(len(KINDS)))
async def test_every_failure_at_any_step(tmp_path: Path, kind: int) -> None:
    await fail_at(tmp_path, *KINDS[kind], first=1, stride=1)


async def fail_at(tmp_path: Path, error: int, times: int, *, first: int, stride: int) -> None:
    prepared = tmp_path / "prepared"
    store = await open_store(prepared, CONFIG, owner="w0")
    await store.write(mailrows.accounts(1))
    await store.close()
    for at in range(first, MOST_STEPS, stride):
        folder = tmp_path / f"at-{at}"
        shutil.copytree(prepared, folder)
        fault = Fault(at, error, times)
        promises = Promises()
        await scenario(folder, fault, promises)
        fault.armed = False
        try:
            await check(folder, promises)
        except BaseException as broken:
            broken.add_note(f"failed at step {at}: {fault.failed[:3]}")
            raise
        if not fault.failed:
            assert len(promises.put) == 12
            return
        shutil.rmtree(folder)
    pytest.fail("the scenario never ends")
