"""Who an address is: domains, accounts, aliases, groups, and the order of the answer."""

from pathlib import Path

import pytest

from postillon.directory.addresses import MAX_TARGETS
from postillon.directory.errors import (
    AddressNotFound,
    AddressProtected,
    AddressTaken,
    BadName,
    DomainExists,
    DomainInUse,
    DomainNotFound,
    PrincipalNotFound,
    TooMany,
    WrongKind,
)
from postillon.directory.names import new_address
from postillon.directory.principals import PrincipalKind
from postillon.directory.resolution import (
    DISABLED,
    FOREIGN,
    UNKNOWN,
    ToAccount,
    ToAlias,
    ToGroup,
    ToNextHop,
)
from postillon.mail.address import Address, parse_address
from support.accounts import House, house


async def ask(home: House, text: str) -> object:
    return await home.directory.resolve(parse_address(text))


async def test_an_account_is_found_in_any_case_and_with_details(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada = await home.account("Ada@Example.org")
        own = Address("ada", "example.org")
        assert await ask(home, "ADA@example.ORG") == ToAccount(ada.id, own, "")
        assert await ask(home, "ada+Lists+x@example.org") == ToAccount(ada.id, own, "lists+x")
        assert await ask(home, "ada+@example.org") == ToAccount(ada.id, own, "")
        assert await ask(home, "+ada@example.org") == UNKNOWN
        assert await ask(home, "bob@example.org") == UNKNOWN
        assert await ask(home, "ada@example.com") == FOREIGN
        assert await ask(home, "ada@[192.0.2.1]") == FOREIGN


async def test_the_separator_is_the_domains(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada = await home.account()
        await home.directory.update_domain("example.org", separator="-")
        assert await ask(home, "ada-x@example.org") == ToAccount(
            ada.id, Address("ada", "example.org"), "x"
        )
        assert await ask(home, "ada+x@example.org") == UNKNOWN
        await home.directory.update_domain("example.org", separator="")
        assert await ask(home, "ada-x@example.org") == UNKNOWN
        with pytest.raises(BadName):
            await home.directory.update_domain("example.org", separator="@")


async def test_the_exact_address_comes_before_the_detail_and_the_catch_all(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.directory.update_domain("example.org", separator="")
        ada = await home.account()
        bob = await home.account("bob@example.org")
        await home.directory.add_address("bob@example.org", "ada+x@example.org")
        await home.directory.add_address("bob@example.org", "@example.org")
        await home.directory.update_domain("example.org", separator="+")
        got = [
            (await ask(home, text)).account
            for text in ("ada+x@example.org", "ada+y@example.org", "nobody@example.org")
        ]
        assert got == [bob.id, ada.id, bob.id]


async def test_postmaster_and_abuse_always_answer(tmp_path: Path) -> None:
    # RFC 5321 section 4.5.1, RFC 2142
    async with house(tmp_path, "example.org", "example.net") as home:
        assert await ask(home, "postmaster@example.org") == UNKNOWN  # nobody is there at all
        first = await home.account("root@example.org", admin=True)
        here = await home.account("root@example.net", admin=True)
        await home.account()
        assert (await ask(home, "Postmaster@example.org")).account == first.id
        assert (await ask(home, "abuse+x@example.net")).account == here.id
        await home.directory.update("root@example.net", enabled=False)
        assert (await ask(home, "abuse@example.net")).account == first.id
        await home.directory.update_domain("example.net", split=True, next_hop="mx.example.com")
        assert (await ask(home, "abuse@example.net")).account == first.id
        await home.directory.create_alias("abuse@example.org", ["team@example.com"])
        assert await ask(home, "abuse@example.org") == ToAlias((Address("team", "example.com"),))


async def test_a_split_domain_sends_on_what_it_does_not_know(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.account()
        await home.directory.update_domain("example.org", split=True)
        assert await ask(home, "old@example.org") == ToNextHop("")
        await home.directory.update_domain("example.org", next_hop="mx.old.example")
        assert await ask(home, "old@example.org") == ToNextHop("mx.old.example")
        assert isinstance(await ask(home, "ada@example.org"), ToAccount)
        await home.directory.update_domain("example.org", next_hop="")
        assert await ask(home, "old@example.org") == ToNextHop("")


async def test_what_is_switched_off_is_told_from_what_is_unknown(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.account()
        await home.directory.update("ada@example.org", enabled=False)
        assert await ask(home, "ada@example.org") == DISABLED
        await home.directory.update("ada@example.org", enabled=True)
        await home.directory.update_domain("example.org", enabled=False)
        assert await ask(home, "ada@example.org") == DISABLED


async def test_an_alias_has_targets_here_and_elsewhere(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.account()
        alias = await home.directory.create_alias(
            "info@example.org", ["Ada@example.org", "ada@example.org", "x@bücher.example"]
        )
        assert [str(target) for target in alias.targets] == [
            "ada@example.org",
            "x@xn--bcher-kva.example",
        ]
        assert await ask(home, "info+x@example.org") == ToAlias(alias.targets)
        changed = await home.directory.set_targets("info@example.org", ["bob@example.com"])
        assert await home.directory.aliases("example.org") == [changed]
        assert await home.directory.aliases() == [changed]
        with pytest.raises(BadName):
            await home.directory.set_targets("info@example.org", [])
        with pytest.raises(TooMany):
            await home.directory.set_targets(
                "info@example.org", [f"a{n}@example.com" for n in range(MAX_TARGETS + 1)]
            )
        with pytest.raises(AddressNotFound):
            await home.directory.set_targets("ada@example.org", ["x@example.com"])
        assert await ask(home, "info@example.org") == ToAlias((Address("bob", "example.com"),))


async def test_a_group_leads_to_its_members(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.account()
        group = await home.directory.create_group("team@example.org", ["ada@example.org"])
        members = (Address("ada", "example.org"),)
        assert await ask(home, "team@example.org") == ToGroup(group.id, members)
        assert await home.directory.by_login("team@example.org") is None
        await home.directory.set_members("team@example.org", [])
        assert await ask(home, "team@example.org") == ToGroup(group.id, ())
        with pytest.raises(WrongKind):
            await home.directory.set_members("ada@example.org", [])
        with pytest.raises(WrongKind):
            await home.directory.delete_group("ada@example.org")
        with pytest.raises(WrongKind):
            await home.accounts.remove("team@example.org")
        await home.directory.delete_group("team@example.org")
        assert await ask(home, "team@example.org") == UNKNOWN


async def test_an_address_is_given_once(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.account()
        await home.directory.create_alias("info@example.org", ["x@example.com"])
        for call in (
            home.accounts.create("ADA@example.org"),
            home.accounts.create("info@example.org"),
            home.directory.create_alias("ada@example.org", ["x@example.com"]),
            home.directory.create_group("info@example.org"),
            home.directory.add_address("ada@example.org", "info@example.org"),
        ):
            with pytest.raises(AddressTaken):
                await call
        with pytest.raises(DomainNotFound):
            await home.accounts.create("ada@example.com")
        with pytest.raises(DomainExists):
            await home.directory.create_domain("EXAMPLE.org.")
        assert [item.login for item in await home.directory.principals()] == ["ada@example.org"]
        assert await home.rows("SELECT count(*) FROM account") == [(1,)]


async def test_the_old_address_stays_after_a_rename(tmp_path: Path) -> None:
    async with house(tmp_path, "example.org", "example.net") as home:
        ada = await home.account()
        renamed = await home.directory.rename("ada@example.org", "ada.l@example.net")
        assert (renamed.login, renamed.legacy_name) == ("ada.l@example.net", "ada@example.org")
        new = ToAccount(ada.id, Address("ada.l", "example.net"), "")
        assert await ask(home, "ada@example.org") == await ask(home, "ada.l@example.net") == new
        assert await home.directory.by_login("ADA@example.org") == renamed
        with pytest.raises(AddressProtected):
            await home.directory.delete_address("ada.l@example.net")
        await home.directory.delete_address("ada@example.org")
        assert await ask(home, "ada@example.org") == UNKNOWN
        other = await home.accounts.create("ada@example.org")
        assert other.legacy_name != renamed.legacy_name
        with pytest.raises(AddressTaken):
            await home.directory.rename("ada.l@example.net", "ada@example.org")
        with pytest.raises(PrincipalNotFound):
            await home.directory.rename("nobody@example.org", "x@example.org")
        with pytest.raises(BadName):
            await home.directory.rename("ada.l@example.net", "@example.org")


async def test_a_removed_account_leaves_no_address_that_leads_nowhere(tmp_path: Path) -> None:
    async with house(tmp_path, "example.org", "example.net") as home:
        await home.account()
        await home.account("bob@example.org")
        await home.directory.add_address("ada@example.org", "a.l@example.net")
        await home.directory.add_address("ada@example.org", "@example.net")
        await home.directory.create_alias("only@example.org", ["a.l@example.net"])
        await home.directory.create_alias("over@example.org", ["only@example.org"])
        await home.directory.create_alias(
            "both@example.org", ["ada@example.org", "bob@example.org"]
        )
        await home.directory.create_group(
            "team@example.org", ["ada@example.org", "bob@example.org"]
        )
        gone = await home.accounts.remove("ada@example.org")
        assert set(gone.addresses) == {"ada@example.org", "a.l@example.net", "@example.net"}
        assert set(gone.aliases) == {"only@example.org", "over@example.org"}
        assert gone.pointers == 4
        bob = Address("bob", "example.org")
        assert await ask(home, "both@example.org") == ToAlias((bob,))
        assert (await ask(home, "team@example.org")).members == (bob,)
        for text in ("only@example.org", "over@example.org", "x@example.net"):
            assert await ask(home, text) == UNKNOWN
        await home.directory.delete_domain("example.net")
        assert await home.rows(
            "SELECT principal FROM credential UNION SELECT principal FROM address"
            " WHERE principal NOT IN (SELECT principal FROM principal)"
        ) == []  # fmt: skip


async def test_a_domain_goes_only_when_it_is_empty(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.account()
        with pytest.raises(DomainInUse) as refusal:
            await home.directory.delete_domain("example.org")
        assert (refusal.value.count, refusal.value.addresses) == (1, ("ada@example.org",))
        await home.accounts.remove("ada@example.org")
        await home.directory.delete_domain("example.org")
        assert await home.directory.domains() == []
        with pytest.raises(DomainNotFound):
            await home.directory.delete_domain("example.org")


async def test_an_account_owns_what_comes_to_it(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, bob = await home.account(), await home.account("bob@example.org")
        await home.directory.create_alias("info@example.org", ["sales@example.org"])
        await home.directory.create_alias(
            "sales@example.org", ["ada@example.org", "info@example.org"]
        )
        await home.directory.create_group("team@example.org", ["ada@example.org"])
        own = {
            text: (
                await home.directory.owns(ada.id, parse_address(text)),
                await home.directory.owns(bob.id, parse_address(text)),
            )
            for text in (
                "ada@example.org", "ADA+x@example.org", "info@example.org", "team@example.org",
                "bob@example.org", "x@example.com", "no@example.org",
            )
        }  # fmt: skip
        assert own == {
            "ada@example.org": (True, False),
            "ADA+x@example.org": (True, False),
            "info@example.org": (True, False),
            "team@example.org": (False, False),
            "bob@example.org": (False, True),
            "x@example.com": (False, False),
            "no@example.org": (False, False),
        }


async def test_domains_are_kept_as_a_labels(tmp_path: Path) -> None:
    async with house(tmp_path, "Bücher.example") as home:
        ada = await home.account("ada@xn--bcher-kva.example")
        assert (await ask(home, "ada@bücher.example")).account == ada.id
        assert (await home.directory.domain("BÜCHER.example")).name == "xn--bcher-kva.example"
        assert await home.directory.domain("[192.0.2.1]") is None
        for text in ("", "a b", "-a.example", "[192.0.2.1]"):
            with pytest.raises(BadName):
                await home.directory.create_domain(text)


@pytest.mark.parametrize(
    "text",
    [
        "\uff41da@example.org",  # full-width a
        "a\u200bda@example.org",  # zero-width space
        "a\u202eda@example.org",  # right-to-left override
        "\ufb01n@example.org",  # ligature fi
        '"a b"@example.org',
        "a+b@example.org",
        "ada@[192.0.2.1]",
        "ada",
        "@x@example.org",
    ],
)
def test_new_addresses_are_what_they_look_like(text: str) -> None:
    # FAULTS 32
    with pytest.raises(BadName):
        new_address(text, "+")


def test_letters_of_every_script_are_welcome() -> None:
    assert new_address("Zo\u0065\u0308@example.org").local == "zo\u00eb"
    assert new_address("дмитрий@example.org").local == "дмитрий"
    # Only ASCII is lowered: nothing else may make two addresses one (CVE-2019-19844).
    assert new_address("\u0130x@example.org").local == "\u0130x"


async def test_a_shared_account_has_mail_and_no_login(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        desk = await home.accounts.create("desk@example.org", kind=PrincipalKind.SHARED)
        assert (await ask(home, "desk@example.org")).account == desk.id
        with pytest.raises(WrongKind):
            await home.credentials.set_password("desk@example.org", "correct horse")
        assert await home.credentials.proved("desk@example.org") is None
