"""`postillon queue`: what waits, why, and what to do about it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from typing import Any

import click

from postillon.admin import queueing
from postillon.admin.desk import Desk
from postillon.admin.errors import Refused
from postillon.admin.queueing import Acted, Queued, QueuedStory, Verb, Waiting
from postillon.admin.units import format_size
from postillon.server.commands.common import (
    REFUSED,
    Place,
    at_desk,
    place_options,
    refuse,
    sure,
)
from postillon.server.commands.tables import answer, facts, table, when

DONE = {
    Verb.RETRY: "will be tried now",
    Verb.HOLD: "held until released",
    Verb.RELEASE: "released, will be tried now",
    Verb.BOUNCE: "returned to the sender",
    Verb.DROP: "removed, nobody is told",
}


@click.group()
def queue() -> None:
    """Mail that waits or travels."""


@queue.command("list")
@click.argument("match", required=False, default="")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@place_options
def list_(place: Place, match: str, limit: int) -> None:
    """List messages in the queue, oldest first.

    MATCH: an address, a domain or a next hop of recipients, or the sender's address.
    """

    def read(desk: Desk) -> tuple[list[Queued], dict[str, int]]:
        return queueing.listing(desk, match, limit), queueing.counts(desk)

    messages, counts = place.look(read)
    answer(place.as_json, messages, lambda: _list(messages, counts, match))


@queue.command()
@click.argument("queue_id", metavar="ID")
@place_options
def show(place: Place, queue_id: str) -> None:
    """Show one message: its recipients, what they wait for, and all attempts."""
    story = place.look(lambda desk: queueing.show(desk, queue_id))
    answer(place.as_json, story, lambda: _story(story))


def verb_options(function: Callable[..., Any]) -> Callable[..., Any]:  # Any: as click's decorators
    for option in (
        click.option("--match", help="All messages `queue list MATCH` would show."),
        click.argument("ids", nargs=-1, metavar="[ID]..."),
    ):
        function = option(function)
    return function


@queue.command()
@verb_options
@place_options
def retry(place: Place, ids: tuple[str, ...], match: str | None) -> None:
    """Try messages now."""
    _act(place, Verb.RETRY, ids, match)


@queue.command()
@verb_options
@place_options
def hold(place: Place, ids: tuple[str, ...], match: str | None) -> None:
    """Keep messages from being tried until they are released."""
    _act(place, Verb.HOLD, ids, match)


@queue.command()
@verb_options
@place_options
def release(place: Place, ids: tuple[str, ...], match: str | None) -> None:
    """Let held or isolated messages go on."""
    _act(place, Verb.RELEASE, ids, match)


@queue.command()
@verb_options
@click.option("--why", default="", help="Told to the sender in the report.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@place_options
def bounce(place: Place, ids: tuple[str, ...], match: str | None, why: str, yes: bool) -> None:
    """Return messages to their senders with a report."""
    sure("Return these messages to their senders?", yes)
    _act(place, Verb.BOUNCE, ids, match, why=why)


@queue.command()
@verb_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@place_options
def drop(place: Place, ids: tuple[str, ...], match: str | None, yes: bool) -> None:
    """Remove messages without telling anybody; the trace keeps who did."""
    sure("Remove these messages without telling anybody?", yes)
    _act(place, Verb.DROP, ids, match)


def _act(
    place: Place, verb: Verb, ids: tuple[str, ...], match: str | None, *, why: str = ""
) -> None:
    """One after the other: what cannot be done does not stop the rest, but the exit code tells."""
    if bool(ids) == (match is not None):
        raise click.UsageError("give ids, or --match")
    who = _caller()

    async def work(desk: Desk) -> tuple[list[Acted], list[Refused]]:
        done, refused = [], []
        for text in ids or queueing.matching(desk, match or ""):
            try:
                done.append(await queueing.act(desk, verb, text, why=why, who=who))
            except Refused as error:
                refused.append(error)
        return done, refused

    done, refused = at_desk(place.configuration(), work)
    answer(place.as_json, done, lambda: "\n".join(map(_acted, done)) or "nothing was done")
    for error in refused:
        refuse(error.what, error.hint)
    if refused:
        raise click.exceptions.Exit(REFUSED)


def _caller() -> str:
    """Who types this, before a root becomes the owner of the data folder."""
    return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name


def _acted(item: Acted) -> str:
    people = "1 recipient" if item.recipients == 1 else f"{item.recipients} recipients"
    return f"{item.id}: {DONE[Verb(item.verb)]} ({people})"


def _list(messages: list[Queued], counts: dict[str, int], match: str) -> str:
    rows = [(message, item) for message in messages for item in message.recipients]
    listed = table(
        rows,
        [
            ("ID", lambda row: row[0].id),
            ("Accepted", lambda row: when(row[0].accepted_at)),
            ("Size", lambda row: format_size(row[0].size)),
            ("From", lambda row: row[0].reverse_path or "<>"),
            ("To", lambda row: row[1].address),
            ("State", lambda row: row[0].held or row[1].state),
            ("Next try", lambda row: when(row[1].due_at)),
            ("Last words", lambda row: row[1].status or None),
        ],
        f"nothing in the queue matches {match}" if match else "the queue is empty",
    )
    total = counts["messages"]
    if not rows or len(messages) >= total:
        return listed
    return f"{listed}\n{len(messages)} of {total} messages shown"


def _story(story: QueuedStory) -> str:
    message = story.message
    head = facts(
        [
            ("Message", message.id),
            ("From", message.reverse_path or "<>"),
            ("Size", format_size(message.size)),
            ("Lane", message.lane),
            ("Accepted", when(message.accepted_at)),
            ("Gives up", when(message.expires_at)),
            *([("Held", message.held)] if message.held else []),
        ]
    )
    parts = [head, *(_recipient(item) for item in message.recipients)]
    if story.attempts:
        parts.append(
            table(
                story.attempts,
                [
                    ("Tried", lambda item: when(item.at)),
                    ("To", lambda item: item.address),
                    ("Outcome", lambda item: item.outcome),
                    ("Words", lambda item: item.status or None),
                ],
                "",
            )
        )
    return "\n\n".join(parts)


def _recipient(item: Waiting) -> str:
    return facts(
        [
            ("To", item.address),
            ("By", item.destination),
            ("State", item.state),
            ("Attempts", item.attempts),
            ("Next try", when(item.due_at)),
            ("Last words", item.status or None),
        ]
    )
