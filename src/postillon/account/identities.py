"""The names an account writes as (RFC 8621 section 6). The first one is always there."""

from __future__ import annotations

import msgspec

from postillon.account import owned
from postillon.account.errors import AccountError
from postillon.account.ids import AccountId
from postillon.account.owned import Happened
from postillon.store.operation import Row, Steps, Tx

DEFAULT = 0  # the id of the one that is there without a row: the login, and its display name
MAX_IDENTITIES = 100  # of one account
MAX_SIGNATURE = 64 * 1024  # characters
MAX_NAME = 500  # characters


class Person(msgspec.Struct, frozen=True):
    """Somebody in Reply-To or Bcc. name: None where there is none."""

    email: str
    name: str | None = None


class Identity(msgspec.Struct, frozen=True):
    """reply_to and bcc: None where they are not set."""

    id: int
    email: str
    name: str = ""
    reply_to: tuple[Person, ...] | None = None
    bcc: tuple[Person, ...] | None = None
    text_signature: str = ""
    html_signature: str = ""

    @property
    def may_delete(self) -> bool:
        return self.id != DEFAULT


class TooManyIdentities(AccountError):
    def __init__(self) -> None:
        super().__init__(f"an account has at most {MAX_IDENTITIES} identities")


_COLUMNS = "identity, email, name, reply_to, bcc, text_signature, html_signature"
_people = msgspec.json.Decoder(tuple[Person, ...] | None).decode
_encode = msgspec.json.Encoder().encode


def every(account: AccountId) -> Steps[list[Identity]]:
    """By id, the first one before all others. Empty where the account is gone."""
    owner = yield "SELECT login, name FROM principal WHERE principal = ?", (account,)
    if not owner:
        return []
    rows = yield (
        f"SELECT {_COLUMNS} FROM identity WHERE account = ? ORDER BY identity",  # noqa: S608
        (account,),
    )
    found = [_identity(row) for row in rows]
    if not found or found[0].id != DEFAULT:
        found.insert(0, Identity(DEFAULT, owner[0][0], owner[0][1]))
    else:  # its address is the login, whatever that was when the rest was set
        found[0] = msgspec.structs.replace(found[0], email=owner[0][0])
    return found


def one(account: AccountId, identity: int) -> Steps[Identity | None]:
    for item in (yield from every(account)):
        if item.id == identity:
            return item
    return None


def create(tx: Tx, account: AccountId, made: Identity) -> Steps[int]:
    """With a new id. Raises TooManyIdentities or AccountNotFound."""
    rows = yield "SELECT COUNT(*) FROM identity WHERE account = ?", (account,)
    if rows[0][0] >= MAX_IDENTITIES:
        raise TooManyIdentities
    number = yield from owned.new_id(account)
    yield from _write(account, msgspec.structs.replace(made, id=number))
    yield from owned.happened(tx, account, Happened.IDENTITY_CREATED, (number,))
    return number


def update(tx: Tx, account: AccountId, changed: Identity) -> Steps[bool]:
    """False where it is gone."""
    if (yield from one(account, changed.id)) is None:
        return False
    yield from _write(account, changed)
    yield from owned.happened(tx, account, Happened.IDENTITY_CHANGED, (changed.id,))
    return True


def delete(tx: Tx, account: AccountId, identity: int) -> Steps[bool]:
    """False where it is gone. The first one cannot be deleted."""
    if identity == DEFAULT:
        return False
    rows = yield (
        "DELETE FROM identity WHERE account = ? AND identity = ? RETURNING identity",
        (account, identity),
    )
    if rows:
        yield from owned.happened(tx, account, Happened.IDENTITY_DELETED, (identity,))
    return bool(rows)


def _write(account: AccountId, item: Identity) -> Steps[None]:
    yield (
        f"INSERT INTO identity (account, {_COLUMNS}) VALUES (?,?,?,?,?,?,?,?)"  # noqa: S608
        " ON CONFLICT (account, identity) DO UPDATE SET email = excluded.email,"
        " name = excluded.name, reply_to = excluded.reply_to, bcc = excluded.bcc,"
        " text_signature = excluded.text_signature, html_signature = excluded.html_signature",
        (
            account, item.id, item.email, item.name, _encode(item.reply_to).decode(),
            _encode(item.bcc).decode(), item.text_signature, item.html_signature,
        ),
    )  # fmt: skip


def _identity(row: Row) -> Identity:
    number, email, name, reply_to, bcc, text, html = row
    return Identity(number, email, name, _people(reply_to), _people(bcc), text, html)
