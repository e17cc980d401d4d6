"""Schema-driven fuzzing of the administration API: whatever fits the document, and much that does not,
is answered as the document says, and never with a fault of ours."""

from __future__ import annotations

import asyncio
import base64
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    response_schema_conformance,
    status_code_conformance,
)

from postillon.server.api.openapi import document
from postillon.server.api.registry import PREFIX
from support.accounts import house
from support.api import ADMIN, PASSWORD, api_of

EXAMPLES = int(os.environ.get("POSTILLON_FUZZ_EXAMPLES", "5"))  # of each operation
BASIC = "Basic " + base64.b64encode(f"{ADMIN}:{PASSWORD}".encode()).decode()
schema = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API over a real store, served by a loop in a thread."""
    ready, ended = threading.Event(), asyncio.Event()
    found: list[str] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve(folder: Path) -> None:
        async with house(folder, "example.org") as at:
            application = web.Application()
            application.add_routes((await api_of(at)).routes())
            async with TestServer(application) as server:
                found.append(str(server.make_url(PREFIX)))
                loops.append(asyncio.get_running_loop())
                ready.set()
                await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(tmp_path_factory.mktemp("api")),))
    thread.start()
    assert ready.wait(30)
    yield found[0]
    loops[0].call_soon_threadsafe(ended.set)
    thread.join(30)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_no_request_is_a_fault_of_ours(case: schemathesis.Case, url: str) -> None:
    response = case.call(base_url=url, headers={"Authorization": BASIC})

    case.validate_response(
        response,
        checks=[not_a_server_error, status_code_conformance, response_schema_conformance],
    )
