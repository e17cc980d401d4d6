"""`postillon audit`: what administrators have done."""

from __future__ import annotations

import click
import msgspec

from postillon.admin import audit as log
from postillon.admin.audit import MAX_PAGE, Act
from postillon.server.commands.common import Place, place_options
from postillon.server.commands.tables import answer, table, when


@click.command()
@click.argument("about", required=False, default="")
@click.option("--limit", type=click.IntRange(1, MAX_PAGE), default=50, show_default=True)
@place_options
def audit(place: Place, about: str, limit: int) -> None:
    """Show what administrators have done, newest first: by command, over the API or on the web.

    ABOUT is a part of who did it, of the act (such as account.create) or of what it was done to.
    """
    found = place.at_desk(lambda desk: log.acts(desk, about, limit=limit))
    answer(place.as_json, found, lambda: _table(found))


def _table(found: list[Act]) -> str:
    return table(
        found,
        [
            ("When", lambda act: when(act.at)),
            ("Who", lambda act: act.who),
            ("Via", lambda act: act.via),
            ("Act", lambda act: act.act),
            ("What", lambda act: act.subject),
            ("Facts", lambda act: msgspec.json.encode(act.facts).decode() if act.facts else None),
        ],
        "Nothing has been done yet.",
    )
