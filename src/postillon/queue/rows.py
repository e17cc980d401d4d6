"""What the queue's rows hold, in the words of the code."""

from __future__ import annotations

from enum import Enum, IntEnum, IntFlag

import msgspec

from postillon.account.ids import AccountId
from postillon.mail.address import Address, parse_address
from postillon.mail.envelope import Body, Notify, Recipient
from postillon.mail.outcome import Status
from postillon.queue.ids import QueueId, format_queue_id
from postillon.route.recipient import LocalTarget
from postillon.store.operation import BlobRef, Row

FAR = 1 << 62  # `due_at` of what waits for a person


class Lane(IntEnum):
    INTERACTIVE = 0
    BULK = 1
    REPORT = 2


class State(Enum):
    """The table of docs/queue.md."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    FAILED = "failed"
    EXPIRED = "expired"
    EXPANDED = "expanded"  # an alias of several targets; a row only for the report it has earned

    @property
    def settled(self) -> bool:
        return self not in (State.WAITING, State.CLAIMED)

    @property
    def bad(self) -> bool:
        return self in (State.FAILED, State.EXPIRED)


class Held(IntEnum):
    FREE = 0
    BY_ADMINISTRATOR = 1
    ISOLATED = 2  # workers died with it in hand


class Told(IntFlag):
    """What the sender has been told about a recipient."""

    NOTHING = 0
    FIRST_DELAY = 1
    SECOND_DELAY = 2
    END = 4


class QueueMessage(msgspec.Struct, frozen=True):
    """A row of queue_message. Times in ms."""

    queue_id: QueueId
    ref: BlobRef
    digest: bytes
    prefix: bytes
    reverse_path: Address | None
    submitter: AccountId | None
    lane: Lane
    body: Body
    smtputf8: bool
    ret_full: bool | None
    envid: str
    hops: int
    accepted_at: int
    expires_at: int
    held: Held = Held.FREE
    crashes: int = 0
    about: QueueId | None = None
    release_at: int = 0  # nothing of it is tried before; 0: at once
    deliver_by: int | None = None  # until when it is of use (RFC 2852)
    by_mode: str = ""  # DeliverBy.mode

    @property
    def starts_at(self) -> int:
        """From when its age counts."""
        return max(self.accepted_at, self.release_at)

    @property
    def notice_at(self) -> int | None:
        """When its sender wants to hear that it still waits (by-mode N), where that is not over yet."""
        wanted = self.deliver_by is not None and self.by_mode.startswith("N")
        return self.deliver_by if wanted and (self.deliver_by or 0) > self.starts_at else None

    @property
    def ends_at(self) -> int | None:
        """When it is of no use any more, and is given back (by-mode R)."""
        return self.deliver_by if self.by_mode.startswith("R") else None

    @property
    def name(self) -> str:
        return format_queue_id(self.queue_id)


class QueueRecipient(msgspec.Struct, frozen=True):
    """A row of queue_recipient. Times in ms."""

    n: int
    recipient: Recipient
    destination: str
    state: State = State.WAITING
    due_at: int = 0
    attempts: int = 0
    last_at: int | None = None
    status: Status | None = None
    told: Told = Told.NOTHING
    final_at: int | None = None
    claimed_by: str | None = None
    deferrals: int = 0  # 4yz of its own; what kept its whole destination down does not count
    waits_for: str | None = None  # the queue_destination in whose line it stands
    probe_at: int | None = None  # when that one is tried next

    @property
    def local(self) -> bool:
        return self.destination.startswith(_LOCAL)

    @property
    def next_try_at(self) -> int:
        """When it is tried next (ms), or its destination for it; FAR when a person decides."""
        return self.due_at if self.waits_for is None else self.probe_at or self.due_at


_LOCAL = "local/"
_encode = msgspec.json.Encoder().encode
_decode_status = msgspec.json.Decoder(Status).decode

MESSAGE_COLUMNS = (
    "queue_id, pack, start, length, digest, prefix, reverse_path, submitter, lane, body, smtputf8,"
    " ret_full, envid, hops, accepted_at, expires_at, held, crashes, about, release_at,"
    " deliver_by, by_mode"
)
RECIPIENT_COLUMNS = (
    "n, forward_path, original, notify, destination, state, due_at, attempts, last_at, status, told,"
    " final_at, claimed_by, deferrals, waits_for,"
    " (SELECT d.next_at FROM queue_destination d WHERE d.key = waits_for)"
)


def message_of(row: Row) -> QueueMessage:
    """From MESSAGE_COLUMNS."""
    (queue_id, pack, start, length, digest, prefix, reverse_path, submitter, lane, body, utf8,
     ret_full, envid, hops, accepted_at, expires_at, held, crashes, about, release_at, deliver_by,
     by_mode) = row  # fmt: skip
    return QueueMessage(
        QueueId(queue_id), BlobRef(pack, start, length), digest, prefix,
        None if reverse_path is None else parse_address(reverse_path),
        None if submitter is None else AccountId(submitter),
        Lane(lane), Body(body), bool(utf8), None if ret_full is None else bool(ret_full), envid,
        hops, accepted_at, expires_at, Held(held), crashes,
        None if about is None else QueueId(about), release_at, deliver_by, by_mode,
    )  # fmt: skip


def recipient_of(row: Row) -> QueueRecipient:
    """From RECIPIENT_COLUMNS."""
    (n, path, original, notify, destination, state, due_at, attempts, last_at, status, told,
     final_at, claimed_by, deferrals, waits_for, probe_at) = row  # fmt: skip
    recipient = Recipient(parse_address(path), None if notify is None else Notify(notify), original)
    return QueueRecipient(
        n, recipient, destination, State(state), due_at, attempts, last_at, read_status(status),
        Told(told), final_at, claimed_by, deferrals, waits_for, probe_at,
    )  # fmt: skip


def status_text(status: Status | None) -> str:
    return "{}" if status is None else _encode(status).decode()


def read_status(text: str) -> Status | None:
    return None if text == "{}" else _decode_status(text)


def local_destination(target: LocalTarget) -> str:
    return f"{_LOCAL}{target.account}/{target.detail}"


def local_target(destination: str, address: Address) -> LocalTarget:
    """The mailbox a local recipient waits for."""
    _, account, detail = destination.split("/", 2)
    return LocalTarget(AccountId(int(account)), address, detail)
