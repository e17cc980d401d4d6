"""`postillon queue` and `postillon trace`, on mail that waits in a real store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from postillon.account.ids import AccountId
from postillon.admin import accounts, domains
from postillon.admin.accounts import NewAccount
from postillon.admin.desk import open_desk
from postillon.admin.domains import DomainChange
from postillon.directory.config import AuthConfig
from postillon.mail.address import parse_address
from postillon.mail.envelope import Envelope, Recipient
from postillon.queue.config import QueueConfig
from postillon.queue.ids import format_queue_id, new_queue_id
from postillon.queue.submit import Submission, Submitter
from postillon.route.config import RouteConfig
from postillon.route.recipient import Recipients
from postillon.server.main import main
from postillon.store.config import StoreConfig

NOW = 1_795_000_000_000
MESSAGE = b"From: ada@example.org\r\nMessage-ID: <one@example.org>\r\n\r\nHello.\r\n"


async def fill(folder: Path) -> list[str]:
    """A message with a local and a distant recipient, and one to somebody else; their ids."""
    async with open_desk(folder, StoreConfig(), AuthConfig(), fresh_ok=True) as desk:
        await domains.create(desk, "example.org", DomainChange())
        ada = await accounts.create(desk, NewAccount(login="ada@example.org"))
        submitter = Submitter(
            desk.store, Recipients(desk.directory, RouteConfig()), QueueConfig(), clock=lambda: NOW
        )
        made = []
        for n, paths in enumerate([("ada@example.org", "x@far.example"), ("y@other.example",)]):
            envelope = Envelope(
                parse_address("ada@example.org"),
                tuple(Recipient(parse_address(path)) for path in paths),
            )
            submission = Submission(
                envelope=envelope,
                content=MESSAGE,
                header=b"",
                submitter=AccountId(ada.id),
                facts={"protocol": "submission", "peer": "192.0.2.7\x1b[31m"},
                queue_id=new_queue_id(NOW + n),
            )
            accepted = await submitter.submit(submission)
            made.append(format_queue_id(accepted.queue_id))
        return made


class Office:
    """The commands, and the ids of the two messages that wait."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "postillon.toml"
        self.file.write_text('[server]\nhostname = "mail.example.org"\ndata = "data"\n')
        self.first, self.second = asyncio.run(fill(folder / "data"))

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--config", str(self.file)])

    def ok(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_the_list_shows_who_waits_for_whom_and_can_be_narrowed(office: Office) -> None:
    whole = office.ok("queue", "list")
    assert office.first in whole
    assert office.second in whole
    assert "x@far.example" in whole
    one = office.ok("queue", "list", "other.example")
    assert office.second in one
    assert office.first not in one
    assert "1 of 2 messages shown" in one
    assert "nothing in the queue matches" in office.ok("queue", "list", "none.example")
    listed = json.loads(office.ok("queue", "list", "--json"))
    assert [message["id"] for message in listed] == [office.first, office.second]


def test_show_tells_a_message_and_its_recipients(office: Office) -> None:
    told = office.ok("queue", "show", office.first.upper())
    assert "x@far.example" in told
    assert "ada@example.org" in told
    story = json.loads(office.ok("queue", "show", office.first, "--json"))
    waiting = [item for item in story["message"]["recipients"] if item["state"] == "waiting"]
    assert [item["address"] for item in waiting] == ["x@far.example"]


def test_hold_release_and_retry_say_what_they_did(office: Office) -> None:
    assert "held until released (1 recipient)" in office.ok("queue", "hold", office.first)
    assert " held " in office.ok("queue", "list", "far.example")
    refused = office.run("queue", "retry", office.first, office.second)
    assert refused.exit_code == 1
    assert "release it" in refused.stderr
    assert f"{office.second}: will be tried now" in refused.stdout
    assert "released" in office.ok("queue", "release", "--match", "far.example")
    assert "will be tried now" in office.ok("queue", "retry", office.first)


def test_bounce_and_drop_want_yes_and_stand_in_the_trace(office: Office) -> None:
    assert office.run("queue", "drop", office.second).exit_code == 2
    assert "nobody is told" in office.ok("queue", "drop", office.second, "--yes")
    assert office.run("queue", "show", office.second).exit_code == 1
    assert "dropped" in office.ok("trace", office.second)
    told = office.ok("queue", "bounce", office.first, "--yes", "--why", "wrong address")
    assert "returned to the sender (1 recipient)" in told
    assert "wrong address" in office.ok("trace", office.first)


def test_a_verb_wants_ids_or_a_match_that_exist(office: Office) -> None:
    assert office.run("queue", "retry").exit_code == 2
    assert office.run("queue", "retry", office.first, "--match", "x").exit_code == 2
    result = office.run("queue", "retry", "nonsense")
    assert result.exit_code == 1
    assert "13 characters" in result.stderr
    assert office.run("queue", "retry", "0" * 13).exit_code == 1
    assert office.ok("queue", "retry", "--match", "none.example") == "nothing was done\n"


def test_a_trace_is_found_by_id_address_and_message_id(office: Office) -> None:
    for wanted in (office.first, "x@far.example"):
        [story] = json.loads(office.ok("trace", wanted, "--json"))
        assert story["id"] == office.first
        assert story["facts"]["protocol"] == "submission"
    both = json.loads(office.ok("trace", "<one@example.org>", "--json"))
    assert [story["id"] for story in both] == [office.second, office.first]
    result = office.run("trace", "nobody@example.net")
    assert result.exit_code == 1
    assert "there is no trace" in result.stderr


def test_what_a_peer_wrote_cannot_steer_the_terminal(office: Office) -> None:
    assert "\x1b" not in office.ok("trace", office.first)
