"""`postillon autoconfig show`: what a client is told that sets itself up for an address."""

from __future__ import annotations

import json
from collections.abc import Callable

import click

from postillon.access.autoconfig import apple, autodiscover, mozilla
from postillon.admin.desk import Desk
from postillon.admin.domains import show as show_domain
from postillon.admin.errors import Refused
from postillon.mail.address import AddressError, parse_address
from postillon.mail.services import Description
from postillon.server.commands.common import Place, at_desk, place_options
from postillon.server.commands.tables import answer
from postillon.server.offered import offered

FORMATS: dict[str, Callable[[Description, str], str]] = {
    "mozilla": lambda d, a: mozilla.config(d, a.rpartition("@")[2]).decode(),
    "outlook": lambda d, a: autodiscover.response(d, a).decode(),
    "outlook-json": lambda d, a: json.dumps(
        autodiscover.json_answer(d.hostname, {"protocol": "AutodiscoverV1"})[1], indent=2
    ),
    "apple": lambda d, a: (apple.profile(d, a) or b"").decode(),
}


@click.group()
def autoconfig() -> None:
    """How clients set themselves up: Thunderbird, Outlook, Apple Mail and others."""


@autoconfig.command()
@click.argument("address")
@click.option(
    "--format",
    "wanted",
    type=click.Choice(list(FORMATS)),
    help="The document of one kind of client, as it is served but without its signature.",
)
@place_options
def show(place: Place, address: str, wanted: str | None) -> None:
    """What a client is told that sets itself up for ADDRESS.

    Without --format: servers, ports and the way of TLS, best first, and where clients ask for them.
    """
    config = place.configuration()

    async def work(desk: Desk) -> str:
        try:
            parsed = parse_address(address)
        except AddressError as error:
            raise Refused(f"{address} is no address: {error}") from None
        return (await show_domain(desk, parsed.domain)).name

    at_desk(config, work)
    description = offered(config.listeners, config.server.hostname, config.autoconfig)
    if wanted is not None:
        click.echo(FORMATS[wanted](description, address))
        return
    answer(place.as_json, description, lambda: _text(description, address))


def _text(description: Description, address: str) -> str:
    domain = address.rpartition("@")[2]
    lines = [f"Login {address}, with the account's password.", ""]
    for service in description.services:
        how = "TLS" if service.implicit else "STARTTLS"
        lines.append(f"  {service.use.value:<5} {service.host}:{service.port}  {how}")
    if not description.services:
        lines.append("  No listener with TLS is configured that clients could use.")
    host = description.hostname
    lines += ["", "Clients ask at:", ""]
    if description.web:
        lines += [
            f"  Thunderbird  https://autoconfig.{domain}/mail/config-v1.1.xml",
            f"  Outlook      https://autodiscover.{domain}/autodiscover/autodiscover.xml",
            f"  Apple        https://{host}/apple.mobileconfig?email={address}",
            "",
            f"The names must be in DNS and in the certificate: postillon dns {domain}",
        ]
    else:
        lines.append("  nowhere: there is no listener for https")
    return "\n".join(lines)
