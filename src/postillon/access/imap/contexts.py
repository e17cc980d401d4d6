"""Results that stay true (CONTEXT=SEARCH and CONTEXT=SORT, RFC 5267 section 4).

A search with UPDATE leaves its result at the view. When the client is told of what has come or changed,
`renewing` searches that anew and says what enters or leaves the result.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postillon.access.imap.answer import Answer, ok
from postillon.protocol.imap import commands, numbers
from postillon.protocol.imap.writer import string

if TYPE_CHECKING:
    from postillon.access.imap.session import Session
    from postillon.access.imap.view import View

MAX_CONTEXTS = 10  # of one session; ours
MAX_FOUND = 100_000  # messages in all their results
MAX_SORTED = 5_000  # messages of a sorted result: it is sorted again for what comes


@dataclass(slots=True)
class Context:
    """A search and the UIDs that the client has been told are in its result."""

    search: commands.Search
    keys: tuple[tuple[commands.SortKey, bool], ...]  # of SORT; empty: in the order of the mailbox
    uids: list[int]  # ascending, or as sorted

    def has(self, uid: int) -> bool:
        if self.keys:
            return uid in self.uids
        at = bisect_left(self.uids, uid)
        return at < len(self.uids) and self.uids[at] == uid


def keep(
    session: Session,
    tag: str,
    search: commands.Search,
    uids: Sequence[int],
    keys: tuple[tuple[commands.SortKey, bool], ...] = (),
    *,
    whole: bool = True,
) -> None:
    """Hold a result that was asked for with UPDATE, or say that it will not be (section 4.3.3).

    whole: whether the whole mailbox was searched.
    """
    view = session.selected
    view.contexts.pop(tag, None)
    kept = sum(len(context.uids) for context in view.contexts.values())
    if (
        not whole
        or len(view.contexts) >= MAX_CONTEXTS
        or kept + len(uids) > MAX_FOUND
        or (keys and len(uids) > MAX_SORTED)
        or _by_number(search.key)
    ):
        give_up(session, tag)
        return
    view.contexts[tag] = Context(search, keys, list(uids))


def _by_number(key: commands.SearchKey) -> bool:
    """Whether sequence numbers are searched for, whose meaning changes, or what was saved."""
    match key:
        case commands.Numbered(uid, named):
            return not uid or named == numbers.SAVED
        case commands.Not(inner):
            return _by_number(inner)
        case commands.Either(keys) | commands.All(keys):
            return any(map(_by_number, keys))
    return False


def give_up(session: Session, tag: str) -> None:
    session.say(b"* NO [NOUPDATE %b] This result is not kept\r\n" % string(tag.encode()))


async def cancel(session: Session, command: commands.Command) -> Answer:
    """CANCELUPDATE: tags that mean nothing are no error (section 4.3.5)."""
    argument = command.argument
    assert isinstance(argument, commands.Cancel)
    for tag in argument.tags:
        session.selected.contexts.pop(tag, None)
    return ok()


def drop(session: Session, gone: Sequence[int]) -> None:
    """Say of messages that leave the results, while they still have their numbers (section 4.3.2)."""
    view = session.selected
    for tag, context in view.contexts.items():
        remove(session, tag, context, {uid for uid in gone if context.has(uid)})


def remove(session: Session, tag: str, context: Context, gone: set[int]) -> None:
    if not gone:
        return
    view = session.selected
    if context.keys:
        pairs: list[bytes] = []
        for place, uid in reversed(list(enumerate(context.uids, 1))):  # the others keep their place
            if uid in gone:
                pairs.append(b"%d %b" % (place, written(view, context, [uid])))
        text = b" ".join(pairs)
    else:
        text = b"0 " + written(view, context, sorted(gone))
    context.uids = [uid for uid in context.uids if uid not in gone]
    say(session, tag, context, b"REMOVEFROM", text)


def written(view: View, context: Context, uids: Sequence[int]) -> bytes:
    found = uids if context.search.uid else [view.number(uid) for uid in uids]
    return numbers.write(numbers.join(found))


def say(session: Session, tag: str, context: Context, word: bytes, text: bytes) -> None:
    uid = b" UID" if context.search.uid else b""
    session.say(b"* ESEARCH (TAG %b)%b %b (%b)\r\n" % (string(tag.encode()), uid, word, text))
