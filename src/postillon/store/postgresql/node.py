"""The name of this server among those that share a database: made once, kept in its data folder."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from postillon.store.operation import StoreError

FILE = "node"
NODE = re.compile(r"[0-9a-f]{8}\Z")


def node_of(folder: Path) -> str:
    """The node's name, made if there is none. Raises StoreError.

    It ends the names of this server's workers, so that a restarted one knows its own work again.
    A data folder must not be copied to another server with it.
    """
    path = folder / FILE
    for _ in range(2):
        try:
            name = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            _make(path)
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{path}: {error}") from error
        if not NODE.match(name):
            raise StoreError(f"{path} holds no name of a node")
        return name
    raise StoreError(f"{path} cannot be made")


def _make(path: Path) -> None:
    """Whole or not at all, and by the first of several processes."""
    draft = path.with_name(f"{FILE}.{secrets.token_hex(4)}")
    try:
        with draft.open("w", encoding="ascii") as file:
            file.write(secrets.token_hex(4) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first
        finally:
            draft.unlink()
    except OSError as error:
        raise StoreError(f"{path}: {error}") from error
