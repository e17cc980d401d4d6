"""What a sender has not been told yet: from the rows of a message and the time, nothing else.

A report is owed from the moment a recipient is settled, or still waits at a mark of its age, until
`told` says that it was sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postillon.mail.address import Address
from postillon.mail.envelope import Notify
from postillon.mail.outcome import Status
from postillon.mail.report import Action
from postillon.queue import trace
from postillon.queue.acceptance import wants_report
from postillon.queue.ids import QueueId
from postillon.queue.rows import FAR, Held, QueueMessage, QueueRecipient, State, Told, read_status
from postillon.queue.schedule import Schedule
from postillon.queue.spool import remove_finished
from postillon.store.operation import Steps, Tx

DAY = 24 * 3_600_000  # ms; a message earns one failure report in it, and one of success (FAULTS 11)

_ACTION = {
    State.FAILED: Action.FAILED,
    State.EXPIRED: Action.FAILED,
    State.DELIVERED: Action.DELIVERED,
    State.RELAYED: Action.RELAYED,
    State.EXPANDED: Action.EXPANDED,
}
_NOTICES = (Told.NOTHING, Told.FIRST_DELAY, Told.FIRST_DELAY | Told.SECOND_DELAY)


@dataclass(frozen=True, slots=True)
class Debt:
    """What has to be told, or to be ticked off in silence: recipients and their new bits."""

    reports: tuple[tuple[Action, tuple[QueueRecipient, ...]], ...]
    bits: dict[int, Told]

    @property
    def nothing(self) -> bool:
        return not self.bits

    def without(self, action: Action) -> Debt:
        """What is left when one of the reports has to wait."""
        waits = {item.n for kind, items in self.reports if kind is action for item in items}
        return Debt(
            tuple(pair for pair in self.reports if pair[0] is not action),
            {n: bits for n, bits in self.bits.items() if n not in waits},
        )


def debt_of(
    message: QueueMessage, recipients: Sequence[QueueRecipient], schedule: Schedule, now: int
) -> Debt:
    """What the sender has not been told yet.

    While a recipient is unsettled, failures that follow a failure report wait for the others or until
    a day has passed since; so do successes that follow one of success.
    """
    bits: dict[int, Told] = {}
    groups: dict[Action, list[QueueRecipient]] = {}
    unsettled = any(not item.state.settled for item in recipients)
    wait = {bad: unsettled and _just_told(recipients, bad, now) for bad in (True, False)}
    schedule = schedule.noticing(message.starts_at, message.notice_at)
    marks = _NOTICES[schedule.marks_passed(message.starts_at, now)]
    for item in recipients:
        if item.state.settled:
            if item.told & Told.END:
                continue
            traced = bool(message.by_mode)  # who is not told of a relay was ticked with its end
            if message.reverse_path is None or not wants_report(item, traced):
                bits[item.n] = Told.END
            elif not wait[item.state.bad]:
                bits[item.n] = Told.END
                groups.setdefault(_ACTION[item.state], []).append(item)
        elif message.reverse_path is not None and marks & ~item.told:
            if message.held is not Held.FREE or now >= message.expires_at:
                continue  # a person decides; or the last try is about to
            bits[item.n] = marks
            if item.recipient.wishes & Notify.DELAY:
                groups.setdefault(Action.DELAYED, []).append(item)
    return Debt(tuple((action, tuple(items)) for action, items in groups.items()), bits)


def _just_told(recipients: Sequence[QueueRecipient], bad: bool, now: int) -> bool:
    return any(
        item.state.settled
        and item.state.bad is bad
        and item.told & Told.END
        and wants_report(item)
        and now - (item.final_at or 0) < DAY
        for item in recipients
    )


def tick(queue_id: QueueId, bits: dict[int, Told]) -> Steps[bool]:
    """Write down that recipients have been told of. False: another worker has done so meanwhile."""
    for n, told in bits.items():
        rows = yield (
            "UPDATE queue_recipient SET told = told | ? WHERE queue_id = ? AND n = ?"
            " AND told & ? <> ? RETURNING n",
            (int(told), queue_id, n, int(told), int(told)),
        )
        if not rows:
            return False
    return True


# A destination that is down speaks for all in its line ---------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of the destination a recipient waits for, or waited for until it expired.

    Times in ms; None: not known. `probes` since it is down, each for all mail that waits for it.
    """

    status: Status | None
    said_at: int | None
    next_at: int | None
    down_since: int | None
    probes: int
    held: bool


def lines_of(queue_id: QueueId) -> Steps[dict[int, Line]]:
    """For each recipient that stands in the line of a destination, by number.

    One that has expired stands in none any more; its last words are those of its destination.
    """
    rows = yield (
        "SELECT r.n, d.status, d.said_at, d.next_at, d.down_since, d.probes, d.held"
        " FROM queue_recipient r JOIN queue_destination d ON d.key = r.waits_for"
        " WHERE r.queue_id = ? AND r.state = 'waiting' AND r.waits_for IS NOT NULL"
        " UNION ALL SELECT r.n, d.status, d.said_at, d.next_at, d.down_since, d.probes, d.held"
        " FROM queue_recipient r JOIN queue_destination d ON d.status = r.status"
        " WHERE r.queue_id = ? AND r.state = 'expired' AND r.status <> '{}'"
        " AND d.down_since IS NOT NULL",
        (queue_id, queue_id),
    )
    return {
        n: Line(
            read_status(status), said_at, None if held or next_at >= FAR else next_at,
            down_since, probes, bool(held),
        )
        for n, status, said_at, next_at, down_since, probes, held in rows
    }  # fmt: skip


# What is owed to a sender over all messages --------------------------------------------------------

# The conditions on state and told are those of the index; its rows are few.
_OWED = (
    "FROM queue_recipient r JOIN queue_message m ON m.queue_id = r.queue_id"
    " WHERE r.state NOT IN ('waiting', 'claimed') AND r.told < 4"
    " AND r.state IN ('failed', 'expired') AND r.final_at <= ? AND m.reverse_path = ?"
    " AND m.submitter IS NOT NULL"
)


def count_owed(to: Address, until: int) -> Steps[int]:
    """How many messages of a sender have failures, up to a time (ms), that are not told."""
    rows = yield f"SELECT COUNT(DISTINCT m.queue_id) {_OWED}", (until, str(to))
    count: int = rows[0][0]
    return count


def failures_owed(to: Address, until: int, after: int, limit: int) -> Steps[list[QueueId]]:
    """Those messages, oldest first. after: only ids beyond this one, to page on."""
    rows = yield (
        f"SELECT DISTINCT m.queue_id {_OWED} AND m.queue_id > ? ORDER BY m.queue_id LIMIT ?",
        (until, str(to), after, limit),
    )
    return [QueueId(queue_id) for (queue_id,) in rows]


def tick_failures(
    tx: Tx, messages: Sequence[QueueId], until: int, kind: str, facts: dict[str, object]
) -> Steps[int]:
    """Write down that a summary has told of these messages' failures, and finish what is finished.

    until: ms, when the summary was begun. kind, facts: for the trace of each. Returns of how many
    messages; of the others another worker has told meanwhile.
    """
    ticked = 0
    for queue_id in messages:
        rows = yield (
            "UPDATE queue_recipient SET told = told | ? WHERE queue_id = ? AND told < 4"
            " AND state IN ('failed', 'expired') AND final_at <= ? RETURNING n",
            (int(Told.END), queue_id, until),
        )
        if not rows:
            continue
        ticked += 1
        yield from trace.event(queue_id, tx.now, kind, facts)
        yield from remove_finished(queue_id)
    return ticked
