"""From the queue's rows to what a report says: recipients with their history, the message's header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postillon.mail.cause import cause_of
from postillon.mail.dates import parse_date
from postillon.mail.digest import collect, digest_of
from postillon.mail.header import header_end, unfolded
from postillon.mail.outcome import Status
from postillon.mail.report import Action, Original, Reported
from postillon.mail.wording import languages
from postillon.mail.wording.catalogue import Cause
from postillon.mail.words import decode_words
from postillon.queue.debt import Line
from postillon.queue.ids import QueueId
from postillon.queue.rows import FAR, QueueMessage, QueueRecipient, State
from postillon.queue.verbs import RETURNED
from postillon.store.operation import Steps

UNKNOWN = Status("4.0.0", "")  # not tried yet, and nothing is known of its destination
MAX_OFFSET = 14 * 60  # minutes from UTC a Date may lie; a zone further away does not exist


@dataclass(frozen=True, slots=True)
class Seen:
    """What the header of a message tells its report. `languages`: tags, the sender's best first."""

    original: Original
    languages: tuple[str, ...] = ()
    report: bool = False  # it is a delivery report itself


def see(message: QueueMessage, block: bytes) -> Seen:
    """Read the beginning of the content; never fails, whatever the octets."""
    header = message.prefix + block[: header_end(block, 0, len(block))]
    fields = collect(unfolded(header))
    digest = digest_of(fields)
    moment = parse_date(digest.date) if digest.date else None
    offset = 0 if moment is None or abs(moment[1]) > MAX_OFFSET else moment[1]
    original = Original(
        header,
        None,
        _bracketed(digest.id),
        tuple(found for item in digest.references if (found := _bracketed(item))),
        decode_words(digest.subject) if digest.subject else "",
        message.envid,
        message.accepted_at,
        offset,
        message.deliver_by,
        message.release_at,
    )
    tags = [
        tag
        for name in (b"accept-language", b"content-language")
        for tag in languages.listed(fields.get(name, b""))
    ]
    kind = b"".join(fields.get(b"content-type", b"").lower().split())
    report = kind.startswith(b"multipart/report") and b"delivery-status" in kind
    return Seen(original, tuple(tags), report)


def histories(queue_id: QueueId, numbers: Sequence[int]) -> Steps[dict[int, int]]:
    """When each of these recipients was tried first (ms), by number."""
    rows = yield (
        "SELECT n, MIN(at) FROM queue_attempt WHERE queue_id = ? GROUP BY n",
        (queue_id,),
    )
    wanted = set(numbers)
    return {n: at for n, at in rows if n in wanted}


def reported(
    item: QueueRecipient,
    action: Action,
    accepted_at: int,
    give_up_at: int,
    first_try_at: int | None,
    line: Line | None,
    now: int,
) -> Reported:
    """A recipient as its report shows it.

    first_try_at: ms; None when it has not been tried. line: what is known of the destination it waits
    for, which is tried for all its mail and whose last words hold for all.
    """
    status, last_at, tries, down_since = item.status, item.last_at, item.attempts, None
    next_at: int | None = item.due_at
    if line is not None:
        next_at, status = line.next_at, line.status or status
        if line.down_since is not None and not line.held:
            down_since, tries, last_at = line.down_since, line.probes, line.said_at
    delayed = action is Action.DELAYED
    cause, note = _cause(item, status)
    if line is not None and line.held:
        cause, status, tries = Cause.HELD, None, 0
    expired = item.state is State.EXPIRED and item.final_at is not None
    return Reported(
        item.recipient.forward_path,
        action,
        status or UNKNOWN,
        item.recipient.original,
        cause,
        note,
        tries,
        first_try_at,
        last_at,
        next_at if delayed and next_at is not None and now < next_at < FAR else None,
        give_up_at if delayed else None,
        down_since,
        (item.final_at or 0) - accepted_at if expired else None,
    )


def _cause(item: QueueRecipient, status: Status | None) -> tuple[Cause, str]:
    """The class of failure, and an administrator's own words."""
    if status is None:
        return Cause.WAITING, ""
    if status.remote is None and status.text.startswith(RETURNED):
        return Cause.ADMINISTRATOR, status.text.removeprefix(RETURNED).lstrip(": ")
    if item.state is State.WAITING and status == UNKNOWN:
        return Cause.WAITING, ""
    return cause_of(status), ""


def _bracketed(message_id: bytes | None) -> str:
    """A message id as it may stand in a field of ours; "" when it cannot."""
    if not message_id:
        return ""
    text = message_id.decode("ascii", "replace")
    return f"<{text}>" if text.isprintable() and " " not in text and "�" not in text else ""
