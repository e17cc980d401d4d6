"""The verbs of `postillon queue`: each says first what it will do, then asks, then does it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import click

from postillon.admin import ordering
from postillon.admin.desk import Desk
from postillon.admin.ordering import Summary
from postillon.admin.preview import Preview
from postillon.clock import system_clock
from postillon.queue.verbs import BATCH, Done, Verb
from postillon.server.commands import order_text
from postillon.server.commands.common import REFUSED, Place, at_desk, caller, place_options
from postillon.server.commands.filters import Meant, filter_options
from postillon.server.commands.tables import to_json

INTERRUPTED = 130  # exit code after Ctrl-C, as of a shell


def _verb(verb: Verb) -> Callable[[Callable[..., dict[str, str]]], click.Command]:
    """A command for a verb; the function gives its own options as words of `ordering.prepare`."""

    def decorate(function: Callable[..., dict[str, str]]) -> click.Command:
        @click.command(verb.value)
        @click.option("--all", "everything", is_flag=True, help="All mail in the queue.")
        @click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
        @click.option("--yes", is_flag=True, help="Do not ask.")
        @place_options
        @filter_options(about=False)
        @functools.wraps(function)
        def command(
            place: Place, meant: Meant, everything: bool, dry_run: bool, yes: bool, **more: Any
        ) -> None:
            if meant.nothing != everything:
                raise click.UsageError(
                    "say which mail: an ID, a filter such as --destination, or --all"
                    if meant.nothing
                    else "--all goes with no other choice"
                )
            _carry_out(place, verb, meant, dry_run, yes, function(**more))

        return command

    return decorate


@_verb(Verb.HOLD)
def hold() -> dict[str, str]:
    """Keep mail from being tried until it is released.

    With --destination alone the destination itself is held: mail that comes later waits too, and
    does not expire.
    """
    return {}


@_verb(Verb.RELEASE)
def release() -> dict[str, str]:
    """Let held or isolated mail go on, at once.

    With --destination alone it ends the hold of that destination.
    """
    return {}


@_verb(Verb.RETRY)
def retry() -> dict[str, str]:
    """Try now.

    A destination that is down is probed at once; the mail in its line follows when it answers.
    """
    return {}


@_verb(Verb.REROUTE)
@click.option(
    "--via",
    metavar="NEXT-HOP",
    default="",
    help='A host, host:port, "smtps://host" and the like, or "mx" for what DNS says.',
)
@click.option("--back", is_flag=True, help="To where the configuration sends it now.")
def reroute(via: str, back: bool) -> dict[str, str]:
    """Send waiting mail another way, at once; --back returns it to the configured one.

    Mail that comes later goes as configured: for that set [route] routes or smarthost.
    """
    if bool(via) == back:
        raise click.UsageError("give --via NEXT-HOP, or --back")
    return {"via": via}


@_verb(Verb.EXPIRE)
def expire() -> dict[str, str]:
    """Give up now, as at the end of the lifetime: the senders get the failure report."""
    return {}


@_verb(Verb.BOUNCE)
@click.option(
    "--text", "why", default="", metavar="TEXT", help="Told to the senders in the report."
)
def bounce(why: str) -> dict[str, str]:
    """Return mail to its senders, with a text of yours in the report."""
    return {"text": why}


@_verb(Verb.DROP)
def drop() -> dict[str, str]:
    """Remove mail and tell nobody; the trace keeps who did it."""
    return {}


VERBS = (hold, release, retry, reroute, expire, bounce, drop)


def _carry_out(
    place: Place, verb: Verb, meant: Meant, dry_run: bool, yes: bool, more: dict[str, str]
) -> None:
    asks = not dry_run and not yes
    if asks and not _asks(place):
        raise click.UsageError(
            "there is nobody to ask: --dry-run shows what would be done, --yes does it"
        )
    config = place.configuration()
    who = caller()
    told: list[Done] = []
    previews: list[Preview] = []

    async def work(desk: Desk) -> Summary | None:
        preview, prepared = await ordering.prepare(
            desk, verb, meant.selection, destination=meant.destination, who=who,
            route=config.route, **more,
        )  # fmt: skip
        previews.append(preview)
        if not place.as_json:
            click.echo(order_text.preview(preview, more, system_clock()))
        if dry_run or preview.nothing:
            return None
        if asks:
            click.confirm(order_text.question(preview), abort=True)
        with _bar(preview, place.as_json) as bar:

            def progress(done: Done) -> None:
                told.append(done)
                if bar is not None:
                    bar.update(done.recipients + done.following)

            return await ordering.perform(desk, prepared, progress)

    try:
        summary = at_desk(config, work)
    except KeyboardInterrupt:
        number = sum(done.recipients for done in told)
        click.echo(order_text.interrupted(previews, number), err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    if place.as_json:
        click.echo(to_json({"preview": previews[-1], "done": summary}))
    elif summary is not None:
        click.echo(order_text.summary(summary))
    if previews[-1].nothing and meant.selection.ids:
        raise click.exceptions.Exit(REFUSED)


def _asks(place: Place) -> bool:
    """Whether there is somebody to ask."""
    return not place.as_json and sys.stdin.isatty()


def _bar(
    preview: Preview, as_json: bool
) -> AbstractContextManager[Any]:  # Any: click's bar or None
    if as_json or preview.recipients <= BATCH or not sys.stderr.isatty():
        return nullcontext()
    return click.progressbar(length=preview.recipients, label=preview.verb.value, file=sys.stderr)
