"""What the directory refuses, with the facts a command line needs to say it well."""

from __future__ import annotations

from collections.abc import Sequence


class DirectoryError(Exception):
    """Something the directory refuses. Nothing has changed."""


class BadName(DirectoryError):
    """Text that can be no domain, address or login here."""

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f"{text!r}: {problem}")
        self.text, self.problem = text, problem


class DomainNotFound(DirectoryError):
    def __init__(self, domain: str) -> None:
        super().__init__(f"{domain} is not a domain of this server")
        self.domain = domain


class DomainExists(DirectoryError):
    def __init__(self, domain: str) -> None:
        super().__init__(f"the domain {domain} exists already")
        self.domain = domain


class DomainInUse(DirectoryError):
    """`addresses` are some of those that remain, `count` how many there are."""

    def __init__(self, domain: str, count: int, addresses: Sequence[str]) -> None:
        super().__init__(f"{domain} still has {count} addresses: {', '.join(addresses)}")
        self.domain, self.count, self.addresses = domain, count, tuple(addresses)


class AddressTaken(DirectoryError):
    """`kind` is account, group or alias."""

    def __init__(self, address: str, kind: str) -> None:
        super().__init__(f"{address} is already the address of an {kind}".replace("an g", "a g"))
        self.address, self.kind = address, kind


class AddressNotFound(DirectoryError):
    def __init__(self, address: str) -> None:
        super().__init__(f"there is no address {address}")
        self.address = address


class AddressProtected(DirectoryError):
    """The primary address of a principal goes only with it, or after a rename."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} is the primary address and must stay")
        self.address = address


class PrincipalNotFound(DirectoryError):
    """`wanted` is a login or an id."""

    def __init__(self, wanted: object) -> None:
        super().__init__(f"there is no account or group {wanted}")
        self.wanted = wanted


class WrongKind(DirectoryError):
    def __init__(self, login: str, kind: str, wanted: str) -> None:
        super().__init__(f"{login} is a {kind}, not a {wanted}")
        self.login, self.kind, self.wanted = login, kind, wanted


class TooMany(DirectoryError):
    """More targets or members than allowed."""

    def __init__(self, what: str, count: int, allowed: int) -> None:
        super().__init__(f"{count} {what}, {allowed} allowed")
        self.what, self.count, self.allowed = what, count, allowed


class BadPassword(DirectoryError):
    """A password that cannot be kept. The text says nothing of it."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class NameTaken(DirectoryError):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is one named {name} already")
        self.name = name


class CredentialNotFound(DirectoryError):
    """`kind` is app password, API key or session."""

    def __init__(self, kind: str, wanted: str) -> None:
        super().__init__(f"there is no {kind} {wanted}")
        self.kind, self.wanted = kind, wanted
