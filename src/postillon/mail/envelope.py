"""What travels beside a message (RFC 5321 section 2.3.1) with its DSN wishes (RFC 3461)."""

from __future__ import annotations

from enum import Enum, Flag

import msgspec

from postillon.mail.address import Address


class Notify(Flag):
    """When the sender wants a report about a recipient (RFC 3461 section 4.1)."""

    NEVER = 0
    SUCCESS = 1
    FAILURE = 2
    DELAY = 4


# No NOTIFY given: failures always, delays as the server likes (RFC 3461 section 4.1).
DEFAULT_NOTIFY = Notify.FAILURE | Notify.DELAY


class Body(Enum):
    """What the submitter declared of the content (RFC 6152, RFC 3030)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"
    BINARY = "BINARYMIME"


class Recipient(msgspec.Struct, frozen=True):
    """A forward-path with its DSN wishes."""

    forward_path: Address
    notify: Notify | None = None  # None: not given, which is not the same as NEVER
    original: str = (
        ""  # ORCPT as "rfc822;ada@example.org", already xtext-decoded; "" when not given
    )

    @property
    def wishes(self) -> Notify:
        return DEFAULT_NOTIFY if self.notify is None else self.notify


class DeliverBy(msgspec.Struct, frozen=True):
    """Until when a message is of use to its sender (RFC 2852)."""

    seconds: int  # from now; below 0 when it is late already
    returns: bool  # by-mode R: give it back then; else N: tell, and go on
    trace: bool = False  # tell of each relay

    @property
    def mode(self) -> str:
        """As it is written: "R", "N", "RT" or "NT"."""
        return ("R" if self.returns else "N") + ("T" if self.trace else "")


class Envelope(msgspec.Struct, frozen=True):
    """One mail transaction. `reverse_path` None is the null sender: never answer it."""

    reverse_path: Address | None
    recipients: tuple[Recipient, ...] = ()
    body: Body = Body.SEVEN_BIT
    smtputf8: bool = False
    size: int | None = None  # octets declared with SIZE=, not yet seen
    ret_full: bool | None = None  # RET=FULL / RET=HDRS; None: not given
    envid: str = ""  # ENVID, xtext-decoded; "" when not given
    extra: dict[str, str] = msgspec.field(
        default_factory=dict
    )  # other accepted parameters, upper case
    by: DeliverBy | None = None
    hold_for: int | None = None  # seconds (RFC 4865); at most one of both is given
    hold_until: int | None = None  # ms

    def to(self, *recipients: Recipient) -> Envelope:
        # Written out, for each message comes this way: `replace` costs five times as much.
        return Envelope(
            self.reverse_path, recipients, self.body, self.smtputf8, self.size, self.ret_full,
            self.envid, self.extra, self.by, self.hold_for, self.hold_until,
        )  # fmt: skip
