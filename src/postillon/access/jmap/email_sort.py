"""How Email/query orders emails (RFC 8621 section 4.4.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from postillon.access.jmap.email_filter import keyword_test
from postillon.access.jmap.sorting import key_of
from postillon.account.objects import Objects
from postillon.account.roll import NO_DATE, Roll
from postillon.account.sync import Eyes
from postillon.mail import digest as digests
from postillon.mail.digest import HeaderDigest
from postillon.protocol.jmap.errors import MethodError, invalid_arguments
from postillon.protocol.jmap.headers import addresses
from postillon.protocol.jmap.standard import Comparator

IN_ROLL = ("receivedAt", "sentAt", "size", "hasKeyword")
BY_THREAD = ("allInThreadHaveKeyword", "someInThreadHaveKeyword")
BY_TEXT = ("from", "to", "subject")
PROPERTIES = (*IN_ROLL, *BY_THREAD, *BY_TEXT)
AT_ONCE = 5_000  # headers read in one go


@dataclass(frozen=True, slots=True)
class Order:
    """A sort that has been checked; newest first decides where nothing else does."""

    comparators: tuple[Comparator, ...]

    @classmethod
    def of(cls, sort: Sequence[Comparator]) -> Order:
        """Raises MethodError unsupportedSort or invalidArguments."""
        for one in sort:
            if one.property not in PROPERTIES:
                raise MethodError("unsupportedSort", f"not by {one.property}")
            key_of(one.collation)
            by_keyword = one.property == "hasKeyword" or one.property in BY_THREAD
            # What else stands there is not looked at: some clients send more than there is.
            keyword = one.more.get("keyword")
            if by_keyword != (keyword is not None) or not isinstance(keyword, str | None):
                raise invalid_arguments("sort: keyword goes with a sort by keywords", ["sort"])
        kept: list[Comparator] = []
        for one in sort:
            kept.append(one)
            if one.property == "receivedAt":
                break  # what comes behind could only order what came in the same millisecond
        return cls(tuple(kept))

    @property
    def natural(self) -> bool | None:
        """True: oldest first, False: newest first, as a roll has it; None: another order."""
        if not self.comparators:
            return False
        first = self.comparators[0]
        return first.ascending if first.property == "receivedAt" else None

    @property
    def by_thread(self) -> bool:
        return any(one.property in BY_THREAD for one in self.comparators)

    async def sorted(self, rows: list[int], roll: Roll, eyes: Eyes, objects: Objects) -> list[int]:
        """rows: newest first."""
        found = list(rows)
        for one in reversed(self.comparators):
            if one.property in BY_TEXT:
                key = await _by_text(one, found, roll, objects)
            else:
                key = _in_roll(one, roll, eyes)
            found.sort(key=key, reverse=not one.ascending)
        return found


def _in_roll(one: Comparator, roll: Roll, eyes: Eyes) -> Callable[[int], Any]:
    match one.property:
        case "receivedAt":
            return lambda row: (roll.received[row], row)
        case "sentAt":
            return lambda row: roll.received[row] if roll.sent[row] == NO_DATE else roll.sent[row]
        case "size":
            return roll.sizes.__getitem__
    has = keyword_test(roll, one.more["keyword"].lower())
    if one.property == "hasKeyword":
        return has
    known: dict[int, bool] = {}
    together = all if one.property == "allInThreadHaveKeyword" else any

    def key(row: int) -> bool:
        thread = roll.threads[row]
        if thread not in known:
            rows = [r for r in roll.of_thread(thread) if any(map(eyes.reads, roll.mailboxes(r)))]
            known[thread] = together(map(has, rows))
        return known[thread]

    return key


async def _by_text(
    one: Comparator, rows: Sequence[int], roll: Roll, objects: Objects
) -> Callable[[int], Any]:
    collate, text_of = key_of(one.collation), _TEXTS[one.property]
    keys: dict[int, str] = {}
    emails = {roll.emails[row]: row for row in rows}
    ids = list(emails)
    for start in range(0, len(ids), AT_ONCE):
        some = await objects.headers(ids[start : start + AT_ONCE])
        for email, (header, _) in some.items():
            keys[emails[email]] = collate(text_of(digests.unpack(header)))
    return lambda row: keys.get(row, "")


def _first(value: bytes) -> str:
    """The name of the first mailbox, or its address where it has none."""
    found = addresses(value) if value else []
    return (found[0]["name"] or found[0]["email"] or "") if found else ""


_TEXTS: dict[str, Callable[[HeaderDigest], str]] = {
    "from": lambda d: _first(d.from_),
    "to": lambda d: _first(d.to),
    "subject": lambda d: d.base_subject,
}
