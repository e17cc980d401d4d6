"""Which mail is meant, as options: the same for the list and for every verb of `postillon queue`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click

from postillon.admin.errors import Refused
from postillon.admin.queueing import read_id
from postillon.admin.units import UnitError, parse_duration, parse_size
from postillon.clock import system_clock
from postillon.queue.selection import BadSelection, Selection, Standing


class Duration(click.ParamType[int]):
    """Milliseconds, written "90m" or "3d"."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:  # Any: as click
        try:
            return parse_duration(value) // timedelta(milliseconds=1)
        except UnitError as error:
            self.fail(str(error), param, ctx)


class Size(click.ParamType[int]):
    """Octets, written "10 MiB"."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:  # Any: as click
        try:
            return parse_size(value)
        except UnitError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True, slots=True)
class Meant:
    """What the options say. `destination` as it was written: the queue knows what it is called."""

    selection: Selection
    destination: str

    @property
    def nothing(self) -> bool:
        """Whether no option narrows it: all mail is meant."""
        return self.selection.everything and not self.destination


OPTIONS = (
    click.option("--from", "sender", metavar="ADDRESS", default="",
                 help="Sent by an address or by anybody of a domain; <> is the null sender."),
    click.option("--to", "recipient", metavar="ADDRESS", default="",
                 help="For an address, or for anybody of a domain."),
    click.option("--domain", metavar="DOMAIN", default="", help="For anybody of a domain."),
    click.option("--destination", metavar="NAME", default="",
                 help="Waiting for a domain, a server (all domains it serves) or a next hop."),
    click.option("--older", type=Duration(), metavar="AGE", help='Accepted longer ago: "3d", "90m".'),
    click.option("--younger", type=Duration(), metavar="AGE", help="Accepted since."),
    click.option("--larger", type=Size(), metavar="SIZE", help='Of at least this size: "10 MiB".'),
    click.option("--smaller", type=Size(), metavar="SIZE", help="Of at most this size."),
    click.option("--state", type=click.Choice([item.value for item in Standing]),
                 help="What a recipient does now."),
    click.option("--status", metavar="CODE", default="",
                 help='The last answer: "4.7.1", "4.7" for all that begin with it, or "450".'),
    click.option("--reply", "text", metavar="TEXT", default="", help="Words in the last answer."),
)  # fmt: skip


def filter_options(*, about: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options and [ID]..., given to the command as `meant`.

    about: whether a word that is no id may stand for an address, a domain or a destination.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:  # Any: as click's decorators
        @functools.wraps(function)
        def command(*args: Any, **options: Any) -> Any:
            given = {item: options.pop(item) for item in _NAMES}
            words = options.pop("words")
            return function(*args, meant=_meant(words, given, about), **options)

        found: Callable[..., Any] = command
        for option in reversed(OPTIONS):
            found = option(found)
        return click.argument("words", nargs=-1, metavar="[ID]...")(found)

    return decorate


_NAMES = ("sender", "recipient", "domain", "destination", "older", "younger", "larger", "smaller",
          "state", "status", "text")  # fmt: skip


def _meant(words: tuple[str, ...], given: dict[str, Any], about: bool) -> Meant:
    destination = given.pop("destination")
    state = given.pop("state")
    word = ""
    if about and len(words) == 1 and any(char in words[0] for char in "@.:"):
        word, words = words[0], ()
    try:
        selection = Selection(
            ids=tuple(map(read_id, words)),
            about=word,
            standing=None if state is None else Standing(state),
            at=system_clock(),
            **given,
        )
    except BadSelection as error:
        raise click.UsageError(str(error)) from None
    except Refused as error:
        hint = "" if about else "; to choose by something else see --help"
        raise Refused(error.what, error.hint + hint) from None
    return Meant(selection, destination)
