"""What happened to messages, and how one would travel."""

from __future__ import annotations

from dataclasses import dataclass

from postillon.admin import routing, tracing
from postillon.admin.routing import Route
from postillon.admin.tracing import Story
from postillon.server.api.office import Office
from postillon.server.api.operation import Limit, operation
from postillon.server.offered import offered


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """use: imap, pop3 or smtp. security: tls or starttls."""

    use: str
    host: str
    port: int
    security: str


@operation("GET", "/traces")
async def find_traces(office: Office, *, about: str, limit: Limit = 20) -> list[Story]:
    """The story of a queue id, or of the latest with a part of an address or Message-ID."""
    return await tracing.traces(office.desk, about, limit)


@operation("GET", "/explain")
async def explain(office: Office, *, from_: str, to: str) -> Route:
    """Every step of how a message would travel; nothing is sent."""
    return await routing.explain(
        office.desk, office.config.route, office.config.server.hostname, office.dns, from_, to
    )


@operation("GET", "/services")
async def list_services(office: Office) -> list[ServiceView]:
    """What clients can connect to, best first."""
    config = office.config
    description = offered(config.listeners, config.server.hostname, config.autoconfig)
    return [
        ServiceView(
            use=item.use.value,
            host=item.host,
            port=item.port,
            security="tls" if item.implicit else "starttls",
        )
        for item in description.services
    ]
