"""The store against a plain model: any order of writes, failures, restarts, kills and maintenance."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from postillon.setting import KIB
from postillon.store.checkpoint import checkpoint
from postillon.store.compact import Compactor, remove_retired, sweep
from postillon.store.config import StoreConfig
from postillon.store.operation import Brief, NewBlob, Steps, Tx
from postillon.store.sqlite import open_store
from postillon.store.verify import verify
from support import mailrows

ACCOUNTS = 3
CONFIG = StoreConfig(
    pack_octets=64 * KIB, batch_operations=4, batch_octets=30_000, grace=timedelta(0), garbage=10
)
CONTENTS = st.builds(
    lambda seed, length: (seed * (length // len(seed) + 1))[:length],
    st.binary(min_size=1, max_size=8),
    st.sampled_from([0, 1, 100, 600, 5_000, 20_000]),
)
ACCOUNT = st.integers(1, ACCOUNTS)


class Refused(Exception):
    """What an operation raises on purpose."""


class StoreMachine(RuleBasedStateMachine):
    """The model: a dictionary of contents, and for each account the UIDs that were given."""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.number = 0
        self.model: dict[tuple[int, int], bytes] = {}
        self.uids: dict[int, int] = dict.fromkeys(range(1, ACCOUNTS + 1), 0)
        self.open()
        self.runner.run(self.store.write(mailrows.accounts(ACCOUNTS)))

    def open(self) -> None:
        self.store = self.runner.run(open_store(self.path, CONFIG, owner="w0"))
        self.compactor = Compactor(self.store)

    @property
    def path(self) -> Path:
        return self.folder / str(self.number)

    def note(self, placed: mailrows.Put, content: bytes) -> None:
        assert placed.uid > self.uids[placed.account]
        self.uids[placed.account] = placed.uid
        self.model[(placed.account, placed.email)] = content

    @rule(account=ACCOUNT, content=CONTENTS, brief=st.booleans())
    def put(self, account: int, content: bytes, brief: bool) -> None:
        operation = mailrows.put(account, content)
        if brief:
            operation = Brief(operation)
        self.note(self.runner.run(self.store.write(operation, NewBlob(content, b"env"))), content)

    @rule(
        many=st.lists(st.tuples(ACCOUNT, CONTENTS, st.booleans()), min_size=2, max_size=9),
        brief=st.booleans(),
    )
    def put_many_at_once(self, many: list[tuple[int, bytes, bool]], brief: bool) -> None:
        """Those with True fail after their statements and leave nothing."""

        def failing(account: int, content: bytes):  # type: ignore[no-untyped-def]
            def operation(tx: Tx) -> Steps[mailrows.Put]:
                yield from mailrows.put(account, content)(tx)
                raise Refused

            return operation

        as_is = Brief if brief else (lambda operation: operation)

        async def together() -> list[mailrows.Put | BaseException]:
            return await asyncio.gather(
                *(
                    self.store.write(
                        as_is((failing if fails else mailrows.put)(account, content)),
                        NewBlob(content),
                    )
                    for account, content, fails in many
                ),
                return_exceptions=True,
            )

        for (_, content, fails), result in zip(many, self.runner.run(together()), strict=True):
            assert isinstance(result, Refused if fails else mailrows.Put)
            if isinstance(result, mailrows.Put):
                self.note(result, content)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        assert self.runner.run(self.store.write(mailrows.remove(*key)))
        del self.model[key]

    @rule()
    def restart(self) -> None:
        self.runner.run(self.store.close())
        self.open()

    @rule()
    def kill(self) -> None:
        """Go on from a copy of what is there, as a new process would after a kill."""
        copy = self.folder / str(self.number + 1)
        shutil.copytree(self.path, copy)
        self.runner.run(self.store.close())
        shutil.rmtree(self.path)
        self.number += 1
        self.open()

    @rule()
    def maintain(self) -> None:
        async def maintain() -> None:
            await checkpoint(self.store, force=True)
            await self.compactor.compact_once()
            await remove_retired(self.store)
            await sweep(self.store)

        self.runner.run(maintain())

    @invariant()
    def the_store_is_what_the_model_says(self) -> None:
        assert mailrows.contents(self.store) == self.model

    def teardown(self) -> None:
        if hasattr(self, "store"):
            assert self.runner.run(verify(self.store)) == []
            self.runner.run(self.store.close())
            self.runner.close()
            shutil.rmtree(self.folder)


StoreMachine.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestStore = StoreMachine.TestCase
