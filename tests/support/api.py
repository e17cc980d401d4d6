"""The administration API over a real store, for tests of it and of its clients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from postillon.access.authority import Authority
from postillon.directory.signin import SignIns
from postillon.directory.throttle import Throttle
from postillon.net.config import ResolverConfig
from postillon.net.dns import Mx, NoSuchName, Srv
from postillon.net.resolver import Resolver
from postillon.queue.config import QueueConfig
from postillon.queue.submit import Submitter
from postillon.route.config import RouteConfig
from postillon.route.recipient import Recipients
from postillon.server.api.office import Office
from postillon.server.api.web import AdministrationApi
from postillon.server.config import Configuration
from postillon.server.sections import ServerConfig
from support.accounts import QUICK, House

ADMIN, PERSON, PASSWORD = "root@example.org", "ada@example.org", "correct horse"


class Zone(Resolver):
    """What is published, without a network."""

    def __init__(self) -> None:
        super().__init__(ResolverConfig(servers=("127.0.0.1:1",)))
        self.exchangers: dict[str, Sequence[Mx]] = {}
        self.texts: dict[str, Sequence[bytes]] = {}

    async def mx(self, name: str) -> tuple[Mx, ...]:
        return self._of(self.exchangers, name)

    async def txt(self, name: str) -> tuple[bytes, ...]:
        return self._of(self.texts, name)

    async def srv(self, name: str) -> tuple[Srv, ...]:
        raise NoSuchName(name, "NXDOMAIN")

    async def addresses(self, name: str) -> tuple[str, ...]:
        raise NoSuchName(name, "NXDOMAIN")

    def _of(self, zone: dict[str, Sequence[Any]], name: str) -> tuple[Any, ...]:
        if name not in zone:
            raise NoSuchName(name, "NXDOMAIN")
        return tuple(zone[name])


async def api_of(
    at: House, zone: Zone | None = None, *, folder: Path = Path(), fresh: bool = False
) -> AdministrationApi:
    """With an administrator and a person, who have the same password; with nobody if it is fresh."""
    for login, admin in () if fresh else ((ADMIN, True), (PERSON, False)):
        password = await at.credentials.prepare(PASSWORD)
        await at.accounts.create(login, password=password, admin=admin)
    config = Configuration(server=ServerConfig(hostname="mail.example.org", data=folder))
    submitter = Submitter(
        at.store, Recipients(at.directory, RouteConfig()), QueueConfig(), clock=at.time
    )
    office = Office.of(
        at.store, config, at.directory, at.accounts, at.credentials, zone or Zone(), submitter,
        at.time,
    )  # fmt: skip
    throttle = Throttle(QUICK, at.time)
    return AdministrationApi(office, Authority(SignIns(at.credentials, throttle)), throttle)
