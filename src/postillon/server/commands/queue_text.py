"""What `postillon queue` shows, for a person who has a problem at night."""

from __future__ import annotations

from collections.abc import Sequence

from postillon.admin.queue_views import (
    Line,
    Overview,
    Page,
    QueuedStory,
    QueueView,
    Waiting,
)
from postillon.admin.units import format_size
from postillon.queue.rows import State
from postillon.queue.selection import Standing
from postillon.server.commands.moments import ago, exact, lasting, moment
from postillon.server.commands.tables import Many, facts, table, visible

WORDS = 72  # characters of last words in a column
NAMES = 40  # characters of a list of servers in a column
ADVISED = 3  # destinations that are named in what to do


def overview(found: Overview, running: bool) -> str:
    """The whole answer of `postillon queue`."""
    parts = [_head(found, running)]
    if found.alerts:
        parts.append(_alerts(found))
    if found.messages:
        parts.append(_lanes(found))
    if found.destinations:
        parts.append(destinations(found.destinations, found.destination_count, found.at))
    if found.held_messages:
        parts.append("Held\n" + _held(found))
    parts.append("What to do\n" + "\n".join(f"  {line}" for line in advice(found, running)))
    return "\n\n".join(parts)


def _head(found: Overview, running: bool) -> str:
    state = "" if running else "\nThe server is not running: nothing is sent or received."
    if not found.messages:
        return "The queue is empty." + state
    wait = f", the oldest for {lasting(found.at - found.oldest)}" if found.oldest else ""
    return (
        f"{count(found.messages, 'message')} in the queue: "
        f"{count(found.waiting, 'recipient')} waiting{wait}.{state}"
    )


def _alerts(found: Overview) -> str:
    lines = ["Alerts"]
    for alert in found.alerts:
        since = f"  since {moment(alert.began_at, found.at)}: {alert.words}"
        lines += [visible(since), *(visible(f"      {part}") for part in alert.remedy.split("; "))]
    return "\n".join(lines)


def _lanes(found: Overview) -> str:
    lanes = table(
        [lane for lane in found.lanes if lane.waiting],
        [
            ("Lane", lambda lane: lane.lane),
            ("Waiting", lambda lane: Many(lane.waiting)),
            ("Due now", lambda lane: Many(lane.due)),
            ("Oldest", lambda lane: ago(lane.oldest, found.at)),
        ],
        "Nobody waits.",
    )
    others = [
        (found.in_hand, "in hand now"),
        (found.scheduled, "scheduled by their senders"),
        (found.in_line, "in line for a destination"),
        (found.held, "held"),
        (found.isolated, "isolated"),
        (found.reports_owed, "ended, the sender is still to be told"),
    ]
    said = ", ".join(f"{number:,} {what}" for number, what in others if number)
    return f"{lanes}\n{said[:1].upper()}{said[1:]}." if said else lanes


def destinations(found: Sequence[QueueView], number: int, now: int) -> str:
    """The table of destinations, the longest first."""
    listed = table(
        found,
        [
            ("Destination", lambda item: cut(item.name, NAMES)),
            ("Messages", lambda item: Many(item.messages)),
            ("Recipients", lambda item: Many(item.recipients)),
            ("Oldest", lambda item: ago(item.oldest, now)),
            ("State", lambda item: state_of(item.line, now)),
            ("Next try", lambda item: _next(item, now)),
            ("Servers", lambda item: cut(_servers(item), NAMES) or None),
            ("Last words", lambda item: cut(item.line.words, WORDS) if item.line else None),
        ],
        "No mail waits for any destination.",
    )
    if len(found) < number:
        more = f"{len(found):,} of {number:,} destinations; all: postillon queue destinations"
        return f"{listed}\n{more} --limit {min(number, 10_000)}"
    return listed


