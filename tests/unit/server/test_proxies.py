"""What a proxy tells of its client is believed only of those that are trusted (RFC 7239)."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postillon.server.proxies import Client, Contradiction, Proxies

PROXIES = Proxies([ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")])
NONE = ("", "", "")


def test_the_word_of_a_stranger_is_not_believed() -> None:
    found = PROXIES.client("192.0.2.1", False, ["for=198.51.100.7;proto=https"], NONE)
    assert found == Client("192.0.2.1", False, "")


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        (
            ["for=198.51.100.7;proto=https;host=mail.example"],
            ("198.51.100.7", True, "mail.example"),
        ),
        (['For="[2001:DB9::7]:4711";Proto=http'], ("2001:db9::7", False, "")),
        (['for="198.51.100.7:80"'], ("198.51.100.7", False, "")),
        # The last one that is not ours counts; what it says of others does not.
        (["for=203.0.113.1, for=198.51.100.7;proto=https"], ("198.51.100.7", True, "")),
        (["for=198.51.100.7;proto=https, for=10.2.3.4;proto=http"], ("198.51.100.7", True, "")),
        (["for=203.0.113.1", "for=198.51.100.7"], ("198.51.100.7", False, "")),
        # Who hides or lies is the proxy itself.
        (["for=unknown"], ("10.0.0.1", False, "")),
        (["for=_hidden;proto=https"], ("10.0.0.1", False, "")),
        (['host="a,b";for=198.51.100.7'], ("198.51.100.7", False, "a,b")),
        ([""], ("10.0.0.1", False, "")),
    ],
)
def test_a_trusted_proxy_tells_of_its_client(
    fields: list[str], client: tuple[str, bool, str]
) -> None:
    assert PROXIES.client("10.0.0.1", False, fields, NONE) == Client(*client)


@pytest.mark.parametrize(
    ("others", "client"),
    [
        (("198.51.100.7", "https", "mail.example"), ("198.51.100.7", True, "mail.example")),
        (("203.0.113.1, 198.51.100.7", "https", ""), ("198.51.100.7", True, "")),
        (("198.51.100.7, 10.9.9.9", "", ""), ("198.51.100.7", False, "")),
        (("nobody", "https", ""), ("10.0.0.1", False, "")),
        (("", "https", ""), ("10.0.0.1", False, "")),
    ],
)
def test_the_older_fields_are_read_where_the_standard_one_is_missing(
    others: tuple[str, str, str], client: tuple[str, bool, str]
) -> None:
    assert PROXIES.client("10.0.0.1", False, [], others) == Client(*client)
    mapped = PROXIES.client("::ffff:10.0.0.1", False, [], others)
    assert mapped.address in (client[0], "::ffff:10.0.0.1")


@pytest.mark.parametrize(
    ("forwarded", "chain"),
    [
        ("for=203.0.113.1", "198.51.100.7"),
        ("for=198.51.100.7, for=203.0.113.1", "198.51.100.7"),
        ("for=unknown", "198.51.100.7"),
        ("", "198.51.100.7"),
    ],
)
def test_a_field_that_a_client_wrote_beside_that_of_the_proxy_is_not_believed(
    forwarded: str, chain: str
) -> None:
    with pytest.raises(Contradiction):
        PROXIES.client("10.0.0.1", False, [forwarded], (chain, "https", ""))


def test_a_proxy_may_write_both_fields() -> None:
    both = ["for=203.0.113.1, for=198.51.100.7;proto=https"], ("198.51.100.7", "https", "")
    assert PROXIES.client("10.0.0.1", False, *both) == Client("198.51.100.7", True, "")


@given(st.lists(st.text(max_size=60), max_size=3), st.tuples(*[st.text(max_size=40)] * 3))
def test_whatever_is_told_there_is_a_client(
    fields: list[str], others: tuple[str, str, str]
) -> None:
    with suppress(Contradiction):
        assert PROXIES.client("10.0.0.1", True, fields, others).address
