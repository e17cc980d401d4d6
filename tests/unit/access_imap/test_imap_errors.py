"""Every refusal of an account has a response code."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from postillon.access.imap import capabilities
from postillon.access.imap.errors import REFUSALS, refusal
from postillon.access.imap.session import RULES
from postillon.account import errors
from postillon.account.errors import AccountError
from postillon.protocol.imap.parser import VERBS

DOCS = Path(__file__).parents[3] / "docs" / "imap.md"

FAMILY = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, AccountError) and kind is not AccountError
]


@pytest.mark.parametrize("kind", FAMILY)
def test_none_is_missing(kind: type[AccountError]) -> None:
    assert kind in REFUSALS


def test_the_answer_tells_nothing_of_our_insides() -> None:
    answer = refusal(errors.OverQuota(1, 2, 3))
    assert answer.write("a") == b"a NO [OVERQUOTA] The quota is used up\r\n"


def test_every_verb_has_a_rule() -> None:
    assert set(RULES) == VERBS


@pytest.mark.parametrize("word", [*capabilities.ALWAYS, *capabilities.LOGGED_IN, b"APPENDLIMIT"])
def test_what_is_advertised_stands_in_the_protocol_table(word: bytes) -> None:
    assert word.decode() in DOCS.read_text()
