"""The agent for other servers, over real sockets against servers that follow a script."""

import asyncio
import ssl
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import pytest
import trustme
from msgspec.structs import replace

from postillon.deliver import conversation
from postillon.deliver.agent import QueuedMessage
from postillon.deliver.config import DeliverConfig
from postillon.deliver.remote import RemoteAgent, bounded
from postillon.mail.address import parse_address
from postillon.mail.envelope import Body, Notify, Recipient
from postillon.mail.outcome import Deferred, Delivered, Failed, Status
from postillon.route.hop import Security
from postillon.route.nexthop import Host, Hosts, NoHosts
from postillon.route.security import TlsPolicy
from support.remote_smtp import CLOSE, RemoteServer, listening

CONTENT = b"Subject: hi\r\n\r\nhello\r\n.dot\r\n"


def message(content=CONTENT, **facts):
    facts.setdefault("reverse_path", parse_address("ada@example.org"))
    return QueuedMessage(1, "0000000000001", prefix=b"Received: x\r\n", content=content, **facts)


def to(*names):
    return [Recipient(parse_address(f"{name}@remote.example")) for name in names]


class Fixed:
    """Next hops that are always the same."""

    def __init__(self, answer):
        self.answer = answer

    async def find(self, destination):
        return self.answer


@asynccontextmanager
async def remote(*servers, security=Security.OPPORTUNISTIC, protocol="smtp", user="", **config):
    """An agent whose destination has these servers as hosts, in this order; None is a dead one."""
    async with AsyncExitStack() as stack:
        hosts = []
        for n, server in enumerate(servers):
            # Nothing listens on port 1.
            port = 1 if server is None else await stack.enter_async_context(listening(server))
            hosts.append(Host(f"mx{n}.remote.example", ("127.0.0.1",), port, n))
        password = "pencil" if user else ""
        found = Hosts("remote.example", tuple(hosts), TlsPolicy(security), protocol, user, password)
        agent = RemoteAgent(Fixed(found), DeliverConfig(**config), hostname="mx.example.org")
        try:
            yield agent
        finally:
            await agent.stop()


async def deliver(agent, sent=None, recipients=None):
    return await agent.deliver(
        sent or message(), await agent.site("remote.example"), recipients or to("bob")
    )


def server_context():
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("mx0.remote.example").configure_cert(context)
    return authority, context


async def test_a_message_is_relayed_with_the_words_of_the_other_side():
    server = RemoteServer()
    async with remote(server) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Delivered)
    assert outcome.relayed
    assert outcome.dsn
    assert outcome.status.host == "mx0.remote.example"
    assert outcome.status.remote.text == "taken"
    [(_, _, content)] = server.messages
    assert content == b"Received: x\r\nSubject: hi\r\n\r\nhello\r\n..dot\r\n"


async def test_nowhere_to_go_is_told_as_routing_said_it():
    for permanent, kind in ((True, Failed), (False, Deferred)):
        agent = RemoteAgent(Fixed(NoHosts(Status("4.4.3", "x"), permanent)), hostname="a.example")
        site = await agent.site("remote.example")
        outcomes = await agent.deliver(message(), site, to("bob", "eve"))
        assert [type(outcome) for outcome in outcomes] == [kind, kind]


async def test_each_recipient_gets_its_own_outcome():
    server = RemoteServer(
        script={"RCPT": ["250 ok", "550 5.1.1 nobody", "450 4.7.1 try again in 300 seconds"]}
    )
    async with remote(server) as agent:
        ok, unknown, grey = await deliver(agent, recipients=to("bob", "eve", "kim"))
    assert isinstance(ok, Delivered)
    assert isinstance(unknown, Failed)
    assert unknown.status.code == "5.1.1"
    assert isinstance(grey, Deferred)
    assert not grey.destination
    assert grey.retry_after == timedelta(seconds=300)


