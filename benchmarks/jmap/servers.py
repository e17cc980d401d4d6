"""The servers measured. Each is filled once with mail that stays in the cache for the next run."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path

from benchmarks.imap import mail, servers
from benchmarks.imap.client import PASSWORD, Client
from benchmarks.imap.mail import FIRST_AT, Writer
from benchmarks.jmap.client import Jmap
from benchmarks.peers.ground import MAIL_USER, Root, user_id
from support.server import Server as Process
from support.server import free_ports

FILL_AT_ONCE = 100
WAITING = 20  # users who wait for events, besides box0 with the mail


class Filled(servers.Server):
    """One server with so many messages in box0's INBOX, a quarter of them unread."""

    session = "/jmap/session"
    compared = True  # whether its mail is the same as that of the others
    http_port: int

    def __init__(self, folder: Path, cache: Path, messages: int) -> None:
        super().__init__(folder, cache)
        self.messages = messages

    @property
    @abstractmethod
    def data(self) -> tuple[Path, ...]:
        """Folders that hold everything it was given."""

    @abstractmethod
    def form(self) -> str:
        """Changes whenever data kept from an earlier run could no longer be used."""

    def client(self, n: int = 0) -> Jmap:
        return Jmap(self.http_port, self.user(n), self.session)

    def open(self, fresh: bool) -> None:
        """Started, filled and indexed. Raises Unavailable, RuntimeError."""
        text = Path(mail.__file__).read_bytes() + self.form().encode()
        kept = self.cache / f"jmap-{self.key}-{hashlib.sha256(text).hexdigest()[:12]}"
        if fresh:
            shutil.rmtree(kept, ignore_errors=True)
        if (kept / "complete").exists():
            for n, place in enumerate(self.data):
                _copy(kept / str(n), place)
            self.start(indexed=True)
            return
        with self.quickly():
            self.start()
            self.fill()
            self.take_up()
            self.halt()
            shutil.rmtree(kept, ignore_errors=True)
            for n, place in enumerate(self.data):
                _copy(place, kept / str(n))
        (kept / "complete").touch()
        self.open(fresh=False)

    @contextmanager
    def quickly(self) -> Iterator[None]:
        """Its data may lie in memory meanwhile, and need not be there afterwards."""
        yield

    def fill(self) -> None:
        """Over IMAP, as it would come in a migration."""
        for n in range(WAITING + 1):  # some make an account with the first login
            client = Client(self.port)
            client.login(self.user(n))
            client.command("SELECT INBOX")
            client.close()
        client = Client(self.port)
        client.login(self.user(0))
        messages = enumerate(Writer().messages(self.messages))
        while some := list(islice(messages, FILL_AT_ONCE)):
            client.command(b"APPEND INBOX" + b"".join(map(_appended, *zip(*some, strict=True))))
        client.close()

    def take_up(self) -> None:
        """Have all that came put into the index of text."""
        self.settle()


class Postillon(Filled, servers.Postillon):
    settings = "`postillon serve` with its defaults, one worker for each core."

    def __init__(self, folder: Path, cache: Path, messages: int) -> None:
        Filled.__init__(self, folder, cache, messages)

    @property
    def data(self) -> tuple[Path, ...]:
        return (self.folder,)

    def form(self) -> str:
        return str(self.messages)  # an older schema is brought up to date at the start

    def launch(self, *, indexed: bool) -> None:
        del indexed
        if self._process is None:
            self._process = Process(
                self.folder,
                workers=2,
                logins=[self.user(n) for n in range(WAITING + 1)],
                settings={"search": servers.INDEX, "imap": "append_together = 200"},
                protocols=("imap", "lmtp", "http"),
                log_level=None,
            )
            self.port, self.lmtp_port, self.http_port = map(
                self._process.port, ("imap", "lmtp", "http")
            )
        self._process.start()


class PostillonLarge(Postillon):
    key = "postillon-large"
    compared = False
    settings = "the same with ten times as much mail."


