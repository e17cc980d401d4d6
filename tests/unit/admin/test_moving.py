"""Import, export and partial restore: everything kept, nothing twice, nothing overwritten."""

from __future__ import annotations

import hashlib
import json
import mailbox
import os
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postillon.account import imports
from postillon.account.account import Account
from postillon.account.keywords import split_keywords
from postillon.account.roles import Role
from postillon.admin.desk import Desk
from postillon.admin.errors import Refused
from postillon.admin.moving import exporting, importing, operations
from postillon.admin.moving.exporting import Exported
from postillon.admin.moving.importing import Imported
from postillon.admin.moving.journal import NAME
from postillon.admin.moving.operations import BackupView, open_backup, open_source
from postillon.admin.moving.writers import safe_name
from postillon.mail.mbox import Variant
from postillon.store.backup import back_up
from postillon.store.config import StoreConfig
from postillon.store.manifest import Target
from postillon.store.progress import Pace, Stopped
from postillon.store.verify import verify
from support import accounts as support

ADA, BOB = "ada@example.org", "bob@example.org"
FROM = b"From ada@example.org Thu Nov 26 10:15:00 2026\n"
AT = 1_795_688_100_000

Letter = tuple[bytes, int, frozenset[str], int]  # octets, flags, keywords, received_at


@asynccontextmanager
async def desk_in(folder: Path) -> AsyncIterator[Desk]:
    """Ada and bob, on a store of their own."""
    async with support.house(folder) as home:
        await home.account(ADA)
        await home.account(BOB)
        yield Desk(home.store, home.directory, home.accounts, home.credentials)


async def mail_of(account: Account) -> dict[tuple[str, ...], list[Letter]]:
    """Everything in an account that a move must keep, in order."""
    found = {}
    for box in await account.mailboxes():
        rows = await account.emails(box.id, [(1, 2**32 - 1)])
        letters = [
            (
                row.prefix + await account.content(row), row.flags,
                split_keywords(row.keywords), row.received_at,
            )
            for row in rows
        ]  # fmt: skip
        if letters:
            found[box.path] = letters
    return found


async def take(desk: Desk, login: str, source: Path, **more: Any) -> Imported:
    return await operations.import_mail(desk, login, open_source(source), **more)


async def give(desk: Desk, login: str, kind: str, root: Path, **more: Any) -> Exported:
    return await operations.export_mail(desk, login, kind, root, **more)


async def fill(account: Account) -> None:
    work = await account.create(("Work",))
    odd = await account.create(("Work", "a/b.c ü&~"))
    for n in range(7):
        content = support.message(f"message {n}", "From here\r\n>From there\r\nend")
        box = (1, work.id, odd.id)[n % 3]
        words = frozenset({"urgent", "$forwarded"} if n % 2 else ())
        await account.append(box, content, support.scan(content), n, words, AT + n * 1_000)  # type: ignore[arg-type]
    await account.create(("Empty",))
    await account.subscribe(("Empty",), False)


# Round trips


@pytest.mark.parametrize("kind", ["archive", "mbox", "maildir"])
async def test_what_is_exported_comes_back_with_everything(tmp_path: Path, kind: str) -> None:
    async with desk_in(tmp_path) as desk:
        ada, bob = desk.accounts.open(1), desk.accounts.open(2)
        await fill(ada)
        done = await give(desk, ADA, kind, tmp_path / "out")
        assert done.written == 7
        result = await take(desk, BOB, tmp_path / "out")
        assert (result.placed, result.already, result.bad) == (7, 0, [])
        assert await mail_of(bob) == await mail_of(ada)
        boxes = {box.path: box.subscribed for box in await bob.mailboxes()}
        assert boxes == {box.path: box.subscribed for box in await ada.mailboxes()}
        assert await verify(desk.store) == []  # type: ignore[arg-type]


NAMES = st.text(min_size=1, max_size=12).filter(
    lambda name: name.strip() != "" and name.isprintable() and name.upper() != "INBOX"
)
LETTERS = st.tuples(
    st.binary(min_size=1, max_size=300).map(lambda octets: octets.replace(b"\0", b"0")),
    st.integers(0, 31),
    st.frozensets(st.sampled_from(["urgent", "$label1", "x-1", "$forwarded"])),
    st.integers(0, 2_000_000_000_000),
)