@pytest.mark.parametrize(
    "first",
    [
        None,
        {"GREETING": ["450 4.3.2 busy"]},
        {"GREETING": ["554 5.3.2 no service"]},
        {"GREETING": [CLOSE]},
        {"GREETING": ["hello there"]},
        {"EHLO": ["421 4.3.2 closing"]},
        {"EHLO": [CLOSE]},
        {"MAIL": ["421 4.3.2 closing"]},
        {"RCPT": [CLOSE]},
        {"DATA": [CLOSE]},
        {"CONTENT": ["421 4.3.2 closing"]},
    ],
)
async def test_the_next_host_is_tried_when_one_is_of_no_use(first):
    bad = None if first is None else RemoteServer(script=first)
    good = RemoteServer()
    async with remote(bad, good) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Delivered)
    assert outcome.status.host == "mx1.remote.example"


@pytest.mark.parametrize("script", [None, {"GREETING": ["554 5.3.2 no"]}, {"MAIL": ["421 later"]}])
async def test_no_host_of_use_defers_the_destination(script):
    async with remote(None if script is None else RemoteServer(script=script)) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Deferred)
    assert outcome.destination
    assert outcome.status.code.startswith("4")
    assert outcome.status.host == "mx0.remote.example"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([1, 2], [1, 2]),
        ([16], [10]),
        ([16, 1, 16], [8, 1, 1]),
        ([1, 16], [1, 9]),
        ([4] * 20, [1] * 10),
    ],
)
def test_the_addresses_of_one_try_are_bounded_and_every_host_has_a_chance(given, kept):
    hosts = [Host("mx.example", tuple(f"192.0.2.{n}" for n in range(many)), 25) for many in given]
    found = bounded(hosts)
    assert [len(host.addresses) for host in found] == kept
    assert all(host.addresses[0] == "192.0.2.0" for host in found)


async def test_what_is_no_address_is_a_host_of_no_use():
    async with remote(RemoteServer()) as agent:
        good = agent._next_hops.answer.hosts[0]
        bad = Host("mx9.remote.example", ("192.0.2.300", ""), 25)
        agent._next_hops.answer = replace(agent._next_hops.answer, hosts=(bad, good))
        assert isinstance((await deliver(agent))[0], Delivered)
        agent._next_hops.answer = replace(agent._next_hops.answer, hosts=(bad,))
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Deferred)
    assert outcome.status.code == "4.4.1"


async def test_a_permanent_refusal_is_final():
    first, second = RemoteServer(script={"RCPT": ["550 5.1.1 nobody"]}), RemoteServer()
    async with remote(first, second) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Failed)
    assert second.connections == 0


async def test_a_connection_lost_after_the_content_is_in_doubt_and_not_tried_elsewhere():
    first, second = RemoteServer(script={"CONTENT": [CLOSE]}), RemoteServer()
    async with remote(first, second) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Deferred)
    assert "twice" in outcome.status.text
    assert second.connections == 0


async def test_helo_where_ehlo_is_unknown():
    server = RemoteServer(script={"EHLO": ["502 5.5.1 what?"]})
    async with remote(server) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Delivered)
    assert not outcome.dsn
    assert server.commands[1].startswith("HELO")


async def test_too_large_is_known_before_anything_is_sent():
    server = RemoteServer(keywords=("SIZE 10",))
    async with remote(server) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Failed)
    assert outcome.status.code == "5.3.4"
    assert not any(line.startswith("MAIL") for line in server.commands)


UTF8 = message("Subject: grüße\r\n\r\nx\r\n".encode(), smtputf8=True, body=Body.EIGHT_BIT)


def busy(words="450 4.7.1 not now", then="503 5.5.1 MAIL first"):
    return {"script": {"MAIL": [words], "RCPT": [then], "DATA": [then]}}


@pytest.mark.parametrize(
    ("first", "sent", "recipient"),
    [
        ({"keywords": ("SIZE 10",)}, message(), "bob"),
        ({"keywords": ("8BITMIME",)}, UTF8, "bob"),
        ({"keywords": ("8BITMIME",)}, message(), "jürgen"),
        (busy(), message(), "bob"),
        (busy("452 4.3.1 full", then="550 5.5.1 MAIL first"), message(), "bob"),
    ],
)
async def test_what_one_host_does_not_take_another_may(first, sent, recipient):
    bad = RemoteServer(**first)
    good = RemoteServer()
    async with remote(bad, good) as agent:
        [outcome] = await deliver(agent, sent, to(recipient))
    assert outcome.status.host == "mx1.remote.example"
    assert isinstance(outcome, Delivered)


