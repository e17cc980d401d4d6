"""The lists of words of a text index, which are looked through piece by piece."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from postillon.store import textindex
from postillon.store.textindex import Document, Marks, TextIndex

SOME = [
    "figures",
    "quarterlyfigures",
    "refigured",
    "figure",
    "zürich",
    "überzürich",
    "文ab",
    "x" * 120,
]


@pytest.mark.parametrize("piece", [130, 257, 1 << 20])
def test_where_a_list_is_cut_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(textindex, "PIECE", piece)
    choice = random.Random(piece)
    words = {"".join(choices) for _ in range(2_000) if (choices := choice.choices("abcü", k=6))}
    words.update(SOME)
    writer = TextIndex(tmp_path / "1.db", writes=True)
    parts = sorted(words)
    for number, start in enumerate(range(0, len(parts), 300)):  # more lists than one level holds
        some = parts[start : start + 300]
        document = Document(number + 1, [""] * len(textindex.COLUMNS), some)
        writer.add([document], Marks(1, number + 1, 1, number + 1, 0))
    reader = TextIndex(tmp_path / "1.db")
    for part in ("figure", "figures", "abc", "cü", "bbbbbb", "zürich", "x" * 60, "nowhere"):
        inside = {word for word in words if part in word and not word.startswith(part)}
        assert reader._words(part, anywhere=True) == inside
        behind = {word for word in words if word.endswith(part)}
        assert reader._words(part, anywhere=False) == behind
    reader.close()
    writer.close()
