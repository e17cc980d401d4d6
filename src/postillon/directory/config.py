"""How people sign in (section "auth"), and clients in their name (section "oauth")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from postillon.setting import ConfigError, days, hours, minutes, seconds, setting

MIN_SCRAM_ITERATIONS = 4_096  # RFC 7677 section 4


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """Passwords and the patience with those who guess them."""

    argon2_memory: int = setting(19_456, "Memory of one password check.", unit="KiB")
    argon2_passes: int = setting(2, "Passes over that memory.")
    parallel_checks: int = setting(2, "Password checks of one worker at the same time.")
    scram_iterations: int = setting(10_000, "PBKDF2 rounds of SCRAM-SHA-256 for new passwords.")
    channel_binding: bool = setting(
        False,
        "Offer SCRAM-SHA-256-PLUS with tls-server-end-point; clients that insist on tls-exporter,"
        " such as mutt, then cannot log in.",
    )
    remember: timedelta = setting(minutes(5), "How long a worker knows a verified password again.")
    free_failures: int = setting(3, "Failed logins that cost no delay.")
    longest_delay: timedelta = setting(seconds(30), "Ceiling of the delay, which doubles.")
    refuse_after: int = setting(100, "Failures from one network after which it is turned away.")
    forget_after: timedelta = setting(minutes(30), "Quiet time after which failures are forgotten.")
    record_for: timedelta = setting(
        days(30), "How long the record knows who has signed in or failed to."
    )
    record_most: int = setting(
        100_000,
        "Lines it has at most, of failures and of successes each; 0 keeps no record. A line stands"
        " for all attempts of one kind from one network with one login in a minute.",
    )

    def __post_init__(self) -> None:
        if self.argon2_memory < 8 or self.argon2_passes < 1 or self.parallel_checks < 1:
            raise ConfigError("auth", "Argon2 needs 8 KiB, one pass and one check at least")
        if self.scram_iterations < MIN_SCRAM_ITERATIONS:
            raise ConfigError("auth", f"scram_iterations must be at least {MIN_SCRAM_ITERATIONS}")
        if not 0 <= self.free_failures < self.refuse_after:
            raise ConfigError("auth", "0 <= free_failures < refuse_after must hold")
        if self.record_for < hours(1) or self.record_most < 0:
            raise ConfigError("auth", "record_for is an hour at least, record_most not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """A program that may ask people for access without having registered."""

    id: str = setting("", "Its client_id.")
    name: str = setting("", "What people are told who asks; empty: the id.")
    redirects: tuple[str, ...] = setting(
        (), "Where it waits for its code, to the letter; on loopback any port will do."
    )

    def __post_init__(self) -> None:
        if not self.id or not self.id.isascii() or not self.id.isprintable():
            raise ConfigError("oauth", "a client needs an id of printable ASCII characters")
        for uri in self.redirects:
            if not urlsplit(uri).scheme or "#" in uri:
                raise ConfigError("oauth", f"{uri!r} is no absolute URI without fragment")


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthConfig:
    """Tokens instead of passwords: this server as a provider of OAuth 2.1."""

    enabled: bool = setting(True, "Let clients ask people for access.")
    client: tuple[ClientConfig, ...] = setting((), "Clients beside those that are well known.")
    registration: bool = setting(True, "Let clients register themselves (RFC 7591).")
    most_clients: int = setting(1_000, "Clients that may be registered in this way.")
    access_time: timedelta = setting(hours(1), "How long an access token is good.")
    refresh_time: timedelta = setting(
        days(60), "How long a client that is not used keeps its access."
    )
    session_time: timedelta = setting(
        days(30), "The same for the web client, for who asked to stay signed in."
    )
    short_session_time: timedelta = setting(
        hours(12), "The same for who did not; closing the browser ends it sooner."
    )

    def __post_init__(self) -> None:
        times = (self.access_time, self.refresh_time, self.session_time, self.short_session_time)
        if min(times) < minutes(1):
            raise ConfigError("oauth", "times must be at least one minute")
        if self.access_time > min(self.refresh_time, self.session_time):
            raise ConfigError("oauth", "access_time must not be longer than the others")
        if self.most_clients < 0:
            raise ConfigError("oauth", "most_clients must not be negative")
        if len({item.id for item in self.client}) != len(self.client):
            raise ConfigError("oauth", "two clients have the same id")
