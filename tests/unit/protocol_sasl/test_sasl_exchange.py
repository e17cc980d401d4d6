"""SASL, both sides against each other (RFC 4422, 4616, 5802, 7677)."""

import base64
import hashlib
import hmac
from dataclasses import dataclass

import pytest
from scramp import ScramMechanism

from postillon.protocol.sasl import client, server
from postillon.protocol.sasl.server import Challenge, Credentials, Failed, LookUp, ScramDone


@dataclass(frozen=True)
class Kept:
    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int


def verifiers(login: str) -> Kept:
    password = "pencil" if login == "ada" else "nobody knows"
    return Kept(
        *ScramMechanism("SCRAM-SHA-256").make_auth_info(password, 4096, b"0123456789abcdef")
    )


def step_of(mechanism, response):
    step = mechanism.step(response)
    return step.go_on(verifiers(step.login)) if isinstance(step, LookUp) else step


def exchange(mechanism, other):
    step = step_of(mechanism, other.initial if other.initial is not None else b"")
    while isinstance(step, Challenge):
        step = step_of(mechanism, other.respond(step.data))
    return step


def test_plain_names_login_password_and_identity():
    step = server.mechanism("plain").step(b"grace\0ada\0pencil")
    assert step == Credentials("ada", "pencil", "grace")


@pytest.mark.parametrize(
    "response",
    [b"", b"ada\0pencil", b"\0\0pencil", b"\0ada\0", b"\0a\0b\0c", b"\0a\xff\0b", b"\0a\n\0b"],
)
def test_plain_refuses_what_is_malformed(response):
    step = server.mechanism("PLAIN").step(response)
    assert isinstance(step, Failed)
    assert step.malformed


def test_login_asks_twice():
    assert exchange(server.mechanism("LOGIN"), client.LoginClient("ada", "pencil")) == Credentials(
        "ada", "pencil"
    )


def test_login_takes_an_initial_response_for_the_name():
    login = server.mechanism("LOGIN")
    assert login.step(b"ada") == Challenge(b"Password:")
    assert login.step(b"pencil") == Credentials("ada", "pencil")


@pytest.mark.parametrize("binding", [None, b"x" * 32])
def test_scram_proves_both_sides(binding):
    other = client.ScramClientMechanism("ada", "pencil", binding)
    step = exchange(server.mechanism(other.name, scram=True, binding=binding), other)
    assert step == ScramDone("ada")
    other.finish()


def test_scram_refuses_a_wrong_password_and_an_unknown_login_alike():
    for login in ("ada", "nobody"):
        other = client.ScramClientMechanism(login, "wrong")
        step = exchange(server.mechanism("SCRAM-SHA-256", scram=True), other)
        assert step == Failed("the proof is wrong")


def test_scram_refuses_another_channel():
    other = client.ScramClientMechanism("ada", "pencil", b"attacker's certificate")
    step = exchange(server.mechanism("SCRAM-SHA-256-PLUS", scram=True, binding=b"ours"), other)
    assert isinstance(step, Failed)


def test_scram_refuses_a_client_that_was_told_there_is_no_binding():
    step = step_of(
        server.mechanism("SCRAM-SHA-256", scram=True, binding=b"ours"),
        b"y,,n=ada,r=abcdefghijklm",
    )
    assert isinstance(step, Failed)


def test_scram_client_refuses_success_without_proof():
    other = client.ScramClientMechanism("ada", "pencil")
    with pytest.raises(client.SaslError):
        other.finish()


@pytest.mark.parametrize(
    "junk", [b"", b"\xff", b"n,,", b"n,,n=,r=", b"p=x,,n=a,r=b", b"n,,r=b,n=a", b",,,,,"]
)
def test_scram_survives_junk(junk):
    assert isinstance(step_of(server.mechanism("SCRAM-SHA-256", scram=True), junk), Failed)


def test_scram_survives_junk_in_the_second_step():
    mechanism = server.mechanism("SCRAM-SHA-256", scram=True)
    assert isinstance(step_of(mechanism, b"n,,n=ada,r=abc"), Challenge)
    assert isinstance(mechanism.step(b"c=!!!,r=abc,p=@@"), Failed)


def test_only_what_is_offered_can_begin():
    assert server.offered(scram=True, binding=b"x")[0] == "SCRAM-SHA-256-PLUS"
    assert server.mechanism("SCRAM-SHA-256-PLUS", scram=True) is None
    assert server.mechanism("CRAM-MD5", scram=True) is None


def test_client_chooses_the_strongest():
    assert client.choose(["PLAIN", "SCRAM-SHA-256"], "a", "b").name == "SCRAM-SHA-256"
    assert client.choose(["LOGIN"], "a", "b").name == "LOGIN"
    with pytest.raises(client.SaslError):
        client.choose(["GSSAPI"], "a", "b")


def scram_by_hand(header: str, password: str = "pencil"):
    """A client that sends its header as it likes, as Cyrus SASL does with an authzid."""
    mechanism = server.mechanism("SCRAM-SHA-256", scram=True)
    bare = "n=ada,r=abcdef"
    first = step_of(mechanism, (header + bare).encode())
    if not isinstance(first, Challenge):
        return first
    said = first.data.decode()
    fields = dict(part.split("=", 1) for part in said.split(","))
    final = f"c={base64.b64encode(header.encode()).decode()},r={fields['r']}"
    salted = hashlib.pbkdf2_hmac(
        "sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"])
    )
    key = hmac.digest(salted, b"Client Key", "sha256")
    signed = hmac.digest(hashlib.sha256(key).digest(), f"{bare},{said},{final}".encode(), "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signed, strict=True))
    step = mechanism.step(f"{final},p={base64.b64encode(proof).decode()}".encode())
    return mechanism.step(b"") if isinstance(step, Challenge) else step


@pytest.mark.parametrize("header", ["n,,", "n,a=ada,", "y,a=ada,"])
def test_scram_takes_the_login_as_its_own_authzid(header):
    assert scram_by_hand(header) == ScramDone("ada")
    assert isinstance(scram_by_hand(header, "wrong"), Failed)


@pytest.mark.parametrize("header", ["n,a=grace,", "n,ada,", "n,a=ada"])
def test_scram_lets_nobody_act_for_another(header):
    assert isinstance(scram_by_hand(header), Failed)
