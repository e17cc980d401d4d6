"""Whatever is sent to the paths of signing in, it is answered, and never with a fault of ours."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.signin import CLIENT, LOGIN, PASSWORD, REDIRECT, Porch, pkce, porch

WORDS = st.sampled_from(
    ["", "code", "S256", "mail", "allow", "sign-in", "consent", "leave", CLIENT, REDIRECT, LOGIN,
     PASSWORD, pkce()[1], "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:"
     "device_code", "pr_x.y", "\0", "\ud800", "x" * 3_000, "https://[", "javascript:alert(1)"]
)  # fmt: skip
TEXT = WORDS | st.text(max_size=20)
FIELDS = st.sampled_from(
    ["response_type", "client_id", "redirect_uri", "code_challenge", "code_challenge_method", "state",
     "scope", "grant_type", "code", "code_verifier", "refresh_token", "device_code", "token", "step",
     "form", "login", "password", "answer", "user_code", "ui_locales", "login_hint", "prompt"]
)  # fmt: skip
FORM = st.dictionaries(FIELDS, TEXT, max_size=9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
BODY = st.dictionaries(
    st.sampled_from(["login", "password", "code", "remember", "old", "new", "name", "protocols",
                     "expires_in_days", "redirect_uris", "client_name", "grant_types",
                     "response_types"]),
    JSON,
    max_size=6,
) | JSON  # fmt: skip
FORMS = st.sampled_from(
    [("GET", "/oauth/authorize"), ("POST", "/oauth/authorize"), ("GET", "/oauth/device"),
     ("POST", "/oauth/device"), ("POST", "/oauth/token"), ("POST", "/oauth/revoke"),
     ("POST", "/oauth/device_authorization")]
)  # fmt: skip
OBJECTS = st.sampled_from(
    [("POST", "/oauth/register"), ("POST", "/auth/session"), ("POST", "/auth/session/refresh"),
     ("DELETE", "/auth/session"), ("POST", "/auth/app-passwords"), ("POST", "/auth/password"),
     ("POST", "/auth/totp"), ("POST", "/auth/totp/confirm"), ("POST", "/auth/totp/recovery-codes"),
     ("DELETE", "/auth/totp"), ("DELETE", "/auth/sessions/1"), ("DELETE", "/auth/app-passwords/2")]
)  # fmt: skip
REQUEST = st.tuples(FORMS, FORM, FORM, st.none()) | st.tuples(
    OBJECTS, st.just({}), st.just({}), BODY
)


def encoded(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


@settings(max_examples=12, deadline=None)
@given(st.lists(REQUEST, min_size=1, max_size=25))
def test_nothing_that_is_sent_is_answered_with_a_fault(requests: list[Any]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with porch(Path(folder)) as door:
                await all_of(door, requests)

    asyncio.run(run())


async def all_of(door: Porch, requests: list[Any]) -> None:
    browser = door.browser()
    token = (await door.session()).json["access_token"]
    for (method, path), query, form, value in requests:
        more: dict[str, Any] = {}
        if query:
            more["params"] = {name: encoded(item)[:300] for name, item in query.items()}
        if value is not None:
            more["data"] = json.dumps(value).encode()
            more["headers"] = {"Content-Type": "application/json"}
        elif method == "POST":
            kept = [item.value for item in browser.http.cookie_jar if item.key == "postillon_form"]
            more["data"] = {name: encoded(item) for name, item in form.items()}
            if kept:  # half of them get past the check of the form
                more["data"].setdefault("form", kept[0])
        answer = await browser.ask(method, path, token if path.startswith("/auth") else "", **more)
        assert answer.status < 500, (method, path, more, answer.text)
        if method == "GET":
            assert "<script" not in answer.text
