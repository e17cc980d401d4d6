"""Nothing but opening sockets happens as root."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest

from postillon.server.notify import notify
from postillon.server.privileges import (
    PrivilegeError,
    become,
    intended_owner,
    out_of_reach,
)
from postillon.server.sections import ServerConfig

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give it up")


def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_root_is_refused_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    as_root(monkeypatch)
    with pytest.raises(PrivilegeError, match="will not run as root"):
        intended_owner(ServerConfig())
    assert intended_owner(ServerConfig(allow_root=True)) is None


@pytest.mark.parametrize("user", ["root", "nobody-has-this-name"])
def test_a_user_that_does_not_help_is_refused(monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    as_root(monkeypatch)
    with pytest.raises(PrivilegeError):
        intended_owner(ServerConfig(user=user, allow_root=True))


def test_without_root_there_is_nothing_to_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert intended_owner(ServerConfig(user="nobody")) is None


@root_only
def test_a_folder_on_the_way_that_only_root_may_enter_is_found(tmp_path: Path) -> None:
    needed = tmp_path / "root" / "python" / "os.py"
    needed.parent.mkdir(parents=True)
    needed.touch()
    assert out_of_reach("nobody", [Path("/usr/bin/env")]) is None
    assert out_of_reach("root", [needed]) is None
    (tmp_path / "root").chmod(0o700)
    found = out_of_reach("nobody", [needed])
    assert found is not None
    assert (tmp_path / "root").is_relative_to(found)  # pytest's own folder may be closed already


@root_only
def test_it_is_for_good() -> None:
    config = ServerConfig(user="nobody")
    owner = intended_owner(config)
    nobody = pwd.getpwnam("nobody")
    assert owner == (nobody.pw_uid, nobody.pw_gid)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            become(config, owner)
            assert os.getresuid() == (owner[0],) * 3
            assert os.getresgid() == (owner[1],) * 3
            assert 0 not in os.getgroups()
            try:
                os.setuid(0)
            except PermissionError:
                status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_systemd_is_told_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        notify("READY=1", {"NOTIFY_SOCKET": str(path)})
        assert sock.recv(100) == b"READY=1"
    notify("READY=1", {})
    notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})