async def test_what_the_last_host_says_counts():
    async def ends(*servers):
        async with remote(*servers) as agent:
            [outcome] = await deliver(agent)
        return outcome

    def small():
        return RemoteServer(keywords=("SIZE 10",))

    def later(words="450 4.7.1 not now"):
        return RemoteServer(**busy(words))

    assert (await ends(later(), small())).status.code == "5.3.4"
    last = await ends(small(), later("451 4.7.1 try again in 300 seconds"))
    assert last.status.host == "mx1.remote.example"
    assert last.retry_after == timedelta(seconds=300)
    for taking_part in (small, later):
        for both in ((taking_part(), None), (None, taking_part())):
            outcome = await ends(*both)
            assert outcome.status.host == "mx1.remote.example"
            # One host lives, so the destination is not down.
            assert isinstance(outcome, Failed) or not outcome.destination


async def test_a_local_part_beyond_ascii_needs_smtputf8():
    async with remote(RemoteServer(keywords=("PIPELINING",))) as agent:
        outcomes = await deliver(agent, recipients=to("jürgen", "bob"))
    assert outcomes[0].status.code == "5.6.7"
    assert isinstance(outcomes[0], Failed)
    assert isinstance(outcomes[1], Delivered)


async def test_a_header_beyond_ascii_needs_smtputf8():
    sent = message("Subject: grüße\r\n\r\nx\r\n".encode(), smtputf8=True, body=Body.EIGHT_BIT)
    async with remote(RemoteServer(keywords=("8BITMIME",))) as agent:
        [outcome] = await deliver(agent, sent)
    assert isinstance(outcome, Failed)
    assert outcome.status.code == "5.6.7"


async def test_dsn_wishes_are_passed_on():
    server = RemoteServer()
    wishes = [Recipient(parse_address("bob@remote.example"), Notify.SUCCESS, "rfc822;b@a.example")]
    async with remote(server) as agent:
        await deliver(agent, message(envid="e1", ret_full=False), wishes)
    [(mail, [rcpt], _)] = server.messages
    assert "RET=HDRS" in mail
    assert "ENVID=e1" in mail
    assert "NOTIFY=SUCCESS" in rcpt
    assert "ORCPT=rfc822;b@a.example" in rcpt


async def test_recipients_beyond_the_limit_go_into_further_transactions():
    server = RemoteServer(keywords=("PIPELINING", "LIMITS RCPTMAX=2"))
    async with remote(server) as agent:
        outcomes = await deliver(agent, recipients=to("a", "b", "c", "d", "e"))
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    assert [len(rcpts) for _, rcpts, _ in server.messages] == [2, 2, 1]
    assert server.connections == 1


async def test_452_after_some_begins_another_transaction():
    server = RemoteServer(script={"RCPT": ["250 ok", "452 4.5.3 too many", "452 4.5.3 too many"]})
    async with remote(server) as agent:
        outcomes = await deliver(agent, recipients=to("a", "b", "c"))
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    assert [len(rcpts) for _, rcpts, _ in server.messages] == [1, 2]


async def test_a_connection_serves_the_next_message():
    server = RemoteServer()
    async with remote(server) as agent:
        await deliver(agent)
        await deliver(agent)
    assert (server.connections, len(server.messages)) == (1, 2)
    assert server.commands[-1] == "QUIT"


async def test_a_probe_opens_the_connection_that_the_next_message_takes():
    dead, server = None, RemoteServer()
    async with remote(dead, server) as agent:
        assert await agent.reach(await agent.site("remote.example")) is None
        assert (server.connections, server.messages) == (1, [])
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Delivered)
    assert server.connections == 1


@pytest.mark.parametrize("script", [None, {"GREETING": ["421 later"]}, {"GREETING": [CLOSE]}])
async def test_a_probe_that_finds_nobody_says_why(script):
    async with remote(None if script is None else RemoteServer(script=script)) as agent:
        missed = await agent.reach(await agent.site("remote.example"))
    assert missed is not None
    assert missed.destination
    assert missed.status.host == "mx0.remote.example"


