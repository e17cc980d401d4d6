"""What a delivery report is made of: the recipients it speaks of, and the message they were to get."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from postillon.mail.address import Address
from postillon.mail.outcome import Status
from postillon.mail.wording.catalogue import Cause
from postillon.mail.words import clean

MAX_WORDS = 500  # characters kept of what another server said
MAX_ADDRESS = 320  # characters of an address that is shown


class Action(Enum):
    """What became of a recipient (RFC 3464 section 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True)
class Reported:
    """One recipient of a report. Times in ms; None where it has not happened or is not planned."""

    forward_path: Address
    action: Action
    status: Status
    original: str = ""  # ORCPT as "rfc822;ada@example.org"; "" when not known
    cause: Cause = Cause.OTHER  # for one that failed or waits
    note: str = ""  # what an administrator wrote who returned it
    tries: int = 0
    first_try_at: int | None = None
    last_try_at: int | None = None
    next_try_at: int | None = None
    give_up_at: int | None = None
    down_since: int | None = None  # the server has not been reached: it is tried for all its mail
    expired_after: int | None = None  # ms from acceptance until we gave up; None: it was refused

    @property
    def shown(self) -> str:
        """The address as the sender wrote it, where that is known."""
        kind, _, address = self.original.partition(";")
        if address and kind.strip().lower() in ("rfc822", "utf-8"):
            return clean(address.strip())[:MAX_ADDRESS]
        return clean(self.forward_path.unicode())

    @property
    def answer(self) -> str:
        """What the other server said last, as one line; "" when it said nothing."""
        remote = self.status.remote
        return "" if remote is None else clean(str(remote))[:MAX_WORDS]


@dataclass(frozen=True, slots=True)
class Original:
    """What a report keeps of the message it is about."""

    header: bytes  # its header block, as it stood on arrival
    content: bytes | None = None  # the whole message where it is to be returned
    message_id: str = ""  # with its angle brackets; "" when it has none
    references: tuple[str, ...] = ()
    subject: str = ""
    envid: str = ""
    arrived_at: int = 0
    offset: int = 0  # minutes east of UTC, as its Date says: the sender's own time
    deliver_by: int | None = None  # ms (RFC 2852)
    held_until: int = 0  # ms (RFC 4865); 0: it was not