BOXES = st.lists(
    st.tuples(st.lists(NAMES, min_size=1, max_size=3), st.lists(LETTERS, max_size=4)), max_size=4
)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(boxes=BOXES)
async def test_an_archive_keeps_every_octet(
    tmp_path_factory: pytest.TempPathFactory, boxes: list[tuple[list[str], list[Letter]]]
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    async with desk_in(folder) as desk:
        ada, bob = desk.accounts.open(1), desk.accounts.open(2)
        for path, letters in boxes:
            box = await ada.find(path) or await ada.create(path)
            for content, flags, words, at in letters:
                await ada.append(box.id, content, support.scan(content), flags, words, at)
        await give(desk, ADA, "archive", folder / "out")
        await take(desk, BOB, folder / "out")
        assert await mail_of(bob) == await mail_of(ada)
        assert {box.path for box in await bob.mailboxes()} == {
            box.path for box in await ada.mailboxes()
        }


async def test_an_archive_can_be_checked_and_read_without_us(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        await fill(desk.accounts.open(1))
        await give(desk, ADA, "archive", tmp_path / "out")
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=tmp_path / "out", check=True)
    lines = [json.loads(line) for line in (tmp_path / "out" / "messages.jsonl").open()]
    assert len(lines) == 7
    for line in lines:
        octets = (tmp_path / "out" / line["file"]).read_bytes()
        assert (hashlib.sha256(octets).hexdigest(), len(octets)) == (line["sha256"], line["octets"])
    assert {tuple(line["mailbox"]) for line in lines} == {
        ("INBOX",), ("Work",), ("Work", "a/b.c ü&~"),
    }  # fmt: skip
    assert lines[1]["received_at"].startswith("2026-11-26T10:15:03")


async def test_a_maildir_is_as_dovecot_has_it(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        ada = desk.accounts.open(1)
        work = await ada.create(("Work", "Ümlaut"))
        await ada.subscribe(work.path)
        content = support.message("x")
        await ada.append(work.id, content, support.scan(content), 5, frozenset({"urgent"}), AT)
        await give(desk, ADA, "maildir", tmp_path / "out")
    folder = tmp_path / "out" / ".Work.&ANw-mlaut"
    [path] = (folder / "cur").iterdir()
    assert path.name.endswith(":2,FSa")
    assert path.read_bytes() == content.replace(b"\r\n", b"\n")
    assert path.stat().st_mtime == AT / 1000
    assert (folder / "dovecot-keywords").read_text() == "0 urgent\n"
    assert "Work.&ANw-mlaut\n" in (tmp_path / "out" / "subscriptions").read_text()


# Foreign sources


def maildir(root: Path, *names: str) -> None:
    for part in ("cur", "new", "tmp"):
        (root / part).mkdir(parents=True)
    for n, name in enumerate(names):
        path = root / ("cur" if ":2," in name else "new") / name
        path.write_bytes(b"Subject: %d\n\n%s\n" % (n, name.encode()))
        os.utime(path, (AT / 1000 + n, AT / 1000 + n))


async def test_folders_of_every_layout_are_found(tmp_path: Path) -> None:
    root = tmp_path / "Maildir"
    maildir(root, "1.a", "2.b:2,S")
    maildir(root / ".Sent", "1.c:2,S")
    maildir(root / ".Work.Letters", "1.d:2,")
    maildir(root / ".Caf&AOk-", "1.e:2,")
    maildir(root / "Nested" / "Below", "1.f:2,")
    (root / "dovecot-uidlist").write_text("3 V1 N1\n")
    async with desk_in(tmp_path) as desk:
        result = await take(desk, ADA, root)
        found = await mail_of(desk.accounts.open(1))
        assert ("Work", "Letters") in await desk.accounts.open(1).subscriptions()
    assert {path: len(letters) for path, letters in found.items()} == {
        ("INBOX",): 2, ("Sent",): 1, ("Work", "Letters"): 1, ("Café",): 1, ("Nested", "Below"): 1,
    }  # fmt: skip
    assert [letter[1] for letter in found[("INBOX",)]] == [0, 1]
    assert found[("INBOX",)][0][3] == AT
    assert "Work/Letters" in result.mailboxes


async def test_thunderbirds_tree_is_understood(tmp_path: Path) -> None:
    root = tmp_path / "Mail"
    (root / "Archive.sbd").mkdir(parents=True)
    deleted = b"X-Mozilla-Status: 0009\n"
    (root / "Inbox").write_bytes(
        FROM + b"X-Mozilla-Status: 0001\nSubject: a\n\na\n\n" + FROM + deleted + b"\nb\n\n"
    )
    (root / "Inbox.msf").write_bytes(b"// <!-- <mdb:mork:z v='1.4'/> -->")
    (root / "Archive.sbd" / "2025").write_bytes(FROM + b"Subject: c\n\nc\n\n")
    (root / "filterlist.html").write_text("<html>")
    async with desk_in(tmp_path) as desk:
        await take(desk, ADA, root)
        found = await mail_of(desk.accounts.open(1))
    assert found == {
        ("INBOX",): [(b"Subject: a\r\n\r\na\r\n", 1, frozenset(), AT)],
        ("Archive", "2025"): [(b"Subject: c\r\n\r\nc\r\n", 0, frozenset(), AT)],
    }


async def test_names_that_no_mailbox_can_have_become_near_ones(tmp_path: Path) -> None:
    root = tmp_path / "Mail"
    root.mkdir()
    for name in (b"tab\tname", b"latin-\xe9", b"long" * 50):
        path = os.path.join(os.fsencode(root), name)
        with open(path, "wb") as file:
            file.write(FROM + b"Subject: a\n\nx\n\n")
    (root / "deep.sbd" / ("ü" * 100)).mkdir(parents=True)
    async with desk_in(tmp_path) as desk:
        await take(desk, ADA, root)
        found = await mail_of(desk.accounts.open(1))
    assert set(found) == {("tab_name",), ("latin-?",), ("long" * 50,)}


async def test_a_file_goes_below_the_mailbox_that_is_named(tmp_path: Path) -> None:
    file = tmp_path / "old.mbox"
    file.write_bytes(FROM + b"Subject: a\n\na\n\n")
    async with desk_in(tmp_path) as desk:
        await take(desk, ADA, file, under=("Imported",))
        source = open_source(file, nameless=True)
        await operations.import_mail(desk, ADA, source, under=("Here",))
        assert sorted(await mail_of(desk.accounts.open(1))) == [("Here",), ("Imported", "old")]


async def test_the_variant_can_be_said(tmp_path: Path) -> None:
    file = tmp_path / "inbox"
    file.write_bytes(FROM + b"A: 1\n\n>>From x\n\n")
    async with desk_in(tmp_path) as desk:
        source = open_source(file, variant=Variant.MBOXO)
        await operations.import_mail(desk, ADA, source)
        [[letter]] = (await mail_of(desk.accounts.open(1))).values()
    assert letter[0] == b"A: 1\r\n\r\n>>From x\r\n"


async def test_content_length_spans_what_looks_like_messages(tmp_path: Path) -> None:
    body = b"one\n\n" + FROM + b">From y\n"
    file = tmp_path / "inbox"
    file.write_bytes(
        FROM + b"A: 1\nContent-Length: %d\n\n" % len(body) + body + b"\n" + FROM + b"A: 2\n\n2\n"
    )
    async with desk_in(tmp_path) as desk:
        await take(desk, ADA, file)
        [[first, second]] = (await mail_of(desk.accounts.open(1))).values()
    assert first[0] == (b"A: 1\n\n" + body).replace(b"\n", b"\r\n"), "mboxcl2: nothing is unquoted"
    assert second[0] == b"A: 2\r\n\r\n2\r\n"


async def test_a_large_message_goes_through_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from postillon.admin.moving import mbox_files, model

    monkeypatch.setattr(model, "IN_MEMORY", 10_000)
    monkeypatch.setattr(mbox_files, "PIECE", 4_096)
    body = b"".join(b"From line %d\n" % n for n in range(5_000))
    file = tmp_path / "inbox"
    file.write_bytes(FROM + b"A: 1\n\n" + body.replace(b"From", b">From") + b"\n")
    async with desk_in(tmp_path) as desk:
        await take(desk, ADA, file)
        [[letter]] = (await mail_of(desk.accounts.open(1))).values()
    assert letter[0] == (b"A: 1\n\n" + body).replace(b"\n", b"\r\n")


# Once and only once


async def test_a_second_run_doubles_nothing_and_takes_what_is_new(tmp_path: Path) -> None:
    root = tmp_path / "Maildir"
    maildir(root, "1.a:2,", "2.b:2,")
    async with desk_in(tmp_path) as desk:
        await take(desk, ADA, root)
        (root / "cur" / "2.b:2,").rename(root / "cur" / "2.b:2,S")  # its flags have changed
        (root / "new" / "0.c").write_bytes(b"Subject: new\n\n")
        again = await take(desk, ADA, root)
        assert (again.placed, again.already) == (1, 2)
        [letters] = (await mail_of(desk.accounts.open(1))).values()
        assert len(letters) == 3


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
async def test_twins_over_many_batches_are_all_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(importing, "BATCH", batch)
    file = tmp_path / "inbox"
    one = FROM + b"Subject: twin\n\nx\n\n"
    async with desk_in(tmp_path) as desk:
        for copies, new in ((2, 2), (7, 5), (7, 0), (8, 1)):
            file.write_bytes(one * copies)
            assert (await take(desk, ADA, file)).placed == new
        [letters] = (await mail_of(desk.accounts.open(1))).values()
        assert len(letters) == 8


async def test_what_the_source_holds_twice_stays_twice(tmp_path: Path) -> None:
    file = tmp_path / "inbox"
    one = FROM + b"Subject: twin\n\nx\n\n"
    file.write_bytes(one + one + FROM + b"Subject: other\n\nx\n\n" + one)
    async with desk_in(tmp_path) as desk:
        assert (await take(desk, ADA, file)).placed == 4
        again = await take(desk, ADA, file)
        assert (again.placed, again.already) == (0, 4)
        file.write_bytes(file.read_bytes() + one)
        assert (await take(desk, ADA, file)).placed == 1


async def test_what_a_user_has_moved_or_deleted_does_not_come_again(tmp_path: Path) -> None:
    file = tmp_path / "inbox"
    file.write_bytes(FROM + b"Subject: a\n\nx\n\n" + FROM + b"Subject: b\n\nx\n\n")
    async with desk_in(tmp_path) as desk:
        ada = desk.accounts.open(1)
        await take(desk, ADA, file)
        trash = await ada.of_role(Role.TRASH)
        assert trash is not None
        await ada.move(1, [(1, 1)], trash.id)  # type: ignore[arg-type]
        assert (await take(desk, ADA, file)).placed == 0


@pytest.mark.parametrize("after", range(1, 8))
async def test_a_run_that_stops_anywhere_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    file = tmp_path / "inbox"
    file.write_bytes(b"".join(FROM + b"Subject: %d\n\nx\n\n" % (n // 2) for n in range(12)))

    class Killed(Pace):
        left = after

        def step(self, octets: int = 0, count: int = 0) -> None:
            self.left -= 1
            if not self.left:
                raise Stopped

    async with desk_in(tmp_path) as desk:
        try:
            await take(desk, ADA, file, pace=Killed())
        except Stopped:
            pass
        else:
            assert after > 6
        await take(desk, ADA, file)
        [letters] = (await mail_of(desk.accounts.open(1))).values()
        assert len(letters) == 12
        assert await verify(desk.store) == []  # type: ignore[arg-type]


async def test_marks_go_when_an_import_is_long_past_or_its_account_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "inbox"
    file.write_bytes(FROM + b"Subject: a\n\nx\n\n")
    async with support.house(tmp_path) as home:
        for login in (ADA, BOB):
            await home.account(login)
        desk = Desk(home.store, home.directory, home.accounts, home.credentials)
        for login in (ADA, BOB):
            await take(desk, login, file)
        await home.accounts.remove(BOB)
        assert await home.rows("SELECT account FROM imported") == [(1,)]
        await home.accounts.tidy(home.time.now)
        assert await home.rows("SELECT account FROM imported") == [(1,)]
        await home.accounts.tidy(home.time.now + imports.KEEP_MS + 1)
        assert await home.rows("SELECT account FROM imported") == []


# What cannot be taken


async def test_the_first_bad_message_ends_a_run_with_file_and_offset(tmp_path: Path) -> None:
    file = tmp_path / "inbox"
    good = FROM + b"Subject: a\n\nx\n\n"
    file.write_bytes(good + FROM + b"Subject: nul\n\n\0\n\n" + good.replace(b"a", b"c"))
    async with desk_in(tmp_path) as desk:
        with pytest.raises(Refused, match=f"inbox at offset {len(good)}: .*NUL"):
            await take(desk, ADA, file)
        [letters] = (await mail_of(desk.accounts.open(1))).values()
        assert len(letters) == 1, "what came before stays"
        result = await take(desk, ADA, file, skip_bad=True)
        assert (result.placed, result.already, result.bad_count) == (1, 1, 1)
        assert f"offset {len(good)}" in result.bad[0].where


async def test_rubbish_between_messages_is_skipped_and_named(tmp_path: Path) -> None:
    file = tmp_path / "inbox"
    good = FROM + b"Subject: a\n\nx\n\n"
    file.write_bytes(b"rubbish\n\n" + good)
    async with desk_in(tmp_path) as desk:
        source = open_source(file, kind="mbox")
        result = await operations.import_mail(desk, ADA, source, skip_bad=True)
        assert (result.placed, result.bad_count) == (1, 1)
        assert "at offset 0" in result.bad[0].where


async def test_a_changed_archive_is_found_out(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        await fill(desk.accounts.open(1))
        await give(desk, ADA, "archive", tmp_path / "out")
        path = sorted((tmp_path / "out" / "messages" / "1").iterdir())[0]
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(Refused, match="checksum"):
            await take(desk, BOB, tmp_path / "out")
        listed = tmp_path / "out" / "messages.jsonl"
        listed.write_bytes(listed.read_bytes() + b'{"file": "../../../etc/passwd"}\n{rubbish\n')
        result = await take(desk, BOB, tmp_path / "out", skip_bad=True)
        assert (result.placed + result.already, result.bad_count) == (6, 3)


async def test_an_archive_names_no_file_outside(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        await fill(desk.accounts.open(1))
        await give(desk, ADA, "archive", tmp_path / "out")
        listed = tmp_path / "out" / "messages.jsonl"
        line = json.loads(listed.read_bytes().splitlines()[0])
        line["file"] = "../../etc/passwd"
        listed.write_bytes(json.dumps(line).encode() + b"\n")
        result = await take(desk, BOB, tmp_path / "out", skip_bad=True)
        assert "outside" in result.bad[0].why
        journal = tmp_path / "out" / NAME
        journal.write_text(journal.read_text().replace('"messages/1"', '"../../etc"'))
        with pytest.raises(Refused, match="outside"):
            open_source(tmp_path / "out")


async def test_a_quota_ends_a_run_that_can_go_on_later(tmp_path: Path) -> None:
    file = tmp_path / "inbox"
    file.write_bytes(
        b"".join(FROM + b"Subject: %d\n\n%s\n\n" % (n, b"x" * 900) for n in range(300))
    )
    async with desk_in(tmp_path) as desk:
        await desk.accounts.set_quota(ADA, 150_000)
        with pytest.raises(Refused, match="quota is used up"):
            await take(desk, ADA, file)
        await desk.accounts.set_quota(ADA, None)
        result = await take(desk, ADA, file)
        assert (result.placed, result.already) == (200, 100)


async def test_keywords_that_no_client_could_set_are_left_out_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "inbox"
    file.write_bytes(FROM + b"X-Keywords: good ba(d $Seen\nSubject: a\n\nx\n\n")
    async with desk_in(tmp_path) as desk:
        result = await take(desk, ADA, file)
        [[letter]] = (await mail_of(desk.accounts.open(1))).values()
    assert (letter[1], letter[2], result.keywords_left_out) == (1, {"good"}, 1)


@pytest.mark.parametrize("what", ["missing", "text", "folder"])
async def test_a_source_that_is_none_is_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "folder").mkdir()
    with pytest.raises(Refused):
        open_source(tmp_path / what)


# Export


@pytest.mark.parametrize("kind", ["archive", "mbox", "maildir", "eml"])
@pytest.mark.parametrize("after", [1, 4])
async def test_a_killed_export_goes_on_and_writes_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, after: int
) -> None:
    monkeypatch.setattr(exporting, "STEP", 2)

    class Killed(Pace):
        left = after

        def step(self, octets: int = 0, count: int = 0) -> None:
            self.left -= 1
            if not self.left:
                raise Stopped

    async with desk_in(tmp_path) as desk:
        ada = desk.accounts.open(1)
        await fill(ada)
        with pytest.raises(Stopped):
            await give(desk, ADA, kind, tmp_path / "out", pace=Killed())
        await ada.store_flags(1, [(1, 9)], "add", 1)  # type: ignore[arg-type]
        await give(desk, ADA, kind, tmp_path / "out")
        files = sum(path.is_file() for path in (tmp_path / "out").rglob("*"))
        if kind == "eml":
            assert files == 7 + 1
            return
        await take(desk, BOB, tmp_path / "out")
        ours, theirs = await mail_of(ada), await mail_of(desk.accounts.open(2))
        contents = {path: [letter[0] for letter in letters] for path, letters in ours.items()}
        assert contents == {path: [item[0] for item in letters] for path, letters in theirs.items()}


@pytest.mark.parametrize("kind", ["archive", "mbox", "maildir"])
async def test_an_export_run_again_adds_what_came_since(tmp_path: Path, kind: str) -> None:
    async with desk_in(tmp_path) as desk:
        ada = desk.accounts.open(1)
        await fill(ada)
        await give(desk, ADA, kind, tmp_path / "out")
        await support.append(ada, support.message("later"))
        done = await give(desk, ADA, kind, tmp_path / "out")
        assert (done.written, done.already) == (1, 7)
        assert (await take(desk, BOB, tmp_path / "out")).placed == 8


async def test_an_export_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    async with desk_in(tmp_path) as desk:
        with pytest.raises(Refused, match="not empty"):
            await give(desk, ADA, "mbox", tmp_path / "out")
        await give(desk, ADA, "mbox", tmp_path / "ada")
        with pytest.raises(Refused, match=r"export of ada@example\.org as mbox"):
            await give(desk, BOB, "mbox", tmp_path / "ada")
        with pytest.raises(Refused, match="as mbox"):
            await give(desk, ADA, "maildir", tmp_path / "ada")


def test_names_of_files_are_harmless_and_short() -> None:
    assert safe_name("a/b") == "a%2Fb"
    assert safe_name("..") != ".."
    assert safe_name("-rf") == "%2Drf"
    names = [safe_name("ü" * 120), safe_name("ü" * 119 + "x")]
    assert all(len(name.encode()) < 200 for name in names)
    assert names[0] != names[1]


# Restore of a part


async def backup_of(desk: Desk, folder: Path) -> Path:
    store: Any = desk.store
    back_up(store.folder, StoreConfig(), Target(folder / "backups"))
    return folder / "backups"


async def restored(desk: Desk, view: BackupView, *what: Any, **more: Any) -> Imported:
    source = await view.source(*what)
    return await operations.restore_mail(desk, view, source, **more)


async def test_an_account_comes_back_beside_what_is_there(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        ada = desk.accounts.open(1)
        await fill(ada)
        before = await mail_of(ada)
        target = await backup_of(desk, tmp_path)
        await support.append(ada, support.message("later"))
        await ada.store_flags(1, [(1, 1)], "add", 8)  # type: ignore[arg-type]
        await ada.expunge(1)  # type: ignore[arg-type]
        live = await mail_of(ada)
        async with open_backup(target, ADA) as view:
            side = view.side
            assert side[0].startswith("Restored 20")
            assert (await restored(desk, view)).placed == 7
            assert (await restored(desk, view)).placed == 0, "a second run doubles nothing"
        found = await mail_of(ada)
        assert {path: found[path] for path in live} == live
        assert {path[1:]: found[path] for path in found if path[:1] == side} == before
        assert await verify(desk.store) == []  # type: ignore[arg-type]


async def test_a_mailbox_or_a_message_comes_back_alone(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        ada, bob = desk.accounts.open(1), desk.accounts.open(2)
        await fill(ada)
        content = support.message("wanted", Message_ID="<wanted@example.org>")
        await support.append(ada, content)
        target = await backup_of(desk, tmp_path)
        async with open_backup(target, ADA) as view:
            assert (await restored(desk, view, ("Work",), login=BOB)).placed == 4
            [found] = await view.list((), "WANTED", 10)
            assert (found.mailbox, found.subject) == ("INBOX", "wanted")
            for text in (str(found.id), "<wanted@example.org>", "wanted@example.org"):
                await restored(desk, view, (), (text,), login=BOB, side=("Found", text[:3]))
            with pytest.raises(Refused, match="no mailbox"):
                await view.source(("Play",))
        theirs = await mail_of(bob)
        singles = [letters for path, letters in theirs.items() if path[0] == "Found"]
        assert [[letter[0] for letter in letters] for letters in singles] == [[content]] * 3


async def test_an_account_that_the_backup_does_not_have_is_refused(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        target = await backup_of(desk, tmp_path)
        with pytest.raises(Refused, match=r"no account adam@example\.org.*ada@example\.org"):
            async with open_backup(target, "adam@example.org"):
                pass


async def test_a_message_whose_octets_are_damaged_is_named(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        ada = desk.accounts.open(1)
        await fill(ada)
        target = await backup_of(desk, tmp_path)
        pack = target / "packs" / "0000000001.pack"
        octets = bytearray(pack.read_bytes())
        octets[60] ^= 1
        pack.write_bytes(octets)
        async with open_backup(target, ADA) as view:
            result = await restored(desk, view)
        assert (result.placed, result.bad_count) == (6, 1)
        assert "UID" in result.bad[0].where


# Other people's readers and writers: those of Python


async def test_pythons_mailbox_module_reads_what_we_export(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        ada = desk.accounts.open(1)
        await fill(ada)
        ours = await mail_of(ada)
        for kind in ("mbox", "maildir"):
            await give(desk, ADA, kind, tmp_path / kind)
    inbox = ours[("INBOX",)]
    box = mailbox.mbox(tmp_path / "mbox" / "INBOX.mbox", create=False)
    assert [item["Subject"] for item in box] == ["message 0", "message 3", "message 6"]
    assert [("R" in item.get_flags()) for item in box] == [bool(one[1] & 1) for one in inbox]
    tree = mailbox.Maildir(tmp_path / "maildir", create=False)
    assert {item["Subject"] for item in tree} == {"message 0", "message 3", "message 6"}
    assert {"Work", "Sent"} <= set(tree.list_folders())
    [letter] = [item for item in tree.get_folder("Work") if item["Subject"] == "message 1"]
    assert letter.get_date() == (AT + 1_000) / 1_000
    assert "S" in letter.get_flags()


async def test_we_read_what_pythons_mailbox_module_writes(tmp_path: Path) -> None:
    text = "Subject: x\n\nFrom here\n\nFrom ada@example.org Thu Nov 26 10:15:00 2026\nend\n"
    old = mailbox.mbox(tmp_path / "inbox")
    item = mailbox.mboxMessage(text)
    item.set_flags("RAF")
    item.set_from("ada@example.org", time.gmtime(AT // 1_000))
    old.add(item)
    old.add(mailbox.mboxMessage("Subject: y\n\nsecond\n"))
    old.close()
    tree = mailbox.Maildir(tmp_path / "Maildir")
    letter = mailbox.MaildirMessage(text)
    letter.set_subdir("cur")
    letter.set_flags("FS")
    letter.set_date(AT / 1_000)
    tree.add_folder("Old.Letters").add(letter)
    async with desk_in(tmp_path) as desk:
        await take(desk, ADA, tmp_path / "inbox")
        await take(desk, ADA, tmp_path / "Maildir")
        found = await mail_of(desk.accounts.open(1))
    octets = text.replace("\n", "\r\n").encode()
    assert found[("INBOX",)][0] == (octets, 7, frozenset(), AT)
    assert found[("INBOX",)][1][0] == b"Subject: y\r\n\r\nsecond\r\n"
    assert found[("Old", "Letters")] == [(octets, 5, frozenset(), AT)]
