"""Conversations as text files that read like the examples in the RFCs, against anything that talks.

    # RFC 5321 section 4.1.4: RCPT before MAIL is out of order and does no harm.
    C: RCPT TO:<ada@example.org>
    S: 503 5.5.1 Bad sequence of commands

`C:` is sent with CRLF, `C!` sends escaped raw bytes; neighbouring C lines leave in one piece. `S:` must
match to the octet, `…` matches the rest of a line. `S!` expects the end of the connection. `@ word`
says to which kind of server the file speaks; the first one counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

TRANSCRIPTS = Path(__file__).resolve().parent.parent / "transcripts"
REST = "…"
PATIENCE_S = 20.0  # for a line that does not come


class Target(Protocol):
    """The other side of a transcript."""

    async def send(self, data: bytes) -> None: ...

    async def line(self) -> bytes:
        """The next line with its CRLF; what is left, perhaps b"", at the end."""


@dataclass(frozen=True)
class Step:
    number: int  # of the line in the file, from 1
    sent: bytes | None = None
    expected: str | None = None  # without CRLF; None with `sent` None: the end


@dataclass(frozen=True)
class Transcript:
    path: Path
    kind: str  # "" when not given
    steps: tuple[Step, ...]


def files(protocol: str) -> list[Path]:
    return sorted((TRANSCRIPTS / protocol).glob("*.txt"))


def read(path: Path) -> Transcript:
    kind, steps = "", []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        mark, rest = line[:2], line[3:]
        if not line.strip() or line.startswith("#"):
            continue
        if mark == "C:":
            steps.append(Step(number, sent=rest.encode() + b"\r\n"))
        elif mark == "C!":
            steps.append(
                Step(number, sent=rest.encode("latin-1").decode("unicode_escape").encode("latin-1"))
            )
        elif mark == "S:":
            steps.append(Step(number, expected=rest))
        elif mark == "S!":
            steps.append(Step(number))
        elif mark == "@ ":
            kind = kind or line[2:].strip()
        else:
            raise ValueError(f"{path.name}:{number}: {line!r}")
    return Transcript(path, kind, tuple(steps))


async def play(transcript: Transcript, target: Target, **words: str) -> None:
    """Speak the client's part and compare the server's. `words` replace `{name}` in both parts."""
    waiting = b""
    for step in transcript.steps:
        place = f"{transcript.path.name}:{step.number}"
        if step.sent is not None:
            waiting += _filled(step.sent.decode("latin-1"), words).encode("latin-1")
            continue
        if waiting:
            await target.send(waiting)
            waiting = b""
        got = await target.line()
        if step.expected is None:
            assert got == b"", f"{place}: the connection goes on with {got!r}"
            continue
        expected = _filled(step.expected, words)
        assert got.endswith(b"\r\n"), f"{place}: {got!r} instead of {expected!r}"
        text = got[:-2].decode("utf-8", "backslashreplace")
        if expected.endswith(REST):
            same = text.startswith(expected.removesuffix(REST))
        else:
            same = text == expected
        assert same, f"{place}: {text!r} instead of {expected!r}"
    if waiting:
        await target.send(waiting)


class StreamTarget:
    """A connection (postillon.net.stream), in memory or to a real port. `piece`: octets at a time."""

    def __init__(self, stream: object, piece: int = 0) -> None:
        self._stream = stream
        self._piece = piece
        self._buffer = b""

    async def send(self, data: bytes) -> None:
        step = self._piece or len(data)
        for start in range(0, len(data), step):
            await self._stream.send(data[start : start + step])

    async def line(self) -> bytes:
        while b"\n" not in self._buffer:
            data = await self._stream.receive(PATIENCE_S)
            if not data:
                break
            self._buffer += data
        end = self._buffer.find(b"\n") + 1 or len(self._buffer)
        line, self._buffer = self._buffer[:end], self._buffer[end:]
        return line


class EngineTarget:
    """A bare engine: `answer` takes octets and returns what is sent back; cut as one pleases."""

    def __init__(self, answer, greeting: bytes = b"", piece: int = 0) -> None:
        self._answer = answer
        self._buffer = greeting
        self._piece = piece

    async def send(self, data: bytes) -> None:
        step = self._piece or len(data)
        for start in range(0, len(data), step):
            self._buffer += self._answer(data[start : start + step])

    async def line(self) -> bytes:
        end = self._buffer.find(b"\n") + 1 or len(self._buffer)
        line, self._buffer = self._buffer[:end], self._buffer[end:]
        return line


def _filled(text: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        text = text.replace("{" + name + "}", value)
    return text
