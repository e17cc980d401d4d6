"""How passwords are kept and how guessing is slowed (section "auth")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from postillon.setting import ConfigError, minutes, seconds, setting

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

    def __post_init__(self) -> None:
        if self.argon2_memory < 8 or self.argon2_passes < 1 or self.parallel_checks < 1:
            raise ConfigError("auth", "Argon2 needs 8 KiB, one pass and one check at least")
        if self.scram_iterations < MIN_SCRAM_ITERATIONS:
            raise ConfigError("auth", f"scram_iterations must be at least {MIN_SCRAM_ITERATIONS}")
        if not 0 <= self.free_failures < self.refuse_after:
            raise ConfigError("auth", "0 <= free_failures < refuse_after must hold")
