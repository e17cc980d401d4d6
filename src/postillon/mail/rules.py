"""Rules for mail that arrives: what one looks at, and what is to be done with what it matches.

Each condition and action is one of Sieve's, so that a rule can be written as a script: `header`,
`address`, `size`, `redirect :copy`, `addflag`, `fileinto` and `stop` of RFC 5228, RFC 3894 and RFC
5232, compared by i;unicode-casemap (RFC 5051); attachments ask for RFC 5703.

    from, to, subject, header   contains: header :contains; is: address :is, for the others header :is
    to                          of To and Cc
    list                        is: the bare id between the angle brackets of List-Id (RFC 2919)
    size                        over and under, in octets of the email with the lines we put before it
    attachment                  what the web mail shows a paper clip for
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import msgspec

from postillon.mail.addresses import parse_mailboxes
from postillon.mail.folding import casemap
from postillon.mail.words import decode_words

MAX_CONDITIONS = 20  # of one rule
MAX_KEYWORDS = 10  # that one rule adds
MAX_FORWARDS = 4  # addresses of one rule, and of all that hold for one message
MAX_NAME = 200  # characters
MAX_TEXT = 500  # characters a condition looks for
MAX_SIZE = 1 << 40  # octets
MAX_LOOKED = 64 * 1024  # octets of one field that are looked at
MAX_FIELDS = 100  # fields of one name that are looked at

TEXTS = ("from", "to", "subject", "header", "list")
COMPARISONS = ("contains", "notContains", "is", "isNot")  # of texts; attachments have the last two
SIZES = ("over", "under")
ROLES = ("junk", "trash")
HEADER_NAME = re.compile(r"[!-9;-~]{1,100}")  # RFC 5322 section 2.2; ours is the bound

_FIELDS = {
    "from": (b"from",), "to": (b"to", b"cc"), "subject": (b"subject",), "list": (b"list-id",),
}  # fmt: skip
_ID = re.compile(r"<([^<>]*)>")


class Condition(msgspec.Struct, frozen=True, omit_defaults=True):
    """kind: one of TEXTS, "size" or "attachment". header: the name of a field, for "header" alone."""

    kind: str
    comparison: str
    text: str = ""
    header: str = ""
    size: int = 0


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """id 0: not kept yet. mailbox and role say where to, at most one of them."""

    id: int
    name: str
    conditions: tuple[Condition, ...]
    position: int = 0
    enabled: bool = True
    every: bool = True  # all of the conditions, not any
    mailbox: int | None = None
    role: str | None = None  # of ROLES
    seen: bool = False
    flagged: bool = False
    keywords: tuple[str, ...] = ()  # in lower case
    forward: tuple[str, ...] = ()
    stop: bool = True

    @property
    def words(self) -> frozenset[str]:
        """All keywords that it adds, as JMAP names them; what goes to Junk says so."""
        marks = (("$seen", self.seen), ("$flagged", self.flagged), ("$junk", self.role == "junk"))
        return frozenset(self.keywords) | {word for word, on in marks if on}


class Facts:
    """A message as rules look at it. Nothing is worked out before a condition asks for it.

    fields: names in lower case and unfolded values, see header.unfolded. size: octets.
    """

    def __init__(
        self,
        fields: Callable[[], Iterable[tuple[bytes, bytes]]],
        size: int,
        attached: Callable[[], bool],
    ) -> None:
        self._read = fields
        self._attached = attached
        self.size = size
        self._texts: dict[bytes, list[str]] = {}

    @cached_property
    def attached(self) -> bool:
        return self._attached()

    @cached_property
    def _fields(self) -> dict[bytes, list[bytes]]:
        found: dict[bytes, list[bytes]] = {}
        for name, value in self._read():
            same = found.setdefault(name, [])
            if len(same) < MAX_FIELDS:
                same.append(value[:MAX_LOOKED])
        return found

    def texts(self, name: bytes) -> list[str]:
        """Of each field of that name, as it is compared; empty where there is none."""
        found = self._texts.get(name)
        if found is None:
            found = [casemap(decode_words(value)) for value in self._fields.get(name, ())]
            self._texts[name] = found
        return found

    def addresses(self, name: bytes) -> list[str]:
        """Each address in the fields of that name, as it is compared."""
        return [
            casemap(b"@".join((item.local, item.domain)).decode("utf-8", "replace"))
            for value in self._fields.get(name, ())
            for item in parse_mailboxes(value)
            if item.local is not None and item.domain
        ]


def matched(rules: Sequence[Rule], facts: Facts) -> tuple[Rule, ...]:
    """Those that a message fulfils, in order; none after one that says stop."""
    found = []
    for rule in rules:
        if rule.enabled and fulfils(rule, facts):
            found.append(rule)
            if rule.stop:
                break
    return tuple(found)


def fulfils(rule: Rule, facts: Facts) -> bool:
    """False without any condition: nothing is done with everything by mistake."""
    if not rule.conditions:
        return False
    together = all if rule.every else any
    return together(_holds(condition, facts) for condition in rule.conditions)


def _holds(condition: Condition, facts: Facts) -> bool:
    comparison = condition.comparison
    if condition.kind == "size":
        return facts.size > condition.size if comparison == "over" else facts.size < condition.size
    if condition.kind == "attachment":
        return facts.attached is (comparison == "is")
    wanted = casemap(condition.text)
    names = _FIELDS.get(condition.kind) or (condition.header.lower().encode("ascii", "replace"),)
    if comparison in ("contains", "notContains"):
        found = any(wanted in text for name in names for text in facts.texts(name))
        return found is (comparison == "contains")
    found = any(wanted in _whole(condition.kind, name, facts) for name in names)
    return found is (comparison == "is")


def _whole(kind: str, name: bytes, facts: Facts) -> Sequence[str]:
    """What a text is compared with as a whole."""
    if kind in ("from", "to"):
        return facts.addresses(name)
    texts = facts.texts(name)
    if kind == "list":
        return [item for text in texts for item in (text, *_ID.findall(text))]
    return texts
