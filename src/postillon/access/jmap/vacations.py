"""VacationResponse/get and /set: one object, always there (RFC 8621 section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postillon.access.jmap import owned
from postillon.access.jmap.capability import Capability
from postillon.access.jmap.context import Context, Method
from postillon.account import vacation
from postillon.account.vacation import Vacation
from postillon.mail.dates import format_moment, parse_moment
from postillon.protocol.jmap import patch, standard
from postillon.protocol.jmap.errors import SetError, invalid_properties
from postillon.protocol.jmap.kinds import WrongType, utc_date

CAPABILITY = "urn:ietf:params:jmap:vacationresponse"
CAPABILITIES = (Capability(CAPABILITY, account=lambda services, own: {} if own else None),)
SINGLETON = "singleton"
PROPERTIES = ("id", "isEnabled", "fromDate", "toDate", "subject", "textBody", "htmlBody")
MAX_TEXT = 64 * 1024  # characters
MAX_SUBJECT = 500  # characters


def as_json(item: Vacation) -> dict[str, Any]:
    return {
        "id": SINGLETON,
        "isEnabled": item.enabled,
        "fromDate": None if item.from_at is None else format_moment(item.from_at),
        "toDate": None if item.to_at is None else format_moment(item.to_at),
        "subject": item.subject,
        "textBody": item.plain,
        "htmlBody": item.html,
    }


async def get(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.GetArguments.parse(arguments, context.limits)
    account = await context.own_account(wanted.account_id)
    state = await owned.state_of(context, account.id)
    found = as_json(await context.services.store.query(vacation.get(account.id)))
    return owned.listed(wanted, context, state, {SINGLETON: found}, PROPERTIES)


async def set_(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.SetArguments.parse(arguments, context.limits)
    account = await context.own_account(wanted.account_id)
    store = context.services.store

    async def create(key: str, value: dict[str, Any]) -> dict[str, Any]:
        raise SetError("singleton")

    async def update(found: str, changed: dict[str, Any]) -> None:
        if found != SINGLETON:
            raise SetError("notFound")
        before = as_json(await store.query(vacation.get(account.id)))
        nothing = {**dict.fromkeys(PROPERTIES), "isEnabled": False}
        new = {**nothing, **patch.apply(before, changed)}
        unknown = set(new) - set(PROPERTIES)
        if unknown or new["id"] != SINGLETON:
            what = "these are not the client's to change"
            raise invalid_properties(what, *sorted(unknown or {"id"}))
        made = _checked(new)
        await store.write(lambda tx: vacation.put(tx, account.id, made))

    async def destroy(found: str) -> None:
        raise SetError("singleton" if found == SINGLETON else "notFound")

    return await owned.carry_out(context, account.id, wanted, create, update, destroy)


def _checked(value: Mapping[str, Any]) -> Vacation:
    if not isinstance(value["isEnabled"], bool):
        raise invalid_properties("this is true or false", "isEnabled")
    for name, most in (("subject", MAX_SUBJECT), ("textBody", MAX_TEXT), ("htmlBody", MAX_TEXT)):
        text = value[name]
        if text is not None and (not isinstance(text, str) or len(text) > most or "\0" in text):
            raise invalid_properties(f"this is a text of at most {most} characters", name)
    subject = value["subject"]
    if subject is not None and not subject.isprintable():
        raise invalid_properties("a subject is one line", "subject")
    begin, end = _moment(value["fromDate"], "fromDate"), _moment(value["toDate"], "toDate")
    if begin is not None and end is not None and end <= begin:
        raise invalid_properties("it ends before it begins", "fromDate", "toDate")
    return Vacation(value["isEnabled"], begin, end, subject, value["textBody"], value["htmlBody"])


def _moment(value: Any, name: str) -> int | None:
    if value is None:
        return None
    try:
        return parse_moment(utc_date(value))
    except WrongType as error:
        raise invalid_properties(str(error), name) from None


METHODS: Mapping[str, Method] = {"VacationResponse/get": get, "VacationResponse/set": set_}
