"""The server itself: its health, its settings, what it did, and what was done to it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated

import msgspec

from postillon import __version__
from postillon.admin import audit
from postillon.admin.audit import Act
from postillon.server.activity import Minute, activity
from postillon.server.api.office import Office
from postillon.server.api.operation import Limit, Number, Scope, operation
from postillon.server.api.testing import send_test
from postillon.server.config_reader import shown_value
from postillon.server.doctor import Health, examine
from postillon.server.limits import Limits, limits_of
from postillon.setting import settings_of

Minutes = Annotated[int, msgspec.Meta(ge=1, le=8 * 24 * 60)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerView:
    name: str
    version: str
    hostname: str
    listeners: tuple[str, ...]
    domains: int
    now: int  # ms


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingView:
    """A setting as the configuration file has it; changed: whether it is not the default."""

    section: str
    key: str
    value: str
    default: str
    changed: bool
    purpose: str


@operation("GET", "/server")
async def get_server(office: Office) -> ServerView:
    """Who this server is."""
    return ServerView(
        name="Postillon",
        version=__version__,
        hostname=office.config.server.hostname,
        listeners=tuple(map(str, office.config.listeners)),
        domains=len(await office.desk.directory.domains()),
        now=office.clock(),
    )


@operation("GET", "/server/health")
async def get_health(office: Office) -> Health:
    """What is wrong or will be, each with its remedy: machine, queue, DNS of domains."""
    return await examine(office.desk, office.config, office.dns, office.clock())


@operation("GET", "/server/settings")
async def list_settings(office: Office) -> list[SettingView]:
    """Every setting and limit that is in force, with its default and what it is good for."""
    found = []
    for item in dataclasses.fields(office.config):
        section = getattr(office.config, item.name)
        if not dataclasses.is_dataclass(section) or isinstance(section, type):
            continue
        for setting in settings_of(type(section)):
            value = getattr(section, setting.name)
            if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
                continue  # tables of their own, such as the rules of the queue
            found.append(
                SettingView(
                    section=item.name,
                    key=setting.name,
                    value=shown_value(value, setting.unit),
                    default=shown_value(setting.default, setting.unit),
                    changed=value != setting.default,
                    purpose=setting.purpose,
                )
            )
    return found


@operation("GET", "/server/activity")
async def list_activity(office: Office, *, minutes: Minutes = 60) -> list[Minute]:
    """What was accepted, delivered, deferred and refused in each of the last minutes."""
    return await activity(office.desk.store, office.clock(), minutes)


@operation("GET", "/server/limits")
async def get_limits(office: Office) -> Limits:
    """The limits that hold, what is in use of them, and accounts near the end of their quota."""
    return await limits_of(office.desk, office.config, office.clock())


@operation("GET", "/audit")
async def list_acts(
    office: Office, *, about: str = "", before: Number = 0, limit: Limit = 100
) -> list[Act]:
    """What administrators have done, newest first; the next page is `before` the last id here."""
    return await audit.acts(office.desk, about, before, limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageToSend:
    """to: an address here or elsewhere. sender: an account's address; "" is the postmaster."""

    to: str
    sender: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """id: of the message; what becomes of it is its trace."""

    id: str


@operation("POST", "/server/test-message", Scope.WRITE, status=202)
async def send_test_message(office: Office, *, body: MessageToSend) -> Sent:
    """Send a short message, to see that mail arrives here or elsewhere."""
    return Sent(id=await send_test(office, body.sender, body.to))
