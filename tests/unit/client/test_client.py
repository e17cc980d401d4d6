"""The Python client against the API over a real connection."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from postillon import client as package
from postillon.client import AccountToMake, ApiError, Client, MessageToSend, QueueOrder, Verb
from postillon.client import operations as module
from postillon.queue.selection import Standing
from postillon.server.api.client_source import source
from support.accounts import house
from support.api import ADMIN, PASSWORD, PERSON, api_of

T = TypeVar("T")


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with house(tmp_path, "example.org") as at:
        application = web.Application()
        application.add_routes((await api_of(at)).routes())
        async with TestServer(application) as server:
            yield str(server.make_url("/"))


async def asked(url: str, question: Callable[[Client], T], login: str = ADMIN) -> T:
    """In a thread, as a program would."""

    def work() -> T:
        with Client(url, login=login, password=PASSWORD) as client:
            return question(client)

    return await asyncio.to_thread(work)


async def test_answers_have_the_types_of_the_server(url: str) -> None:
    made = await asked(
        url, lambda c: c.create_account(AccountToMake(login="bob@example.org", generate=True))
    )
    assert made.account.login == "bob@example.org"
    assert made.password

    found = await asked(url, lambda c: c.list_accounts(text="bob"))
    assert [view.login for view in found] == ["bob@example.org"]

    gone = await asked(url, lambda c: c.remove_account("bob@example.org"))
    assert gone.addresses == ("bob@example.org",)


async def test_the_queue_is_asked_and_ordered(url: str) -> None:
    sent = await asked(url, lambda c: c.send_test_message(MessageToSend(to="far@remote.example")))

    page = await asked(url, lambda c: c.list_queued(ids=(sent.id,), state=Standing.WAITING))
    assert [message.id for message in page.messages] == [sent.id]
    outcome = await asked(url, lambda c: c.order_queue(QueueOrder(verb=Verb.DROP, ids=(sent.id,))))
    assert outcome.done is not None
    assert outcome.done.messages == 1


async def test_an_operation_without_an_answer_returns_none(url: str) -> None:
    with pytest.raises(ApiError, match="still has"):
        await asked(url, lambda c: c.remove_domain("example.org"))
    await asked(url, lambda c: c.create_domain(package.DomainToMake(name="example.net")))
    await asked(url, lambda c: c.remove_domain("example.net"))


async def test_a_refusal_is_raised_with_its_words(url: str) -> None:
    with pytest.raises(ApiError, match="there is no account or group") as error:
        await asked(url, lambda c: c.get_account("eva@example.org"))
    assert error.value.status == 404
    with pytest.raises(ApiError, match="needs an administrator"):
        await asked(url, lambda c: c.get_server(), PERSON)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no address such as"):
        Client("mail.example.org")


def test_the_methods_are_those_of_the_operations() -> None:
    written = Path(str(module.__file__)).read_text()
    same = ast.dump(ast.parse(written)) == ast.dump(ast.parse(source()))
    assert same, "python -m postillon.server.api.client_source > src/postillon/client/operations.py"
