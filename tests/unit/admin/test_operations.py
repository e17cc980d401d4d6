"""What an administrator can do, and how refusals read, on a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postillon.access.config import AutoconfigConfig
from postillon.admin import accounts, domains, lists, passwords
from postillon.admin.accounts import AccountChange, NewAccount
from postillon.admin.desk import Desk, open_desk
from postillon.admin.domains import DomainChange
from postillon.admin.errors import Refused
from postillon.admin.records import records
from postillon.directory.config import AuthConfig
from postillon.server.offered import offered
from postillon.server.sections import DEFAULT_LISTENERS
from postillon.store.config import StoreConfig

QUICK = AuthConfig(argon2_memory=8, argon2_passes=1, scram_iterations=4_096)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, StoreConfig(), QUICK, fresh_ok=True) as opened:
        await domains.create(opened, "example.org", DomainChange())
        await accounts.create(opened, NewAccount(login="ada@example.org", name="Ada"))
        yield opened


async def test_a_domain_is_made_changed_and_removed(desk: Desk) -> None:
    made = await domains.create(
        desk,
        "Bücher.example",
        DomainChange(separator="-", split=True, next_hop="smtp://old.example"),
    )
    assert (made.name, made.unicode) == ("xn--bcher-kva.example", "bücher.example")
    assert (made.separator, made.next_hop) == ("-", "smtp://old.example:25")
    changed = await domains.change(
        desk, "bücher.example", DomainChange(next_hop="", enabled=False, separator="")
    )
    assert (changed.next_hop, changed.enabled, changed.separator) == (None, False, "")
    assert [view.name for view in await domains.every(desk)] == [
        "example.org",
        "xn--bcher-kva.example",
    ]
    await domains.remove(desk, "bücher.example")
    assert [view.name for view in await domains.every(desk)] == ["example.org"]


async def test_a_domain_that_fails_half_way_is_not_made(desk: Desk) -> None:
    with pytest.raises(Refused):
        await domains.create(desk, "example.net", DomainChange(catch_all="no address"))
    with pytest.raises(Refused, match="begins with"):
        await domains.create(desk, "example.net", DomainChange(next_hop="gopher://x"))
    assert [view.name for view in await domains.every(desk)] == ["example.org"]


async def test_the_catch_all_is_an_account_or_an_address_and_can_be_taken_away(desk: Desk) -> None:
    for wanted in ("ada@example.org", "somebody@example.com", "ada@example.org"):
        view = await domains.change(desk, "example.org", DomainChange(catch_all=wanted))
        assert view.catch_all == (wanted,)
    assert "@example.org" in (await accounts.show(desk, "ada@example.org")).addresses
    view = await domains.change(desk, "example.org", DomainChange(catch_all=""))
    assert view.catch_all == ()


async def test_a_domain_in_use_stays_and_says_by_what(desk: Desk) -> None:
    with pytest.raises(Refused, match=r"1 addresses: ada@example\.org"):
        await domains.remove(desk, "example.org")


async def test_an_account_has_room_addresses_and_a_password(desk: Desk) -> None:
    view = await accounts.change(
        desk, "ada@example.org", AccountChange(quota=2**31, name="Ada L.", admin=True)
    )
    assert (view.quota, view.name, view.admin) == (2**31, "Ada L.", True)
    assert (await accounts.change(desk, "ada@example.org", AccountChange(quota=0))).quota is None
    french = await accounts.change(desk, "ada@example.org", AccountChange(language="fr-CA"))
    assert french.language == "fr-CA"
    with pytest.raises(Refused, match="a language is a tag such as"):
        await accounts.change(desk, "ada@example.org", AccountChange(language="français"))
    forgotten = await accounts.change(desk, "ada@example.org", AccountChange(language=""))
    assert forgotten.language == ""
    view = await accounts.add_address(desk, "ada@example.org", "info@example.org")
    assert view.addresses == ("ada@example.org", "info@example.org")
    await accounts.set_password(desk, "ada@example.org", "correct horse")
    assert await desk.credentials.verify("ada@example.org", "correct horse", "imap") is not None
    view = await accounts.rename(desk, "ada@example.org", "countess@example.org")
    assert view.addresses == ("countess@example.org", "ada@example.org", "info@example.org")
    view = await accounts.remove_address(desk, "countess@example.org", "info@example.org")
    assert view.addresses == ("countess@example.org", "ada@example.org")


async def test_removing_an_account_tells_which_aliases_went_with_it(desk: Desk) -> None:
    await lists.create_alias(desk, "a@example.org", ["ada@example.org"])
    await lists.create_alias(desk, "b@example.org", ["ada@example.org", "x@example.com"])
    gone = await accounts.remove(desk, "ada@example.org")
    assert (gone.addresses, gone.aliases) == (("ada@example.org",), ("a@example.org",))
    assert [view.targets for view in await lists.aliases(desk)] == [("x@example.com",)]


async def test_a_shared_account_takes_no_password_and_no_rights(desk: Desk) -> None:
    with pytest.raises(Refused, match="nobody logs in"):
        await accounts.create(
            desk, NewAccount(login="info@example.org", shared=True, password="x" * 12)
        )
    view = await accounts.create(desk, NewAccount(login="info@example.org", shared=True))
    assert view.kind == "shared"
    with pytest.raises(Refused, match="nobody logs in"):
        await accounts.change(desk, "info@example.org", AccountChange(admin=True))


async def test_only_own_addresses_can_be_taken_away(desk: Desk) -> None:
    await accounts.create(desk, NewAccount(login="bob@example.org"))
    await accounts.add_address(desk, "bob@example.org", "robert@example.org")
    for address in ("robert@example.org", "nobody@example.org", "@example.org"):
        with pytest.raises(Refused, match="no address of ada"):
            await accounts.remove_address(desk, "ada@example.org", address)
    with pytest.raises(Refused, match="primary"):
        await accounts.remove_address(desk, "bob@example.org", "bob@example.org")


async def test_an_alias_gains_and_loses_targets_but_never_the_last(desk: Desk) -> None:
    await lists.create_alias(desk, "team@example.org", ["ada@example.org"])
    view = await lists.set_alias(desk, "team@example.org", add=["x@example.com"])
    assert view.targets == ("ada@example.org", "x@example.com")
    view = await lists.set_alias(desk, "team@example.org", drop=["ada@example.org"])
    assert view.targets == ("x@example.com",)
    with pytest.raises(Refused, match="nowhere"):
        await lists.set_alias(desk, "team@example.org", drop=["x@example.com"])
    with pytest.raises(Refused, match=r"not among x@example\.com"):
        await lists.set_alias(desk, "team@example.org", drop=["y@example.com"])
    assert (await lists.remove_alias(desk, "team@example.org")).addresses == ("team@example.org",)


async def test_a_group_has_members_and_may_be_empty(desk: Desk) -> None:
    await lists.create_group(desk, "all@example.org", ["ada@example.org"], "All")
    view = await lists.set_group(
        desk, "all@example.org", add=["x@example.com"], drop=["ada@example.org"], name="Us"
    )
    assert (view.members, view.name) == (("x@example.com",), "Us")
    view = await lists.set_group(desk, "all@example.org", drop=["x@example.com"])
    assert await lists.groups(desk) == [view]
    assert view.members == ()
    await lists.remove_group(desk, "all@example.org")
    assert await lists.groups(desk) == []


async def test_what_is_not_there_names_what_is_nearest(desk: Desk) -> None:
    await lists.create_alias(desk, "team@example.org", ["ada@example.org"])
    with pytest.raises(Refused) as caught:
        await accounts.show(desk, "adda@example.org")
    assert caught.value.hint == "nearest: ada@example.org"
    with pytest.raises(Refused) as caught:
        await domains.show(desk, "exmaple.org")
    assert caught.value.hint == "nearest: example.org"
    with pytest.raises(Refused) as caught:
        await lists.alias(desk, "taem@example.org")
    assert caught.value.hint == "nearest: team@example.org"
    with pytest.raises(Refused) as caught:
        await accounts.create(desk, NewAccount(login="ada"))
    assert "whole address" in caught.value.hint


def test_generated_passwords_differ_and_can_be_typed() -> None:
    made = {passwords.generate() for _ in range(100)}
    assert len(made) == 100
    assert all(set(text) <= set(passwords.ALPHABET + "-") for text in made)


def test_a_password_file_is_read_to_its_first_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse \nsecond line\n")
    assert passwords.read(file) == "correct horse "
    for content in (b"", b"\nx", b"\xff\xff", b"x" * 5_000):
        file.write_bytes(content)
        with pytest.raises(Refused):
            passwords.read(file)
    with pytest.raises(Refused, match="No such file"):
        passwords.read(tmp_path / "none")


def test_dns_records_name_the_host_and_the_domain() -> None:
    description = offered(DEFAULT_LISTENERS, "mail.example.org", AutoconfigConfig())
    found = records("example.org", "mail.example.org", description)
    shown = [str(record) for record in found]
    assert shown[0] == "example.org. MX 10 mail.example.org."
    assert "_imaps._tcp.example.org. SRV 0 1 993 mail.example.org." in shown
    assert "_imap._tcp.example.org. SRV 10 1 143 mail.example.org." in shown
    assert "_submissions._tcp.example.org. SRV 0 1 465 mail.example.org." in shown
    assert "_autodiscover._tcp.example.org. SRV 0 1 443 mail.example.org." in shown
    assert len({record.name + record.kind for record in found}) == len(found)
