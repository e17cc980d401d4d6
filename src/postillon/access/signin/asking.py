"""What a client asks for at /oauth/authorize (RFC 6749 section 4.1.1, RFC 7636), read and judged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from postillon.access.signin.provider import MAX_FIELDS, BadRequest, Provider, once
from postillon.directory import clients, scopes
from postillon.directory.clients import Client
from postillon.directory.codes import Asked

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # of S256: a SHA-256 in Base64url
MAX_STATE = 4_096  # characters
MAX_LOGIN = 320  # characters


@dataclass(frozen=True, slots=True)
class Wish:
    """A request of a client whose answer may be sent to `asked.redirect`."""

    client: Client
    asked: Asked
    state: str
    hint: str  # the login that is meant


@dataclass(frozen=True, slots=True)
class Fault:
    """What is told to the client, at its redirect URI.

    told_here: on a page instead, as the client is nobody we know: a link to us would lead to any site
    that has registered itself (RFC 9700 section 4.11.2).
    """

    redirect: str
    state: str
    code: str
    description: str
    told_here: bool


class Astray(Exception):
    """A request whose answer must be sent to nobody. Holds the name of what is said about it."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


async def wish_of(request: web.Request, provider: Provider) -> Wish | Fault:
    """Raises Astray."""
    try:
        raw = request.rel_url.raw_query_string
        query = once(parse_qsl(raw, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except (BadRequest, ValueError):
        raise Astray("problem_request") from None
    client = await provider.client(query.get("client_id", ""))
    if client is None:
        raise Astray("problem_client")
    redirect = query.get("redirect_uri", "")
    if not redirect and len(client.redirects) == 1:
        redirect = client.redirects[0]
    if not clients.fits(client, redirect):
        raise Astray("problem_redirect")
    state = query.get("state", "")
    if len(state) > MAX_STATE:
        raise Astray("problem_request")
    asked = scopes.known(query.get("scope", "") or scopes.USUAL)
    fault = _fault(query, asked)
    if fault is not None:
        stranger = not client.vouched and redirect.startswith("https:")
        return Fault(redirect, state, *fault, stranger)
    hint = query.get("login_hint", "")[:MAX_LOGIN]
    return Wish(client, Asked(client.id, redirect, query["code_challenge"], asked), state, hint)


def _fault(query: dict[str, str], asked: str) -> tuple[str, str] | None:
    """Code and description of what is wrong. asked: the scopes that are known."""
    if query.get("response_type") != "code":
        return "unsupported_response_type", "response_type must be code"
    if query.get("response_mode", "query") != "query":
        return "invalid_request", "response_mode must be query"
    if query.get("code_challenge_method") != "S256":
        return "invalid_request", "code_challenge_method must be S256"
    if not CHALLENGE.fullmatch(query.get("code_challenge", "")):
        return "invalid_request", "code_challenge is missing or malformed"
    if not scopes.meant(asked):
        return "invalid_scope", "none of these scopes is known"
    if query.get("prompt") == "none":
        return "interaction_required", "somebody must be asked"
    return None