def state_of(line: Line | None, now: int) -> str:
    """ "down 40 min", "held", "answers": what a destination does."""
    if line is None:
        return "answers"
    parts = ["held"] if line.held else []
    if line.down_since is not None:
        parts.append(f"down {lasting(now - line.down_since)}")
    return ", ".join(parts) or "answers, mail in line"


def _next(item: QueueView, now: int) -> str:
    if item.line is not None:
        if item.line.held:
            return "when released"
        if item.line.down_since is not None and item.line.next_probe_at is None:
            return "now"
        if item.line.down_since is None:
            return "now"
    if item.next_try_at is None:
        return "when released"
    return "now" if item.next_try_at <= now else moment(item.next_try_at, now)


def _servers(item: QueueView) -> str:
    if item.line is None or item.line.hosts == (item.name,):
        return ""
    return " ".join(item.line.hosts)


def _held(found: Overview) -> str:
    shown = sum(len(message.recipients) for message in found.held_messages)
    rows = [(message, item) for message in found.held_messages for item in message.recipients]
    listed = table(
        rows,
        [
            ("ID", lambda row: row[0].id),
            ("Accepted", lambda row: moment(row[0].accepted_at, found.at)),
            ("From", lambda row: row[0].reverse_path or "<>"),
            ("To", lambda row: row[1].address),
            ("State", lambda row: row[1].state),
        ],
        "",
    )
    if shown < found.held:
        return f"{listed}\n{shown:,} of {found.held:,}; all: postillon queue list --state held"
    return listed


# What to do ---------------------------------------------------------------------------------------


def advice(found: Overview, running: bool) -> list[str]:
    """What a person may do next, the most urgent first; never empty."""
    lines: list[str] = []
    if not running:
        lines.append("Start the server: systemctl start postillon (and see its log).")
    if found.isolated:
        lines += [
            f"{count(found.isolated, 'message')} isolated, because a worker died twice with it in"
            " hand. See one: postillon queue show ID",
            "  then: postillon queue release ID, or bounce, or drop.",
        ]
    down = [item for item in found.destinations if item.line and item.line.down_since is not None]
    for item in down[:ADVISED]:
        lines += _about_down(item, found.at)
    if len(down) > ADVISED:
        lines.append(f"{len(down) - ADVISED:,} more are down: postillon queue destinations")
    for item in found.destinations:
        if item.line is not None and item.line.held:
            lines.append(
                f"{item.name} is held; to let its mail go on: "
                f"postillon queue release --destination {_argument(item)}"
            )
    if found.held > found.isolated:
        lines.append("Held mail goes on with: postillon queue release ID (or --state held).")
    return lines or ["Nothing needs you: what waits goes by itself."]


def _about_down(item: QueueView, now: int) -> list[str]:
    line = item.line
    assert line is not None
    assert line.down_since is not None
    when = "now" if line.next_probe_at is None else f"at {moment(line.next_probe_at, now)}"
    return [
        f"{item.name} has not answered for {lasting(now - line.down_since)}; it is tried {when},"
        " and its mail follows by itself.",
        f"  to try at once: postillon queue retry --destination {_argument(item)}",
    ]


def _argument(item: QueueView) -> str:
    """What to write for a destination."""
    assert item.line is not None
    key = item.line.key
    if "," not in item.name and " " not in item.name:
        return item.name
    return f"'{key}'" if "?" in key or "," in key else key


# Messages -----------------------------------------------------------------------------------------


def listing(page: Page, what: str, now: int) -> str:
    """The table of `postillon queue list`."""
    rows = [(message, item) for message in page.messages for item in message.recipients]
    listed = table(
        rows,
        [
            ("ID", lambda row: row[0].id),
            ("Accepted", lambda row: moment(row[0].accepted_at, now)),
            ("Size", lambda row: format_size(row[0].size)),
            ("From", lambda row: row[0].reverse_path or "<>"),
            ("To", lambda row: row[1].address),
            ("Forecast", lambda row: forecast(row[1], now)),
            ("Last words", lambda row: cut(_last_words(row[1]), WORDS) or None),
        ],
        f"Nothing in the queue is {what}." if what else "The queue is empty.",
    )
    if len(rows) >= page.recipients_in_all:
        return listed
    return (
        f"{listed}\n{len(rows):,} of {count(page.recipients_in_all, 'recipient')} "
        f"({count(page.messages_in_all, 'message')}); more with --limit"
    )


