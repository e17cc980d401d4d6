"""The files of the web client: how long they are kept, how they are packed, what they may do."""

from __future__ import annotations

import gzip
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application

from postillon.access.config import HttpConfig
from postillon.access.webmail.files import read_files
from postillon.access.webmail.images import kind_of
from postillon.access.webmail.web import Webmail
from postillon.setting import ConfigError

INLINE = b"begin();\n"
PAGE = b"<!doctype html><title>x</title><script>" + INLINE + b"</script>" + b"<p>x</p>" * 20
SCRIPT = b"console.log(1);\n" * 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    for name, body in (
        ("index.html", PAGE), ("paper.html", PAGE), ("assets/index-abc.js", SCRIPT), (".sources", b"x"),
        ("notes.txt", b"not ours"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(body)
    (tmp_path / "assets/index-abc.js.gz").write_bytes(gzip.compress(SCRIPT))
    return tmp_path


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[TestClient]:  # type: ignore[type-arg]
    application = Application()
    application.add_routes(Webmail(files=read_files(folder)).routes())
    async with TestClient(TestServer(application), auto_decompress=False) as made:
        yield made


async def test_what_has_its_content_in_its_name_is_kept_for_ever(client: TestClient) -> None:  # type: ignore[type-arg]
    answer = await client.get("/assets/index-abc.js", headers={"Accept-Encoding": "identity"})
    assert answer.status == 200
    assert await answer.read() == SCRIPT
    assert "immutable" in answer.headers["Cache-Control"]
    page = await client.get("/", headers={"Accept-Encoding": "identity"})
    assert page.headers["Cache-Control"] == "no-cache"
    assert page.content_type == "text/html"


async def test_a_copy_that_is_still_good_is_not_sent_again(client: TestClient) -> None:  # type: ignore[type-arg]
    first = await client.get("/")
    again = await client.get("/", headers={"If-None-Match": f'"other", {first.headers["ETag"]}'})
    assert again.status == 304
    assert await again.read() == b""
    assert again.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, br", "gzip"), ("GZIP;q=0.5", "gzip"), ("gzip;q=0", None), ("gzip;q=0.0", None),
        ("br", None), ("", None),
    ],
)  # fmt: skip
async def test_the_packed_form_goes_to_who_takes_it(
    client: TestClient,
    accepted: str,
    encoding: str | None,  # type: ignore[type-arg]
) -> None:
    answer = await client.get("/assets/index-abc.js", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding") == encoding
    body = await answer.read()
    assert (gzip.decompress(body) if encoding else body) == SCRIPT
    assert answer.headers["Vary"] == "Accept-Encoding"


async def test_neither_page_allows_what_is_written_into_it(client: TestClient) -> None:  # type: ignore[type-arg]
    for path in ("/", "/assets/index-abc.js"):
        policy = (await client.get(path)).headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
    paper = (await client.get("/paper.html")).headers["Content-Security-Policy"]
    assert "script-src 'none'" in paper
    assert "allow-scripts" not in paper
    assert "img-src blob: data:;" in paper


@pytest.mark.parametrize(
    "path", ["/assets/missing.js", "/notes.txt", "/.sources", "/assets/..%2findex.html", "/sw.js"]
)
async def test_nothing_else_of_the_folder_is_served(client: TestClient, path: str) -> None:  # type: ignore[type-arg]
    assert (await client.get(path)).status == 404


async def test_where_nothing_was_built_that_is_said(tmp_path: Path) -> None:
    application = Application()
    application.add_routes(Webmail(files=read_files(tmp_path)).routes())
    async with TestClient(TestServer(application)) as client:
        answer = await client.get("/")
        assert answer.status == 404
        assert "not built" in await answer.text()


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"), (b"RIFF....WEBPVP8 ", "image/webp"),
        (b"....ftypavif", "image/avif"), (b"<svg xmlns='http://www.w3.org/2000/svg'/>", ""),
        (b"<html>", ""), (b"", ""), (b"GIF8", ""),
    ],
)  # fmt: skip
def test_an_image_is_what_its_first_octets_say(octets: bytes, kind: str) -> None:
    assert kind_of(octets) == kind


async def test_a_page_runs_its_own_script_and_no_other_that_stands_in_it(
    client: TestClient,
) -> None:  # type: ignore[type-arg]
    digest = b64encode(hashlib.sha256(INLINE).digest()).decode()
    policy = (await client.get("/")).headers["Content-Security-Policy"]
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "unsafe-inline" not in policy
    paper = (await client.get("/paper.html")).headers["Content-Security-Policy"]
    assert "script-src 'none'" in paper


async def test_the_page_of_mail_may_talk_to_named_servers_and_administration_may_not(
    tmp_path: Path,
) -> None:
    for name in ("index.html", "admin.html"):
        (tmp_path / name).write_text("<!doctype html><title>x</title>")
    application = Application()
    others = ("https://jmap.example.net",)
    application.add_routes(Webmail(others=others, files=read_files(tmp_path)).routes())
    async with TestClient(TestServer(application)) as client:
        mail = (await client.get("/")).headers["Content-Security-Policy"]
        admin = (await client.get("/admin")).headers["Content-Security-Policy"]
    assert "connect-src 'self' https://jmap.example.net;" in mail
    assert "connect-src 'self';" in admin


@pytest.mark.parametrize(
    "text",
    ["https://x.example/path", "x.example", "http://x.example", "https://a; script-src *", "*"],
)
def test_what_is_no_origin_is_refused_as_another_server(text: str) -> None:
    with pytest.raises(ConfigError):
        HttpConfig(other_servers=(text,))
