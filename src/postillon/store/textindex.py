"""The text index of one account: a database file of its own, which can be lost at any time.

A document is an email, by its id; ids are never given twice and emails never change, so what the index
says of an email stays true, and one that is gone is found by nobody who asks for emails of a mailbox.
All up to `Marks.email` are in it but those in `skipped`; each transaction moves that mark together with
what it adds. The words are kept by FTS5 without the text. Which words there are is kept beside it, as
lists to look through: a word is found by any part of it. Lists of one level are merged when there are
many of them, as in a log-structured tree.

Columns hold the words of mail.terms. `header` is all of the header, the others what their field's
digest says, `body` the text parts.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import apsw

from postillon.mail.folding import of_version
from postillon.mail.terms import Needle, loose
from postillon.store.database import Execute
from postillon.store.operation import StoreFull

COLUMNS = ("subject", "from", "to", "cc", "bcc", "header", "body")
MAX_WORDS = (
    2_000  # that a wanted text may stand for; for more the messages are looked at themselves
)
FAN = 8  # lists of words of one level
PIECE = 1 << 20  # octets of a list that are looked through at a time; a word is far shorter
MAPPED = 1 << 30  # octets of a file that are read where they lie, without a call for each page
LOG = 256 * 1024  # octets of the write-ahead log that may stay
BUSY_MS = 2_000  # only recovery of the log holds a lock
VERSION = f"1/{of_version()}"  # of what is in a file; another one is not used

_FTS = [f"f_{name}" for name in COLUMNS]  # some names of fields are words of SQL
_SCHEMA = f"""
CREATE TABLE mark (version TEXT, epoch INTEGER, email INTEGER, modseq INTEGER, documents INTEGER,
    removed INTEGER);
CREATE TABLE skipped (email INTEGER PRIMARY KEY);
CREATE TABLE vocabulary (id INTEGER PRIMARY KEY, level INTEGER, words BLOB);
CREATE VIRTUAL TABLE document USING fts5({", ".join(_FTS)}, content='', contentless_delete=1,
    tokenize='ascii');
