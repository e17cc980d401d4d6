"""One address is one place, and so is an IPv6 /64."""

from __future__ import annotations

import pytest

from postillon.net.limits import ConnectionLimits, is_loopback, place_of, plain_ip


def test_addresses_of_one_64_are_one_place() -> None:
    limits = ConnectionLimits(total=10, per_place=2)
    first = limits.enter("2001:db8:0:1::1")
    assert first == "2001:db8:0:1::/64"
    assert limits.enter("2001:db8:0:1:ffff::2") == first
    assert limits.enter("2001:db8:0:1::3") is None
    assert limits.enter("2001:db8:0:2::3") is not None
    limits.leave(first)
    assert limits.enter("2001:db8:0:1::3") == first
    assert limits.open == 3


def test_loopback_counts_in_the_total_only() -> None:
    limits = ConnectionLimits(total=3, per_place=1)
    assert [limits.enter("127.0.0.1") for _ in range(4)] == ["127.0.0.1"] * 3 + [None]


def test_nothing_is_remembered_of_places_that_are_empty() -> None:
    limits = ConnectionLimits(total=3, per_place=1)
    place = limits.enter("192.0.2.1")
    assert place is not None
    limits.leave(place)
    assert (limits.open, dict(limits._places)) == (0, {})


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_mapped_and_scoped_addresses_are_made_plain(given: str, plain: str) -> None:
    assert plain_ip(given) == plain
    assert place_of(plain).startswith(plain.partition("::")[0])


def test_what_is_loopback() -> None:
    assert [is_loopback(ip) for ip in ("127.8.8.8", "::1", "192.0.2.1", "nonsense")] == [
        True,
        True,
        False,
        False,
    ]
