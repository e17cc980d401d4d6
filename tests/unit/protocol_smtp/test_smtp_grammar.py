"""Paths, parameters and xtext (RFC 5321 section 4.1.2, RFC 3461, RFC 6533)."""

import pytest

from postillon.mail.address import Address, parse_address
from postillon.mail.envelope import Body, Notify
from postillon.protocol.smtp import grammar
from postillon.protocol.smtp.grammar import Refused


@pytest.mark.parametrize(
    ("text", "inner", "rest"),
    [
        ("<>", "", ""),
        ("<a@b.example>", "a@b.example", ""),
        ("<a@b.example> SIZE=1  BODY=7BIT", "a@b.example", "SIZE=1  BODY=7BIT"),
        ('<"a > b"@c.example> X', '"a > b"@c.example', "X"),
        ('<"a\\"> b"@c.example>', '"a\\"> b"@c.example', ""),
    ],
)
def test_a_path_ends_at_its_own_bracket(text, inner, rest):
    assert grammar.split_path(text) == (inner, rest)


@pytest.mark.parametrize(
    "text",
    ["", "a@b", "<a@b", "a@b>", "<a@b>c", "<a b@c>", "<<a@b>>", "<a@b>\tX", '<"a@b>', "<a@b\n>"],
)
def test_what_is_no_path_is_refused(text):
    with pytest.raises(Refused):
        grammar.split_path(text)


def test_postmaster_needs_no_domain_and_others_do():
    assert grammar.forward_path("PostMaster", "a.example") == Address("postmaster", "a.example")
    for text in ("", "ada", "@a.example:b@c.example", "a@b@c", "a@", "@b"):
        with pytest.raises(Refused):
            grammar.forward_path(text, "a.example")


def test_parameters_have_upper_case_keys_and_stand_once():
    assert grammar.parameters("size=9 SMTPUTF8") == {"SIZE": "9", "SMTPUTF8": ""}
    for text in ("A=1 a=2", "=1", "A=", "A=b=c", "-A=1", "A=\x01"):
        with pytest.raises(Refused):
            grammar.parameters(text)


def test_values_are_read_or_refused():
    assert grammar.size("0010") == 10
    assert grammar.body("8bitmime", binary=False) is Body.EIGHT_BIT
    assert grammar.notify("success,failure") == Notify.SUCCESS | Notify.FAILURE
    assert grammar.notify("NEVER") is Notify.NEVER
    assert grammar.returned("full") is True
    assert grammar.returned("HDRS") is False
    for function, text in (
        (grammar.size, "-1"), (grammar.size, "٣"), (grammar.size, "9" * 21), (grammar.size, ""),
        (grammar.notify, "NEVER,SUCCESS"), (grammar.notify, ""), (grammar.returned, "ALL"),
        (grammar.envid, "x" * 101), (grammar.envid, "a+0D"), (grammar.envid, "a+0"),
        (grammar.original_recipient, "ada@example.org"), (grammar.original_recipient, "rfc822;"),
        (grammar.original_recipient, "rf c;a"), (grammar.original_recipient, "utf-8;\\x{D800}"),
    ):  # fmt: skip
        with pytest.raises(Refused):
            function(text)
    with pytest.raises(Refused):
        grammar.body("BINARYMIME", binary=False)


def test_original_recipients_are_decoded():
    assert grammar.original_recipient("rfc822;a+2Bb@c.example") == "rfc822;a+b@c.example"
    assert grammar.original_recipient("utf-8;d\\x{E4}ta@c.example") == "utf-8;däta@c.example"


def test_no_command_holds_a_line_end():
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        grammar.mail_command(parse_address("a@b.example"), {"ENVID": "x\r\nRSET"})
