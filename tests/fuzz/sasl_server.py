"""The server's SASL mechanisms: whatever a client answers, a step and never an exception."""

from typing import NamedTuple

from postillon.protocol.sasl.server import (
    BearerToken,
    Challenge,
    Credentials,
    Failed,
    LookUp,
    ScramDone,
    mechanism,
)


class Kept(NamedTuple):
    salt: bytes = b"0123456789abcdef"
    iterations: int = 4096
    stored_key: bytes = bytes(32)
    server_key: bytes = bytes(32)


NAMES = ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", "XOAUTH2")
SEEDS = (
    b"\x00\x00ada\x00pencil",
    b"\x01ada\xfepencil",
    b"\x02n,,n=ada,r=fyko+d2lbbFgONRv9qkxdawL\xfec=biws,r=fyko,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7A=",
    b"\x04n,a=ada@example.org,\x01host=a\x01port=143\x01auth=Bearer vF9dft4qmT\x01\x01",
    b"\x05user=ada@example.org\x01auth=Bearer vF9dft4qmT\x01\x01",
    b"\x03p=tls-server-end-point,,n=a=2Cb,r=abc\xfec=cD10bHM=,r=abc,p=AAAA\xfe",
)


def one(data: bytes) -> None:
    """The first octet chooses the mechanism, 0xFE divides responses."""
    name = NAMES[data[0] % len(NAMES)] if data else NAMES[0]
    exchange = mechanism(name, scram=True, binding=b"x" * 32, bearer=True)
    assert exchange is not None
    for response in data[1:].split(b"\xfe")[:4]:
        step = exchange.step(response)
        if isinstance(step, LookUp):
            assert step.login
            step = step.go_on(Kept())
        if isinstance(step, Credentials):
            assert step.login
            assert "\0" not in step.login + step.password + step.authzid
        # Nobody can prove the password of the keys above.
        assert not isinstance(step, ScramDone)
        if not isinstance(step, Challenge):
            assert isinstance(step, Credentials | BearerToken | Failed)
            return
