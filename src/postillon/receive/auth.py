"""AUTH (RFC 4954): what `directory.signin` decides, said in SMTP's words."""

from __future__ import annotations

import base64

from postillon.directory.signin import Answer, Ask, Denied
from postillon.mail.outcome import Reply, reply

PROTOCOL = "smtp"

SUCCESS = reply(235, "2.7.0", "Welcome")
DENIALS: dict[Denied, Reply] = {
    Denied.WRONG: reply(535, "5.7.8", "Login or password is wrong"),
    Denied.OTHER: reply(535, "5.7.8", "Nobody can act for somebody else here"),
    Denied.LATER: reply(454, "4.7.0", "Too many failed logins from your network; try again later"),
    Denied.CANCELLED: reply(501, "5.7.0", "Login cancelled"),
    Denied.MALFORMED: reply(501, "5.5.2", "The response is malformed"),
    Denied.UNKNOWN_MECHANISM: reply(504, "5.5.4", "This mechanism is not offered"),
    Denied.NEEDS_CODE: reply(
        534,
        "5.7.9",
        "This account has a second factor: use an app password, or sign in with OAuth",
    ),
    Denied.WRONG_CODE: reply(535, "5.7.8", "Login or password is wrong"),
    Denied.NOT_FOR_THIS: reply(535, "5.7.8", "This app password or token was not made for sending"),
}


def said(answer: Answer) -> Reply:
    """334 while the exchange goes on, with the challenge in Base64."""
    if isinstance(answer, Ask):
        return reply(334, "", base64.b64encode(answer.challenge).decode("ascii"))
    return DENIALS[answer] if isinstance(answer, Denied) else SUCCESS
