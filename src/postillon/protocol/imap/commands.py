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
class Known:
    """What a client knows of a mailbox it selects again (QRESYNC, RFC 7162 section 3.2.5)."""

    uid_validity: int
    modseq: int
    uids: Ranges | None = None  # None: all below UIDNEXT


@dataclass(frozen=True, slots=True)
class Select:
    mailbox: bytes
    condstore: bool = False  # RFC 7162 section 3.1.8
    known: Known | None = None


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
    metadata: tuple[str, ...] = ()  # of RETURN (METADATA (...)), RFC 9590
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
class Compress:
    method: str


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """RFC 5464 section 4.2. Names in small letters."""

    mailbox: bytes
    entries: tuple[str, ...]
    depth: int = 0  # levels below the entries that are wanted too
    max_size: int | None = None  # octets; larger values are left out


@dataclass(frozen=True, slots=True)
class SetMetadata:
    mailbox: bytes
    values: tuple[tuple[str, bytes | None], ...]  # None removes


@dataclass(frozen=True, slots=True)
class SetAcl:
    """SETACL, and DELETEACL and LISTRIGHTS, which name no rights (RFC 4314 section 3)."""

    mailbox: bytes
    identifier: bytes
    rights: str = ""  # letters, perhaps behind "+" or "-"


@dataclass(frozen=True, slots=True)
class Root:
    """GETQUOTA and SETQUOTA; what the latter would set is not kept."""

    root: bytes


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """One message of an APPEND. parts: URLs, and None for a text that was uploaded (RFC 4469)."""

    flags: tuple[str, ...] = ()
    received: bytes | None = None  # date-time as sent
    parts: tuple[bytes | None, ...] | None = None  # None: it was uploaded whole


@dataclass(frozen=True, slots=True)
class AppendDone:
    """All octets of an APPEND or REPLACE have been uploaded, and the command has ended."""

    mailbox: bytes
    messages: tuple[AppendMessage, ...] = ()
    uid: bool = False
    replaces: int | None = (
        None  # number or UID of the message that goes (RFC 8508); STAR is the last
    )


@dataclass(frozen=True, slots=True)
class Urls:
    """GENURLAUTH: URLs that lack their token, each with a mechanism (RFC 4467 section 7)."""

    urls: tuple[tuple[bytes, str], ...]


@dataclass(frozen=True, slots=True)
class ResetKey:
    mailbox: bytes | None = None  # None: all of the account
    mechanisms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UrlFetch:
    """Each with what is wanted of it: BODY, BINARY, BODYPARTSTRUCTURE (RFC 5524); none: as it is."""

    urls: tuple[tuple[bytes, tuple[str, ...]], ...]


class Attribute(Enum):
    """What FETCH can give beside sections; the value is its name in the response."""

    UID = b"UID"
    FLAGS = b"FLAGS"
    INTERNALDATE = b"INTERNALDATE"
    SIZE = b"RFC822.SIZE"
    ENVELOPE = b"ENVELOPE"
    STRUCTURE = b"BODYSTRUCTURE"
    BODY = b"BODY"  # the structure without extension data
    MODSEQ = b"MODSEQ"  # RFC 7162
    EMAIL_ID = b"EMAILID"  # RFC 8474
    THREAD_ID = b"THREADID"
    SAVED = b"SAVEDATE"  # RFC 8514
    PREVIEW = b"PREVIEW"  # RFC 8970


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


@dataclass(frozen=True, slots=True)
class Binary:
    """BINARY[...], BINARY.PEEK[...] and BINARY.SIZE[...]: without transfer encoding (RFC 3516)."""

    label: bytes
    path: tuple[int, ...] = ()
    partial: tuple[int, int] | None = None
    peek: bool = False
    size: bool = False  # only how many octets


FetchItem = Attribute | Section | Binary


@dataclass(frozen=True, slots=True)
class Fetch:
    uid: bool
    numbers: Ranges
    items: tuple[FetchItem, ...]
    changed_since: int | None = None  # a MODSEQ (RFC 7162 section 3.1.4.1)
    vanished: bool = False  # with it, what is gone since then (RFC 7162 section 3.2.6)
    partial: tuple[int, int] | None = None  # of the messages named (RFC 9394)


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
    unchanged_since: int | None = None  # a MODSEQ (RFC 7162 section 3.1.3)


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
    fuzzy: bool = False  # RFC 6203


