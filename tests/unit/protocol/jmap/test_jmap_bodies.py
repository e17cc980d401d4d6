"""Which parts of a message are its text, and which are attached (RFC 8621 section 4.1.4)."""

from __future__ import annotations

import re

import pytest

from postillon.mail.mime import scan
from postillon.protocol.jmap import bodies
from postillon.protocol.jmap.bodies import BodyPart, body_value


def entity(text: str) -> str:
    """A structure as an outline: `mixed(plain:A jpeg!:B)`; `!` is an attachment, `~` inline."""
    names = iter(f"b{n}" for n in range(100))

    def read(items: list[str]) -> str:
        word = items.pop(0)
        if items and items[0] == "(":
            items.pop(0)
            boundary = next(names)
            parts = []
            while items[0] != ")":
                parts.append(f"--{boundary}\r\n{read(items)}\r\n")
            items.pop(0)
            head = f"Content-Type: multipart/{word}; boundary={boundary}\r\n\r\n"
            return head + "".join(parts) + f"--{boundary}--"
        kind, _, name = word.partition(":")
        disposition = {"!": "attachment", "~": "inline"}.get(kind[-1])
        kind = kind.rstrip("!~")
        media = (
            "text" if kind in ("plain", "html", "calendar") else "image" if kind == "jpeg" else "x"
        )
        head = f"Content-Type: {media}/{kind}\r\n"
        if disposition:
            head += f"Content-Disposition: {disposition}\r\n"
        return f"{head}\r\n{name}"

    return read(re.findall(r"[^\s()]+|[()]", text))


def shown(text: str) -> tuple[str, str, str]:
    octets = entity(text).encode()
    found = bodies.bodies(bodies.tree(scan(octets).structure))

    def names(parts: list[BodyPart]) -> str:
        return " ".join(part.part.body(octets).decode() for part in parts)

    return names(found.text), names(found.html), names(found.attachments)


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        # The example of section 4.1.4.
        (
            "mixed(plain:A mixed(alternative(mixed(plain:B jpeg:C plain:D)"
            " related(html:E jpeg:F)) jpeg!:G x:H rfc822!:J) plain:K)",
            ("A B C D K", "A E K", "C F G H J"),
        ),
        ("plain:A", ("A", "A", "")),
        ("html:A", ("A", "A", "")),
        ("jpeg:A", ("A", "A", "")),
        ("pdf:A", ("", "", "A")),
        ("alternative(plain:A html:B)", ("A", "B", "")),
        ("alternative(html:B)", ("B", "B", "")),
        ("alternative(plain:A)", ("A", "A", "")),
        ("alternative(plain:A html:B pdf:C)", ("A", "B", "C")),
        ("related(html:A jpeg:B)", ("A", "A", "B")),
        ("mixed(plain:A plain!:B)", ("A", "A", "B")),
        ("mixed(alternative(plain:A html:B) pdf!:C)", ("A", "B", "C")),
        ("alternative(plain:A related(html:B jpeg~:C))", ("A", "B", "C")),
    ],
)
def test_parts_are_sorted_out(structure: str, expected: tuple[str, str, str]) -> None:
    assert shown(structure) == expected


def test_a_named_text_behind_the_first_part_is_a_file() -> None:
    octets = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst\r\n"
        b'--b\r\nContent-Type: text/plain; name="a.txt"\r\n\r\nsecond\r\n--b--\r\n'
    )
    found = bodies.bodies(bodies.tree(scan(octets).structure))
    assert [part.id for part in found.text] == ["1"]
    assert [part.id for part in found.attachments] == ["2"]
    assert found.has_attachment


@pytest.mark.parametrize(
    ("structure", "has"),
    [
        ("plain:A", False),
        ("html:A", False),
        ("pdf:A", True),
        ("jpeg:A", False),
        ("mixed(plain:A pdf:B)", True),
        ("related(html:A jpeg~:B)", False),
        ("related(html:A jpeg:B)", True),
        ("mixed(plain:A plain!:B)", True),
    ],
)
def test_an_email_has_an_attachment(structure: str, has: bool) -> None:
    assert bodies.has_attachment(scan(entity(structure).encode()).structure) is has


def value(header: str, body: bytes, most: int = 0) -> bodies.BodyValue:
    octets = header.encode() + b"\r\n\r\n" + body
    return body_value(scan(octets).structure, octets, most)


def test_line_ends_become_one() -> None:
    assert value("Content-Type: text/plain", b"a\r\nb\r\n").value == "a\nb\n"


@pytest.mark.parametrize(
    ("header", "body", "text", "problem"),
    [
        ("Content-Type: text/plain; charset=utf-8", "ü".encode(), "ü", False),
        ("Content-Type: text/plain; charset=iso-8859-1", b"\xfc", "ü", False),
        ("Content-Type: text/plain; charset=utf-8", b"\xfc", "ü", True),
        ("Content-Type: text/plain; charset=x-nobody", b"a", "a", True),
        ("Content-Transfer-Encoding: x-unknown", b"a=20", "a=20", True),
        ("Content-Transfer-Encoding: quoted-printable", b"a=20b=", "a b", False),
    ],
)
def test_problems_are_told(header: str, body: bytes, text: str, problem: bool) -> None:
    found = value(header, body)
    assert (found.value, found.encoding_problem) == (text, problem)


@pytest.mark.parametrize(
    ("kind", "body", "most", "text"),
    [
        ("plain", "aüb", 2, "a"),  # no character is cut
        ("plain", "aüb", 3, "aü"),
        ("plain", "abc", 3, "abc"),
        ("html", "ab<a href='x'>c</a>", 10, "ab"),  # nor a tag
        ("html", "ab<i>c</i>", 6, "ab<i>c"),
        ("html", "a&amp;b", 4, "a"),  # nor a reference
    ],
)
def test_a_value_is_cut_where_it_does_no_harm(kind: str, body: str, most: int, text: str) -> None:
    found = value(f"Content-Type: text/{kind}; charset=utf-8", body.encode(), most)
    assert found.value == text
    assert found.truncated is (text != body)
