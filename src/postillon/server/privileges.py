"""Giving up the rights that only opening sockets needs (FAULTS 45)."""

from __future__ import annotations

import os
import pwd
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from postillon.server.sections import ServerConfig


class PrivilegeError(Exception):
    """The server would run with rights it must not have, or cannot become who it should be."""


def intended_owner(config: ServerConfig) -> tuple[int, int] | None:
    """Uid and gid the processes will have if that means a change, None otherwise.

    Raises PrivilegeError if they would run as root and nobody asked for that.
    """
    if os.geteuid() != 0:
        return None
    if not config.user:
        if config.allow_root:
            return None
        raise PrivilegeError(
            "will not run as root. Set user in [server] to an account of its own, or start as such an"
            " account; allow_root = true is for containers where root is nobody else."
        )
    try:
        entry = pwd.getpwnam(config.user)
    except KeyError:
        raise PrivilegeError(f"there is no account {config.user!r} on this machine") from None
    if entry.pw_uid == 0:
        raise PrivilegeError(f"user = {config.user!r} is root itself")
    return entry.pw_uid, entry.pw_gid


REACHABLE = "install Python and Postillon where everybody may read, such as /usr and /opt"


def out_of_reach(user: str, needed: Sequence[Path] = ()) -> Path | None:
    """The first folder on the way to Python, or to ourselves, that this account may not enter.

    Such as /root, where somebody has installed either as root. needed: other files than those.
    """
    entry = pwd.getpwnam(user)
    groups = os.getgrouplist(user, entry.pw_gid)
    for path in needed or (Path(os.__file__), Path(sys.executable), Path(__file__)):
        for folder in reversed(path.resolve().parents):
            facts = folder.stat()
            if facts.st_uid == entry.pw_uid:
                enter = stat.S_IXUSR
            else:
                enter = stat.S_IXGRP if facts.st_gid in groups else stat.S_IXOTH
            if not facts.st_mode & enter:
                return folder
    return None


def become(config: ServerConfig, owner: tuple[int, int]) -> None:
    """Become the configured account, for good, with its supplementary groups."""
    uid, gid = owner
    os.initgroups(config.user, gid)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
