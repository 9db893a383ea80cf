"""Where a request comes from."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random
from typing import Any

import pytest

from zentry.accounts.addresses import client_address, network_of, parse_networks

PROXIES = parse_networks(["10.0.0.0/8", "fd00::/8"])


def scope(peer: str | None, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return {"client": None if peer is None else (peer, 1234), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4", "198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("10.0.0.1", ["1.2.3.4, nonsense, 10.2.2.2"], "10.2.2.2"),
        ("10.0.0.1", ["198.51.100.1:5555"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::7]:5555"], "2001:db8::7"),
        ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        (None, ["198.51.100.1"], "unknown"),
        ("testclient", [], "unknown"),
    ],
)
def test_only_proxies_of_ours_can_speak_for_a_client(peer: str | None, forwarded: list[str], address: str) -> None:
    assert client_address(scope(peer, *forwarded), PROXIES) == address


def test_no_forged_header_changes_the_address() -> None:
    chance = Random(18)
    pieces = ["10.0.0.1", "fd00::7", "127.0.0.1", "::1", "unknown", "", " ", ",", "[::1]:80", "0.0.0.0/0", "10.0.0.1%x"]

    def lie() -> str:
        return ", ".join(chance.choice([*pieces, str(IPv4Address(chance.getrandbits(32)))]) for _ in range(4))

    lies = [lie() for _ in range(20_000)]

    assert {client_address(scope("203.0.113.9", text), PROXIES) for text in lies} == {"203.0.113.9"}
    assert {client_address(scope("10.0.0.1", text, "198.51.100.7"), PROXIES) for text in lies} == {"198.51.100.7"}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_customer_is_one_network(address: str, network: str) -> None:
    assert network_of(address) == network
