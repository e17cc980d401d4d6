"""The grammar of commands."""

from __future__ import annotations

from datetime import date

import pytest

from postillon.protocol.imap import commands as c
from postillon.protocol.imap.commands import Attribute, Binary, Section, SectionText
from postillon.protocol.imap.parser import parse
from postillon.protocol.imap.words import Refused


def argument(text: bytes) -> c.Argument | None:
    return parse(b"a " + text).argument


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"FETCH 1:* FAST", (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE)),
        (b"FETCH 1 (uid UID flags)", (Attribute.UID, Attribute.FLAGS)),
        (b"FETCH 1 BODY", (Attribute.BODY,)),
        (b"FETCH 1 BODY[]", (Section(b"BODY[]"),)),
        (b"FETCH 1 body.peek[1.2.mime]<0.9>", (
            Section(b"BODY[1.2.mime]", (1, 2), SectionText.MIME, partial=(0, 9), peek=True),)),
        (b"FETCH 1 BODY[]<99999999999.4294967296>", (
            Section(b"BODY[]", partial=(99_999_999_999, 1 << 32)),)),
        (b"FETCH 1 BINARY.PEEK[1]<40>", (
            Binary(b"BINARY[1]<40>", (1,), (40, 1 << 62), peek=True),)),
        (b'FETCH 1 BODY[2.HEADER.FIELDS.NOT (To "x y")]', (
            Section(b'BODY[2.HEADER.FIELDS.NOT (To "x y")]', (2,), SectionText.NOT_FIELDS,
                    (b"to", b"x y")),)),
        (b"FETCH 1 RFC822.HEADER", (
            Section(b"RFC822.HEADER", text=SectionText.HEADER, peek=True),)),
    ],
)  # fmt: skip
def test_fetch(text: bytes, expected: tuple[c.FetchItem, ...]) -> None:
    for _ in range(2):  # the second comes from what is remembered
        found = argument(text)
        assert isinstance(found, c.Fetch)
        assert found.items == expected


@pytest.mark.parametrize(
    "text",
    [
        b"FETCH 1 ()", b"FETCH 1 FROBS", b"FETCH 0 FLAGS", b"FETCH 1: FLAGS", b"FETCH 1:2:3 FLAGS",
        b"FETCH 1,,2 FLAGS", b"FETCH 4294967296 FLAGS", b"FETCH 1 BODY[MIME]", b"FETCH 1 BODY[1",
        b"FETCH 1 BODY[0]", b"FETCH 1 BODY[1..2]", b"FETCH 1 BODY[1.]", b"FETCH 1 BODY[TEXT.1]",
        b"FETCH 1 BODY[]<0.0>", b"FETCH 1 BODY[]<1>", b"FETCH 1 BODY[HEADER.FIELDS ()]",
        b"FETCH 1 (FLAGS", b"FETCH 1 (FAST)", b"FETCH 1 FLAGS x", b"FETCH 1", b"FETCH", b"UID NOOP",
        b"STORE 1 FROBS (x)", b"STORE 1 FLAGS", b"STORE 1 FLAGS (x", b"STORE 1 +-FLAGS x",
        b"SEARCH", b"SEARCH (", b"SEARCH OR ALL", b"SEARCH NOT", b"SEARCH ALL ALL)",
        b"SEARCH SINCE 1-Foo-2020", b"SEARCH LARGER -1", b"SEARCH RETURN (FROBS) ALL",
        b"SEARCH YOUNGER 0", b"SEARCH " + b"NOT " * 60 + b"ALL", b"SEARCH HEADER x",
        b"LIST x", b"LIST (FROBS) x y", b"LIST (RECURSIVEMATCH) x y", b'LIST "" () ',
        b"CREATE x (FROBS)", b"RENAME x", b"STATUS x", b"STATUS x ()", b"ENABLE", b"ID (x)",
        b"ID (\"a\")", b"LOGIN x", b'LOGIN "x\\y" z', b'LOGIN "x" "y', b"AUTHENTICATE PLAIN ====",
        b"COPY 1", b"UID EXPUNGE", b"EXPUNGE 1", b"NOOP x", b"SELECT", b"SELECT x ()", b"APPEND x",
    ],
)  # fmt: skip
def test_what_is_no_command_is_refused(text: bytes) -> None:
    with pytest.raises(Refused):
        argument(text)


