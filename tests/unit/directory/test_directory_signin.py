"""What each credential opens: app passwords, tokens, second factors, keys, over every protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from postillon.directory import api_keys, app_passwords, second_factor, sessions, tokens, totp
from postillon.directory.credentials import HTTP
from postillon.directory.errors import BadName, CredentialNotFound, NameTaken, TooMany
from postillon.directory.principals import Principal
from postillon.directory.scopes import ADMIN, EVERYTHING, MAIL, PROTOCOLS, SEND
from postillon.directory.sessions import Opening, Tokens
from postillon.directory.signin import Answer, Ask, Denied, Granted, SignIns
from postillon.directory.throttle import Throttle
from postillon.protocol.sasl.client import ClientMechanism, PlainClient, ScramClientMechanism
from support.accounts import QUICK, House, house

LOGIN, PASSWORD = "ada@example.org", "correct horse battery"
HERE, FAR = "127.0.0.1", "203.0.113.9"
DAY = 86_400_000


class Hall:
    """A house with one person in it, and its sign-ins."""

    def __init__(self, home: House, owner: Principal) -> None:
        self.home, self.owner = home, owner
        self.sign_ins = SignIns(
            home.credentials, Throttle(QUICK, home.time), metadata="https://mx.example.org/known"
        )

    async def by(
        self, client: ClientMechanism, protocol: str = "imap", address: str = HERE
    ) -> Answer:
        """A whole exchange."""
        attempt = self.sign_ins.begin(protocol, address)
        answer = await attempt.begin(client.name, client.initial)
        while isinstance(answer, Ask):
            answer = await attempt.respond(client.respond(answer.challenge))
        return answer

    async def plain(self, password: str, protocol: str = "imap", address: str = HERE) -> Answer:
        return await self.by(PlainClient(LOGIN, password), protocol, address)

    async def scram(self, password: str, protocol: str = "imap") -> Answer:
        return await self.by(ScramClientMechanism(LOGIN, password), protocol)

    async def app(self, *protocols: str, expires_at: int | None = None) -> tuple[int, str]:
        made, password = await self.home.credentials.add_app_password(
            self.owner, "Phone", protocols, expires_at
        )
        return made.id, password

    async def token(self, scopes: str = "mail send", client: str = "reader") -> Tokens:
        opening = Opening(client, client, scopes, "", HERE, 3_600_000, DAY)
        now = self.home.time()
        return await self.home.do(lambda tx: sessions.open_(tx, self.owner.id, opening, now))

    async def factor(self) -> str:
        secret = await self.home.do(lambda tx: second_factor.begin(tx, self.owner.id))
        now = self.home.time()
        code = totp.code_of(secret, totp.step_at(now))
        assert await self.home.do(lambda tx: second_factor.confirm(tx, self.owner.id, code, now))
        return str(secret)


@asynccontextmanager
async def hall(folder: Path, **more: object) -> AsyncIterator[Hall]:
    async with house(folder) as home:
        await home.account(LOGIN, password=await home.credentials.prepare(PASSWORD), **more)
        owner = await home.directory.by_login(LOGIN)
        assert owner is not None
        yield Hall(home, owner)
        await home.credentials.last_use.written()


# App passwords


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_app_password_is_good_for_its_protocols(tmp_path: Path, protocol: str) -> None:
    async with hall(tmp_path) as here:
        number, password = await here.app(protocol)
        for other in PROTOCOLS:
            for answer in (await here.plain(password, other), await here.scram(password, other)):
                if other == protocol:
                    assert answer == Granted(here.owner, PROTOCOLS[protocol], f"app:{number}")
                else:
                    assert answer is Denied.NOT_FOR_THIS


async def test_an_app_password_gives_no_settings_and_no_administration(tmp_path: Path) -> None:
    async with hall(tmp_path, admin=True) as here:
        _, password = await here.app()
        for protocol in PROTOCOLS:
            answer = await here.plain(password, protocol)
            assert isinstance(answer, Granted)
            assert answer.scopes <= {MAIL, SEND}


async def test_app_passwords_do_not_depend_on_each_other(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        first, one = await here.app()
        _, two = await here.app()
        assert one != two
        await here.home.do(lambda tx: app_passwords.remove(tx, here.owner.id, first))
        assert await here.plain(one) is Denied.WRONG
        assert await here.scram(one) is Denied.WRONG
        assert isinstance(await here.plain(two), Granted)
        assert isinstance(await here.scram(two), Granted)
        third, _ = await here.app()
        assert third not in (first, 1)
        with pytest.raises(CredentialNotFound):
            await here.home.do(lambda tx: app_passwords.remove(tx, here.owner.id, first))
        with pytest.raises(CredentialNotFound):  # the password is none of them
            await here.home.do(lambda tx: app_passwords.remove(tx, here.owner.id, 1))


async def test_another_password_leaves_app_passwords_good(tmp_path: Path) -> None:
    # And by SCRAM too: the salt of the account stays.
    async with hall(tmp_path) as here:
        _, password = await here.app()
        await here.home.credentials.set_password(LOGIN, "another password")
        for secret in (password, "another password"):
            assert isinstance(await here.plain(secret), Granted)
            assert isinstance(await here.scram(secret), Granted)
        assert await here.scram(PASSWORD) is Denied.WRONG


async def test_an_app_password_may_be_there_without_a_password(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.account(LOGIN)
        owner = await home.directory.by_login(LOGIN)
        assert owner is not None
        here = Hall(home, owner)
        _, password = await here.app()
        assert isinstance(await here.scram(password), Granted)
        await home.credentials.set_password(LOGIN, PASSWORD)
        assert isinstance(await here.scram(password), Granted)
        assert isinstance(await here.scram(PASSWORD), Granted)
        await home.credentials.last_use.written()


async def test_an_app_password_ends_on_its_day(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        _, password = await here.app(expires_at=here.home.time() + DAY)
        here.home.time.now += DAY - 1
        assert isinstance(await here.plain(password), Granted)
        here.home.time.now += 1
        assert await here.plain(password) is Denied.WRONG
        assert await here.scram(password) is Denied.WRONG


async def test_the_last_use_is_written_once_an_hour(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        home = here.home
        number, password = await here.app()
        began, seen = home.time(), []
        for late in (0, 1, 3_599_999, 3_600_000, 3_600_001):
            home.time.now = began + late
            await here.plain(password)
            await home.credentials.last_use.written()
            [(used_at,)] = await home.rows(
                "SELECT used_at FROM credential WHERE credential = ?", number
            )
            seen.append(used_at - began)
        assert seen == [0, 0, 0, 3_600_000, 3_600_000]


async def test_app_passwords_are_strong_and_bounded(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        assert len(tokens.ALPHABET) ** (tokens.APP_GROUPS * tokens.APP_GROUP_LENGTH) > 2**100
        for _ in range(app_passwords.MAX_APP_PASSWORDS):
            await here.app("imap")
        with pytest.raises(TooMany):
            await here.app("imap")
        rows = await here.home.rows("SELECT hash, scram FROM credential WHERE kind = 'app'")
        assert len(set(rows)) == app_passwords.MAX_APP_PASSWORDS
        for name, protocols in (("", ()), ("x", ("telnet",)), ("a\nb", ())):
            with pytest.raises(BadName):
                await here.home.credentials.add_app_password(here.owner, name, protocols)


# The second factor


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_with_a_second_factor_the_password_alone_opens_nothing(
    tmp_path: Path, protocol: str
) -> None:
    async with hall(tmp_path) as here:
        assert isinstance(await here.plain(PASSWORD, protocol), Granted)
        await here.factor()
        _, password = await here.app(protocol)
        given = await here.token()
        assert await here.plain(PASSWORD, protocol) is Denied.NEEDS_CODE
        assert await here.scram(PASSWORD, protocol) is Denied.NEEDS_CODE
        assert await here.plain("wrong", protocol) is Denied.WRONG  # which tells nothing
        assert isinstance(await here.plain(password, protocol), Granted)
        answer = await here.sign_ins.begin(protocol, HERE).token(given.access)
        assert isinstance(answer, Granted)


async def test_the_right_password_without_the_code_makes_no_address_known(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        await here.factor()
        assert await here.plain(PASSWORD, address=FAR) is Denied.NEEDS_CODE
        assert not here.sign_ins.throttle.knows(FAR, LOGIN)
        assert here.sign_ins.throttle.check(FAR, LOGIN).delay_s == 0  # nor is it a failure


# RFC 6238 appendix B, of the last six digits; RFC 4226 appendix D.
@pytest.mark.parametrize(
    ("second", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"),
     (2000000000, "279037"), (20000000000, "353130")],
)  # fmt: skip
def test_codes_are_those_of_the_rfc(second: int, code: str) -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890"
    assert totp.code_of(secret, totp.step_at(second * 1000)) == code
    assert totp.matching_step(secret, f" {code[:3]} {code[3:]}", second * 1000) == second // 30


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "²²²²²²", "-12345", "\0" * 6])
def test_what_is_no_code_is_none(typed: str) -> None:
    assert totp.matching_step(totp.new_secret(), typed, 0) is None


# Tokens


def bearer(token: str, login: str = LOGIN) -> bytes:
    return f"n,a={login},\x01auth=Bearer {token}\x01\x01".encode()


def xoauth2(token: str, login: str = LOGIN) -> bytes:
    return f"user={login}\x01auth=Bearer {token}\x01\x01".encode()


@pytest.mark.parametrize(("name", "made"), [("OAUTHBEARER", bearer), ("XOAUTH2", xoauth2)])
async def test_a_token_opens_what_its_scopes_say(tmp_path: Path, name: str, made: object) -> None:
    assert callable(made)
    async with hall(tmp_path) as here:
        for scopes, protocols in (
            ("mail", {"imap", "pop3", "jmap"}), ("send", {"smtp", "jmap"}), ("account", set()),
            ("urn:ietf:params:oauth:scope:mail", set(PROTOCOLS)),
        ):  # fmt: skip
            given = await here.token(scopes)
            for protocol in PROTOCOLS:
                attempt = here.sign_ins.begin(protocol, HERE)
                answer = await attempt.begin(name, made(given.access))
                if protocol in protocols:
                    assert isinstance(answer, Granted)
                    assert answer.credential == f"session:{given.session}"
                else:
                    assert isinstance(answer, Ask)
                    assert await attempt.respond(b"\x01") is Denied.NOT_FOR_THIS


async def test_a_token_that_is_refused_is_answered_with_where_to_get_one(tmp_path: Path) -> None:
    # RFC 7628 section 3.2.2; what the client says to that does not matter (3.2.3).
    async with hall(tmp_path) as here:
        for response in (b"\x01", b"", b"anything"):
            attempt = here.sign_ins.begin("imap", HERE)
            answer = await attempt.begin("OAUTHBEARER", bearer("unknown"))
            assert isinstance(answer, Ask)
            assert b'"status": "invalid_token"' in answer.challenge
            assert b'"openid-configuration": "https://mx.example.org/known"' in answer.challenge
            assert await attempt.respond(response) is Denied.WRONG
            assert attempt.failed


async def test_a_token_is_not_for_acting_as_somebody_else(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        await here.home.account("bob@example.org")
        await here.home.directory.add_address(LOGIN, "lovelace@example.org")
        given = await here.token()
        for login, denied in (
            ("bob@example.org", True), ("nobody@example.org", True), (LOGIN.upper(), False),
            ("lovelace@example.org", False),
        ):  # fmt: skip
            attempt = here.sign_ins.begin("imap", HERE)
            answer = await attempt.begin("XOAUTH2", xoauth2(given.access, login))
            if denied:
                assert isinstance(answer, Ask)
                assert await attempt.respond(b"") is Denied.OTHER
            else:
                assert isinstance(answer, Granted)


async def test_a_token_without_a_name_is_of_whom_it_was_given(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        given = await here.token()
        response = f"n,,\x01auth=Bearer {given.access}\x01\x01".encode()
        answer = await here.sign_ins.begin("imap", HERE).begin("OAUTHBEARER", response)
        assert isinstance(answer, Granted)
        assert answer.principal.login == LOGIN


async def test_tokens_that_have_expired_lock_nobody_out(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        given = await here.token()
        here.home.time.now += 3_600_000
        for _ in range(QUICK.refuse_after + 1):
            assert await here.sign_ins.begin("imap", FAR).token(given.access) is Denied.WRONG
        assert here.sign_ins.throttle.check(FAR, LOGIN).delay_s == 0


async def test_a_session_of_the_web_client_may_do_everything_its_owner_may(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        given = await here.token("mail", client=sessions.OWN_CLIENT)
        proof = await here.home.credentials.bearer(given.access, HTTP)
        assert proof is not None
        assert proof.scopes == EVERYTHING
        given = await here.token("mail")
        proof = await here.home.credentials.bearer(given.access, HTTP)
        assert proof is not None
        assert ADMIN not in proof.scopes


async def test_sessions_are_bounded_and_the_oldest_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 3)
    async with hall(tmp_path) as here:
        made = []
        for _ in range(5):
            here.home.time.now += 1
            made.append(await here.token())
        good = [await here.home.credentials.bearer(item.access, HTTP) for item in made]
        assert [item is not None for item in good] == [False, False, True, True, True]


async def test_an_account_that_is_removed_takes_everything_with_it(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        await here.factor()
        await here.app()
        given = await here.token()
        await here.home.accounts.remove(LOGIN)
        for table in ("credential", "second_factor", "session"):
            assert await here.home.rows(f"SELECT * FROM {table}") == []
        assert await here.home.credentials.bearer(given.access, HTTP) is None


async def test_what_has_expired_is_forgotten(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        await here.token()
        here.home.time.now += 3_600_000
        fresh = await here.token()
        now = here.home.time()
        assert await here.home.do(lambda tx: sessions.forget(tx, now)) == 1  # an access token
        later = now + DAY - 3_600_000
        assert await here.home.do(lambda tx: sessions.forget(tx, later)) == 2
        assert await here.home.rows("SELECT session FROM session") == [(fresh.session,)]
        assert await here.home.do(lambda tx: sessions.forget(tx, later)) == 0


# Keys of the administration API


async def test_a_key_has_its_scopes_and_its_end(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        home, ends = here.home, here.home.time() + DAY
        made, key = await home.do(lambda tx: api_keys.add(tx, "monitoring", (), ends))
        assert made.scopes == ("admin:read",)
        assert key.startswith(tokens.KEY)
        found = await home.credentials.api_key(key)
        assert found == made
        await home.credentials.last_use.written()
        [listed] = await home.store.query(api_keys.every())
        assert listed.used_at == home.time()
        for wrong in (key[:-1], key + "x", tokens.KEY, ""):
            assert await home.credentials.api_key(wrong) is None
        with pytest.raises(NameTaken):
            await home.do(lambda tx: api_keys.add(tx, "monitoring", ("admin:write",)))
        with pytest.raises(BadName):
            await home.do(lambda tx: api_keys.add(tx, "x", ("everything",)))
        home.time.now += DAY
        assert await home.credentials.api_key(key) is None
        await home.do(lambda tx: api_keys.remove(tx, "monitoring"))
        with pytest.raises(CredentialNotFound):
            await home.do(lambda tx: api_keys.remove(tx, "monitoring"))
