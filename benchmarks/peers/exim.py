"""Exim, delivering to Maildirs."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.peers.ground import MAIL_USER, Root
from benchmarks.peers.peer import (
    BOXES,
    DOMAIN,
    ELSEWHERE,
    HOST,
    MAX_SIZE,
    PORT,
    SINK_PORT,
    Unpacked,
    lines,
)

CONFIG = f"""
primary_hostname = mail.example.org
local_interfaces = {HOST}
daemon_smtp_ports = {PORT}
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
split_spool_directory = true
message_size_limit = {MAX_SIZE}
smtp_accept_max = 0
smtp_connect_backlog = 300
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
host_lookup =
tls_advertise_hosts =
rfc1413_hosts =
keep_environment =
never_users = root
acl_smtp_rcpt = anything
domainlist ours = {DOMAIN}

begin acl
anything:
  accept

begin routers
out:
  driver = manualroute
  domains = {ELSEWHERE}
  route_list = * {HOST}
  host_find_failed = defer
  self = send
  transport = out
boxes:
  driver = accept
  domains = +ours
  local_parts = lsearch;/etc/exim4/boxes
  transport = maildir

begin transports
out:
  driver = smtp
  port = {SINK_PORT}
  allow_localhost
  hosts_avoid_tls = *
maildir:
  driver = appendfile
  maildir_format
  directory = /mail/$local_part_data
  create_directory
  user = {MAIL_USER}
  group = {MAIL_USER}
  mode = 0600

begin retry
* * F,1h,1m

begin rewrite
"""


class Exim(Unpacked):
    key = "exim"
    title = "Exim"
    packages = ("exim4-daemon-light",)
    main = "exim4-daemon-light"
    settings = (
        "appendfile to Maildir; it syncs spool and mailbox files always. Limits lifted:"
        " `smtp_accept_max = 0`, `smtp_accept_queue_per_connection = 0`,"
        " `smtp_accept_max_per_connection = 0`; `split_spool_directory`. Immediate delivery, its"
        " default."
    )

    def files(self) -> Mapping[str, str]:
        return {
            "etc/exim4/exim4.conf": CONFIG,
            "etc/exim4/boxes": lines([f"{box}: {box}" for box in BOXES]),
        }

    def launch(self, root: Root) -> None:
        root.own("var/spool/exim4", "Debian-exim")
        root.own("var/log/exim4", "Debian-exim")
        root.start("/usr/sbin/exim4", "-bdf", "-q1m")
