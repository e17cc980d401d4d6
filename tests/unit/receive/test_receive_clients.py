"""Other people's clients send through our ports: Python's smtplib, aiosmtplib, and curl where it is."""

import asyncio
import shutil
import smtplib
import socket
import ssl
from contextlib import asynccontextmanager

import aiosmtplib
import pytest

from postillon.net.listen import listen
from postillon.net.tls import ServerTls, self_signed
from support.smtp_server import PASSWORD, post

CONTENT = b"From: ada@example.org\r\nTo: bob@example.org\r\nSubject: hi\r\n\r\n.dots\r\n..\r\n"


@asynccontextmanager
async def port(folder, kind="submission", *, implicit=False):
    certificate, key = self_signed(["localhost"])
    (folder / "cert.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    tls = ServerTls(folder / "cert.pem", folder / "key.pem")
    async with post(folder, kind, tls=tls) as server:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            sock.setblocking(False)
            number = sock.getsockname()[1]
            listener = listen(sock, server.server.handle, tls=tls if implicit else None)
            yield server, number
            await listener.stop(1.0)


def context(folder):
    return ssl.create_default_context(cafile=str(folder / "cert.pem"))


def by_smtplib(folder, number):
    with smtplib.SMTP("localhost", number, timeout=20) as client:
        client.starttls(context=context(folder))
        client.login("ada@example.org", PASSWORD)
        return client.sendmail("ada@example.org", ["bob@example.org"], CONTENT)


async def test_smtplib_submits_with_starttls(tmp_path):
    async with port(tmp_path) as (server, number):
        assert await asyncio.to_thread(by_smtplib, tmp_path, number) == {}
        assert server.queue.kept[0].content == CONTENT


def by_smtplib_lmtp(number):
    with smtplib.LMTP("localhost", number, timeout=20) as client:
        return client.sendmail("ada@example.org", ["bob@example.org", "x@example.org"], CONTENT)


async def test_smtplib_delivers_by_lmtp(tmp_path):
    async with port(tmp_path, "lmtp") as (server, number):
        refused = await asyncio.to_thread(by_smtplib_lmtp, number)
        assert list(refused) == ["x@example.org"]
        assert server.queue.kept[0].content == CONTENT


@pytest.mark.parametrize("implicit", [False, True])
async def test_aiosmtplib_submits(implicit, tmp_path):
    async with port(tmp_path, implicit=implicit) as (server, number):
        refused, said = await aiosmtplib.send(
            CONTENT,
            sender="ada@example.org",
            recipients=["bob@example.org", "nobody@example.org"],
            hostname="localhost",
            port=number,
            username="ada@example.org",
            password=PASSWORD,
            use_tls=implicit,
            start_tls=not implicit,
            tls_context=context(tmp_path),
        )
        assert list(refused) == ["nobody@example.org"]
        assert said.startswith("2.0.0 Accepted as ")
        assert server.queue.kept[0].content == CONTENT


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_curl_submits(tmp_path):
    (tmp_path / "mail.eml").write_bytes(CONTENT)
    async with port(tmp_path) as (server, number):
        curl = await asyncio.create_subprocess_exec(
            "curl", "--silent", "--show-error", "--ssl-reqd", "--max-time", "20",
            "--cacert", str(tmp_path / "cert.pem"), "--user", f"ada@example.org:{PASSWORD}",
            "--mail-from", "ada@example.org", "--mail-rcpt", "bob@example.org",
            "--upload-file", str(tmp_path / "mail.eml"), f"smtp://localhost:{number}",
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, errors = await curl.communicate()
        assert curl.returncode == 0, errors
        assert server.queue.kept[0].content == CONTENT


@pytest.mark.skipif(shutil.which("swaks") is None, reason="there is no swaks")
async def test_swaks_submits(tmp_path):
    async with port(tmp_path) as (server, number):
        swaks = await asyncio.create_subprocess_exec(
            "swaks", "--server", "localhost", "--port", str(number), "--tls", "--timeout", "20",
            "--auth", "LOGIN", "--auth-user", "ada@example.org", "--auth-password", PASSWORD,
            "--from", "ada@example.org", "--to", "bob@example.org",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await swaks.communicate()
        assert swaks.returncode == 0, output.decode()
        assert b"Subject: test" in server.queue.kept[0].content
