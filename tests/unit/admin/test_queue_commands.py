"""`postillon queue` and `postillon trace`, on mail that waits in a real store."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
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
from postillon.server.commands import queue_verbs
from postillon.server.main import main
from postillon.store.config import StoreConfig
from postillon.store.database import NAME

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

    def change(self, *statements: str) -> None:
        """Put the queue into a state that the workers would have brought about."""
        with closing(sqlite3.connect(self.file.parent / "data" / NAME)) as database, database:
            for sql in statements:
                database.execute(sql)


DOWN = (
    "INSERT INTO queue_destination (key, hosts, down_since, next_at, status, updated_at) VALUES"
    f" ('mx.far.example:25', 'mx.far.example', {NOW}, {1 << 41},"
    """ '{"code":"4.4.1","text":"connection refused","remote":null,"host":"mx.far.example"}', 0)"""
)
IN_LINE = (
    "UPDATE queue_recipient SET waits_for = 'mx.far.example:25' WHERE destination = 'far.example'"
)
IN_HAND = (
    "UPDATE queue_recipient SET state = 'claimed', claimed_by = 'w0@1', lease_until = 1"
    " WHERE destination = 'far.example'"
)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_the_list_shows_who_waits_for_whom_and_can_be_narrowed(office: Office) -> None:
    whole = office.ok("queue", "list")
    assert office.first in whole
    assert office.second in whole
    assert "x@far.example" in whole
    for one in (
        office.ok("queue", "list", "other.example"),
        office.ok("queue", "list", "--to", "y@other.example", "--older", "1h"),
        office.ok("queue", "list", office.second.upper()),
        office.ok("queue", "list", "--destination", "other.example", "--state", "waiting"),
    ):
        assert office.second in one
        assert office.first not in one
    assert "1 of 2 recipients (2 messages)" in office.ok("queue", "list", "--limit", "1")
    none = office.ok("queue", "list", "none.example", "--larger", "1 KiB")
    assert none == "Nothing in the queue is about none.example, of at least 1 KiB.\n"
    listed = json.loads(office.ok("queue", "list", "--json"))
    assert [message["id"] for message in listed] == [office.first, office.second]


def test_alone_it_gives_the_overview(office: Office) -> None:
    told = office.ok("queue")
    assert "2 messages in the queue: 2 recipients waiting" in told
    assert "The server is not running" in told
    assert "far.example" in told
    assert "What to do" in told
    found = json.loads(office.ok("queue", "--json"))
    assert (found["messages"], found["waiting"], found["destination_count"]) == (2, 2, 2)
    assert "other.example" in office.ok("queue", "destinations")


def test_show_tells_a_message_and_its_recipients(office: Office) -> None:
    told = office.ok("queue", "show", office.first.upper())
    assert "x@far.example" in told
    assert "ada@example.org" in told
    assert "next try now; given up" in told
    story = json.loads(office.ok("queue", "show", office.first, "--json"))
    waiting = [item for item in story["message"]["recipients"] if item["state"] == "waiting"]
    assert [item["address"] for item in waiting] == ["x@far.example"]


def test_each_verb_says_what_it_will_do_and_asks(office: Office) -> None:
    """Without a terminal it does nothing: not even what it is told to do."""
    refused = office.run("queue", "drop", office.second)
    assert refused.exit_code == 2
    assert "--dry-run shows what would be done, --yes does it" in refused.stderr
    told = office.ok("queue", "bounce", office.second, "--text", "gone\x1b[2J", "--dry-run")
    assert "Return to the senders 1 recipient of 1 message" in told
    assert "Senders who are told, 1 report in all: ada@example.org (1)." in told
    assert "y@other.example" in told
    assert "\x1b" not in told
    assert office.second in office.ok("queue", "list")
    preview = json.loads(office.ok("queue", "drop", "--all", "--dry-run", "--json"))["preview"]
    assert (preview["recipients"], preview["messages"], len(preview["sample"])) == (2, 2, 2)


def test_a_person_on_a_terminal_may_say_no(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_verbs, "_asks", lambda place: True)
    no = CliRunner().invoke(
        main, ["queue", "drop", office.second, "--config", str(office.file)], input="n\n"
    )
    assert no.exit_code == 1
    assert "Drop 1 recipient? [y/N]" in no.stdout
    assert office.second in office.ok("queue", "list")
    yes = CliRunner().invoke(
        main, ["queue", "drop", office.second, "--config", str(office.file)], input="y\n"
    )
    assert yes.exit_code == 0
    assert office.second not in office.ok("queue", "list")


def test_hold_release_and_retry_say_what_they_did(office: Office) -> None:
    told = office.ok("queue", "hold", office.first, "--yes")
    assert "1 recipient of 1 message held until released" in told
    assert "held until released" in office.ok("queue", "list", "far.example")
    assert "postillon queue release ID" in office.ok("queue")
    refused = office.run("queue", "retry", office.first, "--yes")
    assert refused.exit_code == 1
    assert "release them first" in refused.stdout
    assert "to be tried now" in office.ok("queue", "retry", office.second, "--yes")
    assert "released" in office.ok("queue", "release", "--domain", "far.example", "--yes")
    assert "to be tried now" in office.ok("queue", "retry", office.first, "--yes")


def test_who_waits_for_a_destination_that_is_down_is_told_so(office: Office) -> None:
    office.change(DOWN, IN_LINE)
    forecast = office.ok("queue", "list", "far.example")
    assert "; given up " in forecast
    assert "down " in forecast
    told = office.ok("queue")
    assert "far.example has not answered for" in told
    assert "postillon queue retry --destination far.example" in told
    assert "connection refused" in office.ok("queue", "destinations")
    for name in ("far.example", "mx.far.example", "mx.far.example:25"):
        told = office.ok("queue", "retry", "--destination", name, "--dry-run")
        assert f"Probe {name} at once: it is down" in told
        assert "In line for it: 1 recipient." in told


def test_trying_one_who_stands_in_a_line_probes_its_destination(office: Office) -> None:
    office.change(DOWN, IN_LINE)
    told = office.ok("queue", "retry", "--to", "x@far.example", "--yes")
    assert "far.example: 1 recipient, down" in told
    assert "mx.far.example:25: is probed now" in told
    office.change("UPDATE queue_destination SET held = 1")
    told = office.ok("queue", "retry", "--to", "x@far.example", "--yes")
    assert "destination that is held (far.example): 1; release it first" in told
    assert "There is no mail to retry" in told


def test_who_is_in_hand_is_told_and_left(office: Office) -> None:
    office.change(IN_HAND)
    assert "being tried now" in office.ok("queue", "list", "--state", "in-hand")
    told = office.ok("queue", "drop", "--all", "--yes")
    assert "In hand now: 1; those are left to end by themselves." in told
    assert "1 recipient in hand, left alone" in told
    told = office.ok("queue", "hold", office.first, "--dry-run")
    assert "In hand now: 1; they are held when they come back." in told
    told = office.ok("queue", "hold", "--to", "x@far.example", "--dry-run")
    assert "In hand now: 1; those are left" in told


def test_a_destination_is_held_for_mail_that_comes_later_until_it_is_released(
    office: Office,
) -> None:
    told = office.ok("queue", "hold", "--destination", "far.example", "--yes")
    assert "mail that comes later waits too" in told
    assert "far.example: held until released" in told
    listed = json.loads(office.ok("queue", "destinations", "--json"))
    assert [item["name"] for item in listed if item["line"] and item["line"]["held"]] == [
        "far.example"
    ]
    assert "postillon queue release --destination far.example" in office.ok("queue")
    assert "far.example: released" in office.ok(
        "queue", "release", "--destination", "far.example", "--yes"
    )
    assert "There is no mail to release" in office.ok(
        "queue", "release", "--destination", "far.example", "--yes"
    )


def test_a_domain_with_a_fixed_next_hop_is_no_destination_of_its_own(office: Office) -> None:
    with office.file.open("a") as file:
        file.write('[route]\nroutes = ["routed.example smtp://192.0.2.5:2525"]\n')
    for verb in ("hold", "retry", "release"):
        result = office.run("queue", verb, "--destination", "Routed.example", "--yes")
        assert result.exit_code == 1
        assert "its mail waits for smtp://192.0.2.5:2525" in result.stderr
        assert "--domain routed.example" in result.stderr
    assert "held until released" in office.ok(
        "queue", "hold", "--destination", "smtp://192.0.2.5:2525", "--yes"
    )


def test_mail_is_sent_another_way_and_back(office: Office) -> None:
    office.ok("queue", "reroute", "--domain", "far.example", "--via", "192.0.2.1:2525", "--yes")
    assert "smtp://192.0.2.1:2525" in office.ok("queue", "destinations")
    told = office.ok("queue", "reroute", "--destination", "192.0.2.1:2525", "--back", "--dry-run")
    assert "1 recipient of 1 message" in told
    office.ok("queue", "reroute", office.first, "--back", "--yes")
    assert "192.0.2.1" not in office.ok("queue", "destinations")
    refused = office.run("queue", "reroute", "--all", "--via", "ftp://x", "--yes")
    assert refused.exit_code == 1
    assert "smtp://" in refused.stderr


def test_bounce_expire_and_drop_stand_in_the_trace(office: Office) -> None:
    assert "nobody is told" in office.ok("queue", "drop", office.second, "--yes")
    assert office.run("queue", "show", office.second).exit_code == 1
    assert "dropped" in office.ok("trace", office.second)
    told = office.ok("queue", "bounce", office.first, "--yes", "--text", "wrong address")
    assert "1 recipient of 1 message returned; the senders are told" in told
    assert "wrong address" in office.ok("trace", office.first)


def test_a_verb_wants_to_know_which_mail(office: Office) -> None:
    assert office.run("queue", "retry", "--yes").exit_code == 2
    assert office.run("queue", "retry", office.first, "--all", "--yes").exit_code == 2
    assert office.run("queue", "reroute", office.first, "--yes").exit_code == 2
    result = office.run("queue", "retry", "nonsense", "--yes")
    assert result.exit_code == 1
    assert "13 characters" in result.stderr
    result = office.run("queue", "retry", "0" * 13, "--yes")
    assert result.exit_code == 1
    assert "postillon trace 0000000000000" in result.stderr
    assert office.run("queue", "list", "--older", "soon").exit_code == 2
    told = office.ok("queue", "retry", "--to", "a@b.c", "--yes")
    assert told == "There is no mail to retry that is to a@b.c.\n"


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
