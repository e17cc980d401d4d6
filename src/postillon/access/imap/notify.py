"""NOTIFY (RFC 5465): a client is told, unasked and at any time, of the mailboxes it has named.

What a session keeps is one line for each of these mailboxes, at most MAX_WATCHED, and how far in each
account it has looked. When something has changed, the change log says which mailboxes that was in.
Events of the selected mailbox are told by the session itself, out of its view.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postillon.access.imap import tree
from postillon.access.imap.answer import Answer, no, ok
from postillon.access.imap.tree import Entry, Tree
from postillon.account import metadata as kept
from postillon.account.account import Account
from postillon.account.changes import Kind
from postillon.account.errors import AccountNotFound, MailboxNotFound, NotAllowed
from postillon.account.ids import MailboxId
from postillon.account.rights import Right
from postillon.account.touched import OF_TREE
from postillon.protocol.imap import commands
from postillon.protocol.imap.commands import Event, EventGroup, Scope
from postillon.protocol.imap.writer import astring

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

MAX_WATCHED = 5_000  # mailboxes of one session; ours
MAX_ACCOUNTS = 50  # of others in which they lie; ours

Key = tuple[int, int]  # account, mailbox
_MESSAGES = frozenset((Event.MESSAGE_NEW, Event.FLAG_CHANGE))
_METADATA = frozenset((Event.MAILBOX_METADATA_CHANGE, Event.SERVER_METADATA_CHANGE))
_EVENTS = {
    Kind.CREATED: Event.MESSAGE_NEW,
    Kind.DELETED: Event.MESSAGE_EXPUNGE,
    Kind.MOVED: Event.MESSAGE_EXPUNGE,
    Kind.CHANGED: Event.FLAG_CHANGE,
    Kind.HIDDEN: Event.FLAG_CHANGE,
    Kind.SHOWN: Event.FLAG_CHANGE,
    Kind.SEEN: Event.FLAG_CHANGE,
}
_SELECTED = (Scope.SELECTED, Scope.SELECTED_DELAYED)
OVERFLOW = b"NOTIFICATIONOVERFLOW"


class Overflow(Exception):
    """More is to be watched than a session may watch."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the client knows of a mailbox that it has named."""

    name: str
    there: bool  # not only a name above others
    subscribed: bool
    events: frozenset[Event]
    account: Account


async def notify(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Notify)
    wanted = Notices(argument.groups)
    try:
        await wanted.begin(session)
    except Overflow:
        return no("That is too much to watch", OVERFLOW)
    session.notices = wanted
    if argument.status:
        await wanted.say_all(session)
    return ok()