CONFIG = """
conversations: yes
conversations_db: twoskip
httpmodules: jmap
httpallowcompress: no
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: /etc/sasldb2
search_engine: xapian
search_batchsize: 1000
defaultsearchtier: t1
t1searchpartition-default: /mail/search
sync_log: yes
sync_log_channels: squatter
"""
HTTP = '  http cmd="/usr/lib/cyrus/bin/httpd" listen="127.0.0.1:{port}" prefork=4 maxchild=100\n'
SQUATTER = "/usr/lib/cyrus/bin/squatter", "-C", "/etc/imapd.conf"
AS_CYRUS = "/usr/sbin/chroot", "--userspec=cyrus", "/"


class Cyrus(Filled, servers.Cyrus):
    packages = ("cyrus-imapd", "cyrus-caldav", "sasl2-bin")
    session = "/jmap/"
    settings = (
        "`httpmodules: jmap`, conversations, Xapian with a rolling squatter, passwords in sasldb."
        " Previews are made when they are asked for, as nothing that comes with it keeps them. No"
        " EventSource: it answers 204, as Debian builds it without wslay (`cyr_buildinfo`) and its push"
        " hangs on that."
    )

    def __init__(self, folder: Path, cache: Path, messages: int) -> None:
        servers.Cyrus.__init__(self, folder, cache)
        self.messages = messages
        [self.http_port] = free_ports(1)

    @property
    def data(self) -> tuple[Path, ...]:
        return self.root.folder / "mail", self.root.folder / "var/lib/cyrus"

    def form(self) -> str:
        return f"{self.messages} {self.version()} {CONFIG}"

    @contextmanager
    def quickly(self) -> Iterator[None]:
        """It syncs each message by itself, which takes minutes on a disk."""
        with ExitStack() as mounted:
            for place in self.data:
                subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True)
                mounted.callback(subprocess.run, ["umount", str(place)], check=True)
            self.arrange(self.root)
            yield

    def launch(self, *, indexed: bool) -> None:
        """indexed: what comes goes into the index at once; else `take_up` does it."""
        super().launch(indexed=indexed)
        if indexed:
            self.root.start(*AS_CYRUS, *SQUATTER, "-R", "-d")

    def files(self) -> Mapping[str, str]:
        files = dict(super().files())
        own = {line.split(":")[0] for line in CONFIG.split("\n") if line}
        lines = [line for line in servers.CYRUS.split("\n") if line.split(":")[0] not in own]
        files["etc/imapd.conf"] = "\n".join(lines) + CONFIG
        services = files["etc/cyrus.conf"]
        http = HTTP.format(port=self.http_port)
        files["etc/cyrus.conf"] = services.replace("SERVICES {\n", "SERVICES {\n" + http)
        return files

    def arrange(self, root: Root) -> None:
        super().arrange(root)
        root.own("mail/search", "cyrus")
        root.own("mail", "cyrus", MAIL_USER)
        for n in range(WAITING + 1):
            root.run(
                "sh", "-c",
                f"echo '{PASSWORD}' | saslpasswd2 -p -c -f /etc/sasldb2 -u mail.example.org"
                f" {self.user(n)}",
            )  # fmt: skip
        shutil.chown(root.folder / "etc/sasldb2", user_id("cyrus"))

    def take_up(self) -> None:
        self.settle()
        self.root.run(*AS_CYRUS, *SQUATTER, "-i")


def _appended(n: int, message: bytes) -> bytes:
    """One came every minute, and the fourth of four has not been read."""
    received = (FIRST_AT + timedelta(minutes=n)).strftime("%d-%b-%Y %H:%M:%S +0000")
    flags = "" if n % 4 == 3 else "\\Seen"
    return f' ({flags}) "{received}" {{{len(message)}+}}\r\n'.encode() + message


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["cp", "-a", "--reflink=auto", f"{source}/.", str(target)], check=True, capture_output=True
    )
