"""Postfix, delivering to Maildirs itself or through Dovecot's LMTP server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.peers.ground import Root, user_id
from benchmarks.peers.peer import (
    BOXES,
    DOMAIN,
    ELSEWHERE,
    HOST,
    MAX_CONNECTIONS,
    MAX_SIZE,
    PORT,
    SINK_PORT,
    Unpacked,
    lines,
)

MAIL = user_id("vmail")
LMTP_SOCKET = "/run/dovecot/lmtp"

MAIN = f"""
compatibility_level = 3.6
queue_directory = /var/spool/postfix
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
data_directory = /var/lib/postfix
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
default_privs = nobody
myhostname = mail.example.org
mydestination =
inet_interfaces = {HOST}
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject
smtp_host_lookup = native
disable_dns_lookups = yes
message_size_limit = {MAX_SIZE}
mailbox_size_limit = 0
virtual_mailbox_limit = 0
default_process_limit = {MAX_CONNECTIONS}
smtpd_client_connection_count_limit = 0
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_maps = texthash:/etc/postfix/boxes
virtual_mailbox_base = /mail
virtual_minimum_uid = 1000
virtual_uid_maps = static:{MAIL}
virtual_gid_maps = static:{MAIL}
relayhost = [{HOST}]:{SINK_PORT}
relay_domains = {ELSEWHERE}
alias_maps =
alias_database =
local_recipient_maps =
maillog_file = /var/log/postfix.log
"""

# Those of Debian's master.cf that take part, without its chroot.
MASTER = f"""
{HOST}:{PORT} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(Unpacked):
    key = "postfix"
    title = "Postfix"
    packages: Sequence[str] = ("postfix",)
    main = "postfix"
    settings = (
        "virtual(8) to Maildir; it syncs queue file and mailbox file always. Limits raised:"
        f" `default_process_limit = {MAX_CONNECTIONS}`, `smtpd_client_connection_count_limit = 0`."
        " No DNS, `relayhost` the sink."
    )

    def files(self) -> Mapping[str, str]:
        return {
            "etc/postfix/main.cf": MAIN,
            "etc/postfix/master.cf": MASTER,
            "etc/postfix/boxes": lines([f"{box}@{DOMAIN} {box}/" for box in BOXES]),
        }

    def launch(self, root: Root) -> None:
        root.own("var/lib/postfix", "postfix")
        root.run("postfix", "start")


DOVECOT = f"""
protocols = lmtp
base_dir = /run/dovecot
log_path = /var/log/dovecot.log
ssl = no
mail_location = maildir:/mail/%n
mail_fsync = optimized
first_valid_uid = 1000
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={MAIL} gid={MAIL} home=/mail/%n allow_all_users=yes
}}
service lmtp {{
  process_min_avail = 4
  unix_listener lmtp {{
    mode = 0666
  }}
}}
"""


class PostfixDovecot(Postfix):
    key = "dovecot"
    title = "Postfix with Dovecot (LMTP)"
    packages = ("postfix", "dovecot-lmtpd")
    settings = (
        "the same with `virtual_transport = lmtp:unix:…`; Dovecot with Maildir and"
        " `mail_fsync = optimized`, its default, which syncs every message delivered by LMTP."
    )
    relays = False  # as Postfix alone

    def version(self) -> str:
        [deb] = (self._unpacked.parent / "debs").glob("dovecot-lmtpd_*.deb")
        return f"{self._version}, {deb.name.split('_')[1].replace('%3a', ':')}"

    def files(self) -> Mapping[str, str]:
        return {
            **super().files(),
            "etc/postfix/main.cf": f"{MAIN}virtual_transport = lmtp:unix:{LMTP_SOCKET}\n",
            "etc/dovecot/dovecot.conf": DOVECOT,
        }

    def launch(self, root: Root) -> None:
        root.run("dovecot")
        super().launch(root)
