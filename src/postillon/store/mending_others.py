"""Mends of rows that belong to no account: directory, queue, packs, octets (see store.mending)."""

from __future__ import annotations

from collections.abc import Callable

from postillon.store.operation import BlobRef, Steps, Tx, WriteOperation
from postillon.store.pack import BLOB_TABLES, SEALED
from postillon.store.recovery import GAP


def advance_counter(name: str, table: str) -> WriteOperation[None]:
    """Give no id of a table again. name and table: constants of the caller."""

    def operation(tx: Tx) -> Steps[None]:
        rows = yield f"SELECT coalesce(max({name}), 0) FROM {table}", ()  # noqa: S608
        value = rows[0][0] + GAP
        yield (
            "INSERT INTO counter (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE"
            " SET value = CASE WHEN counter.value < excluded.value THEN excluded.value"
            " ELSE counter.value END",
            (name, value),
        )

    return operation


def make_principal_again(principal: int) -> WriteOperation[None]:
    """From its first address; name, language and rights of an administrator are lost."""

    def operation(tx: Tx) -> Steps[None]:
        rows = yield (
            "SELECT a.kind, a.local, d.name FROM address a JOIN domain d ON d.domain = a.domain"
            " WHERE a.principal = ? AND a.local <> '' ORDER BY d.domain, a.local LIMIT 1",
            (principal,),
        )
        for kind, local, domain in rows:
            yield (
                "INSERT INTO principal (principal, kind, login, legacy_name, created_at)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    principal, "group" if kind == "group" else "person", f"{local}@{domain}",
                    f"{local}@{domain}#{principal}", tx.now,
                ),
            )  # fmt: skip
            tx.announce("directory")

    return operation


def make_domain_again(domain: int) -> WriteOperation[None]:
    """From the login of somebody who has an address in it; its settings are lost."""

    def operation(tx: Tx) -> Steps[None]:
        rows = yield (
            "SELECT p.login, a.local FROM address a JOIN principal p ON p.principal = a.principal"
            " WHERE a.domain = ? AND a.local <> ''",
            (domain,),
        )
        for login, local in rows:
            if login.rpartition("@")[0] == local:
                yield (
                    "INSERT INTO domain (domain, name, created_at) VALUES (?, ?, ?)"
                    " ON CONFLICT DO NOTHING",
                    (domain, login.rpartition("@")[2], tx.now),
                )
                tx.announce("directory")
                return

    return operation


def drop(table: str, *columns: str, owner: str) -> Callable[..., WriteOperation[None]]:
    """An operation by key that removes a row if its owner is still not there.

    owner: a query for it. All are constants of the caller.
    """
    where = " AND ".join(f"{column} = ?" for column in columns) + f" AND NOT EXISTS ({owner})"

    def by_key(*key: object) -> WriteOperation[None]:
        def operation(tx: Tx) -> Steps[None]:
            yield f"DELETE FROM {table} WHERE {where}", key  # noqa: S608

        return operation

    return by_key


def know_pack(pack: int, size: int) -> WriteOperation[None]:
    """A row for a pack file that messages name."""

    def operation(tx: Tx) -> Steps[None]:
        yield (
            "INSERT INTO pack (pack, owner, state, size, synced, changed_at)"
            " VALUES (?, 'verify', ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (pack, SEALED, size, size, tx.now),
        )

    return operation


def point_to(old: BlobRef, digest: bytes) -> WriteOperation[None]:
    """Make all rows that name unsound octets of this digest name the blob of this operation."""

    def operation(tx: Tx) -> Steps[None]:
        new = tx.blob()
        for table in BLOB_TABLES:
            yield (
                f"UPDATE {table} SET pack = ?, start = ? WHERE pack = ? AND start = ?"  # noqa: S608
                " AND length = ? AND digest = ?",
                (new.pack, new.offset, old.pack, old.offset, old.length, digest),
            )

    return operation


def rebuild_indexes(tx: Tx) -> Steps[None]:
    yield "REINDEX", ()
