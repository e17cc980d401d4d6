"""What an administrator orders at the office of support.mailqueue."""

from __future__ import annotations

from typing import Any

from postillon.queue.ids import QueueId
from postillon.queue.selection import FIRST, Selection
from postillon.queue.verbs import Order, Verb, next_batch
from support.mailqueue import Office


async def order(
    here: Office, verb: Verb, *messages: QueueId, selection: Selection | None = None, **more: Any
) -> int:
    """Have an administrator's verb done to messages or a selection; how many recipients it was."""
    meant = Selection(ids=messages) if selection is None else selection
    given = Order(verb=verb, selection=meant, who="root", **more)
    number, after = 0, FIRST
    while (done := await next_batch(here.store, given, after)) is not None:
        number, after = number + done.recipients, done.last
    return number