async def test_a_probe_leaves_it_to_the_message_to_say_that_there_is_nowhere_to_go():
    agent = RemoteAgent(Fixed(NoHosts(Status("5.1.2", "x"), True)), hostname="a.example")
    assert await agent.reach(await agent.site("remote.example")) is None
    agent = RemoteAgent(Fixed(NoHosts(Status("4.4.3", "x"), False)), hostname="a.example")
    missed = await agent.reach(await agent.site("remote.example"))
    assert missed is not None
    assert missed.destination


async def test_a_kept_connection_that_was_closed_meanwhile_costs_nothing():
    server = RemoteServer()
    async with remote(server) as agent:
        await deliver(agent)
        server.cut()
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Delivered)
    assert server.connections == 2


async def test_a_kept_connection_that_has_fallen_silent_costs_a_moment(monkeypatch):
    monkeypatch.setattr(conversation, "KEPT_PATIENCE", 0.01)
    server = RemoteServer()
    async with remote(server) as agent:
        await deliver(agent)
        server.script = {"MAIL": [""], "RCPT": [""], "DATA": [""]}  # no answer to this group
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Delivered)
    assert server.connections == 2


async def test_a_connection_has_an_end():
    server = RemoteServer()
    async with remote(server, max_messages=1) as agent:
        await deliver(agent)
        await deliver(agent)
    assert server.connections == 2


async def test_how_many_messages_a_connection_may_bring_is_learnt():
    """A host that says 421 to the third message gets two on the next connection, then one more."""
    three = {"MAIL": [*["250 ok"] * 2, "421 4.7.0 enough for one connection", *["250 ok"] * 9]}
    server = RemoteServer(script=three)
    async with remote(server) as agent:
        for _ in range(3):
            [outcome] = await deliver(agent)
            assert isinstance(outcome, Delivered)  # the third at once on a new connection
        assert server.connections == 2
        await deliver(agent)
        assert server.connections == 2
        for _ in range(3):
            await deliver(agent)
        assert server.connections == 3  # that took three
        await deliver(agent)
    assert server.connections == 4
    assert len(server.messages) == 8


async def test_a_server_says_how_many_messages_a_connection_may_bring():
    server = RemoteServer(keywords=("PIPELINING", "LIMITS MAILMAX=2 RCPTMAX=1"))
    async with remote(server) as agent:
        await deliver(agent)
        await deliver(agent)
        assert server.connections == 1
        await deliver(agent, recipients=to("a", "b", "c"))
    assert (server.connections, len(server.messages)) == (3, 5)


async def test_tls_is_used_where_it_is_offered():
    _, context = server_context()
    server = RemoteServer(tls=context)
    async with remote(server) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Delivered)
    assert server.secured == 1


async def test_tls_that_fails_is_left_out_where_the_policy_allows():
    server = RemoteServer(tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # no certificate
    async with remote(server) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Delivered)
    assert server.connections == 2


async def test_a_server_that_hangs_up_after_the_handshake_gets_clear_text_where_policy_allows():
    _, context = server_context()
    server = RemoteServer(tls=context, hangs_up=True)
    async with remote(server) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Delivered)
    assert (server.secured, server.connections) == (1, 2)
    async with remote(server, security=Security.REQUIRED) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Deferred)
    assert (server.secured, server.connections) == (2, 3)


@pytest.mark.parametrize("security", [Security.REQUIRED, Security.VERIFIED])
async def test_nothing_goes_out_in_clear_text_where_tls_is_required(security):
    server = RemoteServer()
    async with remote(server, security=security) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Deferred)
    assert outcome.status.code.startswith("4.7.")
    assert not any(line.startswith("MAIL") for line in server.commands)


async def test_a_certificate_is_checked_where_that_is_wanted(tmp_path):
    authority, context = server_context()
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    async with remote(
        RemoteServer(tls=context), security=Security.VERIFIED, authorities=str(file)
    ) as agent:
        assert isinstance((await deliver(agent))[0], Delivered)
    server = RemoteServer(tls=context)
    async with remote(server, security=Security.VERIFIED) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Deferred)
    assert not server.messages


