"""The pages that people see: small, without scripts, and safe from what is put into them.

Every text goes through `html.escape` here and nowhere else; the policy of each page allows our style
sheet and nothing besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from urllib.parse import urlsplit

from aiohttp import web

from postillon.access.signin.provider import NO_STORE
from postillon.access.signin.words import LANGUAGES, Words
from postillon.directory.clients import Client, is_loopback
from postillon.directory.scopes import ACCOUNT, ADMIN, MAIL, SEND

STYLE = files("postillon.access.signin").joinpath("style.css").read_bytes()
STYLE_PATH = "/oauth/style.css"
HEADERS = {
    **NO_STORE,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # A page without a referrer has the origin "null", which could not be told from a stranger's.
    "Referrer-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Face:
    """What all pages of one answer have in common."""

    language: str
    server: str  # the name of the provider
    secret: str  # of the form, the same as in its cookie

    @property
    def words(self) -> Words:
        return LANGUAGES[self.language]


def page(
    face: Face, title: str, body: Iterable[str], status: int = 200, form_action: str = ""
) -> web.Response:
    """body: lines of HTML. form_action: where else than here a form may lead by a redirect."""
    html = "\n".join(
        [
            "<!doctype html>",
            f'<html lang="{face.language}">',
            '<head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="robots" content="noindex">',
            f"<title>{escape(title)}</title>",
            f'<link rel="stylesheet" href="{STYLE_PATH}"></head>',
            f'<body><main><p class="server">{escape(face.server)}</p>',
            f"<h1>{escape(title)}</h1>",
            *body,
            "</main></body></html>",
        ]
    )
    policy = (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none';"
        f" form-action 'self' {form_action}".rstrip()
    )
    return web.Response(
        status=status,
        body=html.encode(),
        content_type="text/html",
        charset="utf-8",
        headers={
            **HEADERS,
            "Content-Security-Policy": policy,
            "Content-Language": face.language,
            "Vary": "Accept-Language, Cookie",
        },
    )


def sign_in(face: Face, client: str, login: str, wrong: str = "", action: str = "") -> web.Response:
    """client: the name of the program it is for. wrong: what was wrong with the last try."""
    words = face.words
    body = [
        f"<p>{_filled(words.for_client, client=client)}</p>" if client else "",
        _wrong(wrong),
        _form(face, "sign-in", action),
        f'<label for="login">{escape(words.login)}</label>',
        f'<input id="login" name="login" type="text" inputmode="email" autocomplete="username"'
        f' autocapitalize="none" spellcheck="false" required value="{escape(login)}"'
        f"{'' if login else ' autofocus'}>",
        f'<label for="password">{escape(words.password)}</label>',
        '<input id="password" name="password" type="password" autocomplete="current-password"'
        f" required{' autofocus' if login else ''}>",
        f"<button>{escape(words.sign_in)}</button></form>",
    ]
    title = words.sign_in_to.format(server=face.server)
    return page(face, title, body, 401 if wrong else 200)


def code(face: Face, wrong: str = "", action: str = "") -> web.Response:
    """The second factor."""
    words = face.words
    body = [
        f"<p>{escape(words.code_why)}</p>",
        _wrong(wrong),
        _form(face, "code", action),
        f'<label for="code">{escape(words.code)}</label>',
        '<input id="code" name="code" class="code" type="text" autocomplete="one-time-code"'
        ' autocapitalize="none" spellcheck="false" maxlength="40" required autofocus>',
        f"<button>{escape(words.go_on)}</button></form>",
        _elsewhere(face, action),
    ]
    return page(face, words.code_title, body, 401 if wrong else 200)


def consent(
    face: Face, client: Client, login: str, granted: frozenset[str], redirect: str, action: str = ""
) -> web.Response:
    """Whether a program that waits at `redirect` is let in."""
    words = face.words
    host = urlsplit(redirect).hostname or ""
    if is_loopback(redirect) or urlsplit(redirect).scheme != "https":
        where = escape(words.goes_here)
    else:
        where = _filled(words.goes_to, place=host)
    body = [
        *_asked(face, client, login, granted),
        f'<p class="faint">{where} {escape(words.revocable)}</p>',
        *_decision(face, action),
    ]
    title = words.consent_title.format(client=client.name)
    return page(face, title, body, form_action=_source(redirect))


def device_consent(
    face: Face, client: Client, login: str, granted: frozenset[str], user_code: str, action: str
) -> web.Response:
    """Whether the device that shows this code is let in."""
    words = face.words
    body = [
        f'<p class="note">{_filled(words.device_check, code=user_code)}</p>',
        *_asked(face, client, login, granted),
        f'<p class="faint">{escape(words.revocable)}</p>',
        *_decision(face, action),
    ]
    return page(face, words.consent_title.format(client=client.name), body)


def device_code(face: Face, wrong: str = "") -> web.Response:
    """Ask for the code of a device."""
    words = face.words
    body = [
        f"<p>{escape(words.device_why)}</p>",
        _wrong(wrong),
        '<form method="get" action="/oauth/device">',
        f'<label for="user_code">{escape(words.device_code)}</label>',
        '<input id="user_code" name="user_code" class="code" type="text" autocomplete="off"'
        ' autocapitalize="characters" spellcheck="false" maxlength="20" required autofocus>',
        f"<button>{escape(words.go_on)}</button></form>",
        _elsewhere(face, "/oauth/device"),
    ]
    return page(face, words.device_title, body, 404 if wrong else 200)


def done(face: Face, client: str, allowed: bool) -> web.Response:
    words = face.words
    text = _filled(words.done_allowed, client=client) if allowed else escape(words.done_refused)
    return page(face, words.done_title, [f'<p role="status">{text}</p>'])


def trouble(face: Face, text: str, status: int = 400) -> web.Response:
    """A request that leads nowhere; the browser is sent nowhere either (RFC 6749 section 4.1.2.1)."""
    return page(face, face.words.problem_title, [_wrong(text)], status)


def _asked(face: Face, client: Client, login: str, granted: frozenset[str]) -> list[str]:
    words = face.words
    said: Mapping[str, str] = {
        MAIL: words.scope_mail, SEND: words.scope_send, ACCOUNT: words.scope_account,
        ADMIN: words.scope_admin,
    }  # fmt: skip
    items = [
        f'<li class="{name}">{escape(text)}</li>' for name, text in said.items() if name in granted
    ]
    return [
        "" if client.vouched
        else f'<p class="note">{_filled(words.unvouched, client=client.name)}</p>',
        f"<p>{_filled(words.consent_who, login=login)}</p>",
        f"<p>{escape(words.consent_can)}</p><ul>{''.join(items)}</ul>",
    ]  # fmt: skip


def _decision(face: Face, action: str) -> list[str]:
    """Both answers are buttons of one form; Enter on the page chooses neither."""
    words = face.words
    return [
        _form(face, "consent", action),
        f'<button name="answer" value="allow">{escape(words.allow)}</button>',
        f'<button name="answer" value="refuse" class="second">{escape(words.refuse)}</button></form>',
        _elsewhere(face, action),
    ]


def _elsewhere(face: Face, action: str) -> str:
    button = f'<button class="third">{escape(face.words.somebody_else)}</button>'
    return f"{_form(face, 'leave', action)}{button}</form>"


def _form(face: Face, step: str, action: str) -> str:
    return (
        f'<form method="post" action="{escape(action)}">'
        f'<input type="hidden" name="form" value="{escape(face.secret)}">'
        f'<input type="hidden" name="step" value="{step}">'
    )


def _wrong(text: str) -> str:
    return f'<p class="wrong" role="alert">{escape(text)}</p>' if text else ""


def _filled(template: str, **values: str) -> str:
    """A text whose values stand out; `escape` leaves braces alone."""
    marked = {name: f"<strong>{escape(value)}</strong>" for name, value in values.items()}
    return escape(template).format(**marked)


def _source(redirect: str) -> str:
    """A redirect URI as form-action names it: browsers follow a form's redirect only to there."""
    parts = urlsplit(redirect)
    if parts.scheme not in ("http", "https"):
        return f"{parts.scheme}:"
    if parts.hostname is None or ":" in parts.hostname:  # [::1] is no host to a policy
        return f"{parts.scheme}:"
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
