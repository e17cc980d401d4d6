"""What a client can ask for, parsed: one type for each shape of arguments.

Names and texts are octets until the session decodes them; numbers are ranges with `*` unresolved.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum

from postillon.protocol.imap.numbers import Ranges


@dataclass(frozen=True, slots=True)
class Login:
    user: bytes
    password: bytes


@dataclass(frozen=True, slots=True)
class Authenticate:
    mechanism: str
    initial: bytes | None  # decoded; None: the client waits for a challenge (RFC 4959)


@dataclass(frozen=True, slots=True)
class Name:
    """One mailbox: DELETE, SUBSCRIBE, UNSUBSCRIBE."""

    mailbox: bytes


@dataclass(frozen=True, slots=True)
class Select:
    mailbox: bytes
    parameters: tuple[str, ...] = ()  # RFC 4466; none is known yet


@dataclass(frozen=True, slots=True)
class Create:
    mailbox: bytes
    uses: tuple[
        str, ...
    ] = ()  # special uses with their backslash, in capitals (RFC 6154 section 3)


@dataclass(frozen=True, slots=True)
class Rename:
    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class List:
    """LIST and LSUB; options in capitals (RFC 5258)."""

    reference: bytes
    patterns: tuple[bytes, ...]
    selection: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()  # of RETURN (STATUS (...)), RFC 5819
    extended: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    mailbox: bytes
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Id:
    parameters: tuple[tuple[bytes, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Enable:
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppendDone:
    """The last message of an APPEND has been uploaded and the command line has ended."""


class Attribute(Enum):
    """What FETCH can give beside sections; the value is its name in the response."""

    UID = b"UID"
    FLAGS = b"FLAGS"
    INTERNALDATE = b"INTERNALDATE"
    SIZE = b"RFC822.SIZE"
    ENVELOPE = b"ENVELOPE"
    STRUCTURE = b"BODYSTRUCTURE"
    BODY = b"BODY"  # the structure without extension data


class SectionText(Enum):
    """What a section takes of its part; FIELDS and NOT_FIELDS are of its header."""

    ALL = ""
    HEADER = "HEADER"
    FIELDS = "HEADER.FIELDS"
    NOT_FIELDS = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


@dataclass(frozen=True, slots=True)
class Section:
    """BODY[...] and its elder spellings RFC822, RFC822.HEADER, RFC822.TEXT."""

    label: bytes  # as the response names it, without the octet count
    path: tuple[int, ...] = ()
    text: SectionText = SectionText.ALL
    fields: tuple[bytes, ...] = ()
    partial: tuple[int, int] | None = None  # first octet from 0, and how many
    peek: bool = False


FetchItem = Attribute | Section


@dataclass(frozen=True, slots=True)
class Fetch:
    uid: bool
    numbers: Ranges
    items: tuple[FetchItem, ...]


class Mode(Enum):
    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Store:
    uid: bool
    numbers: Ranges
    mode: Mode
    silent: bool
    flags: tuple[str, ...]  # as sent; system flags with their backslash


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY and MOVE."""

    uid: bool
    numbers: Ranges
    mailbox: bytes


@dataclass(frozen=True, slots=True)
class Expunge:
    numbers: Ranges | None = None  # UIDs (RFC 4315); None: all


# Search keys --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Everything:
    pass


@dataclass(frozen=True, slots=True)
class Numbered:
    uid: bool
    numbers: Ranges


@dataclass(frozen=True, slots=True)
class HasFlag:
    flag: str  # `\Seen`, `\Recent`, or a keyword as sent


@dataclass(frozen=True, slots=True)
class HeaderHas:
    field: bytes  # in small letters
    text: str  # "": the field is there


@dataclass(frozen=True, slots=True)
class ContentHas:
    text: str
    header: bool  # TEXT looks into the header too, BODY does not


@dataclass(frozen=True, slots=True)
class Size:
    larger: bool
    octets: int


class Moment(Enum):
    RECEIVED = "received"  # INTERNALDATE
    SENT = "sent"  # the Date field


@dataclass(frozen=True, slots=True)
class OnDay:
    """`first` <= the day < `before`; None is open. Days without regard to time or zone."""

    moment: Moment
    first: date | None
    before: date | None


@dataclass(frozen=True, slots=True)
class Age:
    younger: bool
    seconds: int  # RFC 5032


@dataclass(frozen=True, slots=True)
class Not:
    key: SearchKey


@dataclass(frozen=True, slots=True)
class Either:
    keys: tuple[SearchKey, SearchKey]


@dataclass(frozen=True, slots=True)
class All:
    keys: tuple[SearchKey, ...]


SearchKey = (
    Everything
    | Numbered
    | HasFlag
    | HeaderHas
    | ContentHas
    | Size
    | OnDay
    | Age
    | Not
    | Either
    | All
)


@dataclass(frozen=True, slots=True)
class Search:
    uid: bool
    key: SearchKey
    returns: frozenset[str] | None = None  # of RETURN (RFC 4731); None: answer with SEARCH


Argument = (
    Login | Authenticate | Name | Select | Create | Rename | List | Status | Id | Enable | AppendDone
    | Fetch | Store | Copy | Expunge | Search
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    tag: str
    verb: str  # in capitals; the UID forms have the verb of their plain form
    argument: Argument | None = None