"""


class IndexDamaged(Exception):
    """The file cannot be used: it is to be made anew."""


class Marks(NamedTuple):
    """How far an index is."""

    epoch: int  # of the account; another one voids the index
    email: int  # all up to it are in
    modseq: int  # removals up to it are taken out
    documents: int  # that have been put in, those removed included
    removed: int


class Document(NamedTuple):
    """An email for the index. columns: words of each of COLUMNS; None: it is to be read itself."""

    email: int
    columns: Sequence[str] | None
    words: Collection[str] = ()


class Wanted(NamedTuple):
    """A question. columns: any of them. decided: as in Hits. fuzzy: see mail.terms.loose."""

    columns: tuple[str, ...]
    needle: Needle
    decided: bool
    fuzzy: bool = False


@dataclass(frozen=True, slots=True)
class Hits:
    """What the index says. `emails` of those up to `upto` that are not `skipped`; the rest is unknown.

    decided: these match; otherwise they may. scores: of a fuzzy question, larger is better.
    """

    emails: Collection[int]
    upto: int
    skipped: frozenset[int]
    decided: bool
    scores: dict[int, float] = field(default_factory=dict)

    def says(self, email: int) -> bool | None:
        """Whether it matches; None: the message must be looked at."""
        if email > self.upto or email in self.skipped:
            return None
        if email not in self.emails:
            return False
        return True if self.decided else None


class TextIndex:
    """An open file. One thread at a time. Every method raises IndexDamaged, a full disk StoreFull."""

    def __init__(self, path: Path, *, writes: bool = False) -> None:
        self._path, self._writes = path, writes
        flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if writes else 0)
        try:
            self._connection = apsw.Connection(str(path), flags=flags)
        except apsw.Error as error:
            raise _said(error) from error
        self._execute: Execute = self._connection.cursor().execute
        try:
            self._set_up(writes)
            self._check()
        except BaseException as error:
            self.close()
            if isinstance(error, apsw.Error):
                raise _said(error) from error
            raise

    def _set_up(self, writes: bool) -> None:
        self._connection.set_busy_timeout(BUSY_MS)
        # Otherwise whoever closes last would write the log back, and sync, each time.
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self._execute("PRAGMA trusted_schema = OFF")
        if not writes:
            self._execute("PRAGMA query_only = ON")
            self._execute(f"PRAGMA mmap_size = {MAPPED}").fetchall()
            return
        self._execute("PRAGMA journal_mode = WAL").fetchall()
        # A power cut may take the last transactions, marks and all, and nothing else.
        self._execute("PRAGMA synchronous = NORMAL")
        if not self._execute("SELECT 1 FROM sqlite_master WHERE name = 'mark'").fetchall():
            with self._connection:
                self._execute(_SCHEMA)
                self._execute("INSERT INTO mark VALUES (?, 0, 0, 0, 0, 0)", (VERSION,))

    def _check(self) -> None:
        rows = self._execute("SELECT version FROM mark").fetchall()
        if rows != [(VERSION,)]:
            raise IndexDamaged("made by another version")

    def close(self) -> None:
        """A writer moves the log into the file when it is worth its syncs."""
        if self._writes:
            with suppress(apsw.Error, FileNotFoundError):
                if os.stat(f"{self._path}-wal").st_size > LOG:
                    self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._connection.close(True)

    def marks(self) -> Marks:
        try:
            [row] = self._execute(
                "SELECT epoch, email, modseq, documents, removed FROM mark"
            ).fetchall()
        except apsw.Error as error:
            raise _said(error) from error
        return Marks(*row)

    # Writing

    def add(self, documents: Sequence[Document], marks: Marks, removed: Iterable[int] = ()) -> None:
        """One transaction: put in, take out, and say how far it is."""
        execute = self._execute
        try:
            with self._connection:
                for email in removed:
                    execute("DELETE FROM document WHERE rowid = ?", (email,))
                    execute("DELETE FROM skipped WHERE email = ?", (email,))
                words: set[str] = set()
                marked = ", ".join("?" * (len(COLUMNS) + 1))
                for document in documents:
                    if document.columns is None:
                        execute("INSERT INTO skipped VALUES (?)", (document.email,))
                        continue
                    execute(
                        f"INSERT INTO document (rowid, {', '.join(_FTS)}) VALUES ({marked})",  # noqa: S608
                        (document.email, *document.columns),
                    )
                    words.update(document.words)
                if words:
                    self._add_words(words)
                execute(
                    "UPDATE mark SET epoch = ?, email = ?, modseq = ?, documents = ?, removed = ?",
                    marks,
                )
        except apsw.Error as error:
            raise _said(error) from error

    def emails(self) -> list[int]:
        """All that are in it, ascending."""
        try:
            rows = self._execute(
                "SELECT id FROM document_docsize UNION SELECT email FROM skipped ORDER BY 1"
            ).fetchall()
        except apsw.Error as error:
            raise _said(error) from error
        return [email for (email,) in rows]

    def _add_words(self, words: set[str]) -> None:
        level = 0
        while True:
            rows = self._execute(
                "SELECT id, words FROM vocabulary WHERE level = ?", (level,)
            ).fetchall()
            if len(rows) < FAN - 1:
                break
            for number, held in rows:
                words.update(held.decode().split("\n"))
                self._execute("DELETE FROM vocabulary WHERE id = ?", (number,))
            level += 1
        words.discard("")
        # A line end before and behind each word: so its beginning and its end can be looked for.
        text = "\n" + "\n".join(words) + "\n"
        self._execute("INSERT INTO vocabulary (level, words) VALUES (?, ?)", (level, text.encode()))

    # Reading

    def ask(self, questions: Sequence[Wanted]) -> tuple[Marks, list[Hits | None]]:
        """Answer all from one state of the index, whose marks come along. None: it cannot say."""
        answers: list[Hits | None] = []
        try:
            with self._connection:
                marks = self.marks()
                skipped = frozenset(
                    email for (email,) in self._execute("SELECT email FROM skipped").fetchall()
                )
                answers += [self._answer(one, marks.email, skipped) for one in questions]
        except apsw.Error as error:
            raise _said(error) from error
        return marks, answers

    def _answer(self, wanted: Wanted, upto: int, skipped: frozenset[int]) -> Hits | None:
        query = _fuzzy(wanted.needle) if wanted.fuzzy else self._exact(wanted.needle)
        if query is None:
            return None
        if not query:
            return Hits((), upto, skipped, True)
        match = f"{{{' '.join(f'f_{name}' for name in wanted.columns)}}} : ({query})"
        if wanted.fuzzy:
            rows = self._execute(
                "SELECT rowid, -bm25(document) FROM document WHERE document MATCH ?", (match,)
            ).fetchall()
            scores = dict(rows)
            return Hits(scores.keys(), upto, skipped, wanted.decided, scores)
        rows = self._execute(
            "SELECT rowid FROM document WHERE document MATCH ?", (match,)
        ).fetchall()
        return Hits(frozenset([row[0] for row in rows]), upto, skipped, wanted.decided)

    def _exact(self, needle: Needle) -> str | None:
        """The query for all texts that contain it; "" for none; None for too many words."""
        first, *rest = needle.words
        if needle.begins:
            return _phrase([first, *rest], prefix=not needle.ends)
        found = self._words(first, anywhere=not rest and not needle.ends)
        if found is None:
            return None
        if rest:
            queries = [_phrase([word, *rest], prefix=not needle.ends) for word in found]
        elif needle.ends:
            queries = [_phrase([word]) for word in found]
        else:
            # What begins with it is found by the index itself.
            queries = [_phrase([first], prefix=True)]
            queries += [_phrase([word]) for word in found]
        return " OR ".join(queries)

    def _words(self, part: str, *, anywhere: bool) -> set[str] | None:
        """Words that hold it but do not begin with it, or else end with it. None: over MAX_WORDS."""
        wanted = part.encode() + (b"" if anywhere else b"\n")
        found: set[bytes] = set()
        for held, stop in self._lists():
            end = 0
            while (at := held.find(wanted, end, stop)) >= 0:
                begin = held.rfind(b"\n", 0, at) + 1
                end = held.find(b"\n", at + 1 if anywhere else at)
                if begin != at or not anywhere:
                    found.add(bytes(held[begin:end]))
                    if len(found) > MAX_WORDS:
                        return None
        return {word.decode() for word in found}

    def _lists(self) -> Iterator[tuple[bytearray, int]]:
        """All lists of words piece by piece, in a place that is used again: the octets that count
        begin and end with a line end.
        """
        rows = self._execute("SELECT id, length(words) FROM vocabulary").fetchall()
        piece = bytearray(PIECE)
        for number, left in rows:
            kept = 0  # octets of a word that goes on in the next piece
            with self._connection.blob_open("main", "vocabulary", "words", number, False) as blob:
                while left:
                    more = min(PIECE - kept, left)
                    blob.read_into(piece, kept, more)
                    left, filled = left - more, kept + more
                    end = piece.rfind(b"\n", 0, filled)
                    yield piece, end + 1
                    kept = filled - end
                    piece[:kept] = piece[end:filled]


def _said(error: apsw.Error) -> Exception:
    """Our word for what SQLite says."""
    return StoreFull(str(error)) if isinstance(error, apsw.FullError) else IndexDamaged(str(error))


def _phrase(words: Sequence[str], *, prefix: bool = False) -> str:
    """Words that follow one another; they hold no quote."""
    return f'"{" ".join(words)}"' + (" *" if prefix else "")


def _fuzzy(needle: Needle) -> str:
    return " AND ".join(_phrase([part], prefix=begins) for part, begins in loose(needle))
