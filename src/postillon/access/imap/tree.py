"""The mailboxes of an account: LIST and its kin, STATUS, CREATE, DELETE, RENAME, subscriptions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postillon.access.imap import acl, metadata
from postillon.access.imap.answer import Answer, no, ok
from postillon.access.imap.extras import Extra
from postillon.access.imap.objects import mailbox_id
from postillon.access.imap.places import OTHERS, SHARED, Place, old_name, place, shared
from postillon.account.account import Account
from postillon.account.errors import MailboxNotFound
from postillon.account.mailboxes import Mailbox, MailboxKind, Path
from postillon.account.ranges import MAX_UID
from postillon.account.rights import Right
from postillon.account.roles import Role
from postillon.protocol.imap import commands, names
from postillon.protocol.imap.pattern import Pattern
from postillon.protocol.imap.words import Refused

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

# RFC 6154 section 2, RFC 8457. INBOX has none.
USES = {
    Role.ALL: b"\\All",
    Role.ARCHIVE: b"\\Archive",
    Role.DRAFTS: b"\\Drafts",
    Role.FLAGGED: b"\\Flagged",
    Role.IMPORTANT: b"\\Important",
    Role.JUNK: b"\\Junk",
    Role.SENT: b"\\Sent",
    Role.TRASH: b"\\Trash",
}
_ROLES = {use.decode().upper(): role for role, use in USES.items()}
# \All and \Flagged would be views of other mailboxes, which we do not have (RFC 6154 section 3).
_CREATABLE = frozenset(USES) - {Role.ALL, Role.FLAGGED}

_SPACES = (OTHERS.encode(), SHARED.encode())
_VISIBLE = (MailboxKind.MAIL, MailboxKind.NAME_ONLY)


async def namespace(session: Session, command: commands.Command) -> Answer:
    """RFC 2342: one's own without a prefix, those of other people, those of shared accounts."""
    session.say(b'* NAMESPACE (("" "/")) (("%b/" "/")) (("%b/" "/"))\r\n' % _SPACES)
    return ok()


# LIST and LSUB ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """A mailbox under the name that this client has for it."""

    name: str
    account: Account
    mailbox: Mailbox


class Tree:
    """All mailboxes a client sees by their names, and the names it has subscribed to.

    above: names that stand above the mailboxes of others; most are no mailboxes themselves.
    """

    def __init__(self, subscribed: Iterable[Path]) -> None:
        self.entries: dict[str, Entry] = {}
        self.above: set[str] = set()
        self.subscribed = {names.text_of(path) for path in subscribed}

    def add(self, place: Place, mailboxes: Iterable[Mailbox]) -> list[str]:
        """The names of those that were added; a name that is there already keeps its meaning."""
        found = []
        for item in mailboxes:
            if item.hidden or item.kind not in _VISIBLE:
                continue
            name = names.text_of((*place.above, *item.path))
            self.entries.setdefault(name, Entry(name, place.account, item))
            found.append(name)
        return found

    @classmethod
    async def of(cls, session: Session) -> Tree:
        account = session.account
        tree = cls(await account.subscriptions())
        tree.add(Place(account, ()), await account.mailboxes())
        foreign: list[str] = []
        for other in await shared(session):
            foreign += tree.add(other, await other.account.mailboxes())
        tree.above = _above(foreign)
        return tree


def _above(chosen: Iterable[str]) -> set[str]:
    """All names above these."""
    found: set[str] = set()
    for name in chosen:
        at = name.rfind("/")
        while at > 0 and name[:at] not in found:
            found.add(name[:at])
            at = name.rfind("/", 0, at)
    return found


_CRITERIA = frozenset(("SPECIAL-USE", "SUBSCRIBED"))  # what CHILDINFO can be about