def test_store() -> None:
    assert argument(b"UID STORE 1,3:2 -flags.silent \\Seen $x") == c.Store(
        True, ((1, 1), (3, 2)), c.Mode.REMOVE, True, ("\\Seen", "$x")
    )
    assert argument(b"STORE * FLAGS ()") == c.Store(False, ((0, 0),), c.Mode.REPLACE, False, ())


def test_search() -> None:
    found = argument(b'SEARCH RETURN (min) OR (UNSEEN UID *:5) NOT FROM "x" ON "1-Feb-2020" NEW')
    assert found == c.Search(
        False,
        c.All((
            c.Either((
                c.All((c.Not(c.HasFlag("\\Seen")), c.Numbered(True, ((0, 5),)))),
                c.Not(c.HeaderHas(b"from", "x")),
            )),
            c.OnDay(c.Moment.RECEIVED, date(2020, 2, 1), date(2020, 2, 2)),
            c.All((c.HasFlag("\\Recent"), c.Not(c.HasFlag("\\Seen")))),
        )),
        frozenset({"MIN"}),
    )  # fmt: skip


def test_a_search_in_a_charset_that_we_do_not_know() -> None:
    with pytest.raises(Refused) as refused:
        argument(b"SEARCH CHARSET UTF-7 ALL")
    assert refused.value.code == "BADCHARSET (US-ASCII UTF-8)"


def test_list() -> None:
    assert argument(b'LIST "" %') == c.List(b"", (b"%",))
    assert argument(b'LIST (subscribed) "" ("*" a%) RETURN (CHILDREN STATUS (MESSAGES))') == c.List(
        b"", (b"*", b"a%"), frozenset({"SUBSCRIBED"}), frozenset({"CHILDREN", "STATUS"}),
        ("MESSAGES",), (), True,
    )  # fmt: skip


def test_create_and_select_and_status_and_id() -> None:
    assert argument(b"CREATE x (USE (\\Sent \\Junk))") == c.Create(b"x", ("\\SENT", "\\JUNK"))
    assert argument(b"SELECT x (CONDSTORE)") == c.Select(b"x", True)
    assert argument(b"SELECT x (QRESYNC (7 90 1:4,9 (1,4 2,9)))") == c.Select(
        b"x", False, c.Known(7, 90, ((1, 4), (9, 9)))
    )
    assert argument(b"SELECT x (QRESYNC (7 90 (1 2)) CONDSTORE)") == c.Select(
        b"x", True, c.Known(7, 90)
    )
    for wrong in (b"(QRESYNC)", b"(QRESYNC (7))", b"(QRESYNC (7 0))", b"(QRESYNC (7 1 *))", b"(X)"):
        with pytest.raises(Refused):
            argument(b"SELECT x " + wrong)
    assert argument(b"STATUS x (MESSAGES messages)") == c.Status(b"x", ("MESSAGES",))
    assert argument(b'ID ("name" "x" "y" NIL)') == c.Id(((b"name", b"x"), (b"y", None)))
    assert argument(b"ID NIL") == c.Id(())


def test_quoted_strings() -> None:
    assert argument(b'LOGIN "a\\"b" "c\\\\d"') == c.Login(b'a"b', b"c\\d")
    assert argument(b"LOGIN a]b c@d") == c.Login(b"a]b", b"c@d")


def test_a_space_at_the_end_is_borne() -> None:
    assert parse(b"a NOOP ") == c.Command("a", "NOOP")
