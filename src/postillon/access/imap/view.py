"""What one session has been told of a mailbox: the truth about its sequence numbers.

The view changes only when the client is told so. `learn` takes in what has changed in the store,
`tell` gives the responses that are due and makes them part of the view. While a command runs in which
EXPUNGE is forbidden (RFC 3501 section 7.4.1), removed messages keep their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from postillon.access.imap.contexts import Context
from postillon.access.imap.uids import Uids
from postillon.account.account import Account
from postillon.account.changes import MailboxChanges, Placement
from postillon.account.ids import MailboxId
from postillon.account.ranges import MAX_UID
from postillon.account.rights import ALL, Right
from postillon.protocol.imap.numbers import SAVED, Ranges, resolve


@dataclass(slots=True)
class News:
    """What the client must be told now, in this order."""

    expunged: list[int] = field(default_factory=list)  # sequence numbers, largest first
    vanished: list[int] = field(default_factory=list)  # the UIDs of these, ascending
    exists: int | None = None  # None: no message has come
    arrived: int = 0  # the messages that have come have this UID or higher ones; 0: none
    changed: list[tuple[int, Placement]] = field(default_factory=list)  # with sequence numbers

    def __bool__(self) -> bool:
        return bool(self.expunged or self.changed) or self.exists is not None


class View:
    """A selected mailbox."""

    account: Account

    __slots__ = (
        "_changed",
        "_come",
        "_gone",
        "_own",
        "_told",
        "account",
        "contexts",
        "keywords",
        "mailbox",
        "modseq",
        "read_only",
        "recent",
        "recent_until",
        "rights",
        "saved",
        "touched",
        "uid_next",
        "uid_validity",
        "uids",
    )  # fmt: skip

    def __init__(
        self,
        mailbox: MailboxId,
        uids: Sequence[int],
        *,
        modseq: int,
        uid_next: int,
        uid_validity: int,
        read_only: bool = False,
        recent: int = 0,
        account: Account | None = None,
        rights: Right = ALL,
    ) -> None:
        """account: whose mailbox it is; None only where nothing is asked of it."""
        self.mailbox = mailbox
        self.rights = rights  # when it was opened
        if account is not None:
            self.account = account
        self.uids = Uids(uids)
        self.modseq = modseq  # all up to it is in the view or waits to be told
        self.uid_next = max(uid_next, self.uids.last + 1)
        self.uid_validity = uid_validity
        self.read_only = read_only
        self.recent = recent or self.uid_next  # UIDs from it on are \Recent here
        self.recent_until = self.uid_next  # UIDs below are claimed, those from it on only seen
        self.saved: list[tuple[int, int]] = []  # UIDs of the last SEARCH with SAVE: `$` (RFC 5182)
        self.contexts: dict[str, Context] = {}  # results that are kept, by tag (RFC 5267)
        self.touched: set[int] = set()  # UIDs that have come or changed since these were renewed
        self.keywords: frozenset[str] = frozenset()  # the client has been told that they exist
        self._gone: set[int] = set()  # removed, and the client does not know
        self._told = self.uids.last  # the highest UID that the client has been told of
        self._come = False  # messages have been added, and the client does not know
        self._changed: dict[int, Placement] = {}  # by UID
        self._own: dict[int, int] = {}  # UID to MODSEQ of changes the client knows of already

    @property
    def highest(self) -> int:
        """HIGHESTMODSEQ, which is never 0 (RFC 7162 section 3.1.2)."""
        return max(self.modseq, 1)

    @property
    def other(self) -> int:
        """The account where it is not one's own, else 0: what object ids need."""
        return 0 if self.account.own else self.account.id

    def forget_recent(self) -> None:
        """IMAP4rev2 has no \\Recent (RFC 9051 appendix E)."""
        self.recent = MAX_UID + 1

    # Numbers

    @property
    def exists(self) -> int:
        return len(self.uids)

    @property
    def recent_count(self) -> int:
        return len(self.uids) - self.uids.below(self.recent)

    def number(self, uid: int) -> int:
        """The sequence number of a UID, or 0 when it is not in the view."""
        return self.uids.number(uid)

    def pick(self, ranges: Ranges, *, uid: bool) -> tuple[list[tuple[int, int]], int]:
        """UID ranges for what a command names, and how many messages of the view they hold.

        Raises ValueError for a sequence number that does not exist.
        """
        uids = self.uids
        if ranges == SAVED:
            uid, resolved = True, self.saved
        else:
            resolved = resolve(ranges, uids.last if uid else len(uids))
        if not uid:
            found: list[tuple[int, int]] = []
            count = 0
            for low, high in resolved:
                if high > len(uids):
                    raise ValueError("no such message")
                found.append((uids[low - 1], uids[high - 1]))
                count += high - low + 1
            # Empty only for `*` in an empty mailbox.
            if not found:
                raise ValueError("no such message")
            return found, count
        found, count = [], 0
        for low, high in resolved:
            first, last = uids.below(low), uids.below(high + 1)
            if first < last:
                found.append((uids[first], uids[last - 1]))
                count += last - first
        return found, count

    def portions(
        self, ranges: Sequence[tuple[int, int]], size: int
    ) -> Iterator[tuple[list[tuple[int, int]], int, int]]:
        """UID ranges cut so that each portion holds at most `size` messages of the view.

        Yields the ranges, the index of their first message, and how many messages they hold.
        """
        uids = self.uids
        portion: list[tuple[int, int]] = []
        start = held = 0
        for low, high in ranges:
            first, last = uids.below(low), uids.below(high + 1)
            while first < last:
                if not portion:
                    start = first
                take = min(last - first, size - held)
                portion.append((uids[first], uids[first + take - 1]))
                held += take
                first += take
                if held == size:
                    yield portion, start, held
                    portion, held = [], 0
        if portion:
            yield portion, start, held

    # Changes

    def learn(self, changes: MailboxChanges, uids: Sequence[int] | None = None) -> None:
        """Take in what has changed since `modseq`.

        uids: all that are there now; must be given when the changes are not complete.
        """
        last = self.uids.last
        if uids is not None:
            there = set(uids)
            self._gone.update(uid for uid in self.uids if uid not in there)
            come = [uid for uid in uids if uid > last]
        else:
            for uid in changes.vanished:
                if self.number(uid):
                    self._gone.add(uid)
                self._changed.pop(uid, None)
                self._own.pop(uid, None)
            come = [item.uid for item in changes.created if item.uid > last]
        if come:
            self.uids.extend(come)
            self._come = True
        if self.contexts:
            self.touched.update(come, (item.uid for item in changes.changed))
        for item in changes.changed:
            if self._own.get(item.uid) != item.modseq:
                self._changed[item.uid] = item
            else:
                self._changed.pop(item.uid, None)
        self.modseq = max(self.modseq, changes.modseq)
        self.uid_next = max(self.uid_next, changes.uid_next, self.uids.last + 1)
        if self._own:
            self._own = {uid: m for uid, m in self._own.items() if m > self.modseq}

    def lose(self) -> None:
        """The mailbox has been deleted: all its messages are gone."""
        self._gone.update(self.uids)

    def own(self, placements: Sequence[Placement], *, told: bool) -> None:
        """This session has made these states; it tells the client, or does not need to (.SILENT).

        What somebody else has changed before and the client does not know is told all the same.
        """
        for item in placements:
            if not told and item.uid in self._changed:
                self._changed[item.uid] = item
                continue
            self._changed.pop(item.uid, None)
            if item.modseq > self.modseq:
                self._own[item.uid] = item.modseq

    def tell(
        self, *, expunge: bool, leaving: Callable[[Sequence[int]], None] | None = None
    ) -> News:
        """What is due. With `expunge` False removed messages stay in the view and keep their number.

        leaving: called with the UIDs of those that lose their numbers, right before that.
        """
        news = News()
        unheard = {uid for uid in self._gone if uid > self._told}
        if unheard:  # came and went before the client heard of it: it never was there
            self.uids = self.uids.without(unheard)
            self._gone -= unheard
        if expunge and self._gone:
            uids = self.uids
            news.vanished = sorted(self._gone)
            if self.contexts and leaving is not None:
                leaving(news.vanished)
            news.expunged = [uids.number(uid) for uid in reversed(news.vanished)]
            self.uids = uids.without(self._gone)
            for uid in self._gone:
                self._changed.pop(uid, None)
            self._gone = set()
        if self._come:
            self._come = False
            news.exists = len(self.uids)
            if self.uids.last > self._told:
                news.arrived = self._told + 1
            self._told = max(self._told, self.uids.last)
        if self._changed:
            for uid in sorted(self._changed):
                number = self.number(uid)
                if number and uid not in self._gone:
                    news.changed.append((number, self._changed[uid]))
            self._changed = {}
        return news
