"""Writing the mail of an account to a folder: mbox, Maildir, plain files with a list.

A writer puts messages down in the order of their UIDs. Whoever calls it makes them durable now and
then; the journal then says how far each mailbox is. What a kill leaves behind the journal is cut off or
written again under the same name, so nothing is there twice.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Protocol

from postillon.account.keywords import join_keywords
from postillon.account.mailboxes import Path as MailboxPath
from postillon.admin.moving.archive_files import LIST, README, listed, write_sums
from postillon.admin.moving.journal import Box, Journal
from postillon.admin.moving.maildir_files import KEYWORDS, SUBSCRIPTIONS
from postillon.admin.moving.model import Message
from postillon.mail import maildir, mbox
from postillon.protocol.imap import mutf7
from postillon.store.manifest import make_private, write_durably

MAX_FILE_NAME = 180  # octets of a name made of a mailbox's; 255 is what file systems take
_UNSAFE = re.compile(r"[/\x00-\x1f\x7f%\\]|^[.~-]|[. ]\Z")
_OUR_UID = re.compile(r"\.V\d+U(\d+)\.postillon,")


class Writer(Protocol):
    """One kind of export below one folder."""

    kind: str

    def place(self, path: MailboxPath, number: int) -> str:
        """The file or folder of a mailbox, relative to the export."""

    def begin(self, box: Box) -> None:
        """Go on behind what the journal says is durable."""

    def put(self, box: Box, message: Message) -> None: ...

    def flush(self, box: Box, journal: Journal) -> None:
        """Hand all that was put to the system, and note lengths in `box` and `journal`."""

    def finish(self, journal: Journal) -> None:
        """All mailboxes are done."""


def safe_name(name: str) -> str:
    """A mailbox's name as a file's; a long one is cut and gets a hash. The journal has the name."""
    text = _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", name)
    if len(text.encode()) <= MAX_FILE_NAME:
        return text
    cut = text.encode()[: MAX_FILE_NAME - 20].decode("utf-8", "ignore")
    return f"{cut}~{blake2b(name.encode(), digest_size=8).hexdigest()}"


class MboxWriter:
    """One mboxrd file for each mailbox; those below another lie in a folder of its name."""

    kind = "mbox"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._file: BinaryIO | None = None

    def place(self, path: MailboxPath, number: int) -> str:
        return "/".join(map(safe_name, path)) + ".mbox"

    def begin(self, box: Box) -> None:
        if self._file is not None:
            self._file.close()
        path = self._root / box.file
        make_private(path.parent)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(fd, box.octets)
        self._file = os.fdopen(fd, "r+b", buffering=1 << 20)
        self._file.seek(box.octets)

    def put(self, box: Box, message: Message) -> None:
        assert self._file is not None
        at = time.gmtime((message.received_at or 0) / 1000)
        self._file.write(mbox.separator(message.sender, time.asctime(at)))
        keywords = join_keywords(message.keywords)
        self._file.write(mbox.quoted(message.content[:], message.flags, keywords))

    def flush(self, box: Box, journal: Journal) -> None:
        assert self._file is not None
        self._file.flush()
        box.octets = self._file.tell()

    def finish(self, journal: Journal) -> None:
        if self._file is not None:
            self._file.close()


class MaildirWriter:
    """A Maildir++: INBOX is the folder itself. Dates are the files', keywords as Dovecot has them."""

    kind = "maildir"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._letters: dict[str, str] = {}
        self.lost_keywords = 0

    def place(self, path: MailboxPath, number: int) -> str:
        if path == ("INBOX",):
            return "."
        parts = [maildir.escape(mutf7.encode(part).decode()) for part in path]
        name = "." + ".".join(parts)
        if len(name) > MAX_FILE_NAME:
            name = f"{name[: MAX_FILE_NAME - 20]}~{number}"
        return name

    def begin(self, box: Box) -> None:
        folder = self._root / box.file
        for part in ("cur", "new", "tmp"):
            make_private(folder / part)
        if box.file != ".":
            (folder / "maildirfolder").touch(mode=0o600)
        for path in (folder / "cur").iterdir():  # of a run that was killed: flags may have changed
            match = _OUR_UID.search(path.name)
            if match is not None and int(match[1]) > box.last_uid:
                path.unlink()
        try:
            known = maildir.read_keywords((folder / KEYWORDS).read_bytes())
        except FileNotFoundError:
            known = {}
        self._letters = {word: letter for letter, word in known.items()}

    def put(self, box: Box, message: Message) -> None:
        folder = self._root / box.file
        for word in sorted(message.keywords - self._letters.keys() - {maildir.FORWARDED}):
            if len(self._letters) >= maildir.KEYWORDS:
                self.lost_keywords += 1
                continue
            self._letters[word] = chr(ord("a") + len(self._letters))
        text = message.content[:].replace(b"\r\n", b"\n")
        at = message.received_at or 0
        base = f"{at // 1000}.V{box.uid_validity}U{message.uid}.postillon,S={len(text)}"
        name = maildir.name_of(base, message.flags, sorted(message.keywords), self._letters)
        draft = folder / "tmp" / base
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(text)
        os.utime(draft, ns=(at * 1_000_000, at * 1_000_000))
        os.replace(draft, folder / "cur" / name)

    def flush(self, box: Box, journal: Journal) -> None:
        if self._letters:
            words = sorted(self._letters, key=lambda word: self._letters[word])
            write_durably(self._root / box.file / KEYWORDS, maildir.write_keywords(words))

    def finish(self, journal: Journal) -> None:
        wanted = [box.file[1:] for box in journal.mailboxes if box.subscribed and box.file != "."]
        write_durably(self._root / SUBSCRIPTIONS, "".join(f"{name}\n" for name in wanted).encode())


