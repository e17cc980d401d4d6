"""What an administrator may set about the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from postillon.setting import KIB, MIB, ConfigError, days, setting

MIN_PACK = 64 * KIB
MAX_PACK = 1024 * MIB
MAX_BATCH = 10_000  # operations


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """How rows and message octets are kept (docs/store.md)."""

    database: str = setting(
        "",
        'PostgreSQL to keep everything in, as "postgresql://user@host/name", for several servers'
        " that share it; empty: SQLite in the data folder. The password never stands here.",
    )
    database_password: Path | None = setting(
        None,
        "File whose first line is the password of the database; without one, PGPASSWORD of the"
        " environment or ~/.pgpass is used.",
    )
    connections: int = setting(4, "Connections of each process for reading from PostgreSQL.")
    pack_octets: int = setting(
        128 * MIB, "Size at which a pack file is sealed and a new one begun.", unit="octets"
    )
    batch_operations: int = setting(500, "Most operations that share one commit.")
    batch_octets: int = setting(
        32 * MIB, "Message octets after which a commit takes no further operation.", unit="octets"
    )
    page_cache: int = setting(
        16 * MIB, "Database pages each connection keeps in memory.", unit="octets"
    )
    mapped: int = setting(
        1024 * MIB,
        "Part of the database that readers map into memory; 0 maps nothing.",
        unit="octets",
    )
    readers: int = setting(2, "Threads of each worker for searches and other long reads.")
    checkpoint_octets: int = setting(
        48 * MIB,
        "Size of the write-ahead log from which it is moved into the database.",
        unit="octets",
    )
    garbage: int = setting(40, "Percentage of dead octets from which a pack is compacted.")
    grace: timedelta = setting(
        days(1), "How long a compacted pack is kept for readers and for a running backup."
    )

    def __post_init__(self) -> None:
        _check_database(self.database)
        if not 1 <= self.connections <= 100:
            raise ConfigError("store", "connections must lie between 1 and 100")
        if not MIN_PACK <= self.pack_octets <= MAX_PACK:
            raise ConfigError("store", "pack_octets must lie between 64 KiB and 1 GiB")
        if not 1 <= self.batch_operations <= MAX_BATCH:
            raise ConfigError("store", "batch_operations must lie between 1 and 10,000")
        if self.batch_octets < 1 or self.page_cache < 1 or self.checkpoint_octets < 1:
            raise ConfigError(
                "store", "batch_octets, page_cache, checkpoint_octets must be above 0"
            )
        if self.mapped < 0:
            raise ConfigError("store", "mapped must not be negative")
        if not 1 <= self.readers <= 64:
            raise ConfigError("store", "readers must lie between 1 and 64")
        if not 1 <= self.garbage <= 100:
            raise ConfigError("store", "garbage must lie between 1 and 100")
        if self.grace < timedelta(0):
            raise ConfigError("store", "grace must not be negative")


def _check_database(url: str) -> None:
    if not url:
        return
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigError("store", 'database must be like "postgresql://user@host/name"')
    secret = ":" in parts.netloc.rpartition("@")[0] or "password" in dict(parse_qsl(parts.query))
    if secret:
        raise ConfigError("store", "database holds a password: it belongs into database_password")
