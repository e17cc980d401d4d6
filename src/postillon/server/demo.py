"""`postillon demo`: a real server on loopback that needs no configuration.

Everything lies in one folder: the configuration it was started with (so that the other commands work
with `--data FOLDER`), accounts with their passwords, certificate, mail. A second start finds all of
it. Ports are unprivileged, nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from postillon.account.accounts import Accounts
from postillon.directory.credentials import Credentials
from postillon.directory.directory import Directory
from postillon.server import config as configuration
from postillon.server.certificates import fingerprint, own_certificate, write_new
from postillon.server.config import Configuration
from postillon.server.data_folder import make_folder
from postillon.server.sections import ListenerConfig, ListenerProtocol
from postillon.server.supervisor import Supervisor
from postillon.server.supervisor import run as supervise
from postillon.store.sqlite import open_store

HOST = "127.0.0.1"
FOLDER = Path("demo-data")
NAMES = ("localhost", HOST, "::1")  # in the certificate
DOMAINS = ("example.org", "example.net")  # RFC 2606: nobody's real domains
LOGINS = ("ada@example.org", "grace@example.org", "bob@example.net", "carol@example.net")
ADMIN = LOGINS[0]
PASSWORDS = "demo-passwords.json"

SMTP, SUBMISSION, SUBMISSIONS, LMTP, IMAP, IMAPS, POP3, POP3S, HTTPS, HTTP, METRICS = (
    ListenerProtocol.SMTP,
    ListenerProtocol.SUBMISSION,
    ListenerProtocol.SUBMISSIONS,
    ListenerProtocol.LMTP,
    ListenerProtocol.IMAP,
    ListenerProtocol.IMAPS,
    ListenerProtocol.POP3,
    ListenerProtocol.POP3S,
    ListenerProtocol.HTTPS,
    ListenerProtocol.HTTP,
    ListenerProtocol.METRICS,
)
PORTS: Mapping[ListenerProtocol, int] = {
    SMTP: 2525,
    SUBMISSION: 2587,
    SUBMISSIONS: 2465,
    LMTP: 2424,
    IMAP: 2143,
    IMAPS: 2993,
    POP3: 2110,
    POP3S: 2995,
    HTTPS: 2443,
    HTTP: 2080,
    METRICS: 2990,
}
PURPOSE: Mapping[ListenerProtocol, str] = {
    SMTP: "mail from other servers, STARTTLS",
    SUBMISSION: "sending, login, STARTTLS",
    SUBMISSIONS: "sending, login, TLS",
    LMTP: "delivery from a local mail server",
    IMAP: "reading, STARTTLS",
    IMAPS: "reading, TLS",
    POP3: "fetching, STLS",
    POP3S: "fetching, TLS",
    HTTPS: "browsers, JMAP, set-up of clients, TLS",
    HTTP: "browsers, JMAP, set-up of clients",
    METRICS: "http: /metrics, /healthz",
}

# No consonants that are mistaken for one another, no digits: a password is read off a screen.
LETTERS = "abcdefghijkmnpqrstuvwxyz"
GROUPS, GROUP_LETTERS = 4, 4  # 4.6 bits each: 73 in all

CONFIG_TEXT = """\
# Written by `postillon demo` for this folder, once; it is yours to change and is never overwritten.

[server]
hostname = "localhost"
data = "."
log_level = "warning"

[route]
# A demo sends nothing to the Internet. What is for other domains waits in the queue, to be looked at
# with: postillon queue list --data FOLDER
smarthost = "smtp://127.0.0.1:9"
"""


def listeners(shift: int = 0) -> tuple[ListenerConfig, ...]:
    """The demo's listeners, with `shift` added to every port."""
    return tuple(
        ListenerConfig(protocol=protocol, address=HOST, port=port + shift)
        for protocol, port in PORTS.items()
    )


def configure(folder: Path, shift: int | None, workers: int | None) -> Configuration:
    """The configuration kept in the folder, written at the first start; ports as asked for now.

    shift: None keeps the ports of the first start. Raises ConfigProblems for a file that was changed
    and cannot be used.
    """
    make_folder(folder)
    path = folder / configuration.NAME
    if not path.exists():
        write_new(path, (CONFIG_TEXT + _listener_tables(listeners(shift or 0))).encode())
    config = configuration.load(path)
    # On loopback a demo may be anybody, root in a container too.
    server = dataclasses.replace(config.server, allow_root=True)
    if workers is not None:
        server = dataclasses.replace(server, workers=workers)
    config = dataclasses.replace(config, server=server)
    if shift is not None:
        config = dataclasses.replace(config, listener=listeners(shift))
    return config


