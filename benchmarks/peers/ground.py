"""Where other people's servers run: unpacked packages, a root of their own, a network of their own.

Nothing is installed. The distribution's packages are unpacked into a cache; a server sees its package
laid over the system's /usr (an overlay mount that only this process and its children see), with an
/etc, a /var and users of its own, and a network that has nothing but loopback.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.cell import control_groups, in_memory

MARK = "POSTILLON_PEERS_GROUND"  # in the environment once the namespaces are ours
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9)}
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
MAIL_USER = "vmail"  # owns the mailboxes
USERS = (  # those the packages would make; their numbers mean nothing
    "postfix",
    "postdrop",
    "Debian-exim",
    "dovecot",
    "dovenull",
    "opensmtpd",
    "opensmtpq",
    "cyrus",
    MAIL_USER,
)
FIRST_ID = 61_000


class Unavailable(Exception):
    """A server cannot be had or run here. The message says why."""


def packages(names: Sequence[str], cache: Path) -> Path:
    """The folder with the distribution's packages and what they need unpacked. Raises Unavailable."""
    target = cache / "-".join(names)
    if (target / "complete").exists():
        return target
    debs = cache / "debs"
    shutil.rmtree(target, ignore_errors=True)
    debs.mkdir(parents=True, exist_ok=True)
    for place in LINKS.values():
        (target / place).mkdir(parents=True, exist_ok=True)
    for name, place in LINKS.items():
        (target / name).symlink_to(place)
    try:
        plan = _run("apt-get", "install", "--simulate", "--no-install-recommends", *names)
        wanted = {line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")}
        for name in sorted(wanted | set(names)):
            _run("apt-get", "download", name, folder=debs)
            [deb] = debs.glob(f"{name}_*.deb")
            _unpack(deb, target)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise Unavailable(f"{names[0]} is not to be had here: {said.strip()[-200:]}") from error
    (target / "complete").touch()
    return target


def _unpack(deb: Path, target: Path) -> None:
    """As `dpkg -x`, which would put a folder in the place of a link such as /lib."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as tar:
        subprocess.run(
            ["tar", "-x", "--keep-directory-symlink", "-C", str(target)],
            stdin=tar.stdout, check=True, capture_output=True, text=True,
        )  # fmt: skip


def library(name: str, cache: Path) -> Path:
    """The folder with a Python package, for PYTHONPATH. Raises Unavailable."""
    target = cache / name
    if not target.exists():
        try:
            _run(sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), name)
        except subprocess.CalledProcessError as error:
            raise Unavailable(f"{name} is not to be had here: {error.stderr[-200:]}") from error
    return target


def _run(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def enter(module: str, arguments: Sequence[str]) -> None:
    """Start this program anew with a network and mounts of its own; returns inside. Needs root."""
    if os.environ.get(MARK) != "1":
        os.environ[MARK] = "1"
        command = ["unshare", "--mount", "--net", sys.executable, "-m", module, *arguments]
        os.execvp(command[0], command)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", b"lo", IFF_UP | IFF_RUNNING)
        fcntl.ioctl(sock, SIOCSIFFLAGS, request)


def settle_in(module: str, folder: Path | None, fetches: Iterable[Callable[[], object]]) -> None:
    """Go on as `enter` does, where runs are possible. Raises SystemExit where they are not.

    folder: where they lie; None: where temporary files do. fetches: what needs the network, which is
    gone then; each may raise Unavailable.
    """
    if os.geteuid() != 0 or control_groups() is None:
        raise SystemExit("needs root and control groups of version 2 (cgroup2)")
    if in_memory(folder or Path(tempfile.gettempdir())):
        raise SystemExit("the runs would lie in memory: name a folder on a disk with --folder")
    if os.environ.get(MARK) != "1":
        for fetch in fetches:
            try:
                fetch()
            except Unavailable as error:
                print(f"left out: {error}", file=sys.stderr)
    enter(module, sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended


@contextmanager
def passing_folder(prefix: str, where: Path | None) -> Iterator[Path]:
    """A folder for one run, which servers may enter that have dropped their privileges."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=where))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Root:
    """The file system a server sees: its package over the system's /usr, the rest its own."""

    def __init__(self, folder: Path, unpacked: Path, files: Mapping[str, str]) -> None:
        """files: text by path, such as "etc/postfix/main.cf"; `{folder}` is not replaced."""
        self.folder = folder
        for name in ("usr", "proc", "dev", "tmp", "run", "etc", "var/log", "mail", "root"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, place in LINKS.items():
            (folder / name).symlink_to(place)
        (folder / "tmp").chmod(0o1777)
        (folder / "var/run").symlink_to("../run")
        for name, numbers in NODES.items():
            os.mknod(folder / "dev" / name, 0o020666, os.makedev(*numbers))
            (folder / "dev" / name).chmod(0o666)
        for name in ("etc", "var"):
            if (unpacked / name).exists():
                shutil.copytree(unpacked / name, folder / name, symlinks=True, dirs_exist_ok=True)
        for path, text in {**_system_files(), **files}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        self.own("mail", MAIL_USER)
        layers = f"lowerdir={unpacked}/usr:/usr"
        self._mounted: list[Path] = []
        self._mount(folder / "usr", "-t", "overlay", "overlay", "-o", layers)
        self._mount(folder / "proc", "-t", "proc", "proc")

    def own(self, path: str, user: str, group: str | None = None) -> None:
        place = self.folder / path
        place.mkdir(parents=True, exist_ok=True)
        os.chown(place, user_id(user), user_id(group or user))

    def run(self, *command: str) -> str:
        """Run a program in the root to its end. Raises Unavailable with what it said."""
        with tempfile.TemporaryFile("w+") as said:  # no pipe: a daemon it leaves would keep it open
            done = subprocess.run(
                ["chroot", str(self.folder), *command], stdin=subprocess.DEVNULL, stdout=said,
                stderr=said, check=False, env=environment(),
            )  # fmt: skip
            said.seek(0)
            words = said.read()
        if done.returncode:
            raise Unavailable(f"{' '.join(command)}: {words.strip()[-2000:]}")
        return words

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a program in the root that stays."""
        with (self.folder / "var/log/said").open("ab") as said:
            return subprocess.Popen(
                ["chroot", str(self.folder), *command], stdin=subprocess.DEVNULL, stdout=said,
                stderr=said, start_new_session=True, env=environment(),
            )  # fmt: skip

    def close(self) -> None:
        """Take the mounts away; the folder may then be removed."""
        while self._mounted:
            subprocess.run(["umount", str(self._mounted[-1])], check=True)
            self._mounted.pop()

    def _mount(self, place: Path, *options: str) -> None:
        done = subprocess.run(
            ["mount", *options, str(place)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            self.close()
            raise Unavailable(done.stderr.strip())
        self._mounted.append(place)


def environment() -> dict[str, str]:
    return {"PATH": "/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}


def user_id(name: str) -> int:
    """User and group number alike; in every root the same."""
    return 0 if name == "root" else FIRST_ID + USERS.index(name)


def _system_files() -> dict[str, str]:
    users = "".join(
        f"{name}:x:{user_id(name)}:{user_id(name)}::/nonexistent:/usr/sbin/nologin\n"
        for name in USERS
    )
    groups = "".join(f"{name}:x:{user_id(name)}:\n" for name in USERS)
    return {
        "etc/passwd": f"root:x:0:0:root:/root:/bin/sh\n{users}nobody:x:65534:65534::/:/bin/false\n",
        "etc/group": f"root:x:0:\nmail:x:8:\n{groups}nogroup:x:65534:\n",
        "etc/shadow": "root:*:19000:0:99999:7:::\n",
        "etc/hosts": "127.0.0.1 localhost mail.example.org\n",
        "etc/resolv.conf": "nameserver 127.0.0.1\n",  # nobody answers there
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        "etc/mailname": "mail.example.org\n",
        "etc/services": "smtp 25/tcp\nlmtp 24/tcp\n",
    }
