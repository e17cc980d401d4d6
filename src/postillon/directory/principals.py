"""Who holds rights here: people, shared accounts and groups (RFC 9670).

A principal of kind person or shared owns the account of the same id. Its login is its primary address;
after a rename the old address stays its own, and `legacy_name` never changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from postillon.directory import addresses
from postillon.directory.addresses import ACCOUNT, GROUP, AddressEntry, Removal
from postillon.directory.domains import TOPIC
from postillon.directory.errors import AddressTaken, BadName, PrincipalNotFound, WrongKind
from postillon.directory.names import address_of
from postillon.directory.topics import standing_changed
from postillon.mail.address import Address, AddressError, parse_address
from postillon.mail.wording.languages import is_tag
from postillon.store.counters import next_id
from postillon.store.like import escaped
from postillon.store.operation import Row, Steps, Tx

MAX_FOLLOWED = 1_000  # addresses looked at for the groups of somebody; ours
MAX_DISPLAY_NAME = 200  # characters; ours


class PrincipalKind(Enum):
    PERSON = "person"
    SHARED = "shared"  # an account nobody logs in to
    GROUP = "group"  # an address that leads to its members


class Principal(msgspec.Struct, frozen=True):
    """`id` is the account's too, but for groups."""

    id: int
    kind: PrincipalKind
    login: str  # the primary address, normalised
    name: str
    legacy_name: str
    enabled: bool
    admin: bool
    language: str
    created_at: int  # ms

    @property
    def address(self) -> Address:
        return parse_address(self.login)

    @property
    def may_sign_in(self) -> bool:
        return self.enabled and self.kind is PrincipalKind.PERSON


_COLUMNS = "principal, kind, login, name, legacy_name, enabled, admin, language, created_at"
_OF_P = ", ".join(f"p.{name}" for name in _COLUMNS.split(", "))


def _principal(row: Row) -> Principal:
    return Principal(
        row[0], PrincipalKind(row[1]), row[2], row[3], row[4], bool(row[5]), bool(row[6]),
        row[7], row[8],
    )  # fmt: skip


def get(principal: int) -> Steps[Principal | None]:
    rows = yield (f"SELECT {_COLUMNS} FROM principal WHERE principal = ?", (principal,))  # noqa: S608
    return _principal(rows[0]) if rows else None


def at(local: str, domain: str) -> Steps[Principal | None]:
    """The account with exactly this address, if it and its domain are enabled: one statement."""
    rows = yield (
        f"SELECT {_OF_P} FROM domain d JOIN address a ON a.domain = d.domain"  # noqa: S608
        " JOIN principal p ON p.principal = a.principal WHERE d.name = ? AND d.enabled = 1"
        " AND a.local = ? AND a.local <> '' AND a.kind = ? AND p.enabled = 1",
        (domain, local, ACCOUNT),
    )
    return _principal(rows[0]) if rows else None


def by_login(text: str) -> Steps[Principal | None]:
    """The account that has exactly this address, primary or not; None also for text that is none."""
    try:
        local, domain = parse_address(text.strip()).key
    except AddressError:
        return None
    rows = yield (
        f"SELECT {_OF_P} FROM domain d"  # noqa: S608
        " JOIN address a ON a.domain = d.domain JOIN principal p ON p.principal = a.principal"
        " WHERE d.name = ? AND a.local = ? AND a.local <> '' AND a.kind = ?",
        (domain, local, ACCOUNT),
    )
    return _principal(rows[0]) if rows else None


def require(text: str, *kinds: PrincipalKind) -> Steps[Principal]:
    """The principal of this login. Raises BadName, PrincipalNotFound or WrongKind."""
    login = str(address_of(text))
    rows = yield (f"SELECT {_COLUMNS} FROM principal WHERE login = ?", (login,))  # noqa: S608
    found = _principal(rows[0]) if rows else (yield from by_login(text))
    if found is None:
        raise PrincipalNotFound(login)
    if kinds and found.kind not in kinds:
        raise WrongKind(login, found.kind.value, " or ".join(kind.value for kind in kinds))
    return found


def every(*kinds: PrincipalKind) -> Steps[list[Principal]]:
    """By login."""
    rows = yield (f"SELECT {_COLUMNS} FROM principal ORDER BY login", ())  # noqa: S608
    found = [_principal(row) for row in rows]
    return [item for item in found if not kinds or item.kind in kinds]


