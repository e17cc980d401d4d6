"""Thread/get and Thread/changes (RFC 8621 section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postillon.access.jmap import names
from postillon.access.jmap.context import Context, Method
from postillon.access.jmap.mail import (
    CAPABILITY,
    changes_response,
    check_properties,
    open_objects,
    state_of,
)
from postillon.account.roll import Roll
from postillon.account.sync import Eyes
from postillon.protocol.jmap import standard
from postillon.protocol.jmap.errors import invalid_arguments
from postillon.store.operation import Steps

__all__ = ["CAPABILITY", "METHODS"]

PROPERTIES = ("id", "emailIds")


async def get(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.GetArguments.parse(arguments, context.limits)
    objects = await open_objects(context, wanted.account_id)
    properties = PROPERTIES if wanted.properties is None else ("id", *wanted.properties)
    check_properties(properties, PROPERTIES.__contains__, "properties")
    if wanted.ids is None:
        raise invalid_arguments("ids cannot be null: threads are asked for by name", ["ids"])
    given = {one: names.number(names.THREAD, context.id_of(one) or "") for one in wanted.ids}

    def look(roll: Roll, eyes: Eyes) -> Steps[dict[int, list[int]]]:
        yield from ()
        return {
            thread: [
                roll.emails[row]
                for row in sorted(roll.of_thread(thread), key=lambda r: (roll.received[r], r))
                if any(map(eyes.reads, roll.mailboxes(row)))
            ]
            for thread in given.values()
            if thread is not None
        }

    found, state = await objects.look(look)
    listed: list[dict[str, Any]] = []
    missing: list[str] = []
    for one, thread in given.items():
        emails = found.get(thread or 0)
        if not emails:
            missing.append(one)
            continue
        ids = [names.name(names.EMAIL, email) for email in emails]
        item = {"id": names.name(names.THREAD, thread or 0), "emailIds": ids}
        listed.append({name: item[name] for name in properties})
    return standard.get_response(wanted.account_id, state_of(state), listed, missing)


async def changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    return await changes_response(
        context, arguments, names.THREAD, lambda objects: objects.thread_changes
    )


METHODS: Mapping[str, Method] = {"Thread/get": get, "Thread/changes": changes}
