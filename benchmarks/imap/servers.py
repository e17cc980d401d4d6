"""The servers measured: each is filled once, and started again as often as a scenario needs."""

from __future__ import annotations

import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from benchmarks.imap.client import Client
from benchmarks.peers.cell import Cell
from benchmarks.peers.ground import Root, Unavailable, packages, user_id
from benchmarks.peers.ours import ROOT, commit
from postillon.net.tls import self_signed
from postillon.server.maintenance import FIRST_S
from support.server import Server as Process
from support.server import free_ports

READY_S = 40.0
QUIET_S = 1.5  # without work, after which what happens in the background counts as done
USERS = 100  # box0 holds the mail that is read; all have sessions that idle
MAX_CLIENTS = 6_000


class Server(ABC):
    """One column of the tables."""

    key: str
    title: str
    settings: str
    indexes = True  # whether it has an index of text here
    most = 5_000  # sessions it is asked to keep
    usual = True  # whether it takes part unless others are named

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder / self.key
        self.cache = cache
        self.cell = Cell(f"imap-{self.key}")
        self.port, self.tls_port, self.lmtp_port = free_ports(3)
        self.running = False
        self.indexed = False  # as it runs now

    @abstractmethod
    def version(self) -> str:
        """As people write it."""

    @abstractmethod
    def launch(self, *, indexed: bool) -> None:
        """Start on the data that is there."""

    def user(self, n: int) -> str:
        return f"box{n}"

    def forget(self) -> None:
        """Throw away what was kept of messages from earlier reading; while it is halted."""
        return

    def index(self) -> None:
        """Have the index filled; most do that when it is searched."""
        client = Client(self.port)
        client.login(self.user(0))
        client.command("SELECT INBOX")
        client.command("SEARCH BODY nowhere")
        client.close()

    def words(self) -> str:
        return ""

    def start(self, *, indexed: bool = False) -> None:
        """Returns when it takes connections. Raises Unavailable."""
        with self.cell.inside():
            self.launch(indexed=indexed)
        self.running, self.indexed = True, indexed
        late = time.monotonic() + READY_S
        while time.monotonic() < late:
            with suppress(OSError, RuntimeError):
                Client(self.port).close()
                if indexed:
                    self.index()
                self.settle()
                return
            time.sleep(0.05)
        raise Unavailable(f"{self.title} does not answer: {self.words()[-3000:]}")

    def can(self, restart: str, sessions: int) -> bool:
        """Whether it takes part in a scenario."""
        return (restart != "index" or self.indexes) and sessions <= self.most

    def settle(self) -> None:
        """Wait until it has nothing to do: indexes filled, logs moved."""
        before, quiet = self.cell.cpu(), 0.0
        while quiet < QUIET_S:
            time.sleep(0.25)
            now = self.cell.cpu()
            quiet = quiet + 0.25 if now - before < 0.02 else 0.0
            before = now

    def halt(self) -> None:
        """End it; its data stays."""
        self.cell.kill()
        self.running = False

    def close(self) -> None:
        if self.running:
            self.halt()
        self.cell.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


NO_INDEX = "index = false"
INDEX = 'index = true\nevery = "1s"\nshare = 100'


class Postillon(Server):
    key = "postillon"
    title = "Postillon"
    settings = "`postillon serve` with its defaults, one worker for each core."
    _process: Process | None = None
    _launched = 0.0

    def version(self) -> str:
        return commit()

    def user(self, n: int) -> str:
        return f"box{n}@example.org"

    def launch(self, *, indexed: bool) -> None:
        if self._process is None:
            self._process = Process(
                self.folder,
                workers=2,
                logins=[self.user(n) for n in range(USERS)],
                settings={"search": NO_INDEX, "imap": "append_together = 200"},
                protocols=("imap", "imaps", "lmtp"),
                log_level=None,
            )
            self.port, self.tls_port, self.lmtp_port = map(
                self._process.port, ("imap", "imaps", "lmtp")
            )
        config = self._process.config_file
        settings = (NO_INDEX, INDEX) if indexed else (INDEX, NO_INDEX)
        config.write_text(config.read_text().replace(*settings))
        self._process.start()
        self._launched = time.monotonic()

    def settle(self) -> None:
        # Maintenance begins some seconds after the start, and then looks for mail every second.
        time.sleep(max(0.0, self._launched + FIRST_S - time.monotonic()) + 1.5)
        super().settle()

    def halt(self) -> None:
        super().halt()
        if self._process is not None and self._process.process is not None:
            self._process.process.wait()
            assert self._process.process.stdout is not None
            self._process.process.stdout.close()

    def words(self) -> str:
        return "" if self._process is None else self._process.log()[-3000:]


