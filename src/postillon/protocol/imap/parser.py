"""From the text of a command to what it asks for; one function for each shape of arguments."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from postillon.protocol.imap import commands, fetching, metadata, notifying, searching
from postillon.protocol.imap.appending import Appending, Wants
from postillon.protocol.imap.words import (
    FLAG,
    LIST_WORD,
    Reader,
    Refused,
    number_set,
)

MAX_URLS = 100  # of one command; ours
MAX_ID_FIELDS = 30  # RFC 2971 section 3.3
MAX_ID_FIELD, MAX_ID_VALUE = 30, 1024  # octets, RFC 2971 section 3.3

# tag = 1*<any ASTRING-CHAR except "+">, RFC 3501 section 9
_HEAD = re.compile(rb'([^(){ %*"\\\x00-\x1f\x7f-\xff+]{1,64}) ((?:[Uu][Ii][Dd] )?)([A-Za-z0-9]+)')
_TAG = re.compile(rb'[^(){ %*"\\\x00-\x1f\x7f-\xff+]{1,64}(?= |\Z)')
_STORE_ITEM = re.compile(rb"([+-]?)FLAGS(\.SILENT)?(?= )", re.IGNORECASE)
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")

Parse = Callable[[Reader], commands.Argument | None]


def tag_of(text: bytes) -> str:
    """The tag a refusal is sent with; `*` when there is none (RFC 3501 section 7.1.3)."""
    match = _TAG.match(text)
    return match[0].decode("ascii") if match else "*"


def parse(text: bytes, literals: Sequence[bytes] = ()) -> commands.Command:
    """Raises Refused for everything that is no command of ours."""
    head = _HEAD.match(text)
    if head is None:
        raise Refused("Expected a tag and a command")
    verb = head[3].upper().decode("ascii")
    shape = (_UID_VERBS if head[2] else _VERBS).get(verb)
    if shape is None:
        raise Refused("Unknown command")
    reader = Reader(text, literals, head.end())
    argument = shape(reader)
    if reader.position != len(text):
        reader.end()
    return commands.Command(head[1].decode("ascii"), verb, argument)


def parse_append_head(text: bytes, literals: Sequence[bytes]) -> tuple[Appending, bool]:
    """An APPEND or REPLACE up to its mailbox, and whether the text ends there."""
    head = _HEAD.match(text)
    assert head is not None  # the engine has seen the verb
    reader = Reader(text, literals, head.end())
    replaces = head[3].upper() == b"REPLACE"
    return Appending(reader, uid=bool(head[2]), replaces=replaces), reader.at_end()


def _nothing(reader: Reader) -> None:
    return None


def _login(reader: Reader) -> commands.Login:
    reader.need(b" ")
    user = reader.astring()
    reader.need(b" ")
    return commands.Login(user, reader.astring())


def _authenticate(reader: Reader) -> commands.Authenticate:
    reader.need(b" ")
    mechanism = reader.keyword()
    if not reader.skip(b" ") or reader.at_end():
        return commands.Authenticate(mechanism, None)
    if reader.skip(b"="):
        return commands.Authenticate(mechanism, b"")
    return commands.Authenticate(mechanism, decode_base64(reader.word(_BASE64, "base 64")))


def decode_base64(raw: bytes) -> bytes:
    try:
        return binascii.a2b_base64(raw, strict_mode=True)
    except binascii.Error as error:
        raise Refused("Malformed base 64") from error


def _name(reader: Reader) -> commands.Name:
    reader.need(b" ")
    return commands.Name(reader.astring())


def _select(reader: Reader) -> commands.Select:
    reader.need(b" ")
    mailbox = reader.astring()
    condstore = False
    known: commands.Known | None = None

    def parameter() -> None:
        nonlocal condstore, known
        name = reader.keyword()
        if name == "CONDSTORE":
            condstore = True
        elif name == "QRESYNC" and known is None:
            known = _known(reader)
        else:
            raise Refused("Unknown parameter")

    if reader.skip(b" ") and not reader.at_end():
        reader.list_of(parameter)
    return commands.Select(mailbox, condstore, known)


def _known(reader: Reader) -> commands.Known:
    """RFC 7162 section 7: select-param of QRESYNC. The pairs of numbers and UIDs that may follow are
    for servers that have forgotten what is gone; they are read and not needed."""
    reader.need(b" (")
    uid_validity = reader.number()
    reader.need(b" ")
    modseq = reader.modseq()
    uids = None
    if reader.skip(b" "):
        if not reader.text.startswith(b"(", reader.position):
            uids = number_set(reader)
            reader.skip(b" ")
        if reader.skip(b"("):
            number_set(reader)
            reader.need(b" ")
            number_set(reader)
            reader.need(b")")
    reader.need(b")")
    if uids is not None and any(low < 1 or high < 1 for low, high in uids):
        raise Refused("Known UIDs are numbers")
    return commands.Known(uid_validity, modseq, uids)


def _create(reader: Reader) -> commands.Create:
    reader.need(b" ")
    mailbox = reader.astring()
    uses: tuple[str, ...] = ()
    if reader.skip(b" ") and not reader.at_end():
        reader.need(b"(")
        if reader.keyword() != "USE":
            raise Refused("Unknown parameter")
        reader.need(b" ")
        uses = tuple(flag.upper() for flag in reader.list_of(lambda: _flag(reader), empty=True))
        reader.need(b")")
    return commands.Create(mailbox, uses)


def _rename(reader: Reader) -> commands.Rename:
    reader.need(b" ")
    old = reader.astring()
    reader.need(b" ")
    return commands.Rename(old, reader.astring())


def _lsub(reader: Reader) -> commands.List:
    reader.need(b" ")
    reference = reader.astring()
    reader.need(b" ")
    return commands.List(reference, (reader.astring(LIST_WORD),))


_LIST_SELECTION = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
_LIST_RETURN = frozenset(
    {"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS", "METADATA", "MYRIGHTS"}
)


def _list(reader: Reader) -> commands.List:
    """RFC 5258 section 6, with the selection and return options we advertise."""
    reader.need(b" ")
    extended = False
    selection: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    if reader.text.startswith(b"(", reader.position):
        extended = True
        selection = frozenset(reader.list_of(reader.keyword, empty=True))
        if not selection <= _LIST_SELECTION:
            raise Refused("Unknown selection option")
        if "RECURSIVEMATCH" in selection and not selection & {"SUBSCRIBED", "SPECIAL-USE"}:
            raise Refused("RECURSIVEMATCH needs another selection option")
        reader.need(b" ")
    reference = reader.astring()
    reader.need(b" ")
    if reader.text.startswith(b"(", reader.position):
        extended = True
        patterns = tuple(reader.list_of(lambda: reader.astring(LIST_WORD)))
    else:
        patterns = (reader.astring(LIST_WORD),)
    if reader.skip(b" ") and not reader.at_end():
        extended = True
        if reader.keyword() != "RETURN":
            raise Refused("Unknown list option")
        reader.need(b" ")

        def option() -> str:
            nonlocal status, entries
            name = reader.keyword()
            if name == "METADATA":
                reader.need(b" ")
                entries = metadata.entries(reader)
            if name == "STATUS":
                reader.need(b" ")
                status = tuple(reader.list_of(reader.keyword))
            return name

        returns = frozenset(reader.list_of(option, empty=True))
        if not returns <= _LIST_RETURN:
            raise Refused("Unknown return option")
    return commands.List(reference, patterns, selection, returns, status, entries, extended)


def _status(reader: Reader) -> commands.Status:
    reader.need(b" ")
    mailbox = reader.astring()
    reader.need(b" ")
    return commands.Status(mailbox, tuple(dict.fromkeys(reader.list_of(reader.keyword))))


def _id(reader: Reader) -> commands.Id:
    reader.need(b" ")
    if not reader.text.startswith(b"(", reader.position):
        if reader.nstring() is not None:
            raise Refused("Expected a list or NIL")
        return commands.Id(())
    reader.need(b"(")
    found: list[tuple[bytes, bytes | None]] = []
    if reader.skip(b")"):
        return commands.Id(())
    while True:
        name = reader.string()
        reader.need(b" ")
        value = reader.nstring()
        if len(found) >= MAX_ID_FIELDS or len(name) > MAX_ID_FIELD:
            raise Refused("Too many or too long fields")
        found.append((name, None if value is None else value[:MAX_ID_VALUE]))
        if reader.skip(b")"):
            return commands.Id(tuple(found))
        reader.need(b" ")


def _compress(reader: Reader) -> commands.Compress:
    reader.need(b" ")
    return commands.Compress(reader.keyword())


def _enable(reader: Reader) -> commands.Enable:
    found = []
    while reader.skip(b" ") and not reader.at_end():
        found.append(reader.keyword())
    if not found:
        raise Refused("Missing arguments")
    return commands.Enable(tuple(found))


def _fetch(uid: bool) -> Parse:
    def parse_fetch(reader: Reader) -> commands.Fetch:
        reader.need(b" ")
        named = number_set(reader)
        reader.need(b" ")
        items = fetching.items(reader)
        if reader.skip(b" ") and not reader.at_end():
            return _modified(commands.Fetch(uid, named, items), reader)
        return commands.Fetch(uid, named, items)

    return parse_fetch


def _modified(fetch: commands.Fetch, reader: Reader) -> commands.Fetch:
    """Modifiers of FETCH: RFC 7162 sections 3.1.4.1 and 3.2.6, RFC 9394 section 3.3."""
    since: int | None = None
    vanished = False
    partial: tuple[int, int] | None = None

    def modifier() -> None:
        nonlocal since, vanished, partial
        name = reader.keyword()
        if name == "CHANGEDSINCE" and since is None:
            reader.need(b" ")
            since = reader.modseq()
        elif name == "VANISHED":
            vanished = True
        elif name == "PARTIAL" and partial is None and fetch.uid:
            reader.need(b" ")
            partial = searching.partial(reader)
        else:
            raise Refused("Unknown modifier")

    reader.list_of(modifier)
    if vanished and (since is None or not fetch.uid):
        raise Refused("VANISHED is for UID FETCH with CHANGEDSINCE")
    return replace(fetch, changed_since=since, vanished=vanished, partial=partial)


_MODES = {b"": commands.Mode.REPLACE, b"+": commands.Mode.ADD, b"-": commands.Mode.REMOVE}


def _store(uid: bool) -> Parse:
    def parse_store(reader: Reader) -> commands.Store:
        reader.need(b" ")
        named = number_set(reader)
        reader.need(b" ")
        unchanged = None
        if reader.skip(b"("):
            if reader.keyword() != "UNCHANGEDSINCE":
                raise Refused("Unknown modifier")
            reader.need(b" ")
            unchanged = reader.modseq(0)
            reader.need(b") ")
        item = _STORE_ITEM.match(reader.text, reader.position)
        if item is None:
            raise Refused("Expected FLAGS")
        reader.position = item.end() + 1
        if reader.text.startswith(b"(", reader.position):
            flags = tuple(reader.list_of(lambda: _flag(reader), empty=True))
        else:
            found = [_flag(reader)]
            while reader.skip(b" ") and not reader.at_end():
                found.append(_flag(reader))
            flags = tuple(found)
        return commands.Store(uid, named, _MODES[item[1]], bool(item[2]), flags, unchanged)

    return parse_store


def _flag(reader: Reader) -> str:
    return reader.word(FLAG, "a flag").decode("ascii", "replace")


def _copy(uid: bool) -> Parse:
    def parse_copy(reader: Reader) -> commands.Copy:
        reader.need(b" ")
        named = number_set(reader)
        reader.need(b" ")
        return commands.Copy(uid, named, reader.astring())

    return parse_copy


def _set_acl(reader: Reader) -> commands.SetAcl:
    named = _identifier(reader)
    reader.need(b" ")
    return replace(named, rights=reader.astring().decode("ascii", "replace"))


def _identifier(reader: Reader) -> commands.SetAcl:
    reader.need(b" ")
    mailbox = reader.astring()
    reader.need(b" ")
    return commands.SetAcl(mailbox, reader.astring())


def _root(reader: Reader) -> commands.Root:
    reader.need(b" ")
    return commands.Root(reader.astring())


def _set_quota(reader: Reader) -> commands.Root:
    root = _root(reader)
    reader.need(b" ")

    def limit() -> None:
        reader.keyword()
        reader.need(b" ")
        reader.number(0x7FFFFFFFFFFFFFFF)

    reader.list_of(limit, empty=True)
    return root


def _cancel(reader: Reader) -> commands.Cancel:
    tags = []
    while reader.skip(b" ") and not reader.at_end():
        tags.append(reader.string().decode("ascii", "replace"))
    if not tags:
        raise Refused("Missing arguments")
    return commands.Cancel(tuple(tags))


def _batches(reader: Reader) -> commands.Batches:
    reader.need(b" ")
    size = reader.number()
    first, last = 1, None
    if reader.skip(b" ") and not reader.at_end():
        first = reader.number()
        reader.need(b":")
        last = reader.number()
        if first > last:
            raise Refused("The first batch comes first", "BAD", "CLIENTBUG")
    if not size or not first:
        raise Refused("Numbers begin with 1")
    return commands.Batches(size, first, last)


def _expunge(reader: Reader) -> commands.Expunge:
    return commands.Expunge()


def _uid_expunge(reader: Reader) -> commands.Expunge:
    reader.need(b" ")
    return commands.Expunge(number_set(reader))


def _append(*, uid: bool = False, replaces: bool = False) -> Parse:
    """Only what is put together of URLs: where octets of a message come, the engine reads it itself."""

    def parse_append(reader: Reader) -> commands.AppendDone:
        appending = Appending(reader, uid=uid, replaces=replaces)
        if appending.go_on(reader.text, reader.literals) is not Wants.NOTHING:
            raise Refused("Expected a literal")
        reader.position = len(reader.text)
        return appending.done

    return parse_append


def _gen_url_auth(reader: Reader) -> commands.Urls:
    found = []
    while reader.skip(b" ") and not reader.at_end():
        url = reader.astring()
        reader.need(b" ")
        found.append((url, reader.keyword()))
    return commands.Urls(_some(found))


def _reset_key(reader: Reader) -> commands.ResetKey:
    if not reader.skip(b" ") or reader.at_end():
        return commands.ResetKey()
    mailbox = reader.astring()
    mechanisms = []
    while reader.skip(b" ") and not reader.at_end():
        mechanisms.append(reader.keyword())
    return commands.ResetKey(mailbox, tuple(mechanisms))


def _url_fetch(reader: Reader) -> commands.UrlFetch:
    """RFC 4467 section 7.3, RFC 5524 section 3."""
    found: list[tuple[bytes, tuple[str, ...]]] = []
    while reader.skip(b" ") and not reader.at_end():
        if not reader.skip(b"("):
            found.append((reader.astring(), ()))
            continue
        url = reader.astring()
        wanted = []
        while not reader.skip(b")"):
            reader.need(b" ")
            wanted.append(reader.keyword())
        if not wanted or not {"BODY", "BINARY", "BODYPARTSTRUCTURE"}.issuperset(wanted):
            raise Refused("Expected BODY, BINARY or BODYPARTSTRUCTURE")
        if "BODY" in wanted and "BINARY" in wanted:
            raise Refused("BODY and BINARY exclude each other")
        found.append((url, tuple(dict.fromkeys(wanted))))
    return commands.UrlFetch(_some(found))


T = TypeVar("T")


def _some(found: list[T]) -> tuple[T, ...]:
    if not found:
        raise Refused("Missing arguments")
    if len(found) > MAX_URLS:
        raise Refused("Too many URLs", "NO", "LIMIT")
    return tuple(found)


_VERBS: dict[str, Parse] = {
    **dict.fromkeys(
        (
            "CAPABILITY",
            "NOOP",
            "LOGOUT",
            "STARTTLS",
            "CHECK",
            "CLOSE",
            "UNAUTHENTICATE",
            "UNSELECT",
            "IDLE",
            "NAMESPACE",
            "GETJMAPACCESS",
        ),
        _nothing,
    ),
    "LOGIN": _login,
    "AUTHENTICATE": _authenticate,
    "ID": _id,
    "COMPRESS": _compress,
    "ENABLE": _enable,
    "GETMETADATA": metadata.get,
    "SETMETADATA": metadata.set_,
    "SETACL": _set_acl,
    "DELETEACL": _identifier,
    "GETACL": _name,
    "LISTRIGHTS": _identifier,
    "MYRIGHTS": _name,
    "GETQUOTA": _root,
    "GETQUOTAROOT": _name,
    "SETQUOTA": _set_quota,
    "REPLACE": _append(replaces=True),
    "GENURLAUTH": _gen_url_auth,
    "RESETKEY": _reset_key,
    "URLFETCH": _url_fetch,
    "SELECT": _select,
    "EXAMINE": _select,
    "CREATE": _create,
    "DELETE": _name,
    "RENAME": _rename,
    "SUBSCRIBE": _name,
    "UNSUBSCRIBE": _name,
    "LIST": _list,
    "LSUB": _lsub,
    "STATUS": _status,
    "APPEND": _append(),
    "EXPUNGE": _expunge,
    "ESEARCH": searching.multisearch,
    "UIDBATCHES": _batches,
    "NOTIFY": notifying.notify,
    "CANCELUPDATE": _cancel,
    "SEARCH": lambda reader: searching.search(reader, uid=False),
    "SORT": lambda reader: searching.sort(reader, uid=False),
    "THREAD": lambda reader: searching.thread(reader, uid=False),
    "FETCH": _fetch(False),
    "STORE": _store(False),
    "COPY": _copy(False),
    "MOVE": _copy(False),
}
_UID_VERBS: dict[str, Parse] = {
    "REPLACE": _append(uid=True, replaces=True),
    "FETCH": _fetch(True),
    "STORE": _store(True),
    "COPY": _copy(True),
    "MOVE": _copy(True),
    "SEARCH": lambda reader: searching.search(reader, uid=True),
    "SORT": lambda reader: searching.sort(reader, uid=True),
    "THREAD": lambda reader: searching.thread(reader, uid=True),
    "EXPUNGE": _uid_expunge,
}
VERBS = frozenset(_VERBS)
