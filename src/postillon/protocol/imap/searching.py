"""The grammar of SEARCH keys (RFC 3501 section 6.4.4, RFC 4731, RFC 5032, RFC 6203)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

from postillon.protocol.imap import numbers
from postillon.protocol.imap.commands import (
    Age,
    All,
    ContentHas,
    Either,
    Everything,
    HasFlag,
    HasId,
    HeaderHas,
    Moment,
    MultiSearch,
    Not,
    Numbered,
    OnDay,
    Scope,
    Search,
    SearchKey,
    Since,
    Size,
    Sort,
    SortKey,
    Source,
    Thread,
)
from postillon.protocol.imap.dates import DATE, parse_date
from postillon.protocol.imap.words import Reader, Refused, number_set

MAX_DEPTH = 50  # of NOT, OR and parentheses; ours
MAX_KEYS = 2_000  # of one search; ours
CHARSETS = {"US-ASCII": "ascii", "UTF-8": "utf-8"}
_ALSO = {"UTF8": "utf-8", "ASCII": "ascii"}  # how clients misspell them
RETURNS = frozenset(
    {"MIN", "MAX", "ALL", "COUNT", "SAVE", "PARTIAL", "RELEVANCY", "UPDATE", "CONTEXT"}
)
CONTEXT = frozenset({"UPDATE", "CONTEXT"})  # RFC 5267: how long a result is wanted, not what of it

_FLAGS = {name.upper().lstrip("\\"): name for name in
          ("\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen", "\\Recent")}  # fmt: skip


def search(reader: Reader, *, uid: bool) -> Search:
    """Everything after the verb of SEARCH."""
    returns, part = _returns(reader)
    reader.need(b" ")
    charset = None
    if reader.text[reader.position : reader.position + 8].upper() == b"CHARSET ":
        reader.position += 8
        charset = _charset(reader)
        reader.need(b" ")
    key, fuzzy = _program(reader, charset or "utf-8", returns)
    return Search(uid, key, returns, part, charset is not None, fuzzy)


def multisearch(reader: Reader) -> MultiSearch:
    """Everything after the verb of ESEARCH (RFC 7377 section 3)."""
    sources: tuple[Source, ...] = (Source(Scope.SELECTED),)
    if reader.text[reader.position : reader.position + 5].upper() == b" IN (":
        reader.position += 4
        sources = tuple(reader.list_of(lambda: source(reader)))
    found = search(reader, uid=True)
    returns = found.returns or frozenset({"ALL"})
    if "UPDATE" in returns:
        raise Refused("UPDATE is for the selected mailbox alone")
    if "SAVE" in returns and any(item.scope is not Scope.SELECTED for item in sources):
        raise Refused("SAVE is for the selected mailbox alone")  # RFC 7377 section 2.2.2
    return MultiSearch(sources, replace(found, returns=returns))


_NAMED = (Scope.SUBTREE, Scope.SUBTREE_ONE, Scope.MAILBOXES)


def source(reader: Reader, *, delayed: bool = False) -> Source:
    """One or more mailboxes: `filter-mailboxes` of RFC 5465 section 8.

    delayed: whether this is of NOTIFY, which alone has SELECTED-DELAYED and not SUBTREE-ONE.
    """
    name = reader.keyword()
    try:
        scope = Scope(name)
    except ValueError:
        raise Refused("Unknown choice of mailboxes") from None
    if scope is (Scope.SUBTREE_ONE if delayed else Scope.SELECTED_DELAYED):
        raise Refused("Unknown choice of mailboxes")
    if scope not in _NAMED:
        return Source(scope)
    reader.need(b" ")
    if reader.text.startswith(b"(", reader.position):
        return Source(scope, tuple(reader.list_of(reader.astring)))
    return Source(scope, (reader.astring(),))


def sort(reader: Reader, *, uid: bool) -> Sort:
    """Everything after the verb of SORT (RFC 5256 section 3, RFC 5267 section 3)."""
    returns, part = _returns(reader)
    reader.need(b" ")

    def key() -> tuple[SortKey, bool]:
        name = reader.keyword()
        reverse = name == "REVERSE"
        if reverse:
            reader.need(b" ")
            name = reader.keyword()
        try:
            return SortKey(name), reverse
        except ValueError:
            raise Refused("Unknown sort key") from None

    keys = tuple(reader.list_of(key))
    found = _charset_and_program(reader, uid, returns, part)
    if not found.fuzzy and any(item is SortKey.RELEVANCY for item, _ in keys):
        raise Refused("RELEVANCY needs a FUZZY key")
    return Sort(keys, found)


def thread(reader: Reader, *, uid: bool) -> Thread:
    """Everything after the verb of THREAD (RFC 5256 section 3)."""
    reader.need(b" ")
    algorithm = reader.keyword()
    return Thread(algorithm, _charset_and_program(reader, uid, None, None))


def _charset_and_program(
    reader: Reader, uid: bool, returns: frozenset[str] | None, part: tuple[int, int] | None
) -> Search:
    reader.need(b" ")
    charset = _charset(reader)
    reader.need(b" ")
    key, fuzzy = _program(reader, charset, returns)
    return Search(uid, key, returns, part, fuzzy=fuzzy)


def _returns(reader: Reader) -> tuple[frozenset[str] | None, tuple[int, int] | None]:
    """RETURN (...) of RFC 4731, and the range of PARTIAL in it."""
    if reader.text[reader.position : reader.position + 9].upper() != b" RETURN (":
        return None, None
    reader.position += 8
    part: tuple[int, int] | None = None

    def option() -> str:
        nonlocal part
        name = reader.keyword()
        if name == "PARTIAL":
            if part is not None:
                raise Refused("PARTIAL only once")
            reader.need(b" ")
            part = partial(reader)
        return name

    returns = frozenset(reader.list_of(option, empty=True))
    if returns <= CONTEXT:
        returns |= {"ALL"}
    if not returns <= RETURNS:
        raise Refused("Unknown result option")
    if part is not None and "ALL" in returns:
        raise Refused("PARTIAL and ALL exclude each other")  # RFC 9394 section 3.1
    return returns, part


def _charset(reader: Reader) -> str:
    name = reader.astring().upper().decode("ascii", "replace")
    charset = CHARSETS.get(name) or _ALSO.get(name)
    if charset is None:
        raise Refused("Unknown charset", "NO", f"BADCHARSET ({' '.join(CHARSETS)})")
    return charset


def _program(
    reader: Reader, charset: str, returns: frozenset[str] | None
) -> tuple[SearchKey, bool]:
    """The keys, and whether one of them is fuzzy."""
    grammar = _Keys(reader, charset)
    keys = [grammar.key(0)]
    while not reader.at_end() and reader.skip(b" "):
        if reader.at_end():
            break
        keys.append(grammar.key(0))
    reader.end()
    if not grammar.fuzzy and returns is not None and "RELEVANCY" in returns:
        raise Refused("RELEVANCY needs a FUZZY key")  # RFC 6203 section 4
    return keys[0] if len(keys) == 1 else All(tuple(keys)), grammar.fuzzy


_PARTIAL = re.compile(rb"(-?)([1-9][0-9]{0,9}):(-?)([1-9][0-9]{0,9})")


def partial(reader: Reader) -> tuple[int, int]:
    """Which of the results (RFC 9394 section 3.1): 1 is the first, -1 the last; both have one sign."""
    match = _PARTIAL.match(reader.text, reader.position)
    if match is None or match[1] != match[3]:
        raise Refused("Malformed range of results")
    reader.position = match.end()
    low, high = sorted((int(match[2]), int(match[4])))
    if high > numbers.MAX_NUMBER:
        raise Refused("Number out of range")
    return (-low, -high) if match[1] else (low, high)


class _Keys:
    def __init__(self, reader: Reader, charset: str) -> None:
        self._reader = reader
        self._charset = charset
        self._count = 0
        self.fuzzy = False  # whether FUZZY was said

    def key(self, depth: int) -> SearchKey:
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_KEYS:
            raise Refused("The search is too complex", "NO", "LIMIT")
        reader = self._reader
        if reader.skip(b"("):
            keys = [self.key(depth + 1)]
            while not reader.skip(b")"):
                reader.need(b" ")
                keys.append(self.key(depth + 1))
            return keys[0] if len(keys) == 1 else All(tuple(keys))
        start = reader.text[reader.position : reader.position + 1]
        if start.isdigit() or start in (b"*", b"$"):
            return Numbered(False, self._numbers())
        name = reader.keyword()
        simple = _SIMPLE.get(name)
        if simple is not None:
            return simple
        if name == "NOT":
            reader.need(b" ")
            return Not(self.key(depth + 1))
        if name == "FUZZY":
            self.fuzzy = True
            reader.need(b" ")
            return _fuzzy(self.key(depth + 1))
        if name == "OR":
            reader.need(b" ")
            first = self.key(depth + 1)
            reader.need(b" ")
            return Either((first, self.key(depth + 1)))
        with_argument = _WITH_ARGUMENT.get(name)
        if with_argument is None:
            raise Refused("Unknown search key")
        reader.need(b" ")
        return with_argument(self)

    def text(self) -> str:
        try:
            return self._reader.astring().decode(self._charset)
        except UnicodeDecodeError as error:
            raise Refused("The text is not in the charset", "NO", "CANNOT") from error

    def header(self) -> SearchKey:
        field = self._reader.astring().lower()
        self._reader.need(b" ")
        return HeaderHas(field, self.text())

    def keyword(self) -> SearchKey:
        return HasFlag(self._reader.atom().decode("ascii", "replace"))

    def uid(self) -> SearchKey:
        return Numbered(True, self._numbers())

    def octets(self) -> int:
        return self._reader.number(0x7FFFFFFFFFFFFFFF)

    def seconds(self) -> int:
        seconds = self._reader.number()
        if not seconds:
            raise Refused("An interval must not be 0")
        return seconds

    def since(self) -> SearchKey:
        """RFC 7162 section 3.1.5: the name and the kind of an entry may stand there, and mean nothing
        to a server that keeps one mod-sequence for all."""
        reader = self._reader
        if reader.text.startswith(b'"', reader.position):
            reader.string()
            reader.need(b" ")
            if reader.keyword() not in ("ALL", "PRIV", "SHARED"):
                raise Refused("Unknown kind of entry")
            reader.need(b" ")
        return Since(reader.modseq(0))

    def has_id(self, *, thread: bool) -> SearchKey:
        return HasId(thread, self._reader.astring())

    def day(self) -> date:
        reader = self._reader
        raw = reader.match(DATE)
        found = parse_date(raw if raw is not None else reader.string())
        if found is None:
            raise Refused("Malformed date")
        return found

    def _numbers(self) -> numbers.Ranges:
        return number_set(self._reader)


def _fuzzy(key: SearchKey) -> SearchKey:
    """A key that may match loosely (RFC 6203 section 3): those about texts do, others do not."""
    match key:
        case HeaderHas() | ContentHas():
            return replace(key, fuzzy=bool(key.text))
        case Not(inner):
            return Not(_fuzzy(inner))
        case Either((first, second)):
            return Either((_fuzzy(first), _fuzzy(second)))
        case All(keys):
            return All(tuple(map(_fuzzy, keys)))
    return key


def _before(day: date) -> date | None:
    """The day after, or None at the end of the calendar."""
    try:
        return day + timedelta(days=1)
    except OverflowError:
        return None


def _fields(field: bytes) -> Callable[[_Keys], SearchKey]:
    return lambda keys: HeaderHas(field, keys.text())


def _days(moment: Moment) -> tuple[Callable[[_Keys], SearchKey], ...]:
    def before(keys: _Keys) -> SearchKey:
        return OnDay(moment, None, keys.day())

    def on(keys: _Keys) -> SearchKey:
        day = keys.day()
        return OnDay(moment, day, _before(day))

    def since(keys: _Keys) -> SearchKey:
        return OnDay(moment, keys.day(), None)

    return before, on, since


_SIMPLE: dict[str, SearchKey] = {
    "ALL": Everything(),
    "SAVEDATESUPPORTED": Everything(),
    "NEW": All((HasFlag("\\Recent"), Not(HasFlag("\\Seen")))),
    "OLD": Not(HasFlag("\\Recent")),
    **{name: HasFlag(flag) for name, flag in _FLAGS.items()},
    **{f"UN{name}": Not(HasFlag(flag)) for name, flag in _FLAGS.items() if name != "RECENT"},
}
_BEFORE, _ON, _SINCE = _days(Moment.RECEIVED)
_SAVED_BEFORE, _SAVED_ON, _SAVED_SINCE = _days(Moment.SAVED)
_SENT_BEFORE, _SENT_ON, _SENT_SINCE = _days(Moment.SENT)
_WITH_ARGUMENT: dict[str, Callable[[_Keys], SearchKey]] = {
    **{name: _fields(name.lower().encode()) for name in ("BCC", "CC", "FROM", "SUBJECT", "TO")},
    "BEFORE": _BEFORE,
    "ON": _ON,
    "SINCE": _SINCE,
    "SENTBEFORE": _SENT_BEFORE,
    "SENTON": _SENT_ON,
    "SENTSINCE": _SENT_SINCE,
    "SAVEDBEFORE": _SAVED_BEFORE,
    "SAVEDON": _SAVED_ON,
    "SAVEDSINCE": _SAVED_SINCE,
    "MODSEQ": _Keys.since,
    "EMAILID": lambda keys: keys.has_id(thread=False),
    "THREADID": lambda keys: keys.has_id(thread=True),
    "BODY": lambda keys: ContentHas(keys.text(), header=False),
    "TEXT": lambda keys: ContentHas(keys.text(), header=True),
    "HEADER": _Keys.header,
    "KEYWORD": _Keys.keyword,
    "UNKEYWORD": lambda keys: Not(keys.keyword()),
    "LARGER": lambda keys: Size(True, keys.octets()),
    "SMALLER": lambda keys: Size(False, keys.octets()),
    "UID": _Keys.uid,
    "YOUNGER": lambda keys: Age(True, keys.seconds()),
    "OLDER": lambda keys: Age(False, keys.seconds()),
}
