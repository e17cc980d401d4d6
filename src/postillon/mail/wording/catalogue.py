"""What a catalogue of texts holds. A new language is one module that fills in a `Wording`.

Texts are templates with `{name}` placeholders; a test holds every language to the same keys and
placeholders. Whatever goes into them has been made one clean line before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

Plural = tuple[str, ...]  # the forms of a text with a number in it, chosen by `Wording.plural`


class Cause(Enum):
    """Why a delivery did not succeed, in the classes that a sender can act on."""

    NO_MAILBOX = "no mailbox"
    MOVED = "moved"
    NO_DOMAIN = "no domain"
    NO_MAIL = "domain without mail"
    DISABLED = "disabled"
    FULL = "full"
    TOO_LARGE = "too large"
    LIST = "list"
    REFUSED = "refused"
    MEMBERS_ONLY = "members only"
    UNVERIFIED = "unverified"
    TOO_MANY = "too many"
    TLS = "tls"
    LOOP = "loop"
    SENDER = "sender"
    CONTENT = "content"
    FORM = "form"
    INTERNATIONAL = "international"
    UNREACHABLE = "unreachable"
    DNS = "dns"
    BUSY = "busy"
    LATER = "later"
    LOGIN = "login"
    PROTOCOL = "protocol"
    OURS = "ours"
    ADMINISTRATOR = "administrator"
    HELD = "held"
    WAITING = "waiting"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Explained:
    """A cause in plain words: what happened, and what the sender can do if it was final."""

    what: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Everything that reports say in one language."""

    language: str  # primary subtag of RFC 5646, lower case
    plural: Callable[[int], int]  # which form of a Plural goes with a number

    # {whom}: an address, or `and_more`. Openings: one recipient {whom}, or {count} of them.
    and_more: Plural  # {first} {count}
    subject_failed: str
    subject_delayed: str
    subject_delivered: str
    subject_relayed: str
    subject_expanded: str
    opening_failed: Plural
    opening_expired: Plural  # {span} besides
    opening_delayed: Plural
    opening_delivered: Plural
    opening_relayed: Plural
    opening_expanded: Plural

    # A report that speaks for many messages of a sender who would get too many.
    subject_summary: Plural  # {count} messages
    opening_summary: Plural  # {count} messages
    summary_left_out: Plural  # {count} messages that are not listed

    # Labels, with their colon
    label_subject: str
    label_sent: str
    label_first_try: str
    label_tries: str
    label_down_since: str  # since when a server has not been reached
    label_last_answer: str
    label_last_try: str  # where there was no answer
    label_detail: str
    label_next_try: str
    label_give_up: str
    label_to: str

    # Headings of blocks
    what_happened: str
    what_to_do: str
    what_was_tried: str

    tries: Plural  # {count}
    tries_over: Plural  # {count} {span}
    tries_for_all: Plural  # {count} {span}; of a server, each for all the mail that waits for it
    minutes: Plural  # {count}
    hours: Plural  # {count}
    days: Plural  # {count}
    said: str  # {host}, {words} of another server
    no_words: str  # {host}; the last try ended without an answer
    administrator: str  # {text}, the administrator's own words
    sender_name: str  # {host}; the name in From and below the text

    # {weekday} {day} {month} {year} {hour} {minute} {zone}; zone is "UTC" or "UTC+1"
    date: str
    first_of_month: str  # how the number of the first day is written
    weekdays: tuple[str, str, str, str, str, str, str]  # from Monday
    months: tuple[str, str, str, str, str, str, str, str, str, str, str, str]

    causes: Mapping[Cause, Explained]

    def count(self, forms: Plural, count: int, **values: str) -> str:
        """The form that goes with `count`, filled in."""
        return forms[self.plural(count)].format(count=count, **values)