class Unpacked(Server):
    """A server of the distribution."""

    packages: tuple[str, ...]
    main: str

    def __init__(self, folder: Path, cache: Path) -> None:
        super().__init__(folder, cache)
        self._unpacked = packages(self.packages, cache)
        self._root: Root | None = None

    @property
    def root(self) -> Root:
        if self._root is None:
            self.folder.mkdir(parents=True)
            self._root = Root(self.folder / "root", self._unpacked, self.files())
            self.arrange(self._root)
        return self._root

    @abstractmethod
    def files(self) -> Mapping[str, str]:
        """Its configuration, by path."""

    def arrange(self, root: Root) -> None:
        """Give folders their owners."""

    def version(self) -> str:
        [deb] = (self.cache / "debs").glob(f"{self.main}_*.deb")
        return deb.name.split("_")[1].replace("%3a", ":")

    def words(self) -> str:
        if self._root is None:
            return ""
        files = [path for path in (self._root.folder / "var/log").rglob("*") if path.is_file()]
        return "\n".join(f"{path}:\n{path.read_text(errors='replace')[-2000:]}" for path in files)

    def close(self) -> None:
        self.halt()
        if self._root is not None:
            self._root.close()
        super().close()


DOVECOT = """
protocols = imap lmtp
base_dir = /run/dovecot
log_path = /var/log/dovecot.log
ssl = yes
ssl_cert = </etc/dovecot/cert.pem
ssl_key = </etc/dovecot/key.pem
disable_plaintext_auth = no
mail_location = {location}
mail_fsync = always
mail_max_userip_connections = 0
first_valid_uid = 1000
default_client_limit = 20000
default_vsz_limit = 2G
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={mail} gid={mail} home=/mail/%n allow_all_users=yes
}}
service imap-login {{
  service_count = 0
  process_min_avail = 2
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {tls_port}
    ssl = yes
  }}
}}
service imap {{
  process_limit = {clients}
}}
service anvil {{
  client_limit = 30000
}}
service lmtp {{
  process_min_avail = 2
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp_port}
  }}
}}
"""


class Dovecot(Unpacked):
    packages = ("dovecot-imapd", "dovecot-lmtpd")
    main = "dovecot-imapd"
    indexes = False
    location: str

    def files(self) -> Mapping[str, str]:
        certificate, key = self_signed(["localhost"])
        return {
            "etc/dovecot/dovecot.conf": self._config(),
            "etc/dovecot/cert.pem": certificate.decode(),
            "etc/dovecot/key.pem": key.decode(),
        }

    def _config(self) -> str:
        return DOVECOT.format(
            location=self.location, mail=user_id("vmail"), port=self.port,
            tls_port=self.tls_port, lmtp_port=self.lmtp_port, clients=MAX_CLIENTS,
        )  # fmt: skip

    def launch(self, *, indexed: bool) -> None:
        (self.root.folder / "run/dovecot/master.pid").unlink(missing_ok=True)
        self.root.run("dovecot")

    def forget(self) -> None:
        for path in (self.root.folder / "mail").rglob("dovecot.index.cache"):
            path.unlink()


