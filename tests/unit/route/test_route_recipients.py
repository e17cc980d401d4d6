"""Aliases, groups, split domains and routes followed to their ends."""

import asyncio

import pytest

from postillon.directory.resolution import (
    ForeignDomain,
    ToAccount,
    ToAlias,
    ToNextHop,
    UnknownUser,
)
from postillon.mail.address import parse_address
from postillon.route.config import RouteConfig
from postillon.route.hop import HopError, parse_next_hop, parse_route
from postillon.route.recipient import LocalTarget, Recipients, RemoteTarget
from postillon.route.routes import Routes
from postillon.setting import ConfigError
from postillon.store.operation import EVERYTHING
from postillon.store.remembered import Remembered


class People:
    """Aliases by text; account names are those without one at own.example."""

    def __init__(self, aliases=None, split=""):
        self._aliases, self._split = aliases or {}, split

    async def resolve(self, address):
        if str(address) in self._aliases:
            return ToAlias(tuple(parse_address(end) for end in self._aliases[str(address)]))
        if address.domain != "own.example":
            return ForeignDomain()
        if address.local == "nobody":
            return ToNextHop(self._split) if self._split else UnknownUser()
        return ToAccount(len(address.local), address, "")


def lookup(text, *, may_relay=False, aliases=None, split="", **config):
    people = People(aliases, split)
    route = Recipients(people, RouteConfig(**config))
    return asyncio.run(route.lookup(parse_address(text), may_relay=may_relay))


def test_an_account_is_local():
    [target] = lookup("ada@own.example").targets
    assert isinstance(target, LocalTarget)


def test_an_unknown_user_and_a_foreign_domain_are_refused():
    assert lookup("nobody@own.example").refusal.code == "5.1.1"
    assert lookup("bob@remote.example").refusal.code == "5.7.1"


def test_who_may_relay_reaches_other_domains():
    [target] = lookup("bob@remote.example", may_relay=True).targets
    assert target == RemoteTarget(parse_address("bob@remote.example"), "remote.example")


def test_an_alias_may_lead_anywhere_and_names_each_end_once():
    aliases = {"all@own.example": ["ada@own.example", "ada@own.example", "bob@remote.example"]}
    found = lookup("all@own.example", aliases=aliases)
    assert len(found.targets) == 2
    assert found.distributed


def test_aliases_that_lead_back_are_a_loop():
    aliases = {"a@own.example": ["b@own.example"], "b@own.example": ["a@own.example"]}
    assert lookup("a@own.example", aliases=aliases).refusal.code == "5.4.6"


def test_an_expansion_is_bounded():
    aliases = {"all@own.example": [f"u{n}@remote.example" for n in range(20)]}
    assert lookup("all@own.example", aliases=aliases, max_expansion=10).refusal.code == "5.2.4"


def test_a_split_domain_goes_to_its_next_hop():
    [target] = lookup("nobody@own.example", split="old.example:2525").targets
    assert target.destination == "smtp://old.example:2525"


def test_an_exact_route_comes_before_the_longest_pattern_and_the_smart_host():
    routes = Routes(
        RouteConfig(
            smarthost="smart.example",
            routes=(
                "x.b.example mx",
                ".example one.example",
                ".b.example lmtp://two.example",
            ),
        )
    )
    assert routes.destination("x.b.example") == "x.b.example"
    assert routes.destination("y.b.example") == "lmtp://two.example:24"
    assert routes.destination("c.example") == "smtp://one.example:25"
    assert routes.destination("other.test") == "smtp://smart.example:25"


@pytest.mark.parametrize(
    "text",
    [
        "smtp://a.example:25",
        "smtp://ada%40b.example@a.example:587?tls=verified",
        "smtps://a.example:465",
        "lmtp://[2001:db8::1]:24?tls=none",
    ],
)
def test_a_next_hop_has_one_spelling(text):
    assert str(parse_next_hop(text)) == text
    assert parse_next_hop(str(parse_next_hop(text))) == parse_next_hop(text)


@pytest.mark.parametrize(
    "text",
    ["", "http://a.example", "smtp://u:p@a.example", "smtp://a.example/x", "smtp://a.example?x=1",
     "smtp://a.example?tls=maybe", "smtps://a.example?tls=none", "a.example:99999"],
)  # fmt: skip
def test_what_names_no_next_hop(text):
    with pytest.raises(HopError):
        parse_next_hop(text)


def test_a_route_that_says_nothing_is_told_at_once():
    with pytest.raises(HopError):
        parse_route("a.example")
    with pytest.raises(ConfigError):
        RouteConfig(routes=("a.example",))


class Asked(People):
    """Counts the questions; `meanwhile` happens before an answer."""

    def __init__(self, aliases=None, split=""):
        super().__init__(aliases, split)
        self.questions, self.meanwhile = [], lambda: None

    async def resolve(self, address):
        self.questions.append(str(address))
        found = await super().resolve(address)
        self.meanwhile()
        return found


def test_where_an_account_is_is_asked_once_until_the_directory_changes():
    people = Asked()
    route = Recipients(people, RouteConfig(), Remembered(lambda: 0))
    ada = parse_address("ada@own.example")

    def asked(*topics):
        route.hear(topics)
        [target] = asyncio.run(route.lookup(ada, may_relay=False)).targets
        assert target == LocalTarget(3, ada, "")
        return len(people.questions)

    assert [asked(), asked(), asked("queue")] == [1, 1, 1]
    assert [asked("queue", "directory"), asked(), asked(EVERYTHING), asked()] == [2, 2, 3, 3]


def test_an_answer_from_before_a_change_is_not_remembered():
    people = Asked()
    route = Recipients(people, RouteConfig(), Remembered(lambda: 0))
    people.meanwhile = lambda: route.hear(["directory"])
    for _ in range(2):
        asyncio.run(route.lookup(parse_address("ada@own.example"), may_relay=False))
    assert len(people.questions) == 2


@pytest.mark.parametrize("text", ["nobody@own.example", "all@own.example", "bob@remote.example"])
def test_what_is_no_account_is_asked_for_each_time(text):
    people = Asked({"all@own.example": ["ada@own.example"]})
    route = Recipients(people, RouteConfig(), Remembered(lambda: 0))
    for _ in range(2):
        asyncio.run(route.lookup(parse_address(text), may_relay=False))
    assert people.questions.count(text) == 2
