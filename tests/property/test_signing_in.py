"""What holds for every input of signing in: SASL with tokens, redirect URIs, what people type."""

from __future__ import annotations

from urllib.parse import urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from postillon.access.signin import devices, words
from postillon.access.signin.pages import _filled, _source
from postillon.directory import clients, scopes, tokens, totp
from postillon.directory.clients import Client
from postillon.protocol.sasl import server
from postillon.protocol.sasl.server import BearerToken, Failed

TOKEN = st.text("abcXYZ019-._~+/", min_size=1, max_size=60)
NAME = st.text(st.characters(exclude_categories=["Cs", "Cc", "Mn"]), max_size=40)
HOSTS = st.sampled_from(
    ["127.0.0.1", "[::1]", "localhost", "evil.example", "127.0.0.1.evil.example", "127.1", "0"]
)


@given(st.sampled_from(["OAUTHBEARER", "XOAUTH2"]), st.binary(max_size=200))
@example("OAUTHBEARER", b"n,,\x01\x01\x01")
@example("XOAUTH2", b"user=\x01auth=Bearer =\x01\x01")
def test_whatever_a_client_sends_is_a_token_or_refused(name: str, data: bytes) -> None:
    mechanism = server.mechanism(name, bearer=True)
    assert mechanism is not None
    step = mechanism.step(data)
    assert isinstance(step, BearerToken | Failed)
    if isinstance(step, BearerToken):
        assert step.token.isascii()
        assert not set(step.token + step.authzid) & set("\x00\x01\r\n")


@given(TOKEN, NAME, st.lists(st.tuples(st.sampled_from(["host", "port", "x"]), TOKEN), max_size=3))
def test_what_a_client_means_is_what_is_read(
    token: str, login: str, more: list[tuple[str, str]]
) -> None:
    import unicodedata

    said = login.replace("=", "=3D").replace(",", "=2C")
    pairs = "".join(f"{key}={value}\x01" for key, value in more)
    response = f"n,{f'a={said}' if said else ''},\x01{pairs}auth=Bearer {token}\x01\x01".encode()
    mechanism = server.mechanism("OAUTHBEARER", bearer=True)
    assert mechanism is not None
    assert mechanism.step(response) == BearerToken(token, unicodedata.normalize("NFC", login))


@given(
    st.text(max_size=60) | st.builds("http://{}{}".format, HOSTS, st.text(":/@?#\\1a.", max_size=9))
)
@example("http://127.0.0.1:80\t/callback")
@example("http://127.0.0.1\n/callback")
@example("http://[::1/callback")
@example("http://127.0.0.1:99999/callback")
def test_a_code_goes_nowhere_but_to_a_loopback_port_of_the_registered_path(uri: str) -> None:
    client = Client("x", "x", ("http://127.0.0.1/callback",), False)
    if clients.fits(client, uri):
        parts = urlsplit(uri)
        assert (parts.scheme, parts.hostname, parts.path) == ("http", "127.0.0.1", "/callback")
        assert not parts.username
        assert not parts.query
        assert uri.isascii()


@given(st.text(max_size=80))
def test_what_may_be_registered_is_https_loopback_or_a_program(uri: str) -> None:
    if clients.fault_of(uri) == "":
        parts = urlsplit(uri)
        assert parts.scheme == "https" or clients.is_loopback(uri) or "." in parts.scheme
        source = _source(uri)
        assert not set(source) & set(" ;,'\"\r\n")  # it goes into a policy


@given(st.text(max_size=40))
def test_what_people_type_never_fails(typed: str) -> None:
    assert tokens.plain(typed) == tokens.plain(f" {typed}-")
    code = tokens.user_code(typed)
    assert code == "" or set(code) <= set(tokens.USER_CODE_ALPHABET + "-")
    assert totp.matching_step(totp.new_secret(), typed, 10**12) in (
        None,
        33333332,
        33333333,
        33333334,
    )
    assert tokens.digest(typed)


@given(st.text(max_size=300), st.text(max_size=50))
def test_any_header_chooses_a_language_and_names_a_device(header: str, wished: str) -> None:
    assert words.chosen(header, wished) in words.LANGUAGES
    assert len(devices.described(header)) <= 60
    assert not set(devices.described(header)) & set("<>&\"'\n")


@given(st.text(max_size=60))
def test_a_name_cannot_break_out_of_a_text(name: str) -> None:
    filled = _filled("Let {client} in", client=name)
    inner = filled.removeprefix("Let <strong>").removesuffix("</strong> in")
    assert not set(inner) & set("<>\"'")


@given(st.lists(st.sampled_from([*scopes.OFFERED, "openid", "x"])))
def test_granted_scopes_never_exceed_what_was_asked(asked: list[str]) -> None:
    granted = scopes.known(" ".join(asked))
    assert set(granted.split()) <= set(asked) & set(scopes.OFFERED)
    assert scopes.meant(granted) == scopes.meant(" ".join(asked))
