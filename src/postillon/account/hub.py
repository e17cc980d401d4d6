"""Who wants to hear that an account has changed: IDLE, and later push and streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from postillon.account.ids import AccountId, ModSeq

Listener = Callable[[ModSeq], None]


class Hub:
    """Listeners by account. Called in the loop's thread, after the change is durable (I2)."""

    def __init__(self) -> None:
        self._listeners: dict[int, dict[int, Listener]] = {}
        self._next = 0

    def subscribe(self, account: AccountId, listener: Listener) -> Callable[[], None]:
        """Have `listener` called with each new MODSEQ. Returns what ends that; may be called twice.

        A listener must return at once and raise nothing: it sets an event or starts a task.
        """
        self._next += 1
        number = self._next
        self._listeners.setdefault(account, {})[number] = listener

        def unsubscribe() -> None:
            listeners = self._listeners.get(account)
            if listeners is None:
                return
            listeners.pop(number, None)
            if not listeners:
                del self._listeners[account]

        return unsubscribe

    def notify(self, changes: Sequence[tuple[int, int]]) -> None:
        """Pass on (account, MODSEQ) pairs of a batch, of this worker or another."""
        for account, modseq in changes:
            listeners = self._listeners.get(account)
            if listeners:
                for listener in list(listeners.values()):
                    listener(ModSeq(modseq))

    def notify_all(self) -> None:
        """Hints were lost: have everybody look (MODSEQ 0)."""
        for listeners in list(self._listeners.values()):
            for listener in list(listeners.values()):
                listener(ModSeq(0))
