"""OpenSMTPD, delivering to Maildirs."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.peers.ground import MAIL_USER, Root
from benchmarks.peers.peer import DOMAIN, ELSEWHERE, HOST, MAX_SIZE, PORT, SINK_PORT, Unpacked

CONFIG = f"""
listen on {HOST} port {PORT} hostname mail.example.org
smtp max-message-size {MAX_SIZE}
smtp limit max-mails 1000000
smtp limit max-rcpt 1000
mta limit max-conn-per-host 20
mta limit max-conn-per-route 20
mta limit session-mail-max 1000
mta limit conn-delay-host 0
mta limit conn-delay-source 0
mta limit conn-delay-connector 0
mta limit conn-delay-relay 0
table everybody {{ "@" = {MAIL_USER} }}
action boxes maildir "/mail/%{{rcpt.user}}" virtual <everybody>
action out relay host smtp://{HOST}:{SINK_PORT}
match from any for domain {DOMAIN} action boxes
match from any for domain {ELSEWHERE} action out
"""


class OpenSmtpd(Unpacked):
    key = "opensmtpd"
    title = "OpenSMTPD"
    packages = ("opensmtpd",)
    main = "opensmtpd"
    relay_s = 1.0  # it accepts some 700 a second and sends on 45, over three connections
    settings = (
        "its own `maildir` action; it syncs queue and mailbox files always. `smtp limit max-mails`"
        " and `max-rcpt` raised; for relaying 20 connections to a host and no delay between them."
    )

    def files(self) -> Mapping[str, str]:
        return {"etc/smtpd.conf": CONFIG, "etc/aliases": "", "etc/resolv.conf": "lookup file\n"}

    def launch(self, root: Root) -> None:
        (root.folder / "var/lib/opensmtpd/empty").mkdir(parents=True, exist_ok=True)
        (root.folder / "var/spool/smtpd").mkdir(parents=True, exist_ok=True)
        (root.folder / "var/spool/smtpd").chmod(0o711)
        root.own("var/spool/smtpd/offline", "root", "opensmtpq")
        (root.folder / "var/spool/smtpd/offline").chmod(0o770)
        root.start("/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf")
