"""Pull the plug at any moment: what was acknowledged is there, and nothing is broken.

The controls leave out one safeguard and must lose mail, or the simulation proves nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from postillon.setting import KIB
from postillon.store import commit, recovery
from postillon.store.checkpoint import checkpoint
from postillon.store.compact import Compactor, remove_retired, sweep
from postillon.store.config import StoreConfig
from postillon.store.files import OsFiles
from postillon.store.large import LargeWriter
from postillon.store.operation import BlobLost, Brief, NewBlob
from postillon.store.sqlite import SqliteStore, open_store
from postillon.store.verify import verify
from support import mailrows
from support.mailrows import Put
from support.powercut import Recorder

ACCOUNTS = 4
CONFIG = StoreConfig(
    pack_octets=64 * KIB, batch_operations=8, grace=timedelta(0), garbage=10, page_cache=64 * KIB
)
_names = count()


class NextBoot(OsFiles):
    def boot_id(self) -> str:
        return "boot-2"


async def work(
    stores: Sequence[SqliteStore], recorder: Recorder, producers: int, rounds: int, seed: int
) -> None:
    """Deliver and remove, with checkpoints and compaction in between; note what was promised.

    stores: those of the workers, all on one folder; the first one's process also maintains it.
    """

    async def produce(store: SqliteStore, chance: random.Random) -> None:
        mine: list[Put] = []
        for _ in range(rounds):
            if mine and chance.random() < 0.3:
                doomed = mine.pop(chance.randrange(len(mine)))
                recorder.acknowledged(("removing", doomed))
                await store.write(mailrows.remove(doomed.account, doomed.email))
                recorder.acknowledged(("removed", doomed))
                continue
            content = chance.randbytes(chance.choice((0, 1, 300, 3_000, 12_000)))
            account = chance.randrange(ACCOUNTS) + 1
            blob = NewBlob(content, b"envelope")
            if content and chance.random() < 0.15:
                writer = LargeWriter(store.folder / "run")
                writer.write([content])
                blob = NewBlob(writer.finish())
            placed = await store.write(Brief(mailrows.put(account, content)), blob)
            recorder.acknowledged(("put", placed))
            mine.append(placed)

    async def maintain() -> None:
        store = stores[0]
        compactor = Compactor(store)
        for _ in range(3):
            for _ in range(rounds // 4):
                await store.write(lambda tx: mailrows.held())
            await checkpoint(store, force=True)
            await compactor.compact_once()
            await remove_retired(store)
            await sweep(store)

    async with asyncio.TaskGroup() as group:
        for n in range(producers):
            store = stores[n % len(stores)]
            group.create_task(produce(store, random.Random(seed * 1000 + n)))
        group.create_task(maintain())


async def record(folder: Path, *, rounds: int, seed: int, workers: int = 1, **how: Any) -> Recorder:
    """how: of the Recorder, what is different from a sound disk."""
    store = await open_store(folder / "store", CONFIG, owner="w0")
    await store.write(mailrows.accounts(ACCOUNTS))
    await store.close()
    recorder = Recorder(folder / "store", folder / "base", **how)
    name = f"recorder-{next(_names)}"
    vfs = recorder.vfs(name)
    stores = [
        await open_store(folder / "store", CONFIG, owner=f"w{n}", files=recorder, vfs=name)
        for n in range(workers)
    ]
    await work(stores, recorder, producers=4 + workers, rounds=rounds, seed=seed)
    for store in stores:
        await store.close()
    vfs.unregister()
    return recorder


async def losses_after(
    recorder: Recorder,
    cut: int,
    target: Path,
    chance: random.Random,
    workers: int,
    **kept: Any,
) -> list[str]:
    """Cut, start again, and say what of the promises is broken."""
    recorder.disk_after(cut, target, chance, **kept)
    promised: dict[tuple[int, int], Put] = {}
    removed: set[tuple[int, int]] = set()
    seen_uid = dict.fromkeys(range(1, ACCOUNTS + 1), 0)
    for event in recorder.events[:cut]:
        if event.kind != "acknowledged":
            continue
        word, placed = event.what
        key = (placed.account, placed.email)
        if word == "put":
            promised[key] = placed
            seen_uid[placed.account] = max(seen_uid[placed.account], placed.uid)
        elif word == "removing":
            promised.pop(key)  # until it is acknowledged, both are right
        else:
            removed.add(key)
    stores = [
        await open_store(target, CONFIG, owner=f"w{n}", files=NextBoot()) for n in range(workers)
    ]
    store = stores[0]
    try:
        broken = [f"{f.kind} {f.where}: {f.problem}" for f in await verify(store)
                  if "a sweep removes it" not in f.problem]  # fmt: skip
        there = store.read(mailrows.held())
        for key, placed in promised.items():
            if key not in there:
                broken.append(f"lost: {placed}")
            elif there[key][1] != placed.digest or there[key][0] != placed.uid:
                broken.append(f"changed: {placed}")
        broken += [f"back again: {key}" for key in removed & there.keys()]
        for _, digest, ref in there.values():
            try:
                if hashlib.sha256(store.content(ref)).digest() != digest:
                    broken.append(f"other octets: {ref}")
            except BlobLost as error:
                broken.append(f"no octets: {error}")
        for account, uid in seen_uid.items():
            placed = await store.write(mailrows.put(account, b"after"), NewBlob(b"after"))
            if placed.uid <= uid:
                broken.append(f"UID {placed.uid} of account {account} given twice")
    finally:
        for store in stores:
            await store.close()
    return broken


async def cuts(
    recorder: Recorder, folder: Path, number: int, seed: int, workers: int = 1
) -> list[str]:
    chance = random.Random(seed)
    broken: list[str] = []
    for n in range(number):
        cut = chance.randrange(len(recorder.events) + 1)
        broken += [
            f"cut {cut} (seed {seed}, number {n}): {problem}"
            for problem in await losses_after(recorder, cut, folder / f"cut-{n}", chance, workers)
        ]
    return broken


@pytest.mark.parametrize(("workers", "quick"), [(1, True), (1, False), (2, False)])
async def test_a_power_cut_loses_nothing_acknowledged_and_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, quick: bool
) -> None:
    """quick: pack and log are synced one after the other, else at the same time."""
    monkeypatch.setattr(commit, "QUICK_S", 60.0 if quick else -1.0)
    recorder = await record(tmp_path, rounds=16, seed=1, workers=workers)
    assert await cuts(recorder, tmp_path, 40 // (workers + 1), seed=1, workers=workers) == []


@pytest.mark.parametrize("first", ["-wal", ".pack"])
async def test_a_cut_while_a_pack_is_compacted_keeps_its_mail_whichever_file_was_faster(
    tmp_path: Path, first: str
) -> None:
    """Rows that move to a copy are old mail: unlike new rows they may never lack their octets."""
    store = await open_store(tmp_path / "store", CONFIG, owner="w0")
    await store.write(mailrows.accounts(ACCOUNTS))
    contents = [bytes([n]) * 9_000 for n in range(10)]
    placed = [await store.write(mailrows.put(1, text), NewBlob(text)) for text in contents]
    for item in placed[1:7]:
        await store.write(mailrows.remove(1, item.email))
    await store.close()
    other = {"-wal": ".pack", ".pack": "-wal"}[first]
    recorder = Recorder(tmp_path / "store", tmp_path / "base", slow_sync=other)
    name = f"recorder-{next(_names)}"
    vfs = recorder.vfs(name)
    store = await open_store(tmp_path / "store", CONFIG, owner="w0", files=recorder, vfs=name)
    for item in (placed[0], *placed[7:]):
        recorder.acknowledged(("put", item))
    begun = len(recorder.events)
    assert await Compactor(store).compact_once() is not None
    await store.close()
    vfs.unregister()
    for cut in range(begun, len(recorder.events) + 1):
        target = tmp_path / f"cut-{cut}"
        kept = {first: 1.0, other: 0.0}
        assert await losses_after(recorder, cut, target, random.Random(cut), 1, kept=kept) == []
        shutil.rmtree(target)


@pytest.mark.parametrize("unsynced", ["-wal", ".pack"])
async def test_the_control_without_one_of_the_syncs_loses_mail(
    tmp_path: Path, unsynced: str
) -> None:
    recorder = await record(tmp_path, rounds=16, seed=2, skip_sync=unsynced)
    broken = await cuts(recorder, tmp_path, 20, seed=2)
    assert any("lost: " in problem for problem in broken)


async def test_the_control_without_the_check_of_tails_leaves_rows_without_octets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of the database is always faster than the pack, and the cut comes in between."""
    monkeypatch.setattr(recovery, "_forget_from", lambda *arguments: 0)
    recorder = await record(tmp_path, rounds=16, seed=1, slow_sync=".pack")
    syncs = [n for n, event in enumerate(recorder.events)
             if event.kind == "sync" and event.path.endswith(".pack")]  # fmt: skip
    kept = {"-wal": 1.0, ".pack": 0.0}
    broken = []
    for cut in syncs[2:7]:
        chance = random.Random(cut)
        target = tmp_path / f"cut-{cut}"
        broken += await losses_after(recorder, cut, target, chance, workers=1, kept=kept)
    assert any("no octets: " in problem for problem in broken)


@pytest.mark.torture
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("seed", range(10, 22))
async def test_many_power_cuts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, workers: int
) -> None:
    monkeypatch.setattr(commit, "QUICK_S", 60.0 if seed % 2 else -1.0)
    recorder = await record(tmp_path, rounds=60, seed=seed, workers=workers)
    assert await cuts(recorder, tmp_path, 100, seed=seed, workers=workers) == []
