"""The client's side of SASL: PLAIN, LOGIN and SCRAM-SHA-256 for smart hosts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from scramp import ScramClient, ScramException

from postillon.protocol.sasl.server import CHANNEL_BINDING, SCRAM, SCRAM_PLUS


class SaslError(Exception):
    """The server's side of the exchange is wrong: a bad challenge, or a server that proves nothing."""


class ClientMechanism(Protocol):
    """One exchange. `initial` is the response to send with AUTH; None when the server speaks first."""

    name: str
    initial: bytes | None

    def respond(self, challenge: bytes) -> bytes:
        """The next response. Raises SaslError."""

    def finish(self) -> None:
        """To be called when the server reports success. Raises SaslError if it has not earned it."""


class PlainClient:
    name = "PLAIN"

    def __init__(self, login: str, password: str) -> None:
        if "\0" in login or "\0" in password:
            raise SaslError("NUL in a login or password")
        self.initial: bytes | None = f"\0{login}\0{password}".encode()

    def respond(self, challenge: bytes) -> bytes:
        raise SaslError("PLAIN has no second challenge")

    def finish(self) -> None:
        return


class LoginClient:
    name = "LOGIN"
    initial: bytes | None = None

    def __init__(self, login: str, password: str) -> None:
        self._answers = [password.encode(), login.encode()]

    def respond(self, challenge: bytes) -> bytes:
        if not self._answers:
            raise SaslError("LOGIN has two challenges")
        return self._answers.pop()

    def finish(self) -> None:
        return


class ScramClientMechanism:
    """Proves the password without sending it, and makes the server prove that it knows it too."""

    def __init__(self, login: str, password: str, binding: bytes | None = None) -> None:
        self.name = SCRAM if binding is None else SCRAM_PLUS
        try:
            self._client = ScramClient(
                [self.name],
                login,
                password,
                None if binding is None else (CHANNEL_BINDING, binding),
            )
            self.initial: bytes | None = self._client.get_client_first().encode()
        except (ScramException, ValueError) as error:
            raise SaslError(str(error)) from error
        self._stage = 0

    def respond(self, challenge: bytes) -> bytes:
        self._stage += 1
        try:
            text = challenge.decode("utf-8")
            if self._stage == 1:
                self._client.set_server_first(text)
                return bytes(self._client.get_client_final().encode())
            if self._stage == 2:
                self._client.set_server_final(text)
                return b""
        except (ScramException, ValueError, LookupError) as error:
            raise SaslError(str(error)) from error
        raise SaslError("SCRAM is over")

    def finish(self) -> None:
        if self._stage != 2:
            raise SaslError("the server has not proved that it knows the password")


def choose(
    offered: Iterable[str], login: str, password: str, *, binding: bytes | None = None
) -> ClientMechanism:
    """The strongest mechanism of those offered. Raises SaslError if there is none in common."""
    names = {name.upper() for name in offered}
    if binding is not None and SCRAM_PLUS in names:
        return ScramClientMechanism(login, password, binding)
    if SCRAM in names:
        return ScramClientMechanism(login, password)
    if "PLAIN" in names:
        return PlainClient(login, password)
    if "LOGIN" in names:
        return LoginClient(login, password)
    raise SaslError("no mechanism in common")
