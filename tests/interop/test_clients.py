"""Other people's clients against the real server: each sends or reads as its users would.

A client that is not installed is skipped with its name; CI installs them.
"""

from __future__ import annotations

import contextlib
import email
import hashlib
import imaplib
import os
import poplib
import pty
import select
import shutil
import smtplib
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.load import Load, numbered_message
from support.server import PASSWORD, Server

ADA, BOB = "ada@example.org", "bob@example.net"
GRACE, CAROL = "grace@example.org", "carol@example.net"
WAIT_S = 60


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str, **more: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, **more)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return str(done.stdout)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("clients"), workers=2, logins=(ADA, BOB, GRACE, CAROL)
    ) as running:
        yield running


def arrived(server: Server, login: str, subject: str) -> email.message.Message:
    """The message of that subject in an INBOX, which lies there as soon as it is acknowledged."""
    with imaplib.IMAP4(server.host, server.port("imap")) as client:
        client.login(login, PASSWORD)
        client.select("INBOX", readonly=True)
        _, [numbers] = client.search(None, "SUBJECT", f'"{subject}"')
        assert numbers.split(), f"{subject!r} is not there"
        _, data = client.fetch(numbers.split()[-1].decode(), "(BODY.PEEK[])")
    return email.message_from_bytes(data[0][1])  # type: ignore[index, arg-type]


def test_swaks_sends_with_tls_and_login(server: Server) -> None:
    run(
        program("swaks"), "--server", server.host, "--port", str(server.port("submission")),
        "--tls", "--auth", "PLAIN", "--auth-user", ADA, "--auth-password", PASSWORD,
        "--from", ADA, "--to", BOB, "--h-Subject", "by swaks", "--body", "hello",
    )  # fmt: skip
    assert "ESMTPSA" in arrived(server, BOB, "by swaks")["Received"]