async def list_(session: Session, command: commands.Command) -> Answer:
    """RFC 3501 section 6.3.8, RFC 5258, RFC 5819, RFC 6154."""
    argument = command.argument
    assert isinstance(argument, commands.List)
    if not argument.extended and argument.patterns == (b"",):
        session.say(b'* LIST (\\Noselect) "/" ""\r\n')  # asks for the delimiter only
        return ok()
    reference, utf8 = argument.reference, session.utf8
    patterns = [Pattern(reference + raw, utf8=utf8) for raw in argument.patterns if raw]
    for name in argument.status:
        if name not in _STATUS:
            raise Refused("There is no such status item")
    tree = await Tree.of(session)
    chosen = tree.entries.keys() | tree.above
    if "SUBSCRIBED" in argument.selection:
        chosen = set(tree.subscribed)
    if "SPECIAL-USE" in argument.selection:
        chosen &= {name for name, entry in tree.entries.items() if entry.mailbox.role in USES}
    recursive = "RECURSIVEMATCH" in argument.selection
    matched = {name for name in chosen if any(pattern.matches(name) for pattern in patterns)}
    # What is told of anyway needs no mailbox above it to say so (section 3.5).
    above = _above(chosen) if recursive else set()
    hints = _above(chosen - matched) - chosen if recursive else set()
    criteria = b" ".join(b'"%b"' % it.encode() for it in sorted(argument.selection & _CRITERIA))
    show_subscribed = bool({"SUBSCRIBED"} & (argument.selection | argument.returns))
    matched |= {name for name in hints if any(pattern.matches(name) for pattern in patterns)}
    for name in _in_order(tree, matched):
        entry = tree.entries.get(name)
        attributes = attributes_of(tree, name)
        if argument.extended and entry is None:
            attributes.remove(b"\\Noselect")  # \NonExistent says it (section 3)
        if show_subscribed and name in tree.subscribed:
            attributes.append(b"\\Subscribed")
        info = b' ("CHILDINFO" (%b))' % criteria if name in above else b""
        text = session.name_of(name)
        session.say(b'* LIST (%b) "/" %b%b\r\n' % (b" ".join(attributes), text, info))
        if entry is None:
            continue
        item = entry.mailbox
        if argument.status and item.selectable and Right.READ in item.rights:
            await say_status(session, entry.account, item, text, argument.status)
        if "MYRIGHTS" in argument.returns:
            acl.say(session, text, item.rights)
        if argument.metadata and Right.READ in item.rights:
            there = await entry.account.annotations(item.id)
            values = {entry: there[entry] for entry in argument.metadata if entry in there}
            metadata.say(session, text, argument.metadata, values, there)
    return ok()


def _in_order(tree: Tree, chosen: set[str]) -> list[str]:
    """Mailboxes as the account orders them, then the names that no mailbox has."""
    return [name for name in tree.entries if name in chosen] + sorted(chosen - tree.entries.keys())


def attributes_of(tree: Tree, name: str) -> list[bytes]:
    entry = tree.entries.get(name)
    if entry is None:
        below = [b"\\HasChildren"] if name in tree.above else []
        return [b"\\NonExistent", b"\\Noselect", *below]
    item = entry.mailbox
    found = [] if item.selectable else [b"\\Noselect"]
    found.append(
        b"\\HasChildren" if item.has_children or name in tree.above else b"\\HasNoChildren"
    )
    if item.role in USES:
        found.append(USES[item.role])
    return found


async def lsub(session: Session, command: commands.Command) -> Answer:
    """RFC 3501 section 6.3.9: where % ends above a subscribed name, it is given as \\Noselect."""
    argument = command.argument
    assert isinstance(argument, commands.List)
    [raw] = argument.patterns
    if not raw:
        session.say(b'* LSUB (\\Noselect) "/" ""\r\n')
        return ok()
    pattern = Pattern(argument.reference + raw, utf8=session.utf8)
    tree = await Tree.of(session)
    matched = {name for name in tree.subscribed if pattern.matches(name)}
    above: set[str] = set()
    if b"%" in raw:
        above = {name for name in _above(tree.subscribed - matched) if pattern.matches(name)}
        above -= matched
    for name in _in_order(tree, matched | above):
        entry = tree.entries.get(name)
        there = name in matched and entry is not None and entry.mailbox.selectable
        attribute = b"" if there else b"\\Noselect"
        session.say(b'* LSUB (%b) "/" %b\r\n' % (attribute, session.name_of(name)))
    return ok()


async def chosen(session: Session, sources: Iterable[commands.Source]) -> list[Entry]:
    """The mailboxes that a client names in one way or another, each once, in the account's order.

    Names that no mailbox has, or one that may not be read, are passed over (RFC 7377 section 2.2).
    Raises BadName.
    """
    tree = await Tree.of(session)
    wanted: set[str] = set()
    for source in sources:
        wanted.update(names_in(session, tree, source))
    return [
        entry
        for name, entry in tree.entries.items()
        if name in wanted and entry.mailbox.selectable and Right.READ in entry.mailbox.rights
    ]


def names_in(session: Session, tree: Tree, source: commands.Source) -> Iterable[str]:
    """Raises BadName, or Refused where the selected mailbox is meant and there is none."""
    given = [names.text_of(session.path(raw)) for raw in source.mailboxes]
    match source.scope:
        case commands.Scope.SELECTED | commands.Scope.SELECTED_DELAYED:
            if session.view is None:
                raise Refused("No mailbox is selected")
            there = session.view.account.id, session.view.mailbox
            return [n for n, e in tree.entries.items() if (e.account.id, e.mailbox.id) == there]
        case commands.Scope.PERSONAL:
            return [name for name, entry in tree.entries.items() if entry.account.own]
        case commands.Scope.INBOXES:
            own = ((n, e) for n, e in tree.entries.items() if e.account.own)
            return [name for name, entry in own if entry.mailbox.role is Role.INBOX]
        case commands.Scope.SUBSCRIBED:
            return tree.subscribed
        case commands.Scope.MAILBOXES:
            return given
        case commands.Scope.SUBTREE:
            return [n for n in tree.entries for top in given if n == top or _is_below(n, top)]
        case commands.Scope.SUBTREE_ONE:
            return [
                name
                for name in tree.entries
                for top in given
                if name == top or (_is_below(name, top) and "/" not in name[len(top) + 1 :])
            ]


