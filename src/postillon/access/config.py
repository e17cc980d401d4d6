"""What clients may do, and for how long (section "imap")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from postillon.setting import MIB, ConfigError, minutes, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapConfig:
    """Limits of IMAP sessions."""

    append_limit: int = setting(
        50 * MIB, "Largest message a client may upload (RFC 7889).", unit="octets"
    )
    append_together: int = setting(
        100,
        "Messages that one APPEND may bring (RFC 3502); together they may have twice append_limit.",
    )
    login_time: timedelta = setting(minutes(2), "How long a client may take to log in.")
    quiet_time: timedelta = setting(
        minutes(30),
        "How long a client may be silent before it is logged out (RFC 3501 section 5.4).",
    )
    sign_of_life: timedelta = setting(
        minutes(2), "How often an idling client is told that the server is still there."
    )
    wrong_commands: int = setting(
        20, "Faulty commands in a row, or failed logins, after which the connection ends."
    )

    def __post_init__(self) -> None:
        if self.quiet_time < minutes(30):
            raise ConfigError(
                "imap", "quiet_time must be at least 30 minutes (RFC 3501 section 5.4)"
            )
        if self.append_limit < 1 or self.append_together < 1 or self.wrong_commands < 1:
            raise ConfigError("imap", "limits must be at least 1")
        if self.sign_of_life <= timedelta(0) or self.login_time <= timedelta(0):
            raise ConfigError("imap", "times must be longer than nothing")
