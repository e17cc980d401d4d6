"""Guessing is slow, and nobody can lock the owner out (FAULTS 42)."""

from ipaddress import ip_network

import pytest

from postillon.directory import throttle as module
from postillon.directory.config import AuthConfig
from postillon.directory.throttle import EVERY, Failed, Throttle, Verdict, network
from postillon.setting import ConfigError, minutes, seconds
from support.accounts import Time

CONFIG = AuthConfig(
    free_failures=2, longest_delay=seconds(8), refuse_after=10, forget_after=minutes(10)
)
STRANGER, HOME = "192.0.2.1", "198.51.100.7"


def guess(throttle: Throttle, times: int, address: str = STRANGER, login: str = "ada") -> None:
    for _ in range(times):
        throttle.failed(address, login)


def test_the_delay_doubles_to_its_ceiling() -> None:
    throttle = Throttle(CONFIG, Time())
    delays = []
    for _ in range(9):
        delays.append(throttle.check(STRANGER, "ada").delay_s)
        throttle.failed(STRANGER, "ada")
    assert delays == [0, 0, 0, 1, 2, 4, 8, 8, 8]


def test_a_spray_over_many_logins_counts_for_the_network() -> None:
    throttle = Throttle(CONFIG, Time())
    for number in range(10):
        throttle.failed(STRANGER, f"user{number}")
    assert throttle.check(STRANGER, "somebody") == Verdict(8.0, refused=True)
    assert throttle.check(HOME, "somebody") == Verdict(0.0)


def test_guesses_from_many_networks_count_for_the_login() -> None:
    throttle = Throttle(CONFIG, Time())
    for number in range(5):
        throttle.failed(f"203.0.113.{number}", "ada")
    assert throttle.check(STRANGER, "ada").delay_s == 4.0
    assert throttle.check(STRANGER, "bob").delay_s == 0.0


def test_the_owner_is_not_delayed_by_strangers() -> None:
    throttle = Throttle(CONFIG, Time())
    throttle.succeeded(HOME, "ada")
    guess(throttle, 30)
    assert throttle.check(HOME, "ada") == Verdict(0.0)
    assert throttle.check("203.0.113.9", "ada") == Verdict(8.0)


def test_one_right_password_excuses_no_spray() -> None:
    throttle = Throttle(CONFIG, Time())
    guess(throttle, 10)
    throttle.succeeded(STRANGER, "mine")
    assert throttle.check(STRANGER, "ada").refused
    assert throttle.check(STRANGER, "bob").refused


def test_where_a_login_has_succeeded_it_is_not_turned_away_for_what_others_do_there() -> None:
    throttle = Throttle(CONFIG, Time())
    throttle.succeeded(STRANGER, "mine")
    guess(throttle, 50)
    assert throttle.check(STRANGER, "mine") == Verdict(0.0)
    assert throttle.check(STRANGER, "ada").refused


def test_guesses_at_a_login_are_slow_where_it_has_succeeded_too() -> None:
    throttle = Throttle(CONFIG, Time())
    throttle.succeeded(STRANGER, "ada")
    guess(throttle, 4)
    assert throttle.check(STRANGER, "ada") == Verdict(2.0)
    throttle.succeeded(STRANGER, "ada")
    assert throttle.check(STRANGER, "ada") == Verdict(0.0)


@pytest.mark.parametrize("address", ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::9"])
def test_a_trusted_proxy_is_never_turned_away(address: str) -> None:
    trusted = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    throttle = Throttle(CONFIG, Time(), trusted)
    guess(throttle, 50, address)
    assert throttle.check(address, "ada") == Verdict(0.0)
    assert throttle.check(HOME, "ada").delay_s == 8.0


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_never_locked_out(address: str) -> None:
    throttle = Throttle(CONFIG, Time())
    guess(throttle, 50, address)
    assert throttle.check(address, "ada") == Verdict(0.0)


def test_failures_are_forgotten_after_quiet_time() -> None:
    time = Time()
    throttle = Throttle(CONFIG, time)
    guess(throttle, 10)
    time.now += 10 * 60_000
    assert throttle.check(STRANGER, "ada").refused
    time.now += 1
    assert throttle.check(STRANGER, "ada") == Verdict(0.0)


def test_ipv6_counts_by_64_bits() -> None:
    throttle = Throttle(CONFIG, Time())
    for number in range(10):
        throttle.failed(f"2001:db8:1:2::{number:x}", f"user{number}")
    assert throttle.check("2001:db8:1:2:ffff::1", "ada").refused
    assert not throttle.check("2001:db8:1:3::1", "ada").refused
    assert network("fe80::1%eth0") == ("fe80::/64", False)
    assert network("not an address") == ("not an address", False)
    assert network("::ffff:192.0.2.1") == ("192.0.2.1", False)


def test_text_that_is_no_address_is_never_told_to_others() -> None:
    throttle = Throttle(CONFIG, Time())
    throttle.failed(STRANGER, "S3cret word")
    throttle.failed(STRANGER, "")
    assert set(throttle.take()) == {(STRANGER, EVERY)}
    guess(throttle, 5, login="S3cret word")
    assert throttle.check("203.0.113.9", "s3cret WORD").delay_s == 8.0


def test_what_others_have_counted_is_added_to_what_is_new_here() -> None:
    throttle = Throttle(CONFIG, Time())
    guess(throttle, 2)
    told = throttle.take()
    guess(throttle, 1)
    now = Time().now
    throttle.learn([Failed((STRANGER, EVERY), 4, now, 7)], told)
    assert throttle.check(STRANGER, "bob").delay_s == 4.0  # four of all, and one that is new
    throttle.learn([Failed((STRANGER, EVERY), 3, now, 6)])  # came late
    assert throttle.check(STRANGER, "bob").delay_s == 4.0
    throttle.learn([Failed((STRANGER, EVERY), 0, now, 8)])  # let in again
    assert throttle.check(STRANGER, "bob") == Verdict(0.0)
    assert (STRANGER, EVERY) not in throttle.take()


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 5)
    throttle = Throttle(CONFIG, Time())
    for number in range(50):
        throttle.failed(f"192.0.2.{number}", f"user{number}")
        throttle.succeeded(f"192.0.2.{number}", f"user{number}")
    sizes = [len(throttle._networks), len(throttle._logins), len(throttle._known)]
    assert sizes == [5, 5, 5]


def test_what_is_not_shared_yet_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNSHARED", 10)
    throttle = Throttle(CONFIG, Time())
    for number in range(50):
        throttle.failed(f"192.0.2.{number}", f"user{number}@example.org")
    assert len(throttle.take()) == 10


def test_impossible_settings_are_refused() -> None:
    for wrong in ({"scram_iterations": 4_095}, {"argon2_memory": 1}, {"refuse_after": 3}):
        with pytest.raises(ConfigError):
            AuthConfig(**wrong)
