"""What the methods of mail have in common: the account they open, its states, its errors as JMAP's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from postillon.access.jmap import names
from postillon.access.jmap.context import Context
from postillon.account import errors
from postillon.account.objects import Objects, State
from postillon.account.sync import CannotTell, Changes, Point
from postillon.protocol.jmap import standard
from postillon.protocol.jmap.errors import MethodError, SetError, invalid_arguments
from postillon.store.operation import BlobLost, StoreFull

CAPABILITY = "urn:ietf:params:jmap:mail"

Telling = Callable[[Point, int | None], Any]


async def open_objects(context: Context, account_id: str) -> Objects:
    """The account by the ids of what is in it. Raises MethodError accountNotFound."""
    account = await context.account(account_id)
    return context.accounts.objects(account.id, context.identity.principal)


def state_of(state: State) -> str:
    return names.state(state.epoch, state.modseq)


def check_state(wanted: str | None, state: State) -> str:
    """The state as text. Raises MethodError stateMismatch where another one was expected."""
    text = state_of(state)
    if wanted is not None and wanted != text:
        raise MethodError("stateMismatch")
    return text


def point_of(text: str, epoch: int) -> Point:
    """The moment that a state means. Raises MethodError cannotCalculateChanges."""
    parts = text.split(".")
    rest = parts[2:]  # within one change that touched very much
    if len(rest) > 2 or not all(one.isascii() and one.isdigit() and len(one) < 10 for one in rest):
        raise MethodError("cannotCalculateChanges")
    modseq = names.modseq_of(".".join(parts[:2]), epoch)
    if modseq is None:
        raise MethodError("cannotCalculateChanges")
    return Point(modseq, *map(int, rest))


def text_of(point: Point, epoch: int) -> str:
    rest = [point.n, point.told] if point.told else [point.n] if point.n else []
    return ".".join([names.state(epoch, point.modseq), *map(str, rest)])


async def changes_of(telling: Telling, since: Point, most: int | None) -> Changes:
    """Raises MethodError cannotCalculateChanges."""
    try:
        found: Changes = await telling(since, most)
    except CannotTell:
        raise MethodError("cannotCalculateChanges") from None
    return found


async def changes_response(
    context: Context, arguments: dict[str, Any], kind: str, telling: Callable[[Objects], Telling]
) -> dict[str, Any]:
    """A /changes. kind: of the ids (`names`); telling: what knows of the changes."""
    wanted = standard.ChangesArguments.parse(arguments)
    objects = await open_objects(context, wanted.account_id)
    epoch = (await objects.state()).epoch
    since = point_of(wanted.since_state, epoch)
    found = await changes_of(telling(objects), since, wanted.max_changes)

    def ids(numbers: list[int]) -> list[str]:
        return [names.name(kind, number) for number in numbers]

    return standard.changes_response(
        wanted.account_id, wanted.since_state, text_of(found.until, epoch),
        created=ids(found.created), updated=ids(found.updated), destroyed=ids(found.destroyed),
        has_more=found.more,
    )  # fmt: skip


def check_properties(wanted: Sequence[str], known: Callable[[str], bool], argument: str) -> None:
    """Raises MethodError invalidArguments."""
    unknown = [name for name in wanted if not known(name)]
    if unknown:
        raise invalid_arguments(f"there is no property {', '.join(unknown)}", [argument])


def set_error(error: Exception) -> SetError:
    """Why one object was not changed."""
    match error:
        case SetError():
            return error
        case errors.EmailGone():
            return SetError("notFound")
        case errors.MailboxNotFound():
            what = "there is no such mailbox, or it takes no emails"
            return SetError("invalidProperties", what, properties=["mailboxIds"])
        case errors.NowhereFiled():
            what = "an email is in one mailbox at least"
            return SetError("invalidProperties", what, properties=["mailboxIds"])
        case errors.BadKeyword():
            return SetError("invalidProperties", str(error), properties=["keywords"])
        case errors.TooManyKeywords():
            return SetError("tooManyKeywords", str(error))
        case errors.OverQuota():
            return SetError("overQuota", "the quota of the account is used up")
        case errors.NotAllowed():
            return SetError("forbidden", "the rights in a mailbox do not cover this")
        case BlobLost():
            return SetError("serverFail", "the octets cannot be read")
        case StoreFull():
            return SetError("serverFail", "there is no room; try again later")
    return SetError("forbidden", str(error))


REFUSALS = (errors.AccountError, BlobLost, StoreFull, SetError)
