"""JMAP's methods of mail called one by one, without HTTP, on a real store."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec

from postillon.access.authority import Identity
from postillon.access.jmap import names
from postillon.access.jmap.api import Api
from postillon.access.jmap.context import Services
from postillon.access.jmap.pusher import Pusher
from postillon.account.account import Account
from postillon.account.accounts import Accounts
from postillon.log import SILENT
from postillon.protocol.jmap import ijson, request
from postillon.protocol.jmap.request import Limits
from postillon.queue.submit import Submitter
from support.accounts import House, house

USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]


class Refused(Exception):
    """A method answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(json.dumps(error))
        self.error = error


class MailClient:
    """What somebody calls. id: of their account."""

    def __init__(
        self,
        house: House,
        account: Account,
        limits: Limits | None = None,
        accounts: Accounts | None = None,
    ) -> None:
        """accounts: others than the house's, such as with a text index."""
        self.house, self.account = house, account
        self.limits = limits or Limits()
        self.id = names.name(names.ACCOUNT, account.id)
        # Neither sends nor is told of anything here.
        services = Services(
            house.store, accounts or house.accounts, house.directory,
            cast(Submitter, None), cast(Pusher, None),
            "mail.example.org", self.limits, house.time, SILENT,
        )  # fmt: skip
        self._api = Api(services)
        self._who = Identity(account.id, "ada@example.org", frozenset({"mail"}), False, "password")

    async def calls(self, *calls: tuple[str, dict[str, Any], str]) -> list[list[Any]]:
        """As they would travel: through I-JSON both ways."""
        found = ijson.decode(await self.octets(*calls))
        assert isinstance(found, dict)
        responses: list[list[Any]] = found["methodResponses"]
        return responses

    async def octets(self, *calls: tuple[str, dict[str, Any], str]) -> bytes:
        """The body of the answer."""
        body = json.dumps({"using": USING, "methodCalls": calls}).encode()
        wanted = request.parse(body, USING, self.limits)
        responses, _ = await self._api.run(wanted, self._who)
        made = [[call.name, call.arguments, call.call_id] for call in responses]
        return msgspec.json.encode({"methodResponses": made})

    async def __call__(self, method: str, **arguments: Any) -> Any:
        """One call on the own account; raises Refused."""
        given = {"accountId": self.id, **{key.rstrip("_"): item for key, item in arguments.items()}}
        [[name, answer, _], *_] = await self.calls((method, given, "c"))
        if name == "error":
            raise Refused(answer)
        return answer

    async def mailbox(self, name: str, **more: Any) -> str:
        """A new mailbox; its id."""
        made = await self("Mailbox/set", create={"m": {"name": name, **more}})
        assert made["notCreated"] is None, made
        return str(made["created"]["m"]["id"])

    async def email(self, *mailboxes: str, **more: Any) -> str:
        """A new email; its id."""
        given = {"mailboxIds": dict.fromkeys(mailboxes or ("F1",), True), **more}
        made = await self("Email/set", create={"e": given})
        assert made["notCreated"] is None, made
        return str(made["created"]["e"]["id"])

    async def one(self, email: str, *properties: str, **more: Any) -> Any:
        found = await self("Email/get", ids=[email], properties=list(properties) or None, **more)
        return found["list"][0]


async def refused(client: MailClient, method: str, **arguments: Any) -> str:
    """The type of the error with which a call is answered."""
    try:
        answer = await client(method, **arguments)
    except Refused as error:
        return str(error.error["type"])
    raise AssertionError(f"{method} was answered: {answer}")


@asynccontextmanager
async def mail_client(folder: Path) -> AsyncIterator[MailClient]:
    async with house(folder) as at:
        yield MailClient(at, await at.account())
