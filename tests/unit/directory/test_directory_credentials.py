"""Passwords: what is kept, who is let in, and what is forgotten when."""

from pathlib import Path

import pytest
from scramp import ScramClient

from postillon.directory.credentials import Credentials
from postillon.directory.errors import BadPassword, PrincipalNotFound
from postillon.directory.passwords import ScramVerifier, read_verifier
from postillon.protocol.sasl.server import Challenge, Failed, LookUp, Scram, ScramDone
from support.accounts import QUICK, House, house

RIGHT = "correct horse battery"


async def ada(home: House) -> None:
    await home.account(password=await home.credentials.prepare(RIGHT))


async def test_the_right_password_lets_in_and_no_other(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await ada(home)
        found = await home.credentials.verify("ADA@example.org", RIGHT, "imap")
        assert found
        assert found.principal.login == "ada@example.org"
        for login, password in [
            ("ada@example.org", RIGHT + " "), ("ada@example.org", ""), ("ada@example.org", "x\0y"),
            ("ada@example.org", "y" * 5_000), ("ada+x@example.org", RIGHT), ("ada", RIGHT),
            ("", RIGHT), ("bob@example.org", RIGHT), ("ada@example.org", "\ud800"),
        ]:  # fmt: skip
            assert await home.credentials.verify(login, password, "imap") is None


async def test_a_password_is_one_in_either_normal_form(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.account(password=await home.credentials.prepare("caf\u00e9 au lait"))
        assert await home.credentials.verify("ada@example.org", "cafe\u0301 au lait", "imap")


async def test_unknown_logins_cost_a_check_too(tmp_path: Path, monkeypatch) -> None:
    # FAULTS 43
    async with house(tmp_path) as home:
        await ada(home)
        checks: list[int] = []
        check = home.credentials._passwords._hasher.verify

        class Counting:
            def verify(self, encoded: str, octets: bytes) -> bool:
                checks.append(1)
                return check(encoded, octets)

        monkeypatch.setattr(home.credentials._passwords, "_hasher", Counting())
        await home.credentials.verify("ada@example.org", "wrong", "imap")
        await home.credentials.verify("nobody@example.org", "wrong", "imap")
        await home.credentials.verify("not an address", "", "imap")
        assert len(checks) == 3


async def test_a_verified_password_is_known_again_for_a_while(tmp_path: Path, monkeypatch) -> None:
    async with house(tmp_path) as home:
        await ada(home)
        await home.credentials.verify("ada@example.org", RIGHT, "imap")

        def fail(*_: object) -> bool:
            raise AssertionError("checked again")

        monkeypatch.setattr(home.credentials._passwords, "check", fail)
        assert await home.credentials.verify("ada@example.org", RIGHT, "imap")
        for login, password, protocol in [
            ("ada@example.org", RIGHT, "smtp"), ("ada@example.org", "other words", "imap"),
        ]:  # fmt: skip
            with pytest.raises(AssertionError):
                await home.credentials.verify(login, password, protocol)
        home.time.now += int(QUICK.remember.total_seconds() * 1000)
        with pytest.raises(AssertionError):
            await home.credentials.verify("ada@example.org", RIGHT, "imap")


async def test_what_was_verified_ends_with_the_password_and_the_account(tmp_path: Path) -> None:
    # FAULTS 41
    async with house(tmp_path) as home:
        await ada(home)
        assert await home.credentials.verify("ada@example.org", RIGHT, "imap")
        await home.credentials.set_password("ada@example.org", "another password")
        assert await home.credentials.verify("ada@example.org", RIGHT, "imap") is None
        assert await home.credentials.verify("ada@example.org", "another password", "imap")
        await home.directory.update("ada@example.org", enabled=False)
        assert await home.credentials.verify("ada@example.org", "another password", "imap") is None
        assert await home.credentials.proved("ada@example.org") is None


async def test_the_cache_is_bounded(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("postillon.directory.credentials.MAX_REMEMBERED", 2)
    async with house(tmp_path) as home:
        await ada(home)
        for protocol in ("a", "b", "c", "d"):
            await home.credentials.verify("ada@example.org", RIGHT, protocol)
        assert len(home.credentials._verified) == 2


async def exchange(home: House, login: str, password: str) -> object:
    """A whole SCRAM-SHA-256 conversation with the server's side of SASL."""
    client = ScramClient(["SCRAM-SHA-256"], login, password)
    server = Scram(None, plus=False)
    asked = server.step(client.get_client_first().encode())
    assert isinstance(asked, LookUp)
    first = asked.go_on(*await home.credentials.scram(asked.login))
    assert isinstance(first, Challenge)
    client.set_server_first(first.data.decode())
    final = server.step(client.get_client_final().encode())
    if isinstance(final, Challenge):
        client.set_server_final(final.data.decode())
        return server.step(b"")
    return final


async def test_scram_proves_the_same_password(tmp_path: Path) -> None:
    # RFC 5802, RFC 7677
    async with house(tmp_path) as home:
        await ada(home)
        assert await exchange(home, "ada@example.org", RIGHT) == ScramDone("ada@example.org")
        assert isinstance(await exchange(home, "ada@example.org", "wrong"), Failed)
        assert isinstance(await exchange(home, "bob@example.org", RIGHT), Failed)


async def test_scram_answers_unknown_logins_with_a_steady_salt(tmp_path: Path) -> None:
    # FAULTS 43
    async with house(tmp_path) as home:
        await ada(home)
        again = Credentials(home.store, QUICK)
        [unknown] = await home.credentials.scram("Bob@example.org")
        [once_more] = await again.scram("bob@EXAMPLE.org")
        [another] = await home.credentials.scram("eve@example.org")
        assert unknown.salt == once_more.salt
        assert unknown.salt != another.salt
        [known] = await home.credentials.scram("ada@example.org")
        assert len(unknown.salt) == len(known.salt)
        assert unknown.iterations == known.iterations
        assert unknown.stored_key != once_more.stored_key


@pytest.mark.parametrize(
    "password", ["", "short", "x" * 1_025, "no NULs \0 please", "bell \a here"]
)
async def test_what_can_be_no_password_is_refused(tmp_path: Path, password: str) -> None:
    async with house(tmp_path) as home:
        with pytest.raises(BadPassword) as refusal:
            await home.credentials.prepare(password)
        assert not password or password not in str(refusal.value)


async def test_an_account_without_a_password_lets_nobody_in(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.account()
        assert await home.credentials.verify("ada@example.org", "", "imap") is None
        with pytest.raises(PrincipalNotFound):
            await home.credentials.set_password("bob@example.org", RIGHT)


def test_a_verifier_is_read_back_and_a_broken_one_is_none() -> None:
    verifier = ScramVerifier(b"salt", 4_096, b"s" * 32, b"k" * 32)
    assert read_verifier(str(verifier)) == verifier
    for column in (None, "", "1,2", "x,c2FsdA==,c2FsdA==,c2FsdA==", "1,*,*,*"):
        assert read_verifier(column) is None
