"""One connection of a client: from octets to commands, from answers to octets.

What a command does is in the modules beside this one; who may say what in which state is the table
`RULES`. Untagged responses about changes of the mailbox go out before the answer of each command.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from enum import Flag
from functools import partial
from typing import TYPE_CHECKING

from postillon.access.imap import (
    acl,
    append,
    capabilities,
    changing,
    contexts,
    entry,
    fetch,
    idle,
    metadata,
    notify,
    opening,
    renewing,
    search,
    sorting,
    tree,
    urlauth,
)
from postillon.access.imap.answer import Answer, bad, no
from postillon.access.imap.errors import REFUSABLE, refusal
from postillon.access.imap.extras import Extra
from postillon.access.imap.flags import FlagWriter, list_of_flags
from postillon.access.imap.view import View
from postillon.access.imap.watch import Watch
from postillon.access.talk import Talk
from postillon.account.account import Account
from postillon.account.changes import Placement
from postillon.account.errors import MailboxNotFound, NotAllowed
from postillon.account.ids import AccountId
from postillon.directory.guests import FAREWELL
from postillon.directory.signin import Granted
from postillon.net.stream import PlaintextInjected, Stream
from postillon.protocol.imap import engine as engines
from postillon.protocol.imap import names, numbers
from postillon.protocol.imap.commands import Command, Sort, Thread
from postillon.protocol.imap.engine import ImapEngine
from postillon.protocol.imap.words import Refused
from postillon.protocol.imap.writer import human, string
from postillon.protocol.imap.writer import mailbox as mailbox_name
from postillon.store.operation import StoreError

if TYPE_CHECKING:
    from postillon.access.imap.server import ImapServer

PROGRESS_S = 10.0  # between two INPROGRESS responses (RFC 9585 section 4)


class State(Flag):
    """RFC 3501 section 3."""

    STRANGER = 1  # not authenticated
    OWNER = 2  # authenticated
    SELECTED = 4
    LOGGED_IN = OWNER | SELECTED
    ANY = STRANGER | LOGGED_IN


# Gives the answer; None when it has been said already.
Handler = Callable[["Session", Command], Awaitable[Answer | None]]


@dataclass(frozen=True, slots=True)
class Rule:
    states: State
    handler: Handler
    # Whether EXPUNGE may be told with its answer: never of FETCH, STORE and SEARCH (RFC 3501
    # section 7.4.1), but of their UID forms.
    expunge: bool = True
    highest: bool = False  # its answer names HIGHESTMODSEQ


RULES: dict[str, Rule] = {
    "CAPABILITY": Rule(State.ANY, entry.capability),
    "NOOP": Rule(State.ANY, opening.nothing),
    "LOGOUT": Rule(State.ANY, entry.logout),
    "ID": Rule(State.ANY, entry.identify),
    "STARTTLS": Rule(State.STRANGER, entry.start_tls),
    "LOGIN": Rule(State.STRANGER, entry.login),
    "AUTHENTICATE": Rule(State.STRANGER, entry.authenticate),
    "COMPRESS": Rule(State.LOGGED_IN, entry.compress),
    "UNAUTHENTICATE": Rule(State.LOGGED_IN, entry.unauthenticate),
    "GETMETADATA": Rule(State.LOGGED_IN, metadata.get),
    "SETMETADATA": Rule(State.LOGGED_IN, metadata.set_),
    "SETACL": Rule(State.LOGGED_IN, acl.set_),
    "DELETEACL": Rule(State.LOGGED_IN, acl.delete),
    "GETACL": Rule(State.LOGGED_IN, acl.get),
    "LISTRIGHTS": Rule(State.LOGGED_IN, acl.list_rights),
    "MYRIGHTS": Rule(State.LOGGED_IN, acl.my_rights),
    "GETQUOTA": Rule(State.LOGGED_IN, metadata.get_quota),
    "GETQUOTAROOT": Rule(State.LOGGED_IN, metadata.get_quota_root),
    "SETQUOTA": Rule(State.LOGGED_IN, metadata.set_quota),
    "GETJMAPACCESS": Rule(State.LOGGED_IN, entry.jmap_access),
    "ENABLE": Rule(State.LOGGED_IN, entry.enable),
    "NAMESPACE": Rule(State.LOGGED_IN, tree.namespace),
    "LIST": Rule(State.LOGGED_IN, tree.list_),
    "LSUB": Rule(State.LOGGED_IN, tree.lsub),
    "STATUS": Rule(State.LOGGED_IN, tree.status),
    "CREATE": Rule(State.LOGGED_IN, tree.create),
    "DELETE": Rule(State.LOGGED_IN, tree.delete),
    "RENAME": Rule(State.LOGGED_IN, tree.rename),
    "SUBSCRIBE": Rule(State.LOGGED_IN, tree.subscribe),
    "UNSUBSCRIBE": Rule(State.LOGGED_IN, tree.unsubscribe),
    "GENURLAUTH": Rule(State.LOGGED_IN, urlauth.generate),
    "RESETKEY": Rule(State.LOGGED_IN, urlauth.reset),
    "URLFETCH": Rule(State.LOGGED_IN, urlauth.fetch),
    "SELECT": Rule(State.LOGGED_IN, opening.select),
    "EXAMINE": Rule(State.LOGGED_IN, opening.examine),
    "APPEND": Rule(State.LOGGED_IN, append.finish),
    "IDLE": Rule(State.LOGGED_IN, idle.idle),
    "NOTIFY": Rule(State.LOGGED_IN, notify.notify),
    "REPLACE": Rule(State.SELECTED, append.replace),
    "CHECK": Rule(State.SELECTED, opening.nothing),
    "CLOSE": Rule(State.SELECTED, opening.close),
    "UNSELECT": Rule(State.SELECTED, opening.unselect),
    "EXPUNGE": Rule(State.SELECTED, changing.expunge, highest=True),
    "FETCH": Rule(State.SELECTED, fetch.fetch, expunge=False),
    "STORE": Rule(State.SELECTED, changing.store, expunge=False),
    "SEARCH": Rule(State.SELECTED, search.search, expunge=False),
    "ESEARCH": Rule(State.LOGGED_IN, search.multisearch, expunge=False),
    "CANCELUPDATE": Rule(State.SELECTED, contexts.cancel),
    "UIDBATCHES": Rule(State.SELECTED, search.batches, expunge=False),
    "SORT": Rule(State.SELECTED, sorting.sort, expunge=False),
    "THREAD": Rule(State.SELECTED, sorting.thread, expunge=False),
    "COPY": Rule(State.SELECTED, changing.copy),
    "MOVE": Rule(State.SELECTED, changing.move, highest=True),
}


# Verbs that name messages by their sequence numbers, or answer with these, unless UID comes before.
NUMBERED = frozenset(("FETCH", "STORE", "COPY", "MOVE", "SEARCH", "SORT", "THREAD", "REPLACE"))


def _of_uids(command: Command) -> bool:
    argument = command.argument
    if isinstance(argument, Sort | Thread):
        argument = argument.search
    return getattr(argument, "uid", False)


class Session(Talk):
    """Keeps little: a mailbox's UIDs while one is selected, and nothing of any message."""

    __slots__ = ("_account", "_deadline", "_progress_at", "_tag", "_wrong", "closing",
                 "engine", "extras", "failed_logins", "log", "notices", "server", "upload",
                 "view")  # fmt: skip

    def __init__(self, server: ImapServer, stream: Stream) -> None:
        self.server = server
        super().__init__(stream)
        self.engine = ImapEngine()
        self.extras = Extra.NONE
        self.view: View | None = None
        self.upload: append.Uploads | None = None
        self.notices: notify.Notices | None = None  # None: NOTIFY was never used
        self.closing = False
        self.failed_logins = 0
        self.log = server.log.bind(protocol="imap", peer=stream.peer.ip)
        self._account: Account | None = None
        self._deadline = 0.0  # of the loop's clock: when a client must have logged in
        self._tag = ""  # of the command under way
        self._progress_at = 0.0  # of the loop's clock: when INPROGRESS was due last
        self._wrong = 0  # faulty commands in a row

    # What commands ask

    @property
    def state(self) -> State:
        if self._account is None:
            return State.STRANGER
        return State.OWNER if self.view is None else State.SELECTED

    @property
    def logged_in(self) -> bool:
        return self._account is not None

    @property
    def account(self) -> Account:
        """Of who has logged in; the rules see to it that somebody has."""
        assert self._account is not None
        return self._account

    @property
    def selected(self) -> View:
        assert self.view is not None
        return self.view

    @property
    def condstore(self) -> bool:
        """Whether the client is told of MODSEQs."""
        return Extra.CONDSTORE in self.extras

    @property
    def qresync(self) -> bool:
        return Extra.QRESYNC in self.extras

    @property
    def utf8(self) -> bool:
        """Whether names travel as UTF-8 instead of modified UTF-7."""
        return bool(self.extras & (Extra.UTF8 | Extra.REV2))

    @property
    def rev2(self) -> bool:
        return Extra.REV2 in self.extras

    def use(self, extras: Extra) -> None:
        """Enable something. What is open already is told its HIGHESTMODSEQ (RFC 7162 section 3.1)."""
        if Extra.QRESYNC in extras:
            extras |= Extra.CONDSTORE
        new = extras & ~self.extras
        self.extras |= new
        if self.view is not None:
            if Extra.CONDSTORE in new:
                self.say(b"* OK [HIGHESTMODSEQ %d] From now on\r\n" % self.view.highest)
            if Extra.REV2 in new:
                self.view.forget_recent()

    @property
    def uid_only(self) -> bool:
        return Extra.UIDONLY in self.extras

    def fetch_head(self, number: int, uid: int) -> bytes:
        """How a FETCH response begins, up to its items; with UIDONLY it names the UID instead."""
        return b"* %d UIDFETCH (" % uid if self.uid_only else b"* %d FETCH (" % number

    def progress(self, done: int, goal: int) -> None:
        """Say how far a long command is (RFC 9585), every few seconds."""
        now = asyncio.get_running_loop().time()
        if now - self._progress_at >= PROGRESS_S:
            self._progress_at = now
            words = string(self._tag.encode()), done, goal
            self.say(b"* OK [INPROGRESS (%b %d %d)] Still at it\r\n" % words)

    def path(self, raw: bytes) -> names.Path:
        """The path of a name the client has sent. Raises BadName."""
        return names.parse(raw, utf8=self.utf8)

    def name(self, path: names.Path) -> bytes:
        """A mailbox name as this client reads it, quoted."""
        return self.name_of(names.text_of(path))

    def name_of(self, text: str) -> bytes:
        """The same, of its decoded text."""
        return mailbox_name(names.encode_text(text, utf8=self.utf8))

    def enter(self, granted: Granted) -> None:
        """Somebody has proved who they are."""
        principal = granted.principal
        self._account = self.server.accounts.open(principal.id)
        self.engine.max_command = engines.MAX_AFTER_LOGIN
        self.log = self.log.bind(account=principal.id)
        tls = self.stream.tls is not None
        self.log.info("login", login=principal.login, by=granted.credential, tls=tls)
        self.stay(self.server.sign_ins.guests, granted, self._signed_out)
        self.server.meter.count("imap_logins")

    def _signed_out(self) -> None:
        """What has let the client in is good no longer."""
        self.log.info("signed_out")
        self.closing = True
        self.part(b"* BYE %b\r\n" % FAREWELL.encode())

    def leave_account(self) -> None:
        """Nobody is logged in any more, and nothing is enabled (RFC 8437 section 3)."""
        self.depart()
        self._account = None
        self.notices = None
        self.extras = Extra.NONE
        self.engine.max_command = engines.MAX_BEFORE_LOGIN
        self.log = self.server.log.bind(protocol="imap", peer=self.stream.peer.ip)
        login_time = self.server.config.login_time.total_seconds()
        self._deadline = asyncio.get_running_loop().time() + login_time

    def restart(self) -> None:
        """TLS has begun: everything heard before is forgotten (RFC 3501 section 6.2.1)."""
        self.engine = ImapEngine()
        self.failed_logins = self._wrong = 0

    # Output

    async def breathe(self) -> None:
        """Between the portions of a long answer: send much, and let other sessions work."""
        await self.flush_enough()
        await asyncio.sleep(0)

    def bye(self, text: str) -> None:
        self.say(b"* BYE %b\r\n" % human(text))
        self.closing = True

    # The selected mailbox

    async def learn(self) -> None:
        """Bring the view up to date with the store; nothing is said yet."""
        view = self.selected
        try:
            changes = await view.account.changes(view.mailbox, view.modseq)
            uids = None if changes.complete else await view.account.uids(view.mailbox)
        except (MailboxNotFound, NotAllowed):  # deleted, or not shared with us any more
            view.lose()
        else:
            view.learn(changes, uids)

    def watched(self) -> set[AccountId]:
        """The accounts in which something may happen that is told unasked."""
        found = {self.account.id if self.view is None else self.view.account.id}
        if self.notices is not None:
            found.update(account.id for account in self.notices.accounts)
        return found

    async def tell_all(self, *, expunge: bool) -> None:
        """Say what has changed in the selected mailbox, and in others that are watched."""
        if self.view is not None:
            await self.tell(expunge=expunge)
        if self.notices is not None:
            await self.notices.tell(self)

    async def _tell_unasked(self) -> None:
        """The same between two commands, as NOTIFY wants it."""
        notices = self.notices
        if notices is None or not self.engine.between_commands:
            return
        if self.view is not None and notices.selected is not None:
            await self.tell(expunge=not notices.delayed)
        await notices.tell(self)

    async def tell(self, *, expunge: bool) -> None:
        """Say what has changed in the selected mailbox."""
        await self.learn()
        view, notices = self.selected, self.notices
        news = view.tell(expunge=expunge, leaving=partial(contexts.drop, self))
        if news.vanished and (self.qresync or self.uid_only):
            self.say(b"* VANISHED %b\r\n" % numbers.write(numbers.join(news.vanished)))
        else:
            for number in news.expunged:
                self.say(b"* %d EXPUNGE\r\n" % number)
        if news.exists is not None:
            self.say(b"* %d EXISTS\r\n" % news.exists)
            if not self.rev2:
                self.say(b"* %d RECENT\r\n" % view.recent_count)
        if news.changed and (notices is None or notices.flags):
            self.tell_flags(news.changed, uid=True)
        if news.arrived and notices is not None and notices.selected is not None:
            await fetch.tell_new(self, news.arrived, notices.selected.items)
        if view.contexts:
            await renewing.renew(self)

    def tell_flags(
        self, changed: Iterable[tuple[int, Placement]], *, uid: bool, flags: bool = True
    ) -> None:
        """One FETCH response for each, with its sequence number. Without `flags` only MODSEQ."""
        view = self.selected
        writer = FlagWriter()
        lines: list[bytes] = []
        for number, item in changed:
            words = [b"UID %d" % item.uid] if (uid or self.qresync) and not self.uid_only else []
            if flags:
                recent = item.uid >= view.recent
                words.append(b"FLAGS " + writer.write(item.flags, item.keywords, recent))
            if self.condstore:
                words.append(b"MODSEQ (%d)" % item.modseq)
            lines.append(self.fetch_head(number, item.uid) + b" ".join(words) + b")\r\n")
        self.tell_keywords(writer.met)
        self.say(b"".join(lines))

    def tell_keywords(self, met: set[str]) -> None:
        """Keywords that the client has not heard of must be in FLAGS first (RFC 3501 section 7.2.6)."""
        view = self.selected
        if not met <= view.keywords:
            view.keywords |= met
            self.say(b"* FLAGS %b\r\n" % list_of_flags(view.keywords))

    # The conversation

    async def run(self) -> None:
        """To the end of the connection, whatever happens."""
        server = self.server
        server.meter.count("imap_connections")
        login_time = server.config.login_time.total_seconds()
        self._deadline = asyncio.get_running_loop().time() + login_time
        try:
            self.say(
                b"* OK [CAPABILITY %b] %b ready\r\n"
                % (capabilities.of(self), human(server.hostname))
            )
            await self.flush()
            while not self.closing and (data := await self._next()):
                await self._converse(data)
        except PlaintextInjected:
            self.log.warning("clear_text_after_starttls")
        except (OSError, TimeoutError) as error:
            # The peer is gone, takes nothing, or failed in its TLS handshake.
            self.log.debug("connection_lost", error=str(error))
        except Exception as error:
            self.fault("session_failed", error)
        finally:
            if self.upload is not None:
                self.upload.discard()
            self.depart()
            await self._leave()
            self.stream.close()

    async def line(self) -> bytes:
        """The next line, outside of the command grammar: DONE, or an answer to a challenge.

        Raises Refused when it is too long, ConnectionError when none comes.
        """
        self.engine.expect_line()
        data = b""
        while True:
            for event in self.engine.receive(data):
                if isinstance(event, engines.Line):
                    return event.data
                raise Refused("The line is too long")
            await self.flush()
            data = await self._receive()
            if not data:
                raise ConnectionResetError("the client is gone")

    async def _next(self) -> bytes:
        """What the client sends; meanwhile it is told what it has asked for with NOTIFY."""
        if self.notices is None:
            return await self._receive()
        watch = Watch(self, self._tell_unasked)
        watch.begin(self.watched())
        try:
            return await self._receive()
        finally:
            await watch.end()

    async def _receive(self) -> bytes:
        """Octets of the client; b"" when it is time to go."""
        patience = self.server.config.quiet_time.total_seconds()
        if self._account is None:
            patience = max(self._deadline - asyncio.get_running_loop().time(), 0.01)
        try:
            return await self.stream.receive(patience)
        except TimeoutError:
            self.bye("Logged out for inactivity")
            await self.flush()
            return b""

    async def _converse(self, data: bytes) -> None:
        engine = self.engine
        for event in engine.receive(data):
            await self._act(event)
            await self.flush_enough()
            if self.closing or self.engine is not engine:
                break  # nothing that came before TLS is used after it (FAULTS 2)
        await self.flush()

    async def _act(self, event: engines.Event) -> None:
        if isinstance(event, Command):
            await self._command(event)
        elif isinstance(event, engines.Chunk):
            assert self.upload is not None
            self.upload.add(event.data)
        elif isinstance(event, engines.Continue):
            self.say(b"+ Go on\r\n")
        elif isinstance(event, engines.Upload):
            await append.begin(self, event)
        elif isinstance(event, engines.Uploaded):
            assert self.upload is not None
            self.upload.arrived()
        elif isinstance(event, engines.Refusal):
            self._refused(event)

    def _refused(self, event: engines.Refusal) -> None:
        if self.upload is not None:
            self.upload.discard()
            self.upload = None
        answer = Answer(event.status, event.text, event.code.encode())
        self.say(answer.write(event.tag))
        if event.fatal:
            self.bye("That is too much")
        self._count(answer)

    def _count(self, answer: Answer) -> None:
        """Part with clients that do not speak IMAP."""
        self._wrong = self._wrong + 1 if answer.status == "BAD" else 0
        if self._wrong >= self.server.config.wrong_commands and not self.closing:
            self.bye("Too many faulty commands")

    async def _command(self, command: Command) -> None:
        rule = RULES[command.verb]
        self._tag, self._progress_at = command.tag, asyncio.get_running_loop().time()
        answer: Answer | None
        if self.uid_only and command.verb in NUMBERED and not _of_uids(command):
            answer = bad("Only UIDs are used here", b"UIDREQUIRED")  # RFC 9586 section 3
        elif rule.states & self.state:
            answer = await self._answer(rule, command)
            if answer is None:
                return
        else:
            answer = bad("Not in this state")
        if (self.view is not None or self.notices is not None) and not self.closing:
            try:
                await self.tell_all(expunge=rule.expunge or _of_uids(command))
            except StoreError as error:  # no database to ask: it is told with a later answer
                self.log.warning("cannot_look", error=str(error))
            if (
                self.view is not None
                and rule.highest
                and self.condstore
                and answer.status == "OK"
                and not answer.code
            ):
                # RFC 7162 section 3.2.7: what is gone is part of what the client knows now.
                answer = replace(answer, code=b"HIGHESTMODSEQ %d" % self.view.highest)
        self.say(answer.write(command.tag))
        self._count(answer)

    async def _answer(self, rule: Rule, command: Command) -> Answer | None:
        try:
            return await rule.handler(self, command)
        except REFUSABLE as error:
            self.log.info("refused", verb=command.verb, reason=str(error))
            return refusal(error)
        except Refused as refused:
            return Answer(refused.status, refused.text, refused.code.encode())
        except (OSError, TimeoutError, PlaintextInjected):
            raise
        except Exception as error:
            self.fault("command_failed", error, verb=command.verb)
            return no("Internal error, please try again", b"SERVERBUG")

    async def _leave(self) -> None:
        """The connection ends: what the client has seen as new is not new for the next."""
        try:
            await opening.leave(self)
        except REFUSABLE:
            return
        except Exception as error:
            self.fault("leaving_failed", error)

    def fault(self, event: str, error: Exception, **fields: object) -> None:
        """Log what should not have happened, once."""
        where = "".join(traceback.format_exception(error))
        self.log.error(event, error=repr(error), trace=where[-900:], **fields)
        self.server.meter.count("imap_faults")
