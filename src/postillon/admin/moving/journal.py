"""What an export has written, so that it can go on after a kill, and an import knows whole names.

The file is replaced in one step, after everything it speaks of is durable. What lies behind it (the
tail of an mbox, files of messages it does not count) is cut off or written again.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from postillon.account.errors import BadMailboxName
from postillon.account.mailboxes import check_path
from postillon.account.roles import Role
from postillon.admin.errors import Refused
from postillon.admin.moving.model import Folder
from postillon.store.manifest import sync_folder, write_durably

NAME = "postillon-export.json"
FORMAT = 1
MAX_JOURNAL = 64 << 20  # octets; 10,000 mailboxes need 3 MB


class Box(msgspec.Struct, kw_only=True):
    """A mailbox: its place in the account, its file or folder in the export, and how far it is."""

    id: int
    path: list[str]
    role: str | None = None
    subscribed: bool = True
    uid_validity: int
    file: str
    last_uid: int = 0  # the last message that is durable
    messages: int = 0
    octets: int = 0  # length of `file`, for an mbox

    def folder(self) -> Folder:
        """Raises BadMailboxName or ValueError where somebody has changed the file."""
        role = None if self.role is None else Role(self.role)
        return Folder(check_path(self.path), self.file, role, self.subscribed, self.uid_validity)


class Journal(msgspec.Struct, kw_only=True):
    """An export of one account."""

    format: int = FORMAT
    kind: str  # mbox, maildir, archive, eml
    login: str
    finished: bool = False
    mailboxes: list[Box] = []
    listed: int = 0  # durable octets of the list of messages, for an archive

    @classmethod
    def read(cls, root: Path) -> Journal | None:
        """None where there is none. Raises Refused for one that cannot be read."""
        path = root / NAME
        if not path.is_file():
            return None
        try:
            if path.stat().st_size > MAX_JOURNAL:
                raise Refused(f"{path} is too large")
            journal = msgspec.json.decode(path.read_bytes(), type=cls)
            for box in journal.mailboxes:
                box.folder()
                if Path(box.file).is_absolute() or ".." in Path(box.file).parts:
                    raise Refused(f"{path} names a file outside of its folder")
        except (msgspec.MsgspecError, BadMailboxName, ValueError) as error:
            raise Refused(f"{path} cannot be read: {error}") from error
        if journal.format != FORMAT:
            raise Refused(f"{path} was made by another version of Postillon")
        return journal

    def write(self, root: Path) -> None:
        """Durable on return."""
        text = msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"
        new = root / f".{NAME}"
        write_durably(new, text)
        os.replace(new, root / NAME)
        sync_folder(root)
