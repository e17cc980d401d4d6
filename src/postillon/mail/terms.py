"""The words of a text, for its index, and what a wanted text says about them.

Texts are folded before (mail.folding). A word is a run of letters, digits and marks. Scripts that are
written without spaces are cut into characters, each a word of its own; where one of these does not
touch its neighbour, BREAK stands between them, so that the index knows which characters touch. Long
runs become overlapping windows: whatever of at most MAX_NEEDLE characters a run holds, one of its
windows holds. In what comes out words are joined by spaces and hold only ASCII letters, ASCII digits
and characters beyond ASCII, so a tokenizer that knows nothing of Unicode finds them again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from postillon.mail.folding import MARKS

BREAK = "\ue000"  # for private use, so no word holds it
MAX_NEEDLE = 64  # characters of a wanted word that the index can answer
WINDOW = 2 * MAX_NEEDLE

# Han, kana, Thai, Lao, Burmese and Khmer.
_ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_IS_ALONE = re.compile(f"[{_ALONE}]")
_MARKS = "".join(mark for mark in MARKS if not _IS_ALONE.match(mark))
_ASCII = re.compile("[a-z0-9]+")
_WORD = re.compile(f"(?:[^\\W_{_ALONE}]+|[{_MARKS}]+)+")
_ANY = re.compile(f"[{_ALONE}]|(?:[^\\W_{_ALONE}]+|[{_MARKS}]+)+")


class Terms(NamedTuple):
    """text: the words in their order. words: each once, without those of one character alone."""

    text: str
    words: set[str]


class Needle(NamedTuple):
    """What a wanted text says of the words of a text that contains it.

    They follow one another as `words` do, but the first may be longer to the left unless `begins`, and
    the last to the right unless `ends`. decided: the other way round too, so that nothing more needs
    to be looked at.
    """

    words: tuple[str, ...]
    begins: bool
    ends: bool
    decided: bool


def analyse(folded: str) -> Terms:
    """The words of a folded text."""
    if not _IS_ALONE.search(folded):
        words = (_ASCII if folded.isascii() else _WORD).findall(folded)
        distinct = set(words)
        if distinct and max(map(len, distinct)) > WINDOW:
            words = [window for word in words for window in _windows(word)]
            distinct = set(words)
        return Terms(" ".join(words), distinct)
    words = list(_words(folded))
    return Terms(" ".join(words), {word for word in words if not is_alone(word) and word != BREAK})


def needle(folded: str) -> Needle | None:
    """None: the index cannot help, as there is no word or one too long."""
    words = tuple(_words(folded))
    if not words or max(map(len, words)) > MAX_NEEDLE:
        return None
    begins = is_alone(words[0]) or not folded.startswith(words[0])
    ends = is_alone(words[-1]) or not folded.endswith(words[-1])
    return Needle(words, begins, ends, "".join(words) == folded)


def loose(wanted: Needle) -> list[tuple[str, bool]]:
    """The words of a fuzzy question, of which a text must have all, in any order.

    True: a word of the text begins with it. False: characters that follow one another, with spaces.
    """
    parts: list[tuple[str, bool]] = []
    run: list[str] = []
    for word in (*wanted.words, BREAK):
        if is_alone(word):
            run.append(word)
            continue
        if run:
            parts.append((" ".join(run), False))
            run = []
        if word != BREAK:
            parts.append((word, True))
    return parts


def has_words(folded: str, wanted: Needle) -> bool:
    """Whether a folded text answers a fuzzy question."""
    text = f" {analyse(folded).text} "
    return all(f" {part}{'' if begins else ' '}" in text for part, begins in loose(wanted))


def is_alone(word: str) -> bool:
    """Whether it is a character of a script without spaces."""
    return len(word) == 1 and _IS_ALONE.match(word) is not None


def _words(folded: str) -> Iterator[str]:
    end, alone = -1, False
    for match in _ANY.finditer(folded):
        word = match[0]
        before, alone = alone, is_alone(word)
        if 0 <= end != match.start() and (before or alone):
            yield BREAK
        end = match.end()
        if len(word) > WINDOW:
            yield from _windows(word)
        else:
            yield word


def _windows(word: str) -> Iterator[str]:
    if len(word) <= WINDOW:
        yield word
        return
    for start in range(0, len(word) - MAX_NEEDLE, MAX_NEEDLE):
        yield word[start : start + WINDOW]
