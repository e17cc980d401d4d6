"""Client set-up from a real server, by HTTP and HTTPS, as clients ask for it."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator

import pytest

from support.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("web"), workers=2) as running:
        yield running


def ask(
    server: Server, path: str, body: bytes | None = None, host: str = "localhost", tls: bool = True
) -> tuple[int, bytes, dict[str, str]]:
    connection: http.client.HTTPConnection
    if tls:
        context = ssl._create_unverified_context()
        port = server.port("https")
        connection = http.client.HTTPSConnection(server.host, port, timeout=20, context=context)
    else:
        connection = http.client.HTTPConnection(server.host, server.port("http"), timeout=20)
    connection.request("GET" if body is None else "POST", path, body, {"Host": host})
    answer = connection.getresponse()
    found = answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
    connection.close()
    return found


@pytest.mark.parametrize("tls", [True, False])
def test_thunderbird_is_told_our_ports(server: Server, tls: bool) -> None:
    path = "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=ada%40example.org"
    status, body, headers = ask(server, path, tls=tls)
    assert status == 200
    assert f"<port>{server.port('imaps')}</port>".encode() in body
    assert headers["content-type"].startswith("text/xml")
    assert ("strict-transport-security" in headers) is tls


def test_thunderbird_need_not_name_the_address(server: Server) -> None:
    status, body, _ = ask(server, "/mail/config-v1.1.xml", host="autoconfig.example.net:443")
    assert status == 200
    assert b'<emailProvider id="example.net">' in body


def test_other_domains_get_nothing(server: Server) -> None:
    path = "/mail/config-v1.1.xml?emailaddress=x@elsewhere.example"
    assert ask(server, path)[0] == 404
    assert ask(server, "/nothing")[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/autodiscover/autodiscover.xml",
        "/Autodiscover/Autodiscover.xml",
        "/AUTODISCOVER/AUTODISCOVER.XML",
    ],
)
def test_outlook_is_answered_at_any_letter_case(server: Server, path: str) -> None:
    address = b"<EMailAddress>ada@example.org</EMailAddress>"
    request = b"<Autodiscover><Request>" + address + b"</Request></Autodiscover>"
    status, body, _ = ask(server, path, request)
    assert status == 200
    assert b"<LoginName>ada@example.org</LoginName>" in body
    assert f"<Port>{server.port('submissions')}</Port>".encode() in body
    status, body, _ = ask(server, path)
    assert status == 200
    assert b"<ErrorCode>600</ErrorCode>" in body


def test_outlook_finds_the_xml_by_json(server: Server) -> None:
    path = "/autodiscover/autodiscover.json/v1.0/ada@example.org?Protocol=AutodiscoverV1"
    status, body, _ = ask(server, path)
    assert status == 200
    assert json.loads(body)["Url"].endswith("/autodiscover/autodiscover.xml")


def test_apple_gets_a_signed_profile(server: Server) -> None:
    status, body, headers = ask(server, "/apple.mobileconfig?email=ada@example.org")
    assert status == 200
    assert headers["content-type"] == "application/x-apple-aspen-config"
    assert body[:1] == b"\x30"
    assert b"EmailTypeIMAP" in body
    assert ask(server, "/apple.mobileconfig?email=nonsense")[0] == 400


def test_a_request_that_is_too_large_is_refused(server: Server) -> None:
    assert ask(server, "/autodiscover/autodiscover.xml", b"x" * 100_000)[0] == 413


def test_connections_are_kept_and_end_with_the_server(server: Server) -> None:
    connection = http.client.HTTPConnection(server.host, server.port("http"), timeout=20)
    for _ in range(3):
        connection.request("GET", "/mail/config-v1.1.xml?emailaddress=ada@example.org")
        assert connection.getresponse().read().startswith(b"<?xml")
    connection.close()
