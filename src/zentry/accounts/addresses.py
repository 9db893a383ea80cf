"""Who is at the other end: the address and the program of a request, and the network that limits count by."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN: Final = "unknown"
_MAX_HOPS: Final = 32
_MAX_AGENT: Final = 200
_IPV6_SITE: Final = 64


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks that the texts name, or raise ValueError."""
    return tuple(ip_network(text, strict=False) for text in texts)


def client_address(scope: Any, trusted_proxies: Sequence[Network]) -> str:
    """Return the address of the client, or "unknown".

    X-Forwarded-For is a list that every proxy appends to and that anyone may start, so it is read
    from the right and only as far as proxies of ours vouch for the entry before them.
    """
    peer = _parse(scope["client"][0]) if scope.get("client") else None
    if peer is None:
        return UNKNOWN
    if not _is_trusted(peer, trusted_proxies):
        return str(peer)
    for text in reversed(_forwarded(scope)[-_MAX_HOPS:]):
        hop = _parse(text)
        if hop is None:
            break
        peer = hop
        if not _is_trusted(hop, trusted_proxies):
            break
    return str(peer)


def client_agent(scope: Any) -> str:
    """Return what the client says that it is, cut short and without what does not print."""
    text = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"user-agent"), "")
    return "".join(character for character in text if character.isprintable())[:_MAX_AGENT]


def network_of(address: str) -> str:
    """Return what counts as one place: an IPv4 address, or the /64 that an IPv6 customer gets."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((int(parsed), _IPV6_SITE), strict=False))
    return UNKNOWN if parsed is None else str(parsed)


def _forwarded(scope: Any) -> list[str]:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [entry.strip() for entry in ",".join(values).split(",")]


def _parse(text: str) -> Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
