"""The starter file that `postillon init` writes: what must be decided, and what often is."""

from __future__ import annotations

from postillon.server.config_reader import shown_value

TEMPLATE = """\
# Postillon. All settings with their defaults: docs/configuration.md.
# What is wrong with this file tells: postillon check --config FILE
# Domains, accounts and aliases are not here: postillon domain, account, alias, group.

[server]
# The full name of this machine. Its address in DNS should lead back to this name.
hostname = {hostname}
# All state lies here: back it up as a whole. Relative paths begin at this file.
data = {data}
# The account the processes run as once root has opened the ports. As root, set it.
{user}
# Worker processes; 0 is one for each core.
workers = 0

{store}[tls]
# Until a real certificate is named here, a self-signed one in the data folder is used.
# Both files are read again when they change.
# certificate = "/etc/letsencrypt/live/{plain_hostname}/fullchain.pem"
# key = "/etc/letsencrypt/live/{plain_hostname}/privkey.pem"

# Without any [[listener]] the usual ports are opened on all addresses: smtp 25, submissions 465,
# submission 587, imap 143, imaps 993, pop3 110, pop3s 995, https 443, and metrics 9099 on
# loopback. The first one that is written here replaces them all.
{listeners}
[smtp]
# Largest message that is taken.
# max_size = "50 MiB"

[route]
# Mail to other domains goes where DNS says, or all of it to one server:
# smarthost = "smtps://user@relay.example.net"
# The file with that user's password, a line `host user password`, readable by nobody else.
# credentials = "relay-passwords"
# Single domains may have their own next hop.
# routes = ["partner.example lmtp://127.0.0.1:24", "lan.example smtp://10.0.0.5"]

[queue]
# Age at which a message that cannot be delivered fails and its sender is told.
# lifetime = "5d"

[resolver]
# DNS servers to ask; empty: those of the operating system.
# servers = ["127.0.0.1"]
"""

LISTENER_EXAMPLE = """\
# [[listener]]
# protocol = "smtp"
# address = "192.0.2.1"
# port = 25
"""


def starter(
    hostname: str,
    data: str,
    *,
    user: str = "",
    listeners: tuple[tuple[str, str, int], ...] = (),
    database: str = "",
    database_password: str = "",
) -> str:
    """The text of the file. listeners: protocol, address, port; none leaves the usual ones."""
    store = [f"database = {shown_value(database)}"] if database else []
    if database_password:
        store.append(f"database_password = {shown_value(database_password)}")
    tables = "\n".join(
        f"[[listener]]\nprotocol = {shown_value(protocol)}\naddress = {shown_value(address)}\n"
        f"port = {port}\n"
        for protocol, address, port in listeners
    )
    return TEMPLATE.format(
        hostname=shown_value(hostname),
        plain_hostname=hostname,
        data=shown_value(data),
        user=f"user = {shown_value(user)}" if user else '# user = "postillon"',
        listeners=tables or LISTENER_EXAMPLE,
        store="\n".join(["[store]", *store, "", ""]) if store else "",
    )
