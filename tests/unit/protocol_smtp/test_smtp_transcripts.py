"""Every SMTP transcript against the bare engine, whole and octet by octet."""

import pytest

from support import transcript
from support.smtp_engine import GREETING, Session

FILES = transcript.files("smtp")
OF_THE_ENGINE = [path for path in FILES if transcript.read(path).kind in {"", "mx"}]


@pytest.mark.parametrize("path", OF_THE_ENGINE, ids=lambda path: path.stem)
async def test_engine_says_what_the_transcript_says(path):
    session = Session()
    await transcript.play(transcript.read(path), transcript.EngineTarget(session.receive, GREETING))


@pytest.mark.parametrize("piece", [1, 2, 3, 7])
@pytest.mark.parametrize(
    "path", [path for path in OF_THE_ENGINE if path.stem != "early"], ids=lambda path: path.stem
)
async def test_engine_says_the_same_however_the_octets_are_cut(path, piece):
    session = Session()
    target = transcript.EngineTarget(session.receive, GREETING, piece)
    await transcript.play(transcript.read(path), target)