def test_swaks_is_no_open_relay(server: Server) -> None:
    done = subprocess.run(
        [program("swaks"), "--server", server.host, "--port", str(server.port("smtp")),
         "--from", "x@elsewhere.example", "--to", "y@other.example"],
        capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "5.7.1" in done.stdout


def test_swaks_delivers_over_lmtp(server: Server) -> None:
    run(
        program("swaks"), "--protocol", "LMTP", "--server", server.host,
        "--port", str(server.port("lmtp")), "--from", ADA, "--to", f"{ADA},{BOB}",
        "--h-Subject", "by lmtp",
    )  # fmt: skip
    assert "LMTP" in arrived(server, BOB, "by lmtp")["Received"]
    arrived(server, ADA, "by lmtp")


def test_curl_sends_and_reads(server: Server, tmp_path: Path) -> None:
    curl = program("curl")
    text = tmp_path / "message"
    text.write_bytes(f"From: {ADA}\r\nTo: {BOB}\r\nSubject: by curl\r\n\r\nhello\r\n".encode())
    run(
        curl, "-sk", f"smtps://{server.host}:{server.port('submissions')}", "--user",
        f"{ADA}:{PASSWORD}", "--mail-from", ADA, "--mail-rcpt", BOB, "--upload-file", str(text),
    )  # fmt: skip
    sent = arrived(server, BOB, "by curl")
    assert sent["Message-ID"]  # submission completes what is missing
    base = f"imaps://{server.host}:{server.port('imaps')}"
    found = run(
        curl, "-sk", base + "/INBOX", "--user", f"{BOB}:{PASSWORD}", "-X", "SEARCH SUBJECT curl"
    )
    number = found.split()[-1]
    url = f"{base}/INBOX;MAILINDEX={number}"
    assert "hello" in run(curl, "-sk", url, "--user", f"{BOB}:{PASSWORD}")


def deliver(server: Server, login: str, subject: str, count: int) -> None:
    """So many messages into an INBOX, by LMTP."""
    with smtplib.LMTP(server.host, server.port("lmtp")) as client:
        for number in range(count):
            text = f"From: {ADA}\r\nTo: {login}\r\nSubject: {subject} {number}\r\n\r\n.hello\r\n"
            client.sendmail(ADA, [login], text)


def test_python_fetches_by_pop3(server: Server) -> None:
    deliver(server, GRACE, "by poplib", 3)
    client = poplib.POP3(server.host, server.port("pop3"))
    client.stls(ssl._create_unverified_context())
    client.user(GRACE)
    client.pass_(PASSWORD)
    assert client.stat()[0] >= 3
    ids = {line.split()[1] for line in client.uidl()[1]}
    assert len(ids) == client.stat()[0]
    lines = client.retr(client.stat()[0])[1]
    assert b"Subject: by poplib 2" in lines
    assert lines[-1] == b".hello"
    for number in range(client.stat()[0]):
        client.dele(number + 1)
    client.quit()
    again = poplib.POP3_SSL(
        server.host,
        server.port("pop3s"),
        context=ssl._create_unverified_context(),
    )
    again.user(GRACE)
    again.pass_(PASSWORD)
    assert again.stat() == (0, 0)
    again.quit()


def test_curl_fetches_by_pop3(server: Server) -> None:
    deliver(server, CAROL, "by curl pop", 1)
    base = f"pop3s://{server.host}:{server.port('pop3s')}"
    listed = run(program("curl"), "-sk", base, "--user", f"{CAROL}:{PASSWORD}").split()
    found = run(program("curl"), "-sk", f"{base}/{listed[-2]}", "--user", f"{CAROL}:{PASSWORD}")
    assert "Subject: by curl pop 0" in found


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_fetchmail_fetches(server: Server, tmp_path: Path, protocol: str) -> None:
    deliver(server, CAROL, f"by fetchmail {protocol}", 20)
    settings = tmp_path / "fetchmailrc"
    settings.write_text(
        f'poll {server.host} service {server.port(protocol)} proto {protocol} user "{CAROL}"\n'
        f'  password "{PASSWORD}" sslproto "" fetchall mda "cat >> {tmp_path}/box"\n'
    )
    settings.chmod(0o600)
    settings_of = {**os.environ, "FETCHMAILHOME": str(tmp_path), "HOME": str(tmp_path)}
    pid = str(tmp_path / "fetchmail.pid")  # another one may run on this machine
    run(program("fetchmail"), "-f", str(settings), "--nosyslog", "--pidfile", pid, env=settings_of)
    box = (tmp_path / "box").read_text()
    assert all(f"Subject: by fetchmail {protocol} {number}\n" in box for number in range(20))


def test_mpop_fetches_once(server: Server, tmp_path: Path) -> None:
    deliver(server, GRACE, "by mpop", 5)
    settings = tmp_path / "mpoprc"
    settings.write_text(
        f"account default\nhost {server.host}\nport {server.port('pop3s')}\ntls on\ntls_starttls off\n"
        f"tls_certcheck off\nuser {GRACE}\npassword {PASSWORD}\nkeep on\n"
        f"uidls_file {tmp_path}/uidls\ndelivery maildir {tmp_path}/mail\n"
    )
    settings.chmod(0o600)
    for part in ("cur", "new", "tmp"):
        (tmp_path / "mail" / part).mkdir(parents=True)
    for _ in range(2):
        run(program("mpop"), "-C", str(settings))
    texts = [path.read_text() for path in (tmp_path / "mail" / "new").iterdir()]
    assert sum("Subject: by mpop" in text for text in texts) == 5


@pytest.mark.parametrize("kind", ["SimplePOP3SSLRetriever", "SimpleIMAPSSLRetriever"])
def test_getmail_fetches_once(server: Server, tmp_path: Path, kind: str) -> None:
    deliver(server, BOB, f"by {kind}", 5)
    port = server.port("pop3s" if "POP3" in kind else "imaps")
    (tmp_path / "getmailrc").write_text(
        f"[retriever]\ntype = {kind}\nserver = {server.host}\nport = {port}\nusername = {BOB}\n"
        f"password = {PASSWORD}\n[destination]\ntype = MDA_external\npath = /bin/sh\n"
        f'arguments = ("-c", "cat >> {tmp_path}/box")\nallow_root_commands = true\n'
        "[options]\nread_all = false\nverbose = 0\n"
    )
    for _ in range(2):
        run(program("getmail"), "--getmaildir", str(tmp_path), "--rcfile", "getmailrc")
    assert (tmp_path / "box").read_text().count(f"Subject: by {kind}") == 5


def test_offlineimap_synchronises_both_ways(server: Server, tmp_path: Path) -> None:
    deliver(server, GRACE, "by offlineimap", 40)
    (tmp_path / "rc").write_text(
        "[general]\naccounts = all\nui = quiet\nfsync = false\n"
        f"metadata = {tmp_path}/state\n[Account all]\nlocalrepository = near\n"
        f"remoterepository = far\n[Repository near]\ntype = Maildir\nlocalfolders = {tmp_path}/mail\n"
        f"[Repository far]\ntype = IMAP\nremotehost = {server.host}\nremoteport = "
        f"{server.port('imaps')}\nremoteuser = {GRACE}\nremotepass = {PASSWORD}\nssl = yes\n"
        f"cert_fingerprint = {fingerprint(server)}\nauth_mechanisms = PLAIN\n"
    )
    offlineimap = program("offlineimap")
    run(offlineimap, "-c", str(tmp_path / "rc"), "-o")
    inbox = tmp_path / "mail" / "INBOX"
    fetched = [*(inbox / "new").iterdir(), *(inbox / "cur").iterdir()]
    texts = [path.read_text(errors="replace") for path in fetched]
    assert sum("Subject: by offlineimap" in text for text in texts) == 40
    for path in fetched:
        path.rename(inbox / "cur" / (path.name.partition(":")[0] + ":2,FS"))
    run(offlineimap, "-c", str(tmp_path / "rc"), "-o")
    with imaplib.IMAP4(server.host, server.port("imap")) as client:
        client.login(GRACE, PASSWORD)
        client.select("INBOX", readonly=True)
        _, [unseen] = client.search(None, "UNFLAGGED", "SUBJECT", '"by offlineimap"')
        assert unseen == b""


def test_imapfilter_sorts_mail_into_folders(server: Server, tmp_path: Path) -> None:
    deliver(server, CAROL, "by imapfilter", 6)
    (tmp_path / "config.lua").write_text(
        "options.create = true\noptions.starttls = false\n"
        f"account = IMAP {{ server = '{server.host}', port = {server.port('imap')},\n"
        f"  username = '{CAROL}', password = '{PASSWORD}' }}\n"
        "found = account.INBOX:contain_subject('by imapfilter')\n"
        "found:mark_flagged()\nfound:move_messages(account['Sorted/By rule'])\n"
    )
    home = {**os.environ, "IMAPFILTER_HOME": str(tmp_path)}
    run(program("imapfilter"), "-c", str(tmp_path / "config.lua"), env=home)
    with imaplib.IMAP4(server.host, server.port("imap")) as client:
        client.login(CAROL, PASSWORD)
        assert client.select('"Sorted/By rule"', readonly=True)[1] == [b"6"]
        _, [flagged] = client.search(None, "FLAGGED")
        assert len(flagged.split()) == 6


def fingerprint(server: Server) -> str:
    certificate = ssl.PEM_cert_to_DER_cert((server.folder / "cert.pem").read_text())
    return hashlib.sha256(certificate).hexdigest()


def test_msmtp_sends(server: Server, tmp_path: Path) -> None:
    settings = tmp_path / "msmtprc"
    settings.write_text(
        f"account default\nhost {server.host}\nport {server.port('submission')}\ntls on\n"
        f"tls_certcheck off\nauth on\nuser {ADA}\npassword {PASSWORD}\nfrom {ADA}\n"
    )
    settings.chmod(0o600)
    run(
        program("msmtp"), "-C", str(settings), BOB,
        input=f"From: {ADA}\nTo: {BOB}\nBcc: secret@example.net\nSubject: by msmtp\n\nhello\n",
    )  # fmt: skip
    assert arrived(server, BOB, "by msmtp")["Bcc"] is None


def mutt_settings(server: Server, folder: Path) -> Path:
    settings = folder / "muttrc"
    secret = PASSWORD.replace(" ", "%20")
    settings.write_text(
        f"set folder='imaps://{server.host}:{server.port('imaps')}/'\nset spoolfile='+INBOX'\n"
        f"set imap_user='{BOB}'\nset imap_pass='{PASSWORD}'\n"
        f"set smtp_url='smtps://{BOB.replace('@', '%40')}:{secret}@{server.host}:"
        f"{server.port('submissions')}/'\nset smtp_pass='{PASSWORD}'\nset from='{BOB}'\n"
        f"set certificate_file='{folder}/../cert'\nset ssl_verify_host=no\nset ssl_starttls=yes\n"
        f"set ssl_verify_dates=no\nset record=''\nset copy=no\nset header_cache=''\n"
        f"set ssl_ca_certificates_file='{server.folder}/cert.pem'\n"
    )
    return settings


def test_mutt_sends_and_reads(server: Server, tmp_path: Path) -> None:
    mutt = program("mutt")
    settings = mutt_settings(server, tmp_path)
    run(mutt, "-F", str(settings), "-s", "by mutt", ADA, input="hello from mutt\n")
    assert BOB in arrived(server, ADA, "by mutt")["From"]
    run(
        program("swaks"), "--server", server.host, "--port", str(server.port("smtp")),
        "--from", ADA, "--to", BOB, "--h-Subject", "for mutt",
    )  # fmt: skip
    copy = tmp_path / "copy"
    keys = f"<limit>~s for.mutt<enter><copy-message>{copy}<enter><exit>"
    on_a_terminal(
        [mutt, "-F", str(settings), "-f", f"imaps://{server.host}:{server.port('imaps')}/INBOX",
         "-e", f"set confirmappend=no confirmcreate=no; push '{keys}'"],
        {"TERM": "xterm", "HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert "for mutt" in copy.read_text()


def on_a_terminal(command: list[str], environment: dict[str, str]) -> None:
    """Run a program that wants a screen of its own to its end."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    )
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline and select.select([master], [], [], WAIT_S)[0]:
            piece = os.read(master, 4096)
            if not piece:
                break
            shown += piece
    os.close(master)
    try:
        assert process.wait(10) == 0, shown[-3000:].decode("utf-8", "replace")
    finally:
        process.kill()


def synchronise(server: Server, folder: Path, count: int) -> float:
    """Fill BOB's INBOX, then let mbsync bring it here and changes both ways. Returns seconds."""
    mbsync = program("mbsync")
    for start in range(0, count, 2_000):
        numbers = range(start, min(start + 2_000, count))
        load = Load(
            (server.host, server.port("smtp")),
            connections=4,
            recipients=lambda n: [BOB],
            message=lambda n: numbered_message(n, 3_000, "sync"),
        )
        assert len(load.run(numbers).acknowledged) == len(numbers)
    settings = folder / "mbsyncrc"
    (folder / "mail").mkdir()
    settings.write_text(
        f"IMAPAccount bob\nHost localhost\nPort {server.port('imaps')}\nUser {BOB}\n"
        f'Pass "{PASSWORD}"\nSSLType IMAPS\nCertificateFile {server.folder}/cert.pem\n\n'
        f"IMAPStore far\nAccount bob\n\nMaildirStore near\nPath {folder}/mail/\n"
        f"Inbox {folder}/mail/INBOX\nSubFolders Verbatim\n\n"
        "Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n"
    )
    began = time.monotonic()
    run(mbsync, "-c", str(settings), "-a")
    took = time.monotonic() - began
    new, cur = folder / "mail/INBOX/new", folder / "mail/INBOX/cur"
    here = len(list(new.iterdir())) + len(list(cur.iterdir()))
    with imaplib.IMAP4(server.host, server.port("imap")) as client:
        client.login(BOB, PASSWORD)
        _, [total] = client.select("INBOX")
        assert here == int(total or b"0")
        assert here >= count
        first = sorted(new.iterdir())[0]
        first.rename(cur / (first.name.partition(":2,")[0] + ":2,FS"))  # flagged and read here
        client.store("2", "+FLAGS", "(\\Deleted)")  # deleted there
        client.expunge()
        run(mbsync, "-c", str(settings), "-a")
        _, [flagged] = client.search(None, "FLAGGED SEEN")
        assert len(flagged.split()) == 1
    assert len(list(new.iterdir())) + len(list(cur.iterdir())) == here - 1
    return took


def test_mbsync_synchronises_both_ways(tmp_path: Path) -> None:
    with Server(tmp_path / "s", workers=2) as server:
        synchronise(server, tmp_path, 300)


@pytest.mark.torture
@pytest.mark.timeout(600)
def test_mbsync_synchronises_ten_thousand(tmp_path: Path) -> None:
    with Server(tmp_path / "s", workers=2) as server:
        print(f"first synchronisation: {synchronise(server, tmp_path, 10_000):.1f} s")