def page(
    kinds: Sequence[PrincipalKind], domain: str, text: str, after: str, limit: int
) -> Steps[list[Principal]]:
    """By login, from behind `after`; of a domain ("" is all), with a text in login or name."""
    conditions = [f"kind IN ({', '.join('?' * len(kinds))})", "login > ?"]
    values: list[object] = [*(kind.value for kind in kinds), after]
    if domain:
        conditions.append("login LIKE ? ESCAPE '\\'")
        values.append(f"%@{escaped(domain)}")
    if text:
        conditions.append("(login LIKE ? ESCAPE '\\' OR lower(name) LIKE ? ESCAPE '\\')")
        values += [f"%{escaped(text.lower())}%"] * 2
    rows = yield (
        f"SELECT {_COLUMNS} FROM principal WHERE {' AND '.join(conditions)}"  # noqa: S608
        " ORDER BY login LIMIT ?",
        (*values, limit),
    )
    return list(map(_principal, rows))


def create(
    tx: Tx,
    text: str,
    kind: PrincipalKind = PrincipalKind.PERSON,
    name: str = "",
    admin: bool = False,
    language: str = "",
) -> Steps[Principal]:
    """Raises BadName, DomainNotFound or AddressTaken."""
    _check_display_name(name)
    _check_language(language)
    number = yield from next_id("principal")
    taken = GROUP if kind is PrincipalKind.GROUP else ACCOUNT
    entry = yield from addresses.add(text, taken, number)
    if not entry.local:
        raise BadName(text, "a catch-all can be no primary address")
    login = entry.text
    rows = yield ("SELECT 1 FROM principal WHERE legacy_name = ?", (login,))
    # The stable name may be another's from before a rename; then this one gets a number.
    legacy_name = f"{login}#{number}" if rows else login
    yield (
        "INSERT INTO principal (principal, kind, login, name, legacy_name, enabled, admin, language,"
        " created_at) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?)",
        (number, kind.value, login, name, legacy_name, int(admin), language, tx.now),
    )
    tx.announce(TOPIC)
    return Principal(number, kind, login, name, legacy_name, True, admin, language, tx.now)


def update(
    tx: Tx,
    text: str,
    name: str | None = None,
    enabled: bool | None = None,
    admin: bool | None = None,
    language: str | None = None,
) -> Steps[Principal]:
    """Change what is given. Raises BadName or PrincipalNotFound."""
    old = yield from require(text)
    new = msgspec.structs.replace(
        old,
        name=old.name if name is None else name,
        enabled=old.enabled if enabled is None else enabled,
        admin=old.admin if admin is None else admin,
        language=old.language if language is None else language,
    )
    _check_display_name(new.name)
    _check_language(new.language)
    yield (
        "UPDATE principal SET name = ?, enabled = ?, admin = ?, language = ? WHERE principal = ?",
        (new.name, int(new.enabled), int(new.admin), new.language, new.id),
    )
    tx.announce(TOPIC)
    if not new.enabled:
        standing_changed(tx, new.id)
    return new


def rename(tx: Tx, text: str, new_text: str) -> Steps[Principal]:
    """Give a principal another primary address; the old one stays its own.

    Raises BadName, PrincipalNotFound, DomainNotFound, or AddressTaken by somebody else.
    """
    old = yield from require(text)
    domain, local = yield from addresses.split_new(new_text)
    entry = yield from addresses.entry(domain, local)
    if entry is None:
        kind = GROUP if old.kind is PrincipalKind.GROUP else ACCOUNT
        entry = yield from addresses.add(new_text, kind, old.id)
    elif entry.principal != old.id:
        raise AddressTaken(entry.text, entry.kind)
    if not entry.local:
        raise BadName(new_text, "a catch-all can be no primary address")
    yield ("UPDATE principal SET login = ? WHERE principal = ?", (entry.text, old.id))
    tx.announce(TOPIC)
    return msgspec.structs.replace(old, login=entry.text)


def add_address(tx: Tx, login: str, text: str) -> Steps[AddressEntry]:
    """Give a principal one more address, or the catch-all of a domain ("@example.org").

    Raises BadName, PrincipalNotFound, DomainNotFound or AddressTaken.
    """
    owner = yield from require(login)
    kind = GROUP if owner.kind is PrincipalKind.GROUP else ACCOUNT
    entry = yield from addresses.add(text, kind, owner.id)
    tx.announce(TOPIC)
    return entry


