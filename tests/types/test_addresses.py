"""Which addresses the hub connects to for others."""

from __future__ import annotations

import threading
import time

import pytest

from aihub.errors import AddressError, ConfigError
from aihub.types.addresses import AddressGuard, UnresolvedError


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "this machine"),
        ("127.9.9.9", "all of 127/8 is this machine"),
        ("::1", "this machine, IPv6"),
        ("0.0.0.0", "any address: Linux takes it for this machine"),
        ("::", "any address, IPv6"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "behind a provider's NAT"),
        ("169.254.169.254", "link-local: clouds keep credentials there"),
        ("fe80::1", "link-local, IPv6"),
        ("fd00::1", "private, IPv6"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast, IPv6"),
        ("255.255.255.255", "broadcast"),
        ("240.0.0.1", "reserved"),
        ("192.0.2.1", "documentation"),
        ("::ffff:127.0.0.1", "this machine, dressed as IPv6"),
        ("::ffff:10.0.0.1", "private, dressed as IPv6"),
        ("64:ff9b::7f00:1", "this machine through NAT64"),
        ("2002:7f00:1::", "this machine through 6to4"),
        ("2002:a00:1::1", "private through 6to4"),
        ("not an address", "a name is resolved before it is judged"),
    ],
)
def test_refused_unless_allowed(address: str, why: str) -> None:
    assert not AddressGuard().allows(address), why


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8"])
def test_public_addresses_pass(address: str) -> None:
    assert AddressGuard().allows(address)


def test_named_networks_pass_and_their_neighbours_do_not() -> None:
    guard = AddressGuard(["10.20.0.0/16", "::1/128"])
    assert guard.allows("10.20.3.4")
    assert guard.allows("::1")
    assert guard.allows("::ffff:10.20.3.4")
    assert not guard.allows("10.21.0.1")
    assert not guard.allows("127.0.0.1")


def test_multicast_is_refused_even_when_all_is_allowed() -> None:
    guard = AddressGuard(["0.0.0.0/0", "::/0"])
    assert guard.allows("192.168.0.1")
    assert not guard.allows("224.0.0.1")
    assert not guard.allows("0.0.0.0")


@pytest.mark.parametrize("spelled", ["127.1", "0177.0.0.1", "2130706433", "0x7f.1", "localhost"])
def test_other_spellings_of_this_machine_are_refused(spelled: str) -> None:
    with pytest.raises(AddressError, match="must not connect"):
        AddressGuard().check(spelled, 80)


def test_a_name_passes_with_its_good_addresses_only() -> None:
    guard = AddressGuard(resolver=lambda host, port: ["10.0.0.1", "93.184.216.34", "93.184.216.34"])
    assert guard.check("example.com", 443) == ["93.184.216.34"]


@pytest.mark.parametrize(
    ("host", "port"), [("", 80), ("[]", 80), ("93.184.216.34", 0), ("93.184.216.34", 65536)]
)
def test_half_an_address_is_refused(host: str, port: int) -> None:
    with pytest.raises(AddressError):
        AddressGuard().check(host, port)


def test_brackets_of_ipv6_are_taken_off() -> None:
    assert AddressGuard(["::1"]).check("[::1]", 80) == ["::1"]


def test_an_unknown_name_may_be_tried_again() -> None:
    with pytest.raises(UnresolvedError):
        AddressGuard().check("no-such-host.invalid", 80)


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    leave = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *a, **k: leave.wait(10) and [])
    started = time.monotonic()
    with pytest.raises(UnresolvedError, match="not resolved"):
        AddressGuard(timeout_s=0.1).check("slow.example", 80)
    assert time.monotonic() - started < 2
    leave.set()


def test_a_wrong_network_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"10\.0\.0\.0/8"):
        AddressGuard(["ten"])
