"""Where the processes run."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from postillon.server.process import keep_to_core, settle_memory
from postillon.server.sections import ServerConfig

CORES = os.sched_getaffinity(0)


def apart(call: Callable[[], set[int]]) -> set[int]:
    """In a thread of its own, whose cores nobody else inherits."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def kept(role: str, config: ServerConfig) -> set[int]:
    def call() -> set[int]:
        keep_to_core(role, config)
        return os.sched_getaffinity(0)

    return apart(call)


def test_each_worker_has_a_core_of_its_own() -> None:
    config = ServerConfig(workers=len(CORES))
    found = [kept(f"w{n}", config) for n in range(len(CORES))]
    assert [len(cores) for cores in found] == [1] * len(CORES)
    assert set().union(*found) == CORES


@pytest.mark.parametrize(
    ("role", "config"),
    [
        ("m", ServerConfig(workers=1)),
        ("w0", ServerConfig(workers=len(CORES) + 1)),
        ("w0", ServerConfig(workers=1, own_cores=False)),
    ],
)
def test_others_run_where_they_may(role: str, config: ServerConfig) -> None:
    assert kept(role, config) == CORES


def test_a_thread_that_takes_no_turns_may_use_all_cores() -> None:
    def call() -> set[int]:
        spread = keep_to_core("w0", ServerConfig(workers=1))
        spread()
        return os.sched_getaffinity(0)

    assert apart(call) == CORES


def test_what_is_there_after_the_start_is_not_looked_through_again() -> None:
    kept = [[object()] for _ in range(10)]
    try:
        settle_memory()
        assert gc.get_freeze_count() > len(kept)
        assert not any(item is one for one in kept for item in gc.get_objects())
    finally:
        gc.unfreeze()