def delete(tx: Tx, principal: int) -> Steps[Removal]:
    """Remove a principal with its addresses, credentials and all that points at them.

    The data of an account is `account`'s to erase. Raises PrincipalNotFound.
    """
    rows = yield ("DELETE FROM principal WHERE principal = ? RETURNING principal", (principal,))
    if not rows:
        raise PrincipalNotFound(principal)
    numbers = yield (
        "SELECT a.domain, d.name, a.local, a.kind, a.principal FROM address a"
        " JOIN domain d ON d.domain = a.domain WHERE a.principal = ? ORDER BY d.name, a.local",
        (principal,),
    )
    removal = yield from addresses.erase([(row[0], AddressEntry(*row[1:5])) for row in numbers])
    yield ("DELETE FROM credential WHERE principal = ?", (principal,))
    yield ("DELETE FROM second_factor WHERE principal = ?", (principal,))
    yield ("DELETE FROM session WHERE principal = ?", (principal,))  # with it go its tokens
    yield ("DELETE FROM push_subscription WHERE principal = ?", (principal,))
    yield ("DELETE FROM group_member WHERE principal = ?", (principal,))
    yield ("DELETE FROM granted WHERE grantee = ?", (principal,))
    tx.announce(TOPIC)
    standing_changed(tx, principal)
    return removal


def members(group: int) -> Steps[tuple[Address, ...]]:
    rows = yield ("SELECT member FROM group_member WHERE principal = ? ORDER BY member", (group,))
    return addresses.stored(member for (member,) in rows)


def groups_of(principal: int) -> Steps[frozenset[int]]:
    """The groups somebody belongs to: by any of their addresses, by aliases, by groups in groups.

    Groups that are switched off do not count. At most MAX_FOLLOWED addresses are looked at.
    """
    found: set[int] = set()
    seen: set[str] = set()
    waiting = [entry.text for entry in (yield from addresses.of_principal(principal))]
    while waiting and len(seen) < MAX_FOLLOWED:
        text = waiting.pop()
        if text in seen:
            continue
        seen.add(text)
        rows = yield (
            "SELECT d.name, a.local, a.kind, a.principal FROM alias_target t JOIN address a"
            " ON a.domain = t.domain AND a.local = t.local JOIN domain d ON d.domain = a.domain"
            " WHERE t.target = ?",
            (text,),
        )
        waiting += [AddressEntry(*row).text for row in rows]
        rows = yield (
            "SELECT m.principal FROM group_member m JOIN principal p ON p.principal = m.principal"
            " WHERE m.member = ? AND p.enabled = 1",
            (text,),
        )
        for (group,) in rows:
            if group not in found:
                found.add(group)
                above = yield from addresses.of_principal(group)
                waiting += [entry.text for entry in above]
    return frozenset(found)


def set_members(tx: Tx, text: str, texts: Sequence[str]) -> Steps[tuple[Address, ...]]:
    """Give a group exactly these members; none at all is allowed.

    Raises BadName, PrincipalNotFound, WrongKind or TooMany.
    """
    group = yield from require(text, PrincipalKind.GROUP)
    checked = addresses.targets_of(text, texts) if texts else ()
    yield ("DELETE FROM group_member WHERE principal = ?", (group.id,))
    for member in checked:
        yield (
            "INSERT INTO group_member (principal, member) VALUES (?, ?)",
            (group.id, str(member)),
        )
    tx.announce(TOPIC)
    return checked


def administrator(domain: str) -> Steps[Principal | None]:
    """Who answers for a domain when nobody else does: an administrator in it, else any."""
    rows = yield (
        f"SELECT {_COLUMNS} FROM principal WHERE admin = 1 AND enabled = 1 AND kind = 'person'"  # noqa: S608
        " ORDER BY principal LIMIT 100",
        (),
    )
    found = [_principal(row) for row in rows]
    here = [item for item in found if item.login.endswith("@" + domain)]
    return next(iter(here or found), None)


def _check_display_name(name: str) -> None:
    if len(name) > MAX_DISPLAY_NAME or any(ord(character) < 32 for character in name):
        raise BadName(name[:MAX_DISPLAY_NAME], "a name is one line of at most 200 characters")


def _check_language(language: str) -> None:
    """ "" is not known; else a tag of RFC 5646, whether or not anything here speaks it."""
    if language and not is_tag(language):
        raise BadName(language[:35], "a language is a tag such as en, fr or de-CH")
