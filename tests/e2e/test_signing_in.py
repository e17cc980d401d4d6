"""Tokens, app passwords and the second factor against the real server, by other people's clients."""

from __future__ import annotations

import base64
import hashlib
import http.cookiejar
import imaplib
import json
import poplib
import re
import secrets
import shutil
import smtplib
import subprocess
import urllib.request
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from click.testing import CliRunner

from postillon.clock import system_clock
from postillon.directory import totp
from postillon.server.main import main
from support.server import PASSWORD, Server

ADA, BOB = "ada@example.org", "bob@example.net"
REDIRECT = "http://127.0.0.1:8765/back"
WAIT_S = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {
        "auth": "argon2_memory = 64\nargon2_passes = 1",
        "oauth": '[[oauth.client]]\nid = "reader"\nredirects = ["http://127.0.0.1/back"]',
    }
    with Server(tmp_path_factory.mktemp("signing"), workers=2, settings=settings) as running:
        yield running


class Browser:
    """Enough of one: cookies, forms, no redirects."""

    def __init__(self, server: Server) -> None:
        self.base = f"http://{server.host}:{server.port('http')}"
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(
            NoRedirect, urllib.request.HTTPCookieProcessor(self.jar)
        )

    def ask(
        self, path: str, form: dict[str, str] | None = None, value: object = None, token: str = "",
        method: str = "",
    ) -> tuple[int, dict[str, str], str]:  # fmt: skip
        headers, data = {}, None
        if form is not None:
            data = urlencode(form).encode()
        if value is not None:
            data, headers["Content-Type"] = json.dumps(value).encode(), "application/json"
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(
            self.base + path,
            data,
            headers,
            method=method or ("POST" if data is not None else "GET"),
        )
        try:
            with self.opener.open(request, timeout=WAIT_S) as response:
                return response.status, dict(response.headers), response.read().decode()
        except HTTPError as error:
            return error.code, dict(error.headers), error.read().decode()

    def json(self, path: str, value: object = None, token: str = "", method: str = "") -> Any:
        return json.loads(self.ask(path, None, value, token, method)[2])

    def send(self, path: str, page: str, **values: str) -> tuple[int, dict[str, str], str]:
        """Fill in the first form of a page, and follow where it leads on this server."""
        form = page.partition("<form")[2].partition("</form>")[0]
        fields = {
            name: unescape(value)
            for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)
        }
        answer = self.ask(path, {**fields, **values})
        if answer[0] == 303 and answer[1]["Location"].startswith("/"):
            return self.ask(answer[1]["Location"])
        return answer


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        return None


def tokens_of(server: Server, login: str = ADA, scope: str = "mail send") -> dict[str, Any]:
    """The code flow with PKCE, as a program on this machine would go through it."""
    verifier = secrets.token_urlsafe(40)
    hashed = hashlib.sha256(verifier.encode()).digest()
    query = {
        "response_type": "code", "client_id": "reader", "redirect_uri": REDIRECT, "scope": scope,
        "code_challenge": base64.urlsafe_b64encode(hashed).decode().rstrip("="),
        "code_challenge_method": "S256", "state": "xyz",
    }  # fmt: skip
    browser = Browser(server)
    path = f"/oauth/authorize?{urlencode(query)}"
    _, _, page = browser.ask(path)
    _, _, consent = browser.send(path, page, login=login, password=PASSWORD)
    status, headers, _ = browser.send(path, consent, answer="allow")
    assert status == 303
    back = parse_qs(urlsplit(headers["Location"]).query)
    assert back["state"] == ["xyz"]
    form = {
        "grant_type": "authorization_code", "client_id": "reader", "code": back["code"][0],
        "redirect_uri": REDIRECT, "code_verifier": verifier,
    }  # fmt: skip
    status, _, body = browser.ask("/oauth/token", form)
    assert status == 200, body
    return dict(json.loads(body))


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    return str(tokens_of(server)["access_token"])


def xoauth2(login: str, token: str) -> bytes:
    return f"user={login}\x01auth=Bearer {token}\x01\x01".encode()


