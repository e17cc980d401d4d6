"""What the directory announces besides `domains.TOPIC`, for who waits in this process or another."""

from __future__ import annotations

from postillon.store.operation import Tx

STANDING = "standing"  # announced with ":" and whose credentials are fewer now


def standing_changed(tx: Tx, principal: int) -> None:
    """What somebody has signed in with may be good no longer: their connections are looked at."""
    tx.announce(f"{STANDING}:{principal}")