async def test_clear_text_behind_starttls_is_never_read():
    _, context = server_context()
    server = RemoteServer(tls=context, injected=b"250 2.0.0 injected\r\n")
    async with remote(server, security=Security.REQUIRED) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Deferred)
    assert not server.messages


async def test_a_smart_host_gets_a_login():
    server = RemoteServer(keywords=("AUTH PLAIN",))
    async with remote(server, user="ada") as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Delivered)
    assert any(line.startswith("AUTH PLAIN") for line in server.commands)


async def test_a_login_that_is_refused_defers():
    server = RemoteServer(keywords=("AUTH PLAIN",), script={"AUTH": ["535 5.7.8 no"]})
    async with remote(server, user="ada") as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Deferred)
    assert outcome.destination
    assert outcome.status.code == "4.7.8"


async def test_lmtp_answers_for_each_recipient():
    server = RemoteServer(lmtp=True, script={"CONTENT": ["250 2.0.0 ok", "452 4.2.2 full"]})
    async with remote(server, protocol="lmtp") as agent:
        first, second = await deliver(agent, recipients=to("a", "b"))
    assert isinstance(first, Delivered)
    assert not first.relayed
    assert isinstance(second, Deferred)
    assert server.commands[0].startswith("LHLO")


async def test_a_reply_to_content_that_promises_nothing_is_no_delivery():
    server = RemoteServer(script={"CONTENT": ["354 go on"]})
    async with remote(server) as agent:
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Deferred)


@pytest.mark.parametrize("step", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT"])
async def test_a_421_is_told_with_its_words_and_its_wish(step):
    server = RemoteServer(script={step: ["421 4.3.2 try again in 300 seconds"]})
    async with remote(server) as agent:
        [outcome] = await deliver(agent)
    assert outcome.destination
    assert outcome.status.remote.code == 421
    assert outcome.retry_after == timedelta(seconds=300)


async def test_a_full_mailbox_is_not_taken_for_too_many_recipients():
    server = RemoteServer(script={"RCPT": ["250 ok", "452 4.2.2 full"]})
    async with remote(server) as agent:
        _, full = await deliver(agent, recipients=to("a", "b"))
    assert isinstance(full, Deferred)
    assert sum(line.startswith("RCPT") for line in server.commands) == 2


async def test_content_refused_early_while_it_is_still_sent_is_a_refusal():
    class Early(RemoteServer):
        async def _converse(self, reader, writer):
            for answer in ("220 mx", "250 mx", "250 ok", "250 ok", "354 go on"):
                writer.write(answer.encode() + b"\r\n")
                await reader.readline()
            writer.write(b"552 5.3.4 too large\r\n")
            while await reader.read(65_536):
                pass

    async with remote(Early()) as agent:
        [outcome] = await deliver(agent, message(CONTENT + (b"z" * 78 + b"\r\n") * 200_000))
    assert isinstance(outcome, Failed)
    assert outcome.status.code == "5.3.4"


async def test_a_connection_in_clear_text_never_serves_who_needs_tls():
    server = RemoteServer()
    async with remote(server) as agent:
        await deliver(agent)
        hosts = agent._next_hops.answer
        agent._next_hops.answer = replace(hosts, tls=TlsPolicy(Security.REQUIRED))
        [outcome] = await deliver(agent)
    assert isinstance(outcome, Deferred)
    assert len(server.messages) == 1


async def test_a_delivery_that_is_cancelled_leaves_no_connection():
    ended = asyncio.Event()

    class Watched(RemoteServer):
        async def handle(self, reader, writer):
            await super().handle(reader, writer)
            ended.set()

    server = Watched(script={"MAIL": [""], "RCPT": [""], "DATA": [""]})  # never answers
    async with remote(server) as agent:
        task = asyncio.create_task(deliver(agent))
        while len(server.commands) < 4:
            await asyncio.sleep(0)
        task.cancel()
        await ended.wait()
    assert task.cancelled()