class EmlWriter:
    """Plain files in folders named after the mailboxes: `Work/17.eml`."""

    kind = "eml"

    def __init__(self, root: Path) -> None:
        self._root = root

    def place(self, path: MailboxPath, number: int) -> str:
        return "/".join(map(safe_name, path))

    def begin(self, box: Box) -> None:
        make_private(self._root / box.file)

    def put(self, box: Box, message: Message) -> None:
        path = self._root / box.file / f"{message.uid}.eml"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(message.content)
        at = (message.received_at or 0) * 1_000_000
        os.utime(path, ns=(at, at))

    def flush(self, box: Box, journal: Journal) -> None:
        pass

    def finish(self, journal: Journal) -> None:
        pass


class ArchiveWriter(EmlWriter):
    """Plain files, and a list with all that is known of each (archive_files)."""

    kind = "archive"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._list: BinaryIO | None = None

    def place(self, path: MailboxPath, number: int) -> str:
        return f"messages/{number}"

    def put(self, box: Box, message: Message) -> None:
        super().put(box, message)
        assert self._list is not None
        sha256 = hashlib.sha256(message.content).hexdigest()
        file = f"{box.file}/{message.uid}.eml"
        self._list.write(listed(message, file, tuple(box.path), box.uid_validity, sha256))

    def resume(self, journal: Journal) -> None:
        """Open the list, cut to what is durable."""
        fd = os.open(self._root / LIST, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(fd, journal.listed)
        self._list = os.fdopen(fd, "r+b")
        self._list.seek(journal.listed)

    def flush(self, box: Box, journal: Journal) -> None:
        assert self._list is not None
        self._list.flush()
        journal.listed = self._list.tell()

    def finish(self, journal: Journal) -> None:
        assert self._list is not None
        self._list.close()
        text = ABOUT.format(login=journal.login)
        write_durably(self._root / README, text.encode())
        write_sums(self._root)


ABOUT = """\
Mail of {login}, exported by Postillon. Nothing here needs Postillon to be read.

messages/3/17.eml       a message, octet for octet, as the server showed it: mailbox 3, UID 17
messages.jsonl          one JSON object a line for each of them: file, SHA-256, octets, mailbox (a list
                        of names from the top), flags and keywords as in IMAP, received_at (IMAP's
                        internal date), saved_at (when it came into this mailbox), UID
postillon-export.json   the mailboxes with their roles and subscriptions
SHA256SUMS              checksums of all files: sha256sum -c SHA256SUMS

`postillon import ACCOUNT FOLDER` takes all of it back.
"""
