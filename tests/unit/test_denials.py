"""Every protocol has words for everything that signing in can refuse."""

from __future__ import annotations

from postillon.access.imap import entry as imap
from postillon.access.pop3 import entry as pop3
from postillon.directory.signin import Denied
from postillon.receive import auth as smtp


def test_no_refusal_is_without_words() -> None:
    for said in (imap.DENIALS, pop3.DENIALS, smtp.DENIALS):
        assert set(said) == set(Denied)


def test_a_wrong_code_and_a_wrong_password_sound_alike() -> None:
    # Nobody learns over these protocols that the password was right.
    for said in (imap.DENIALS, pop3.DENIALS, smtp.DENIALS):
        assert said[Denied.WRONG] == said[Denied.WRONG_CODE]
