"""How names are looked up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from postillon.setting import ConfigError, days, hours, seconds, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverConfig:
    """The DNS servers we ask, and how long (RFC 1035, RFC 2308)."""

    servers: tuple[str, ...] = setting(
        (),
        "Addresses of recursive DNS servers, `address` or `address:port` (`[v6]:port`); empty: those"
        " of the operating system.",
    )
    try_timeout: timedelta = setting(seconds(2), "Wait for the answer of one server to one try.")
    name_timeout: timedelta = setting(seconds(10), "Wait for the answer to one question in all.")
    longest_ttl: timedelta = setting(days(1), "Longest time an answer is remembered.")
    longest_negative_ttl: timedelta = setting(
        hours(1), "Longest time it is remembered that a name or record does not exist."
    )
    cache_size: int = setting(20_000, "Answers remembered by one worker.", unit="answers")
    max_queries: int = setting(200, "Questions one worker has under way at once.", unit="questions")
    use_ipv6: bool = setting(True, "Whether other servers are looked up and reached by IPv6 too.")

    def __post_init__(self) -> None:
        if not timedelta() < self.try_timeout <= self.name_timeout:
            raise ConfigError("resolver", "0 < try_timeout <= name_timeout must hold")
        if self.cache_size < 1 or self.max_queries < 1:
            raise ConfigError("resolver", "cache_size and max_queries must be at least 1")