@dataclass(frozen=True, slots=True)
class ContentHas:
    text: str
    header: bool  # TEXT looks into the header too, BODY does not
    fuzzy: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    larger: bool
    octets: int


class Moment(Enum):
    RECEIVED = "received"  # INTERNALDATE
    SENT = "sent"  # the Date field
    SAVED = "saved"  # when it came into the mailbox (RFC 8514)


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
class Since:
    """MODSEQ of RFC 7162 section 3.1.5: changed at this mod-sequence or after it."""

    modseq: int


@dataclass(frozen=True, slots=True)
class HasId:
    """EMAILID and THREADID of RFC 8474 section 5.3."""

    thread: bool
    id: bytes


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
    | Since
    | HasId
    | Not
    | Either
    | All
)


@dataclass(frozen=True, slots=True)
class Search:
    uid: bool
    key: SearchKey
    returns: frozenset[str] | None = None  # of RETURN (RFC 4731); None: answer with SEARCH
    partial: tuple[int, int] | None = None  # of RETURN (PARTIAL ...), RFC 9394
    charset: bool = False  # CHARSET was given
    fuzzy: bool = False  # some key is


@dataclass(frozen=True, slots=True)
class Batches:
    """UIDBATCHES (RFC 10022): ranges of UIDs of so many messages, the newest first."""

    size: int
    first: int = 1  # of the batches that are wanted, from 1
    last: int | None = None


class Scope(Enum):
    """Which mailboxes an ESEARCH looks into (RFC 5465 section 6, RFC 7377)."""

    SELECTED = "SELECTED"
    PERSONAL = "PERSONAL"
    INBOXES = "INBOXES"
    SUBSCRIBED = "SUBSCRIBED"
    SUBTREE = "SUBTREE"
    SUBTREE_ONE = "SUBTREE-ONE"
    MAILBOXES = "MAILBOXES"
    SELECTED_DELAYED = "SELECTED-DELAYED"  # of NOTIFY alone


@dataclass(frozen=True, slots=True)
class Source:
    scope: Scope
    mailboxes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class MultiSearch:
    sources: tuple[Source, ...]
    search: Search


class Event(Enum):
    """What NOTIFY can tell of (RFC 5465 section 5), in the spelling of the RFC."""

    MESSAGE_NEW = "MessageNew"
    MESSAGE_EXPUNGE = "MessageExpunge"
    FLAG_CHANGE = "FlagChange"
    MAILBOX_NAME = "MailboxName"
    SUBSCRIPTION_CHANGE = "SubscriptionChange"
    MAILBOX_METADATA_CHANGE = "MailboxMetadataChange"
    SERVER_METADATA_CHANGE = "ServerMetadataChange"


@dataclass(frozen=True, slots=True)
class EventGroup:
    source: Source
    events: frozenset[Event]  # empty: NONE
    items: tuple[FetchItem, ...] = ()  # of each new message in the selected mailbox


@dataclass(frozen=True, slots=True)
class Notify:
    """NOTIFY SET with its groups, the first that names a mailbox counts; NOTIFY NONE has none."""

    status: bool = False  # tell at once how all these mailboxes stand
    groups: tuple[EventGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancel:
    """CANCELUPDATE (RFC 5267 section 4.3.5): the tags of searches."""

    tags: tuple[str, ...]


class SortKey(Enum):
    """RFC 5256 section 3, RFC 5957."""

    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    FROM = "FROM"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"
    DISPLAY_FROM = "DISPLAYFROM"
    DISPLAY_TO = "DISPLAYTO"
    RELEVANCY = "RELEVANCY"  # RFC 6203; the highest first


@dataclass(frozen=True, slots=True)
class Sort:
    keys: tuple[tuple[SortKey, bool], ...]  # whether reversed
    search: Search


@dataclass(frozen=True, slots=True)
class Thread:
    algorithm: str
    search: Search


Argument = (
    Login | Authenticate | Compress | Name | Select | Create | Rename | List | Status | Id | Enable
    | GetMetadata | SetMetadata | SetAcl | Root | AppendDone | Fetch | Store | Copy | Expunge | Search
    | Sort | Thread | Batches | MultiSearch | Notify | Cancel
    | Urls | ResetKey | UrlFetch
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    tag: str
    verb: str  # in capitals; the UID forms have the verb of their plain form
    argument: Argument | None = None