class DovecotMdbox(Dovecot):
    key = "dovecot"
    title = "Dovecot (mdbox)"
    location = "mdbox:/mail/%n"
    settings = (
        "`mail_fsync = always`, as its default does not sync changed flags. `imap-login` in its"
        " mode for many connections. No index of text: `fts_squat`, which comes with it, crashes here;"
        " `fts_xapian` took more than five minutes for this mail."
    )


class DovecotMaildir(Dovecot):
    key = "maildir"
    title = "Dovecot (Maildir)"
    location = "maildir:/mail/%n"
    usual = False  # it takes minutes to fill
    settings = "the same with Maildir."


CYRUS = """
configdirectory: /var/lib/cyrus
proc_path: /run/cyrus/proc
mboxname_lockpath: /run/cyrus/lock
defaultpartition: default
partition-default: /mail/cyrus
servername: mail.example.org
altnamespace: yes
unixhierarchysep: yes
admins: admin
allowplaintext: yes
autocreate_quota: 0
autocreate_post: yes
sasl_mech_list: PLAIN
sasl_pwcheck_method: saslauthd
tls_server_cert: /etc/cyrus/cert.pem
tls_server_key: /etc/cyrus/key.pem
tls_session_timeout: 0
conversations: no
search_engine: none
maxlogins_per_user: 0
maxlogins_per_host: 0
syslog_prefix: cyrus
"""
CYRUS_SERVICES = """
START {{
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -r"
  idled cmd="/usr/lib/cyrus/bin/idled -C /etc/imapd.conf"
}}
SERVICES {{
  imap cmd="/usr/lib/cyrus/bin/imapd -N" listen="127.0.0.1:{port}" prefork=2 maxchild={clients}
  imaps cmd="/usr/lib/cyrus/bin/imapd -s -N" listen="127.0.0.1:{tls_port}" prefork=1 maxchild={clients}
  lmtp cmd="/usr/lib/cyrus/bin/lmtpd -a" listen="127.0.0.1:{lmtp_port}" prefork=1 maxchild=20
}}
EVENTS {{
  checkpoint cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -c" period=30
}}
"""


class Cyrus(Unpacked):
    key = "cyrus"
    title = "Cyrus"
    indexes = False
    most = 1_000  # with a process of 3 MB for each
    packages: tuple[str, ...] = ("cyrus-imapd",)
    main = "cyrus-imapd"
    settings = (
        "its own store, which syncs what it saves; `idled`, no conversations. Passwords are not"
        " looked at (`imapd -N`). No index of text: what Debian builds in, squat, gave wrong answers."
    )

    def files(self) -> Mapping[str, str]:
        certificate, key = self_signed(["localhost"])
        services = CYRUS_SERVICES.format(
            port=self.port, tls_port=self.tls_port, lmtp_port=self.lmtp_port, clients=MAX_CLIENTS
        )
        return {
            "etc/imapd.conf": CYRUS,
            "etc/cyrus.conf": services,
            "etc/cyrus/cert.pem": certificate.decode(),
            "etc/cyrus/key.pem": key.decode(),
        }

    def arrange(self, root: Root) -> None:
        for path in ("run/cyrus", "run/cyrus/proc", "run/cyrus/lock", "run/cyrus/socket",
                     "mail/cyrus", "var/lib/cyrus", "etc/cyrus"):  # fmt: skip
            root.own(path, "cyrus")
        for name in ("cert.pem", "key.pem"):
            shutil.chown(root.folder / "etc/cyrus" / name, user_id("cyrus"))
        for name in ("db", "proc", "socket", "log", "msg", "ptclient", "quota", "user", "sieve"):
            root.own(f"var/lib/cyrus/{name}", "cyrus")

    def launch(self, *, indexed: bool) -> None:
        self.root.start(
            "/usr/lib/cyrus/bin/master", "-C", "/etc/imapd.conf", "-M", "/etc/cyrus.conf"
        )


SERVERS: tuple[type[Server], ...] = (Postillon, DovecotMdbox, DovecotMaildir, Cyrus)
__all__ = ["ROOT", "SERVERS", "Server"]
