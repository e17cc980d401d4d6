"""Writing an account to a folder, in steps that a kill does not undo."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from postillon.account.mailboxes import Mailbox
from postillon.admin.errors import Refused
from postillon.admin.moving.account_mail import AccountSource
from postillon.admin.moving.journal import Box, Journal
from postillon.admin.moving.model import Bad, Folder
from postillon.admin.moving.writers import (
    ArchiveWriter,
    EmlWriter,
    MaildirWriter,
    MboxWriter,
    Writer,
)
from postillon.store.manifest import make_private
from postillon.store.progress import Pace

STEP = 1_000  # messages between two entries in the journal
STEP_OCTETS = 64 << 20  # octets between two

WRITERS: dict[str, type[MboxWriter] | type[MaildirWriter] | type[EmlWriter]] = {
    "mbox": MboxWriter,
    "maildir": MaildirWriter,
    "archive": ArchiveWriter,
    "eml": EmlWriter,
}


@dataclass(slots=True)
class Exported:
    """What was written by this run, and what was there already."""

    written: int = 0
    octets: int = 0
    already: int = 0
    mailboxes: int = 0
    lost_keywords: int = 0  # that a Maildir cannot hold
    bad: list[Bad] = field(default_factory=list)


async def export(
    source: AccountSource, login: str, kind: str, root: Path, *, pace: Pace | None = None
) -> Exported:
    """Write all mailboxes of a source; run again, it goes on behind the last message of each.

    root: a new or empty folder, or one of an earlier export of the same account and kind. A message
    whose octets are damaged is named in the result and left out. Raises Refused, OSError.
    """
    pace = pace or Pace()
    journal = _journal(root, kind, login)
    writer: Writer = WRITERS[kind](root)
    if isinstance(writer, ArchiveWriter):
        writer.resume(journal)
    boxes = {box.id: box for box in journal.mailboxes}
    run = _Run(source, writer, journal, root, pace)
    found = await source.mailboxes()
    for mailbox in found:
        box = boxes.get(mailbox.id)
        if box is None:
            box = _new_box(mailbox, writer, {box.file for box in boxes.values()})
            boxes[mailbox.id] = box
            journal.mailboxes.append(box)
        elif box.uid_validity != mailbox.uid_validity:
            raise Refused(f"{root} was exported before {login} was restored: take a new folder")
    source.resume({box.id: box.last_uid for box in journal.mailboxes})
    journal.finished = False
    journal.write(root)
    await source.folders()
    pace.begin("messages", source.octets)
    pace.skip(sum(m.octets for m in found if boxes[m.id].last_uid >= m.uid_next - 1))
    for mailbox in found:
        await run.write(Folder(mailbox.path, str(mailbox.id)), boxes[mailbox.id])
    writer.finish(journal)
    journal.finished = True
    run.note()
    run.result.mailboxes = len(found)
    if isinstance(writer, MaildirWriter):
        run.result.lost_keywords = writer.lost_keywords
    return run.result


def _journal(root: Path, kind: str, login: str) -> Journal:
    make_private(root)
    journal = Journal.read(root)
    if journal is None:
        if any(root.iterdir()):
            raise Refused(f"{root} is not empty", "an export needs a folder of its own")
        return Journal(kind=kind, login=login)
    if (journal.kind, journal.login) != (kind, login):
        raise Refused(f"{root} holds an export of {journal.login} as {journal.kind}")
    return journal


def _new_box(mailbox: Mailbox, writer: Writer, taken: set[str]) -> Box:
    file = writer.place(mailbox.path, mailbox.id)
    if file.lower() in {name.lower() for name in taken}:  # some file systems know no case
        file = writer.place((*mailbox.path[:-1], f"{mailbox.name} ({mailbox.id})"), mailbox.id)
    return Box(
        id=mailbox.id,
        path=list(mailbox.path),
        role=None if mailbox.role is None else mailbox.role.value,
        subscribed=mailbox.subscribed,
        uid_validity=mailbox.uid_validity,
        file=file,
    )


class _Run:
    """What has been put down since the journal was last written."""

    def __init__(
        self, source: AccountSource, writer: Writer, journal: Journal, root: Path, pace: Pace
    ) -> None:
        self.result = Exported(already=sum(box.messages for box in journal.mailboxes))
        self._source, self._writer, self._journal = source, writer, journal
        self._root, self._pace = root, pace
        self._count = self._octets = 0

    async def write(self, folder: Folder, box: Box) -> None:
        """All of one mailbox that is not there yet."""
        self._writer.begin(box)
        async for item in self._source.items(folder):
            if isinstance(item, Bad):
                self.result.bad.append(item)
                self._pace.skip(item.size)
                continue
            self._writer.put(box, item)
            box.last_uid = item.uid
            box.messages += 1
            self.result.written += 1
            self.result.octets += item.size
            self._count += 1
            self._octets += item.size
            self._pace.step(item.size, 1)
            if self._count >= STEP or self._octets >= STEP_OCTETS:
                self._writer.flush(box, self._journal)
                self.note()
        self._writer.flush(box, self._journal)

    def note(self) -> None:
        """Make all of it durable, then say so in the journal."""
        os.sync()  # one for all files, where one each would take a disk's latency for a message
        self._journal.write(self._root)
        self._count = self._octets = 0
