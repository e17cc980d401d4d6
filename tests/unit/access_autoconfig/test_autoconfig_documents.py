"""The documents of each kind of client, and requests as real clients send them."""

from __future__ import annotations

import plistlib
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postillon.access.autoconfig import apple, autodiscover, mozilla
from postillon.access.autoconfig.autodiscover import RESPONSE, Unanswerable, address_of
from postillon.mail.services import Service, Use, described
from postillon.net.tls import self_signed

HOST = "mail.example.org"
DESCRIPTION = described(
    HOST,
    "Example & Sons",
    [
        Service(Use.SUBMISSION, HOST, 587, implicit=False),
        Service(Use.POP3, HOST, 995, implicit=True),
        Service(Use.IMAP, HOST, 143, implicit=False),
        Service(Use.IMAP, HOST, 993, implicit=True),
        Service(Use.SUBMISSION, HOST, 465, implicit=True),
    ],
    443,
)
SPACE = {"r": RESPONSE}


def test_mozilla_is_told_all_services_best_first() -> None:
    root = xml.fromstring(mozilla.config(DESCRIPTION, "example.org"))
    provider = root.find("emailProvider")
    assert provider is not None
    assert provider.get("id") == "example.org"
    assert provider.findtext("displayName") == "Example & Sons"
    incoming = [(s.get("type"), s.findtext("port")) for s in provider.findall("incomingServer")]
    assert incoming == [("imap", "993"), ("imap", "143"), ("pop3", "995")]
    outgoing = provider.findall("outgoingServer")
    assert [s.findtext("socketType") for s in outgoing] == ["SSL", "STARTTLS"]
    assert {s.findtext("username") for s in provider if s.tag.endswith("Server")} == {
        "%EMAILADDRESS%"
    }


def test_outlook_is_told_one_service_of_each_kind() -> None:
    root = xml.fromstring(autodiscover.response(DESCRIPTION, "o'hara+x@example.org"))
    account = root.find("r:Response/r:Account", SPACE)
    assert account is not None
    found = [
        tuple(
            p.findtext(f"r:{name}", "", SPACE) for name in ("Type", "Server", "Port", "Encryption")
        )
        for p in account.findall("r:Protocol", SPACE)
    ]
    assert found == [
        ("IMAP", HOST, "993", "SSL"), ("POP3", HOST, "995", "SSL"), ("SMTP", HOST, "465", "SSL"),
    ]  # fmt: skip
    logins = {p.findtext("r:LoginName", "", SPACE) for p in account.findall("r:Protocol", SPACE)}
    assert logins == {"o'hara+x@example.org"}


# As Outlook 2016, the Android mail of Samsung, and a probe of Exchange's connectivity test send them.
REQUESTS = [
    b'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/'
    b'autodiscover/outlook/requestschema/2006"><Request><EMailAddress>ada@example.org</EMailAddress>'
    b"<AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/"
    b"responseschema/2006a</AcceptableResponseSchema></Request></Autodiscover>",
    b"<Autodiscover><Request>\r\n  <EMailAddress>\r\n ada@example.org </EMailAddress>\r\n"
    b"</Request></Autodiscover>",
    b"<a:autodiscover xmlns:a='x'><a:request><a:emailaddress>ada&#64;example.org</a:emailaddress>"
    b"</a:request></a:autodiscover>",
]


@pytest.mark.parametrize("body", REQUESTS)
def test_the_address_is_found_however_it_is_asked(body: bytes) -> None:
    assert address_of(body) == "ada@example.org"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 600),
        (b"<Autodiscover/>", 600),
        (b"<EMailAddress>nobody</EMailAddress>", 600),
        (b"<EMailAddress>" + b"a" * 400 + b"@example.org</EMailAddress>", 600),
        (
            REQUESTS[0].replace(b"outlook/responseschema/2006a", b"mobilesync/responseschema/2006"),
            601,
        ),
    ],
)
def test_what_cannot_be_answered_is_an_error_of_the_protocol(body: bytes, code: int) -> None:
    with pytest.raises(Unanswerable) as wrong:
        address_of(body)
    document = autodiscover.error(wrong.value.code, wrong.value.text, "10:00:00")
    assert wrong.value.code == code
    assert f"<ErrorCode>{code}</ErrorCode>".encode() in document
    xml.fromstring(document)


@given(st.binary(max_size=300))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    try:
        address = address_of(body)
    except Unanswerable:
        return
    assert "@" in address


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ({}, 400, "MandatoryParameterMissing"),
        ({"protocol": "ActiveSync"}, 404, "InvalidProtocol"),
        ({"protocol": "autodiscoverv1"}, 200, f"https://{HOST}/autodiscover/autodiscover.xml"),
    ],
)
def test_the_json_points_to_the_xml(query: dict[str, str], status: int, word: str) -> None:
    found, document = autodiscover.json_answer(HOST, query)
    assert found == status
    assert word in document.values()


def test_apple_gets_the_same_profile_each_time() -> None:
    profile = apple.profile(DESCRIPTION, "ada@example.org")
    assert profile is not None
    assert profile == apple.profile(DESCRIPTION, "ada@example.org")
    assert profile != apple.profile(DESCRIPTION, "bob@example.org")
    found = plistlib.loads(profile)
    [mail] = found["PayloadContent"]
    assert mail["EmailAccountType"] == "EmailTypeIMAP"
    assert (mail["IncomingMailServerHostName"], mail["IncomingMailServerPortNumber"]) == (HOST, 993)
    assert mail["OutgoingMailServerPortNumber"] == 465


def test_there_is_no_profile_without_a_way_to_send() -> None:
    reading = described(HOST, "", [Service(Use.IMAP, HOST, 993, implicit=True)])
    assert apple.profile(reading, "ada@example.org") is None


def test_a_profile_is_signed_with_its_content_inside(tmp_path: Path) -> None:
    certificate, key = self_signed([HOST])
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    profile = apple.profile(DESCRIPTION, "ada@example.org")
    assert profile is not None
    signed = apple.signed(profile, tmp_path / "cert.pem", tmp_path / "key.pem")
    assert signed[:1] == b"\x30"  # a sequence of ASN.1
    assert profile in signed