def forecast(item: Waiting, now: int) -> str:
    """ "down 40 min; next try 11:20; given up Friday 09:00"."""
    if item.state == Standing.IN_HAND.value:
        return "being tried now"
    if item.state == Standing.ISOLATED.value:
        return "isolated: workers died with it; waits for release"
    if item.state == Standing.HELD.value:
        return "held until released"
    if item.state == Standing.SCHEDULED.value:
        return (
            f"sent {moment(item.due_at, now)}, as its sender wants" if item.due_at else "sent now"
        )
    if item.state != State.WAITING.value:
        return f"{item.state}; {'done with' if item.told else 'its sender is to be told'}"
    end = f"given up {moment(item.gives_up_at, now)}"
    if item.attempts_at_most:
        end += f", at the latest at deferral {item.attempts_at_most}"
    line = item.line
    if line is None:
        return f"{_try(item.due_at, now)}; {end}"
    if line.held:
        return "its destination is held until released"
    if line.down_since is None:
        return f"in line, goes next; {end}"
    probe = "being probed now" if line.next_probe_at is None else _try(line.next_probe_at, now)
    return f"down {lasting(now - line.down_since)}; {probe}; {end}"


def _last_words(item: Waiting) -> str:
    """Those of its own last try, else what its destination said when that went down."""
    return item.status or ("" if item.line is None else item.line.words)


def _try(at: int | None, now: int) -> str:
    return "next try now" if at is None or at <= now else f"next try {moment(at, now)}"


def story(found: QueuedStory, now: int) -> str:
    """The answer of `postillon queue show`."""
    message = found.message
    head = facts(
        [
            ("Message", message.id),
            ("From", message.reverse_path or "<> (the null sender: nobody is told)"),
            ("Size", format_size(message.size)),
            ("Lane", message.lane),
            ("Accepted", f"{exact(message.accepted_at)} ({ago(message.accepted_at, now)} ago)"),
            *([("Sent", exact(message.release_at))] if message.release_at else []),
            *([("Deliver by", exact(message.deliver_by))] if message.deliver_by else []),
            ("Given up", f"{exact(message.expires_at)} ({moment(message.expires_at, now)})"),
            *([("Held", message.held)] if message.held else []),
        ]
    )
    parts = [head, *(_recipient(item, now) for item in message.recipients)]
    if found.attempts:
        parts.append(
            table(
                found.attempts,
                [
                    ("Tried", lambda item: exact(item.at)),
                    ("To", lambda item: item.address),
                    ("Outcome", lambda item: _OUTCOMES.get(item.outcome, item.outcome)),
                    ("Words", lambda item: item.status or None),
                ],
                "",
            )
        )
    return "\n\n".join(parts)


_OUTCOMES = {State.WAITING.value: "deferred"}


def _recipient(item: Waiting, now: int) -> str:
    line = item.line
    pairs: list[tuple[str, object]] = [
        ("To", item.address),
        ("Forecast", forecast(item, now)),
        ("By", item.destination),
        ("Attempts", item.attempts),
        ("Last try", f"{exact(item.last_at)}" if item.last_at else "none yet"),
        ("Last words", item.status or None),
    ]
    if line is not None:
        servers = " ".join(line.hosts)
        if servers and servers != item.destination:
            pairs.append(("Servers", servers))
        if line.down_since is not None and line.words and line.words != item.status:
            pairs.append(("They said", line.words))
    return facts(pairs)


def count(number: int, what: str) -> str:
    """ "1 message", "1,200 messages"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
