"""Keeping results true: what has come or changed is searched once more (RFC 5267 section 4.3)."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import TYPE_CHECKING

from postillon.access.imap.contexts import (
    MAX_FOUND,
    MAX_SORTED,
    Context,
    give_up,
    remove,
    say,
    written,
)
from postillon.access.imap.search import find
from postillon.access.imap.sorting import in_order
from postillon.protocol.imap import commands, numbers

if TYPE_CHECKING:
    from postillon.access.imap.session import Session


async def renew(session: Session) -> None:
    """Search what has come or changed once more, and say what that means for the results."""
    view = session.selected
    touched, view.touched = sorted(uid for uid in view.touched if view.number(uid)), set()
    if not touched:
        return
    among = commands.Numbered(True, tuple(numbers.join(touched)))
    for tag, context in list(view.contexts.items()):
        result = await find(session, view, commands.All((among, context.search.key)))
        found = {uid for _, uid in result.found}
        remove(
            session, tag, context,
            {uid for uid in touched if uid not in found and context.has(uid)},
        )  # fmt: skip
        new = [uid for uid in sorted(found) if not context.has(uid)]
        if not new:
            continue
        kept = sum(len(one.uids) for one in view.contexts.values())
        if kept + len(new) > MAX_FOUND or (context.keys and len(context.uids) >= MAX_SORTED):
            del view.contexts[tag]
            give_up(session, tag)
        elif context.keys:
            await _add_sorted(session, tag, context, new)
        else:
            for uid in new:
                insort(context.uids, uid)
            say(session, tag, context, b"ADDTO", b"0 " + written(view, context, new))


async def _add_sorted(session: Session, tag: str, context: Context, new: Sequence[int]) -> None:
    """Each with the place it takes, in the order in which they are put in (section 4.3.1)."""
    view = session.selected
    context.uids = await in_order(session, [*context.uids, *new], context)
    come = set(new)
    pairs = [
        b"%d %b" % (place, written(view, context, [uid]))
        for place, uid in enumerate(context.uids, 1)
        if uid in come
    ]
    say(session, tag, context, b"ADDTO", b" ".join(pairs))