def _is_below(name: str, top: str) -> bool:
    return name.startswith(top + "/")


# STATUS -------------------------------------------------------------------------------------------

_STATUS = frozenset(
    (
        "MESSAGES",
        "RECENT",
        "UIDNEXT",
        "UIDVALIDITY",
        "UNSEEN",
        "DELETED",
        "SIZE",
        "APPENDLIMIT",
        "HIGHESTMODSEQ",
        "MAILBOXID",
        "DELETED-STORAGE",
    )
)


async def status(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Status)
    for name in argument.items:
        if name not in _STATUS:
            raise Refused("There is no such status item")
    where = await place(session, argument.mailbox)
    item = await where.there(Right.READ)
    if not item.selectable:
        raise MailboxNotFound(item.path)
    text = session.name((*where.above, *item.path))
    await say_status(session, where.account, item, text, argument.items)
    return ok()


async def say_status(
    session: Session,
    account: Account,
    item: Mailbox,
    text: bytes,
    wanted: Iterable[str],
    *,
    asked: bool = True,
) -> None:
    """One STATUS response. asked: by the client, so that naming HIGHESTMODSEQ enables CONDSTORE."""
    words: list[bytes] = []
    for name in wanted:
        if name == "MAILBOXID":
            words.append(b"MAILBOXID (%b)" % mailbox_id(item.id, 0 if account.own else account.id))
            continue
        if name == "MESSAGES":
            value = item.total
        elif name == "UIDNEXT":
            value = item.uid_next
        elif name == "UIDVALIDITY":
            value = item.uid_validity
        elif name == "UNSEEN":
            value = item.unseen
        elif name == "DELETED":
            value = item.deleted
        elif name == "HIGHESTMODSEQ":
            if asked:
                session.use(Extra.CONDSTORE)
            value = max(item.modseq, 1)
        elif name == "DELETED-STORAGE":  # RFC 9208 section 5.1, in octets
            value = await account.deleted_octets(item.id) if item.deleted else 0
        elif name == "SIZE":
            value = item.octets
        elif name == "APPENDLIMIT":
            value = session.server.config.append_limit
        else:
            value = await _recent(account, item)
        words.append(b"%b %d" % (name.encode(), value))
    session.say(b"* STATUS %b (%b)\r\n" % (text, b" ".join(words)))


async def _recent(account: Account, item: Mailbox) -> int:
    if item.recent_uid >= item.uid_next:
        return 0
    return len(await account.placements(item.id, [(item.recent_uid, MAX_UID)]))


# Changes of the tree ------------------------------------------------------------------------------


async def create(session: Session, command: commands.Command) -> Answer:
    """RFC 3501 section 6.3.3, RFC 6154 section 3."""
    argument = command.argument
    assert isinstance(argument, commands.Create)
    role = None
    for use in argument.uses:
        wanted = _ROLES.get(use)
        if wanted not in _CREATABLE or role not in (None, wanted):
            return no("A mailbox cannot be made for this use", b"USEATTR")
        role = wanted
    # A delimiter at the end says that names below will follow: it is not part of the name.
    raw = argument.mailbox
    where = await place(session, raw[:-1] if raw.endswith(b"/") else raw)
    made = await where.account.create(where.path, role)
    _say_spelling(session, raw, (*where.above, *made.path))
    other = 0 if where.account.own else where.account.id
    return ok("Created", b"MAILBOXID (%b)" % mailbox_id(made.id, other))


async def delete(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Name)
    where, mailbox = await _there(session, argument.mailbox)
    await where.account.delete(mailbox.id)
    _say_spelling(session, argument.mailbox, (*where.above, *mailbox.path), b"\\NonExistent")
    return ok()


def _say_spelling(session: Session, raw: bytes, path: Path, attribute: bytes = b"") -> None:
    """How a name is written that the client has spelt in another way (RFC 9051 section 6.3.9.7)."""
    name = session.name(path)
    old = old_name(session, raw.removesuffix(b"/"), name)
    if old:
        session.say(b'* LIST (%b) "/" %b%b\r\n' % (attribute, name, old))


async def rename(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Rename)
    raw = argument.new
    old, mailbox = await _there(session, argument.old)
    new = await place(session, raw[:-1] if raw.endswith(b"/") else raw)
    if old.account.id != new.account.id:
        return no("A mailbox stays in its account: copy what is in it", b"CANNOT")
    await old.account.rename(mailbox.id, new.path)
    return ok()


async def _there(session: Session, raw: bytes) -> tuple[Place, Mailbox]:
    where = await place(session, raw)
    item = await where.there()
    if item.hidden:
        raise MailboxNotFound(item.path)
    return where, item


async def subscribe(session: Session, command: commands.Command) -> Answer:
    """Also to a name that no mailbox has: clients keep subscriptions of what may come back."""
    argument = command.argument
    assert isinstance(argument, commands.Name)
    await session.account.subscribe(session.path(argument.mailbox), True)
    return ok()


async def unsubscribe(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Name)
    await session.account.subscribe(session.path(argument.mailbox), False)
    return ok()