def oauthbearer(login: str, token: str) -> bytes:
    return f"n,a={login},\x01host=localhost\x01port=0\x01auth=Bearer {token}\x01\x01".encode()


FORMS = pytest.mark.parametrize(
    ("name", "made"), [("XOAUTH2", xoauth2), ("OAUTHBEARER", oauthbearer)]
)


@FORMS
def test_imaplib_signs_in_with_a_token(server: Server, token: str, name: str, made: Any) -> None:
    with imaplib.IMAP4_SSL(server.host, server.port("imaps"), ssl_context=unverified()) as client:
        assert f"AUTH={name}" in client.capabilities
        client.authenticate(name, lambda _: made(ADA, token))
        assert client.select("INBOX")[0] == "OK"


@FORMS
def test_imaplib_is_told_why_a_token_is_refused(server: Server, name: str, made: Any) -> None:
    said: list[bytes] = []

    def respond(challenge: bytes) -> bytes:
        said.append(challenge)
        return b"\x01" if len(said) > 1 else made(ADA, "pa_no")

    with imaplib.IMAP4(server.host, server.port("imap")) as client:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.authenticate(name, respond)
        known = json.loads(said[1])
        assert known["status"] == "invalid_token"
        assert known["openid-configuration"].endswith("/.well-known/oauth-authorization-server")
        client.login(ADA, PASSWORD)  # the connection goes on


@FORMS
def test_poplib_signs_in_with_a_token(server: Server, token: str, name: str, made: Any) -> None:
    client = poplib.POP3_SSL(server.host, server.port("pop3s"), context=unverified())
    assert name in client.capa()["SASL"]
    response = base64.b64encode(made(ADA, token)).decode()
    assert client._shortcmd(f"AUTH {name} {response}").startswith(b"+OK")  # type: ignore[attr-defined]
    client.quit()


@FORMS
def test_smtplib_sends_with_a_token(server: Server, token: str, name: str, made: Any) -> None:
    with smtplib.SMTP(server.host, server.port("submission")) as client:
        client.starttls(context=unverified())
        client.ehlo()
        assert name in client.esmtp_features["auth"]
        client.auth(name, lambda challenge=None: made(ADA, token).decode())
        client.sendmail(ADA, [BOB], f"Subject: by {name}\r\n\r\nhello\r\n")
    with smtplib.SMTP(server.host, server.port("submission")) as client:
        client.ehlo()
        answers = iter([made(ADA, "pa_no").decode(), "\x01"])
        with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
            client.auth(name, lambda challenge=None: next(answers))
        assert refusal.value.smtp_code == 535


@pytest.mark.parametrize("protocol", ["imaps", "pop3s", "submissions"])
def test_curl_signs_in_with_a_token(server: Server, token: str, protocol: str) -> None:
    curl = program("curl")
    scheme = {"submissions": "smtps"}.get(protocol, protocol)
    command = [
        curl, "--silent", "--show-error", "--insecure", "--oauth2-bearer", token, "--user", f"{ADA}:",
        f"{scheme}://{server.host}:{server.port(protocol)}/",
    ]  # fmt: skip
    if scheme == "smtps":
        command += ["--mail-from", ADA, "--mail-rcpt", BOB, "--upload-file", "-"]
    done = run(command, "Subject: by curl\r\n\r\nhello\r\n")
    assert done.returncode == 0, done.stderr
    command[command.index(token)] = "pa_no"
    assert run(command, "x").returncode == 67  # login denied


def test_a_token_is_good_in_every_process(server: Server, token: str) -> None:
    for _ in range(8):
        assert Browser(server).ask("/auth/session", token=token)[0] == 200


def test_a_token_for_mail_does_not_send(server: Server) -> None:
    token = tokens_of(server, scope="mail")["access_token"]
    with smtplib.SMTP(server.host, server.port("submission")) as client:
        client.ehlo()
        answers = iter([xoauth2(ADA, token).decode(), ""])
        with pytest.raises(smtplib.SMTPAuthenticationError, match="not made for sending"):
            client.auth("XOAUTH2", lambda challenge=None: next(answers))


