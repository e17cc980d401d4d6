"""Identity/get, /changes and /set (RFC 8621 section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from postillon.access.jmap import names, owned, sending
from postillon.access.jmap.context import Context, Method
from postillon.access.jmap.sending import CAPABILITY
from postillon.account import identities
from postillon.account.identities import (
    DEFAULT,
    MAX_NAME,
    MAX_SIGNATURE,
    Identity,
    Person,
    TooManyIdentities,
)
from postillon.account.owned import IDENTITIES
from postillon.mail.address import AddressError, parse_address
from postillon.protocol.jmap import patch, standard
from postillon.protocol.jmap.errors import SetError, invalid_properties

__all__ = ["CAPABILITIES", "CAPABILITY", "METHODS"]

CAPABILITIES = (sending.TOLD,)
PROPERTIES = (
    "id", "name", "email", "replyTo", "bcc", "textSignature", "htmlSignature", "mayDelete",
)  # fmt: skip
CREATED = frozenset(PROPERTIES) - {"id", "mayDelete"}
MAX_PEOPLE = 100  # in replyTo or bcc; ours
_DEFAULTS: Mapping[str, Any] = {
    "name": "", "replyTo": None, "bcc": None, "textSignature": "", "htmlSignature": "",
}  # fmt: skip


def as_json(item: Identity) -> dict[str, Any]:
    def people(found: tuple[Person, ...] | None) -> list[dict[str, Any]] | None:
        return None if found is None else [{"name": p.name, "email": p.email} for p in found]

    return {
        "id": names.name(names.IDENTITY, item.id),
        "name": item.name,
        "email": item.email,
        "replyTo": people(item.reply_to),
        "bcc": people(item.bcc),
        "textSignature": item.text_signature,
        "htmlSignature": item.html_signature,
        "mayDelete": item.may_delete,
    }


async def get(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.GetArguments.parse(arguments, context.limits)
    account = await context.own_account(wanted.account_id)
    state = await owned.state_of(context, account.id)
    every = await context.services.store.query(identities.every(account.id))
    found = {names.name(names.IDENTITY, item.id): as_json(item) for item in every}
    return owned.listed(wanted, context, state, found, PROPERTIES)


async def changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    account = await context.own_account(standard.account_of(arguments))
    return await owned.changes(context, account.id, IDENTITIES, names.IDENTITY, arguments)


async def set_(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.SetArguments.parse(arguments, context.limits)
    account = await context.own_account(wanted.account_id)
    store = context.services.store

    async def create(key: str, value: dict[str, Any]) -> dict[str, Any]:
        owned.only(value, CREATED, "these are not the client's to give")
        if "email" not in value:
            raise invalid_properties("an identity has an address", "email")
        full = {**_DEFAULTS, **value}
        made = await _checked(context, account.id, DEFAULT, full)
        try:
            number = await store.write(lambda tx: identities.create(tx, account.id, made))
        except TooManyIdentities as error:
            raise SetError("overQuota", str(error)) from None
        shown = as_json(msgspec.structs.replace(made, id=number))
        return {name: item for name, item in shown.items() if value.get(name, _MISSING) != item}

    async def update(found: str, changed: dict[str, Any]) -> None:
        number = names.number(names.IDENTITY, found)
        old = None
        if number is not None:
            old = await store.query(identities.one(account.id, number))
        if old is None:
            raise SetError("notFound")
        before = as_json(old)
        new = {**before, **_DEFAULTS, **patch.apply(before, changed)}
        different = {name for name in new if new[name] != before.get(name, _MISSING)}
        if different - (CREATED - {"email"}):
            what = "these are not the client's to change"
            raise invalid_properties(what, *sorted(different - (CREATED - {"email"})))
        made = await _checked(context, account.id, old.id, new, known=True)
        if different and not await store.write(lambda tx: identities.update(tx, account.id, made)):
            raise SetError("notFound")

    async def destroy(found: str) -> None:
        number = names.number(names.IDENTITY, found)
        if number == DEFAULT:
            raise SetError("forbidden", "this one stays as long as the account")
        if number is None or not await store.write(
            lambda tx: identities.delete(tx, account.id, number)
        ):
            raise SetError("notFound")

    return await owned.carry_out(context, account.id, wanted, create, update, destroy)


_MISSING = object()


async def _checked(
    context: Context, account: int, number: int, value: Mapping[str, Any], *, known: bool = False
) -> Identity:
    """known: the address was asked for before. Raises SetError."""
    email = value["email"]
    if not isinstance(email, str):
        raise invalid_properties("this is an address", "email")
    if not known:
        try:
            address = parse_address(email)
        except AddressError as error:
            raise invalid_properties(str(error), "email") from None
        if not await context.services.directory.owns(account, address):
            raise SetError("forbiddenFrom", "the account may not send as this address")
    for name, most in (
        ("name", MAX_NAME), ("textSignature", MAX_SIGNATURE), ("htmlSignature", MAX_SIGNATURE),
    ):  # fmt: skip
        if not isinstance(value[name], str) or len(value[name]) > most:
            raise invalid_properties(f"this is a text of at most {most} characters", name)
    if not value["name"].isprintable():
        raise invalid_properties("a name is one line", "name")
    return Identity(
        number, email, value["name"], _people(value["replyTo"], "replyTo"),
        _people(value["bcc"], "bcc"), value["textSignature"], value["htmlSignature"],
    )  # fmt: skip


def _people(value: Any, name: str) -> tuple[Person, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MAX_PEOPLE:
        raise invalid_properties(f"these are at most {MAX_PEOPLE} addresses", name)
    found = []
    for item in value:
        if not isinstance(item, dict) or not {*item} <= {"name", "email"}:
            raise invalid_properties("an address has a name and an email", name)
        shown, email = item.get("name"), item.get("email")
        try:
            parse_address(email if isinstance(email, str) else "")
        except AddressError as error:
            raise invalid_properties(str(error), name) from None
        if shown is not None and (not isinstance(shown, str) or not shown.isprintable()):
            raise invalid_properties("a name is one line", name)
        found.append(Person(str(email), shown))
    return tuple(found)


METHODS: Mapping[str, Method] = {
    "Identity/get": get,
    "Identity/changes": changes,
    "Identity/set": set_,
}
