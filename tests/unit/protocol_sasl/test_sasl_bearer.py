"""Tokens over SASL (RFC 7628 and XOAUTH2), and SCRAM with several passwords of one login."""

from __future__ import annotations

import pytest
from scramp import ScramMechanism

from postillon.protocol.sasl import client, server
from postillon.protocol.sasl.server import BearerToken, Challenge, Failed, LookUp, ScramDone

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


def step(name: str, response: bytes) -> server.Step:
    mechanism = server.mechanism(name, bearer=True)
    assert mechanism is not None
    return mechanism.step(response)


def test_oauthbearer_as_the_rfc_has_it():
    # RFC 7628 section 4.1
    response = (
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
        b"auth=Bearer " + TOKEN.encode() + b"\x01\x01"
    )
    assert step("oauthbearer", response) == BearerToken(TOKEN, "user@example.com")


@pytest.mark.parametrize(
    ("response", "authzid"),
    [
        (b"n,,\x01auth=Bearer x\x01\x01", ""),
        (b"y,,\x01auth=bearer  x\x01\x01", ""),
        (b"n,a=a=2Cb=3Dc,\x01port=993\x01auth=Bearer x\x01\x01", "a,b=c"),
        (b"n,a=M\xc3\xbcller,\x01auth=Bearer x\x01host=h\x01\x01", "M\u00fcller"),
    ],
)
def test_oauthbearer_in_all_its_forms(response: bytes, authzid: str):
    assert step("OAUTHBEARER", response) == BearerToken("x", authzid)


def test_xoauth2_names_user_and_token():
    response = b"user=ada@example.org\x01auth=Bearer x.y~z\x01\x01"
    assert step("XOAUTH2", response) == BearerToken("x.y~z", "ada@example.org")


@pytest.mark.parametrize("name", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize(
    "rest",
    [b"", b"auth=Bearer x", b"auth=Bearer x\x01", b"\x01\x01", b"auth=Bearer \x01\x01",
     b"auth=Basic x\x01\x01", b"auth=Bearer x y\x01\x01", b"auth=Bearer x\x01auth=Bearer y\x01\x01",
     b"auth=Bearer \xff\x01\x01", b"noequals\x01auth=Bearer x\x01\x01", b"auth=Bearer x\n\x01\x01",
     b"host=h\x01\x01"],
)  # fmt: skip
def test_what_is_malformed_is_refused(name: str, rest: bytes):
    header = b"n,," if name == "OAUTHBEARER" else b"user=ada"
    found = step(name, header + b"\x01" + rest)
    assert isinstance(found, Failed)
    assert found.malformed


@pytest.mark.parametrize(
    "header",
    [b"", b"p=tls-exporter,,", b"n,", b"n,b=x,", b"n,,x", b"x,,", b"n,a=\0,", b"n,a=" + b"x" * 256],
)
def test_a_header_with_binding_or_nonsense_is_refused(header: bytes):
    assert isinstance(step("OAUTHBEARER", header + b"\x01auth=Bearer x\x01\x01"), Failed)
    assert isinstance(step("XOAUTH2", header + b"\x01auth=Bearer x\x01\x01"), Failed)


def test_tokens_are_offered_where_they_are_taken():
    assert server.mechanism("OAUTHBEARER") is None
    assert server.mechanism("XOAUTH2") is None
    names = server.offered(scram=True, bearer=True)
    assert names == ("SCRAM-SHA-256", "PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2")


# SCRAM with several passwords


class Kept:
    def __init__(
        self, password: str, salt: bytes = b"0123456789abcdef", rounds: int = 4096
    ) -> None:
        self.salt, self.stored_key, self.server_key, self.iterations = ScramMechanism(
            "SCRAM-SHA-256"
        ).make_auth_info(password, rounds, salt)


def proved(password: str, *kept: Kept, binding: bytes | None = None) -> server.Step:
    other = client.ScramClientMechanism("ada", password, binding)
    mechanism = server.mechanism(other.name, scram=True, binding=binding)
    assert mechanism is not None
    assert other.initial is not None
    found = mechanism.step(other.initial)
    assert isinstance(found, LookUp)
    found = found.go_on(*kept)
    while isinstance(found, Challenge):
        found = mechanism.step(other.respond(found.data))
    if isinstance(found, ScramDone):
        other.finish()  # the server has proved itself by the same password
    return found


@pytest.mark.parametrize("binding", [None, b"x" * 32])
def test_scram_proves_any_password_of_a_login(binding: bytes | None):
    kept = [Kept("first"), Kept("second"), Kept("third")]
    for number, password in enumerate(("first", "second", "third")):
        assert proved(password, *kept, binding=binding) == ScramDone("ada", number)
    assert proved("fourth", *kept, binding=binding) == Failed("the proof is wrong")


def test_scram_counts_those_with_the_first_salt_only():
    kept = [Kept("first"), Kept("second", salt=b"another salt, 16"), Kept("third", rounds=5000)]
    assert proved("first", *kept) == ScramDone("ada", 0)
    assert proved("second", *kept) == Failed("the proof is wrong")
    assert proved("third", *kept) == Failed("the proof is wrong")
