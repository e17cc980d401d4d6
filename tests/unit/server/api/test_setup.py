"""The first administrator over HTTP: only with the code that lies in the data folder, and only once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from postillon.log import SILENT
from postillon.server.api.registry import PREFIX
from postillon.server.setup import code_file, is_open, offer
from support.accounts import House, house
from support.api import api_of

STEPS = {"domain": "example.net", "login": "root@example.net", "password": "correct horse"}
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "run").mkdir()
    async with house(tmp_path) as found:
        yield found


@pytest.fixture
async def client(at: House, tmp_path: Path) -> AsyncIterator[Client]:
    application = web.Application()
    application.add_routes((await api_of(at, folder=tmp_path, fresh=True)).routes())
    async with TestClient(TestServer(application)) as opened:
        yield opened


async def post(client: Client, **steps: str) -> tuple[int, Any]:
    async with client.post(f"{PREFIX}/setup", json={**STEPS, **steps}) as answer:
        return answer.status, await answer.json(content_type=None)


async def state(client: Client) -> Any:
    async with client.get(f"{PREFIX}/setup") as answer:
        return await answer.json()


async def test_with_the_code_the_domain_and_its_administrator_are_made(
    client: Client, at: House, tmp_path: Path
) -> None:
    await offer(at.store, tmp_path, SILENT)
    assert (await state(client))["code_file"] == str(code_file(tmp_path))

    status, made = await post(client, code=code_file(tmp_path).read_text())

    assert (status, made["login"], made["admin"]) == (201, "root@example.net", True)
    assert await at.credentials.verify("root@example.net", "correct horse", "imap")
    assert await state(client) == {"open": False}
    assert not code_file(tmp_path).exists()
    assert (await post(client, code="x", login="eve@example.net"))[0] == 422


@pytest.mark.parametrize("code", ["", "wrong", "x" * 10_000])
async def test_without_the_code_nothing_is_made(
    client: Client, at: House, tmp_path: Path, code: str
) -> None:
    await offer(at.store, tmp_path, SILENT)

    assert (await post(client, code=code))[0] == 403
    assert await is_open(at.store)
    assert await at.directory.domain("example.net") is None


async def test_no_file_means_that_no_code_is_right(client: Client, at: House) -> None:
    assert (await post(client, code=""))[0] == 403


async def test_what_is_refused_leaves_the_code_good(
    client: Client, at: House, tmp_path: Path
) -> None:
    await offer(at.store, tmp_path, SILENT)
    code = code_file(tmp_path).read_text()

    assert (await post(client, code=code, password="short"))[0] == 422
    assert (await post(client, code=code, login="root@example.com"))[0] == 422
    assert (await post(client, code=code))[0] == 201


async def test_the_file_is_for_the_server_alone_and_goes_with_the_need_for_it(
    at: House, tmp_path: Path
) -> None:
    await offer(at.store, tmp_path, SILENT)
    path = code_file(tmp_path)
    code = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    await offer(at.store, tmp_path, SILENT)
    assert path.read_text() == code  # the one that was read already stays good

    password = await at.credentials.prepare("correct horse")
    await at.accounts.create("root@example.org", password=password, admin=True)
    await offer(at.store, tmp_path, SILENT)
    assert not path.exists()