class Notices:
    """What one client has asked for."""

    __slots__ = ("_accounts", "_annotations", "_groups", "_marks", "_seen", "selected")

    def __init__(self, groups: Sequence[EventGroup]) -> None:
        self._groups = [group for group in groups if group.source.scope not in _SELECTED]
        # The one of the selected mailbox; None: nothing is told of it unasked.
        self.selected = next((g for g in groups if g.source.scope in _SELECTED and g.events), None)
        self._accounts: dict[int, Account] = {}  # those that are looked into
        self._marks: dict[int, int] = {}  # their MODSEQs: what came before has been told
        self._seen: dict[Key, _Seen] = {}
        self._annotations: dict[Key, dict[str, int]] = {}  # what entries stand for, by name

    @property
    def accounts(self) -> Iterable[Account]:
        return self._accounts.values()

    @property
    def delayed(self) -> bool:
        """Whether an EXPUNGE of the selected mailbox waits for a command (section 6.1.2)."""
        return self.selected is None or self.selected.source.scope is Scope.SELECTED_DELAYED

    @property
    def flags(self) -> bool:
        """Whether changes of flags in the selected mailbox are told at all."""
        return self.selected is not None and Event.FLAG_CHANGE in self.selected.events

    async def begin(self, session: Session) -> None:
        """Look at what is there. Raises Overflow, BadName or Refused."""
        if not self._groups:
            return
        await self._mark(session.account)
        seen = await self._look(session, await Tree.of(session))
        for item in seen.values():
            if item.account.id not in self._marks:
                await self._mark(item.account)
        # What changed between looking and marking would be missed: so look once more.
        self._seen = await self._look(session, await Tree.of(session))
        if self._wants_metadata():
            for account in self._accounts.values():
                await self._learn_annotations(account)

    async def _mark(self, account: Account) -> None:
        if len(self._marks) > MAX_ACCOUNTS:
            raise Overflow
        self._accounts[account.id] = account
        self._marks[account.id] = (await account.facts()).modseq

    async def _look(self, session: Session, there: Tree) -> dict[Key, _Seen]:
        """All mailboxes that are named, each by the first group that does so (section 6)."""
        found: dict[Key, _Seen] = {}
        for group in self._groups:
            for name in tree.names_in(session, there, group.source):
                entry = there.entries.get(name)
                if entry is None:
                    continue
                key = entry.account.id, entry.mailbox.id
                if key in found:
                    continue
                found[key] = _Seen(
                    name,
                    entry.mailbox.selectable,
                    name in there.subscribed,
                    group.events,
                    entry.account,
                )
                if len(found) > MAX_WATCHED:
                    raise Overflow
        return {key: seen for key, seen in found.items() if seen.events}

    # Telling

    async def say_all(self, session: Session) -> None:
        """How all of them stand now, where events of messages were asked for (section 3.1)."""
        there = await Tree.of(session)
        for entry in there.entries.values():
            seen = self._seen.get((entry.account.id, entry.mailbox.id))
            if seen is not None and seen.events & _MESSAGES and not self._is_open(session, entry):
                await self._say_status(session, entry, seen)
                await session.breathe()

    async def tell(self, session: Session) -> None:
        """What has changed since it was told last."""
        for account in list(self._accounts.values()):
            if account.id not in self._marks:
                continue  # it was given up meanwhile
            try:
                touched = await account.touched(self._marks[account.id])
            except AccountNotFound:  # nothing in it is shared with us any more
                del self._accounts[account.id], self._marks[account.id]
                await self._tell_tree(session)
                continue
            if touched.modseq == self._marks[account.id]:
                continue
            self._marks[account.id] = touched.modseq
            if any(kinds & OF_TREE for kinds in touched.mailboxes.values()):
                await self._tell_tree(session)
            for mailbox, kinds in touched.mailboxes.items():
                if kinds & _EVENTS.keys():
                    await self._tell_messages(session, account, mailbox, kinds)
            if self._wants_metadata() and any(
                Kind.ANNOTATED in kinds for kinds in touched.mailboxes.values()
            ):
                await self._tell_annotations(session, account)

    async def _tell_messages(
        self, session: Session, account: Account, mailbox: MailboxId, kinds: frozenset[int]
    ) -> None:
        seen = self._seen.get((account.id, mailbox))
        if seen is None or not {_EVENTS[Kind(k)] for k in kinds & _EVENTS.keys()} & seen.events:
            return
        view = session.view
        if view is not None and (view.account.id, view.mailbox) == (account.id, mailbox):
            return
        try:
            item = await account.mailbox(mailbox)
        except (MailboxNotFound, NotAllowed):
            return
        await self._say_status(session, Entry(seen.name, account, item), seen)

    async def _say_status(self, session: Session, entry: Entry, seen: _Seen) -> None:
        """Sections 4 and 5.2: counts where messages come and go, MODSEQs where flags change."""
        if not entry.mailbox.selectable or Right.READ not in entry.mailbox.rights:
            return
        items = ["MESSAGES", "UIDNEXT", "UIDVALIDITY"]
        if Event.FLAG_CHANGE in seen.events:
            items.append("UNSEEN")
        if Event.FLAG_CHANGE in seen.events or session.condstore:
            items.append("HIGHESTMODSEQ")
        name = session.name_of(entry.name)
        await tree.say_status(session, entry.account, entry.mailbox, name, items, asked=False)

    async def _tell_tree(self, session: Session) -> None:
        """Mailboxes that came, went, were renamed, or are subscribed to or no more (5.4, 5.5)."""
        there = await Tree.of(session)
        try:
            new = await self._look(session, there)
        except Overflow:
            self._stop(session)
            return
        old, self._seen = self._seen, new
        for key, was in old.items():
            if key not in new and Event.MAILBOX_NAME in was.events:
                gone = b"\\NonExistent" if was.account.own else b"\\NoAccess"
                session.say(b'* LIST (%b) "/" %b\r\n' % (gone, session.name_of(was.name)))
        for key, now in new.items():
            before = old.get(key)
            renamed = before is not None and before.name != now.name
            changed = before is None or renamed or before.there != now.there
            turned = before is not None and before.subscribed != now.subscribed
            if (changed and Event.MAILBOX_NAME in now.events) or (
                turned and Event.SUBSCRIPTION_CHANGE in now.events
            ):
                words = tree.attributes_of(there, now.name)
                words += [b"\\Subscribed"] if now.subscribed else []
                info = b""
                if renamed and before is not None:
                    info = b' ("OLDNAME" (%b))' % session.name_of(before.name)
                name = session.name_of(now.name)
                session.say(b'* LIST (%b) "/" %b%b\r\n' % (b" ".join(words), name, info))
            if now.account.id not in self._marks:
                try:
                    await self._mark(now.account)
                except Overflow:
                    self._stop(session)
                    return

    def _stop(self, session: Session) -> None:
        """Section 5.8: as after NOTIFY NONE."""
        session.say(b"* OK [%b] There is too much to watch\r\n" % OVERFLOW)
        self._groups, self._seen, self._annotations = [], {}, {}
        self._accounts, self._marks, self.selected = {}, {}, None

    def _is_open(self, session: Session, entry: Entry) -> bool:
        view = session.view
        key = entry.account.id, entry.mailbox.id
        return view is not None and (view.account.id, view.mailbox) == key

    # Annotations

    def _wants_metadata(self) -> bool:
        return any(group.events & _METADATA for group in self._groups)

    async def _learn_annotations(self, account: Account) -> dict[Key, dict[str, int]]:
        """What there was before; now there is what there is."""
        found: dict[Key, dict[str, int]] = {}
        for mailbox, values in (await account.every_annotation()).items():
            found[account.id, mailbox] = {name: hash(value) for name, value in values.items()}
        old = {key: known for key, known in self._annotations.items() if key[0] == account.id}
        rest = {key: known for key, known in self._annotations.items() if key[0] != account.id}
        self._annotations = rest | found
        return old

    async def _tell_annotations(self, session: Session, account: Account) -> None:
        """Sections 5.6 and 5.7: the names of the entries that have changed, without their values."""
        old = await self._learn_annotations(account)
        new = {key: known for key, known in self._annotations.items() if key[0] == account.id}
        for key in sorted(old.keys() | new.keys()):
            before, now = old.get(key, {}), new.get(key, {})
            changed = sorted(n for n in before.keys() | now.keys() if before.get(n) != now.get(n))
            name = self._name_of(session, key)
            if changed and name is not None:
                words = b" ".join([astring(entry.encode()) for entry in changed])
                session.say(b"* METADATA %b %b\r\n" % (name, words))

    def _name_of(self, session: Session, key: Key) -> bytes | None:
        """What the annotations of a mailbox, or of the server, are told under; None: not at all."""
        if key[1] == kept.ACCOUNT:
            wanted = any(Event.SERVER_METADATA_CHANGE in group.events for group in self._groups)
            return b'""' if wanted and key[0] == session.account.id else None
        seen = self._seen.get(key)
        if seen is None or Event.MAILBOX_METADATA_CHANGE not in seen.events:
            return None
        return session.name_of(seen.name)
