"""What a verb of `postillon queue` says before it acts, and afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from postillon.admin.ordering import Summary
from postillon.admin.preview import Preview
from postillon.admin.units import format_size
from postillon.queue.verbs import Verb
from postillon.server.commands.moments import ago, moment
from postillon.server.commands.queue_text import WORDS, count, cut, state_of
from postillon.server.commands.tables import table, visible

NAMED_LINES = 5  # destinations in whose line they stand that are named

WILL = {
    Verb.HOLD: "Hold",
    Verb.RELEASE: "Release",
    Verb.RETRY: "Try now",
    Verb.REROUTE: "Send another way",
    Verb.EXPIRE: "Give up now, with a report to the senders,",
    Verb.BOUNCE: "Return to the senders",
    Verb.DROP: "Remove, telling nobody,",
}
DID = {
    Verb.HOLD: "held until released",
    Verb.RELEASE: "released",
    Verb.RETRY: "to be tried now",
    Verb.REROUTE: "sent another way",
    Verb.EXPIRE: "given up; the senders are told",
    Verb.BOUNCE: "returned; the senders are told",
    Verb.DROP: "removed; nobody is told",
}


def preview(found: Preview, more: Mapping[str, str], now: int) -> str:
    """Everything a person should know before saying yes."""
    if found.nothing:
        what = f"to {found.verb.value}" + (f" that is {found.what}" if found.what else "")
        return visible_lines([*_left(found, now), f"There is no mail {what}."])
    lines: list[str] = []
    if found.destination:
        lines += _whole(found)
    if found.recipients or not (found.destination or found.probed):
        what = f": {found.what}" if found.what else " (all mail)"
        size = f", {format_size(found.octets)}" if found.octets else ""
        oldest = f", the oldest accepted {ago(found.oldest, now)} ago" if found.oldest else ""
        lines.append(
            f"{WILL[found.verb]} {count(found.recipients, 'recipient')} of"
            f" {count(found.messages, 'message')}{size}{what}{oldest}."
        )
    lines += _way(found, more)
    lines += _reports(found)
    lines += _left(found, now)
    sample = _sample(found, now)
    return visible_lines(lines) + (f"\n\n{sample}" if sample else "")


def _whole(found: Preview) -> list[str]:
    """A destination as a whole."""
    name = found.destination
    if found.verb is Verb.HOLD:
        return [
            f"Hold the destination {name}: nothing is sent to it, and mail that comes later waits too.",
            "Its mail does not expire meanwhile; the senders are told of the delay.",
            f"This lasts until: postillon queue release --destination {name}",
            f"Waiting for it now: {count(found.messages, 'message')}.",
        ]
    if found.verb is Verb.RELEASE:
        return [f"End the hold of the destination {name}: its mail goes on at once."]
    return [f"Probe {name} at once: it is down, and its mail follows as soon as it answers."]


def _way(found: Preview, more: Mapping[str, str]) -> list[str]:
    if found.verb is Verb.REROUTE:
        where = "where the configuration sends them now" if not found.via else found.via
        where = "the servers that DNS names" if found.via == "mx" else where
        return [f"They go to {where}, at once. Mail that comes later goes as configured."]
    if found.verb is Verb.BOUNCE:
        text = more.get("text", "")
        said = f'with your words: "{text}"' if text else "without a word of yours (--text adds one)"
        return [f"The report says that you returned it, {said}."]
    return []


def _reports(found: Preview) -> list[str]:
    if found.verb not in (Verb.EXPIRE, Verb.BOUNCE) or not found.recipients:
        return []
    if not found.reports:
        return ["Nobody is told: these senders have no address or asked not to be."]
    names = ", ".join(f"{item.address} ({item.reports:,})" for item in found.senders)
    if found.more_senders is None:
        names += " and more than 1,000 others"
    elif found.more_senders:
        names += f" and {count(found.more_senders, 'other')}"
    return [f"Senders who are told, {count(found.reports, 'report')} in all: {names}."]


def _left(found: Preview, now: int) -> list[str]:
    """Who is meant and yet not, or not at once, done to."""
    lines: list[str] = []
    if found.in_hand:
        left = "those are left to end by themselves"
        then = f"they {_FOLLOW[found.verb]} when they come back" if found.follows else left
        lines.append(f"In hand now: {found.in_hand:,}; {then}.")
    if found.held and found.verb in (Verb.HOLD, Verb.RETRY):
        then = "they stay so" if found.verb is Verb.HOLD else "release them first; they are left"
        lines.append(f"Held already: {found.held:,}; {then}.")
    if found.held and found.verb is Verb.REROUTE:
        lines.append(f"Held: {found.held:,}; they stay so, and go there when they are released.")
    if found.local and found.verb is Verb.REROUTE:
        lines.append(f"For mailboxes of this server: {found.local:,}; those are left.")
    if found.verb is Verb.RETRY:
        lines += _in_lines(found, now)
    return lines


_FOLLOW = {Verb.HOLD: "are held", Verb.RELEASE: "wait for their time"}


def _in_lines(found: Preview, now: int) -> list[str]:
    """What `retry` does for those who wait for their destination."""
    if found.destination:
        return [f"In line for it: {count(found.in_line, 'recipient')}."] if found.in_line else []
    lines: list[str] = []
    held = [line for line in found.lines if line.held]
    answers = [line for line in found.lines if line.down_since is None and not line.held]
    if found.probed:
        lines.append(
            "Destinations that are down are probed at once; their mail follows the answer:"
        )
        lines += [
            f"    {line.name}: {count(line.recipients, 'recipient')}, {state_of(line, now)}"
            for line in found.probed[:NAMED_LINES]
        ]
        if len(found.probed) > NAMED_LINES:
            lines.append(f"    and {count(len(found.probed) - NAMED_LINES, 'other')}")
    if held:
        names = ", ".join(line.name for line in held[:NAMED_LINES])
        number = sum(line.recipients for line in held)
        lines.append(
            f"Waiting for a destination that is held ({names}): {number:,}; release it first."
        )
    if answers:
        number = sum(line.recipients for line in answers)
        lines.append(
            f"In line for a destination that answers: {number:,}; they go as it has places."
        )
    return lines


def _sample(found: Preview, now: int) -> str:
    if not found.sample or (found.destination and not found.recipients):
        return ""
    listed = table(
        found.sample,
        [
            ("ID", lambda item: item.id),
            ("Accepted", lambda item: moment(item.accepted_at, now)),
            ("Size", lambda item: format_size(item.size)),
            ("From", lambda item: item.sender or "<>"),
            ("To", lambda item: item.recipient),
            ("Last words", lambda item: cut(item.words, WORDS) or None),
        ],
        "",
    )
    left = found.recipients - len(found.sample)
    return f"{listed}\nand {count(left, 'other')}" if left > 0 else listed


def question(found: Preview) -> str:
    if not found.recipients:
        name = found.destination or found.what
        return f"{found.verb.value.capitalize()} {visible(name)}?"
    return f"{found.verb.value.capitalize()} {count(found.recipients, 'recipient')}?"


def summary(done: Summary) -> str:
    """What was done, and what was not."""
    parts = [f"{name}: {_DESTINATION[done.verb]}" for name in done.destinations]
    if done.verb is Verb.RETRY and not (done.recipients or done.destinations):
        parts.append("a probe is on its way at this moment; look again: postillon queue")
    elif done.recipients or not (done.destinations or done.following):
        parts.append(
            f"{count(done.recipients, 'recipient')} of {count(done.messages, 'message')}"
            f" {DID[done.verb]}"
        )
    if done.following:
        said = f"in hand; they {_FOLLOW[done.verb]} when they come back"
        parts.append(f"{count(done.following, 'recipient')} {said}")
    if done.in_hand:
        parts.append(
            f"{count(done.in_hand, 'recipient')} in hand, left alone; see again in a moment"
        )
    return visible_lines(parts)


_DESTINATION = {
    Verb.HOLD: "held until released",
    Verb.RELEASE: "released",
    Verb.RETRY: "is probed now",
}


def interrupted(previews: Sequence[Preview], number: int) -> str:
    """After Ctrl-C."""
    if not previews:
        return "\nstopped; nothing was done"
    whole = count(previews[-1].recipients, "recipient")
    return (
        f"\nstopped: at least {number:,} of {whole} were done and stay so;"
        " the same command does the rest"
    )


def visible_lines(lines: Sequence[str]) -> str:
    return "\n".join(map(visible, lines))