def test_a_revoked_token_opens_nothing_in_any_process(server: Server) -> None:
    given = tokens_of(server)
    form = {"token": given["refresh_token"], "client_id": "reader"}
    assert Browser(server).ask("/oauth/revoke", form)[0] == 200
    for _ in range(4):
        with imaplib.IMAP4(server.host, server.port("imap")) as client:
            answers = iter([xoauth2(ADA, given["access_token"]), b""])
            with pytest.raises(imaplib.IMAP4.error):
                client.authenticate("XOAUTH2", lambda _, answers=answers: next(answers))


def test_the_second_factor_closes_the_password_and_leaves_app_passwords(server: Server) -> None:
    browser = Browser(server)
    given = browser.json("/auth/session", {"login": BOB, "password": PASSWORD})["access_token"]
    begun = browser.json("/auth/totp", {"password": PASSWORD}, given)
    code = totp.code_of(begun["secret"], totp.step_at(system_clock()))
    assert len(browser.json("/auth/totp/confirm", {"code": code}, given)["recovery_codes"]) == 10
    refused = Browser(server).json("/auth/session", {"login": BOB, "password": PASSWORD})
    assert refused == {"error": "code_required"}
    made = json.loads(postillon(server, "account", "app-password", "add", BOB, "Phone", "--json"))
    password = made["password"]
    with imaplib.IMAP4(server.host, server.port("imap")) as client:
        with pytest.raises(imaplib.IMAP4.error, match=r"\[ALERT\].*app password"):
            client.login(BOB, PASSWORD)
        client.login(BOB, password)
    client = poplib.POP3(server.host, server.port("pop3"))
    client.user(BOB)
    with pytest.raises(poplib.error_proto, match="app password"):
        client.pass_(PASSWORD)
    client.user(BOB)
    client.pass_(password)
    client.quit()
    with smtplib.SMTP(server.host, server.port("submission")) as sender:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
            sender.login(BOB, PASSWORD)
        assert refusal.value.smtp_code == 534
        sender.login(BOB, password)
    listed = postillon(server, "account", "app-password", "list", BOB)
    assert "Phone" in listed
    number = str(made["app_password"]["id"])
    postillon(server, "account", "app-password", "remove", BOB, number)
    with (
        imaplib.IMAP4(server.host, server.port("imap")) as client,
        pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"),
    ):
        client.login(BOB, password)
    assert "off" in postillon(server, "account", "second-factor", BOB, "--off")
    with imaplib.IMAP4(server.host, server.port("imap")) as client:
        client.login(BOB, PASSWORD)


def test_swaks_sends_with_an_app_password(server: Server) -> None:
    swaks = program("swaks")
    made = postillon(
        server, "account", "app-password", "add", ADA, "swaks", "--protocol", "smtp", "--json"
    )
    password = json.loads(made)["password"]
    done = run(
        [swaks, "--server", f"{server.host}:{server.port('submissions')}", "--tlsc", "--from", ADA,
         "--to", BOB, "--auth", "LOGIN", "--auth-user", ADA, "--auth-password", password],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    with (
        imaplib.IMAP4(server.host, server.port("imap")) as client,
        pytest.raises(imaplib.IMAP4.error, match="not made for IMAP"),
    ):
        client.login(ADA, password)


def test_keys_are_made_listed_and_revoked(server: Server) -> None:
    made = postillon(server, "api-key", "add", "monitoring", "--days", "30")
    key = made.rpartition(": ")[2].strip()
    assert key.startswith("pk_")
    assert "admin:read" in postillon(server, "api-key", "list")
    assert key not in postillon(server, "audit")
    assert Browser(server).ask("/auth/session", token=key)[0] == 403  # it is nobody's
    postillon(server, "api-key", "remove", "monitoring")
    assert Browser(server).ask("/auth/session", token=key)[0] == 401


def postillon(server: Server, *arguments: str) -> str:
    """A command, beside the running server."""
    result = CliRunner().invoke(main, [*arguments, "--config", str(server.config_file)])
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def run(command: list[str], said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=WAIT_S)


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def unverified() -> Any:
    import ssl

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
