"""Whatever a message is, its ENVELOPE and BODYSTRUCTURE are well-formed and its sections fit."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent.parent / "fuzz"))
import imap_structure

LINES = [
    b'From: a <b@c>, "x\\"y" <z@w>',
    b"To: list: a@b, c@d;",
    b'Subject: \xff "q"',
    b"Sender:",
    b"",
    b"Content-Type: multipart/mixed; boundary=x",
    b"Content-Type: multipart/mixed; boundary=y",
    b"--x",
    b"--x--",
    b"--y",
    b"--y--",
    b"Content-Type: message/rfc822",
    b'Content-Type: text/html; charset="\\""',
    b"Content-Disposition: attachment; filename*0=a; filename*1=b",
    b"Content-ID: <x>",
    b"hello",
    b"Content-Transfer-Encoding: base64",
    b"Content-Language: de, en",
    b"\tfolded",
    b"MIME-Version: 1.0",
]


@given(st.lists(st.sampled_from(LINES) | st.binary(max_size=12), max_size=30))
def test_what_fetch_says_is_well_formed(lines: list[bytes]) -> None:
    imap_structure.one(b"\r\n".join(lines))