def run(data: Path = FOLDER, *, shift: int | None = None, workers: int | None = None) -> None:
    """Serve until Ctrl-C. Raises what `supervisor.run` and `configure` do."""
    folder = data.absolute()
    config = configure(folder, shift, workers)
    passwords: dict[str, str] = {}

    def prepare() -> None:
        own_certificate(config.server.data / "tls", NAMES)
        passwords.update(asyncio.run(_populate(config)))

    def on_ready(_: Supervisor) -> None:
        click.echo(table(config, passwords, data))

    supervise(config, on_ready=on_ready, prepare=prepare)
    click.echo("Stopped. The next start finds the same mail.")


def table(config: Configuration, passwords: Mapping[str, str], data: Path) -> str:
    """What a person needs to send and read a message now."""
    ports = {listener.protocol: listener.effective_port for listener in config.listeners}
    account_rows = [("Account", "Password"), *passwords.items()]
    server_rows = [("Protocol", "Server", "For")] + [
        (protocol.value, f"{HOST}:{port}", PURPOSE[protocol]) for protocol, port in ports.items()
    ]
    certificate = config.tls.certificate if config.tls.given else None
    certificate = certificate or config.server.data / "tls" / "certificate.pem"
    ada, bob = LOGINS[0], LOGINS[2]
    lines = [
        "",
        "Postillon is running. Mail between these accounts works in both directions:",
        "",
        *_columns(account_rows),
        "",
        *_columns(server_rows),
        "",
        *_in_the_browser(ports, ada),
        f"TLS certificate, signed by itself: {_shown(certificate)}",
        f"  SHA-256 {fingerprint(certificate)}",
        "",
        "Send a message and read it:",
        "",
    ]
    if SMTP in ports:
        lines += [
            f"  swaks --server {HOST}:{ports[SMTP]} --from {ada} --to {bob}",
        ]
    if SUBMISSION in ports:
        lines += [
            f"  swaks --server {HOST}:{ports[SUBMISSION]} --tls --auth-user {ada}"
            f" --auth-password {passwords.get(ada, '…')} --from {ada} --to {bob}",
        ]
    if IMAPS in ports:
        lines += [
            f"  curl -k --user {bob}:{passwords.get(bob, '…')}"
            f" 'imaps://{HOST}:{ports[IMAPS]}/INBOX;MAILINDEX=1'",
        ]
    lines += [
        "",
        f"All data lies in {_shown(data)}. Mail to other domains is not sent; it waits in the queue:",
        f"  {_command()} queue list --data {_shown(data)}",
        "",
        "Ctrl-C stops the server.",
    ]
    return "\n".join(lines)


def _in_the_browser(ports: Mapping[ListenerProtocol, int], admin: str) -> list[str]:
    if HTTP not in ports:
        return []
    address = f"http://{HOST}:{ports[HTTP]}"
    return [
        "In a browser:",
        "",
        f"  {address}/       mail, for each of the accounts",
        f"  {address}/admin  administration, for {admin}",
        "",
    ]


async def _populate(config: Configuration) -> dict[str, str]:
    """Make what is missing of domains and accounts; returns login and password of each."""
    passwords = _passwords(config.server.data / PASSWORDS)
    store = await open_store(config.server.data, config.store, owner="m")
    try:
        directory, accounts = Directory(store), Accounts(store)
        credentials = Credentials(store, config.auth)
        for domain in DOMAINS:
            if await directory.domain(domain) is None:
                await directory.create_domain(domain)
        for login, password in passwords.items():
            if await directory.by_login(login) is None:
                prepared = await credentials.prepare(password)
                await accounts.create(
                    login,
                    password=prepared,
                    name=login.partition("@")[0].title(),
                    admin=login == ADMIN,
                )
            elif await credentials.verify(login, password, "demo") is None:
                await credentials.set_password(login, password)
    finally:
        await store.close()
    return passwords


def _passwords(path: Path) -> dict[str, str]:
    """Those of the first start: in a file, because the directory keeps only their hashes."""
    if not path.exists():
        made = {login: _password() for login in LOGINS}
        write_new(path, (json.dumps(made, indent=2) + "\n").encode())
    kept = json.loads(path.read_bytes())
    return {str(login): str(password) for login, password in kept.items()}


def _password() -> str:
    groups = ("".join(secrets.choice(LETTERS) for _ in range(GROUP_LETTERS)) for _ in range(GROUPS))
    return "-".join(groups)


def _listener_tables(wanted: Sequence[ListenerConfig]) -> str:
    return "".join(
        f'\n[[listener]]\nprotocol = "{item.protocol.value}"\naddress = "{item.address}"\n'
        f"port = {item.port}\n"
        for item in wanted
    )


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines.insert(1, "  " + "  ".join("─" * width for width in widths))
    return lines


def _command() -> str:
    """How the user's shell reaches `postillon`: by its name or, in a checkout, by its path."""
    ours = Path(sys.executable).with_name("postillon")
    found = shutil.which("postillon")
    if not ours.exists() or (found is not None and ours.samefile(found)):
        return "postillon"
    return _shown(ours)


def _shown(path: Path) -> str:
    """Relative to where the user is, if it lies below."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
