"""Limits of the SMTP and LMTP servers (section "smtp")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from postillon.setting import KIB, MIB, ConfigError, minutes, seconds, setting

MIN_SIZE = 64 * KIB  # octets every server must take, RFC 5321 section 4.5.3.1.7
MIN_RECIPIENTS = 100  # RFC 5321 section 4.5.3.1.8


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpConfig:
    """What one peer may ask of this server."""

    max_size: int = setting(50 * MIB, "Largest message accepted.", unit="octets")
    max_recipients: int = setting(1_000, "Recipients of one message.")
    max_transactions: int = setting(
        1_000, "Messages of one connection; then it must be opened anew."
    )
    max_errors: int = setting(20, "Faulty commands of one connection after which it is closed.")
    max_logins: int = setting(5, "Failed logins of one connection after which it is closed.")
    command_timeout: timedelta = setting(minutes(5), "Wait for the next whole command.")
    content_timeout: timedelta = setting(minutes(3), "Wait for the next piece of a message.")
    transaction_timeout: timedelta = setting(minutes(60), "Longest time for one message to arrive.")
    memory: int = setting(
        1 * MIB, "Content beyond this waits in a file, not in memory.", unit="octets"
    )
    slow_after: int = setting(4, "Unknown recipients of one connection that cost no delay.")
    harvest_delay: timedelta = setting(seconds(2), "Delay for each unknown recipient after those.")
    close_after: int = setting(20, "Unknown recipients after which a connection is closed.")
    plain_on_loopback: bool = setting(True, "Allow passwords without TLS from this machine itself.")
    repair_lines: bool = setting(
        False, "Submission: make CRLF of a bare LF instead of refusing it."
    )

    def __post_init__(self) -> None:
        if self.max_size < MIN_SIZE or self.max_recipients < MIN_RECIPIENTS:
            raise ConfigError(
                "smtp", f"max_size must be at least {MIN_SIZE}, max_recipients {MIN_RECIPIENTS}"
            )
        if min(self.max_transactions, self.max_errors, self.max_logins, self.close_after) < 1:
            raise ConfigError("smtp", "the limits of a connection must be at least 1")
        if min(self.command_timeout, self.content_timeout) <= timedelta(0):
            raise ConfigError("smtp", "timeouts must be longer than nothing")
        if self.transaction_timeout < self.content_timeout:
            raise ConfigError("smtp", "content_timeout <= transaction_timeout must hold")
