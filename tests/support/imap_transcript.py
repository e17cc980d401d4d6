"""Runs conversations written as text (tests/transcripts/imap/*.txt) against IMAP connections.

`C:` is sent with CRLF, `C!` with its escapes undone and nothing added, `S:` must be the next line
to the octet, where `…` stands for the rest of it and `{=name}` for a number or a token, which
`{name}` means in what follows. `C2:` and `S2:` are a second connection.
Lines that begin with `#` say why.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from support.imap import Client

FOLDER = Path(__file__).parent.parent / "transcripts" / "imap"
_STEP = re.compile(r"([CS])([0-9]?)([:!]) ?(.*)\Z", re.DOTALL)


def transcripts() -> list[Path]:
    return sorted(FOLDER.glob("*.txt"))


async def run(path: Path, connect: Callable[[], Awaitable[Client]], piece: int = 0) -> None:
    """piece: octets sent at a time; 0: a line."""
    clients: dict[str, Client] = {}
    numbers: dict[str, str] = {}
    for number, text in enumerate(path.read_text().split("\n"), 1):
        if not text or text.startswith("#"):
            continue
        match = _STEP.match(text)
        assert match is not None, f"{path.name}:{number}: {text}"
        who, which, kind, rest = match.groups()
        for name, value in numbers.items():
            rest = rest.replace(f"{{{name}}}", value)
        client = clients.get(which)
        if client is None:
            client = clients[which] = await connect()
        if who == "C":
            raw = rest.encode().decode("unicode_escape").encode("latin-1") if kind == "!" else b""
            data = raw if kind == "!" else rest.encode() + b"\r\n"
            step = piece or len(data)
            for start in range(0, len(data), step):
                await client.send(data[start : start + step])
            continue
        line = await client.line()
        expected, dots, _ = rest.partition("…")
        if "{=" in expected:
            before, _, after = expected.partition("{=")
            name, _, after = after.partition("}")
            caught = re.match(re.escape(before) + r"([0-9a-f]+)", line.decode())
            assert caught is not None, f"{path.name}:{number}: expected {rest!r}, got {line!r}"
            numbers[name] = caught[1]
            expected = before + caught[1] + after
        found = line.startswith(expected.encode()) if dots else line == expected.encode()
        assert found, f"{path.name}:{number}: expected {rest!r}, got {line!r}"
