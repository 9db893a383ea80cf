"""Where the platform posts to, and where it never does.

Whoever names a URL makes the platform connect from inside its own network. So a name is resolved
once, every address that it has must be a public one, and the connection goes to the address that
was looked at: a second answer of the name server changes nothing. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

from zentry.platform.settings import WebhookSettings
from zentry.webhooks.errors import WebhookTargetRefused

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

MOST_CHARACTERS: Final = 2000
_PORTS: Final = {"http": 80, "https": 443}
_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_LOW_32_BITS: Final = 0xFFFF_FFFF
_MOST_ADDRESSES: Final = 16
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name, as this machine's resolver says."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def parse_target(url: str, settings: WebhookSettings) -> SplitResult:
    """Return the parts of a URL that may be posted to, or raise `WebhookTargetRefused`."""
    if len(url) > MOST_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise _refused(f"Send a URL of at most {MOST_CHARACTERS} printable ASCII characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("This is not a URL.") from None
    schemes = ("https", "http") if settings.allow_http else ("https",)
    if parts.scheme not in schemes:
        raise _refused(f"The URL must begin with {' or '.join(f'{one}://' for one in schemes)}.")
    if parts.username is not None or parts.password is not None:
        raise _refused("A URL with a user name or a password is not posted to: the signature proves who posts.")
    if not parts.hostname or port == 0:
        raise _refused("The URL names no host.")
    if parts.fragment:
        raise _refused("Leave out the fragment behind `#`: it is never sent.")
    literal = literal_address(parts.hostname)
    if literal is None and (not set(parts.hostname) <= _NAME or not parts.hostname.strip(".0123456789")):
        raise _refused("The host of the URL is neither a name nor an address.")
    if literal is not None and not is_allowed(literal, settings):
        raise _refused("The platform posts to public addresses only.")
    return parts


async def choose_address(parts: SplitResult, settings: WebhookSettings, resolve: Resolve) -> tuple[Address, int]:
    """Return the address and port to connect to; raises `WebhookTargetRefused` where one is not public."""
    assert parts.hostname is not None, "a target has a host"
    port = parts.port or _PORTS[parts.scheme]
    literal = literal_address(parts.hostname)
    addresses = [literal] if literal else [_unscoped(one) for one in await resolve(parts.hostname, port)]
    if not addresses or len(addresses) > _MOST_ADDRESSES * 4:
        raise _refused("The name of the host has no addresses, or too many.")
    if not all(is_allowed(address, settings) for address in addresses):
        raise _refused("The name of the host leads to an address that is not public.")
    return addresses[0], port


def is_allowed(address: Address, settings: WebhookSettings) -> bool:
    """Tell whether an address may be connected to."""
    inner = embedded(address)
    if any(inner in ip_network(text) for text in settings.allowed_networks):
        return True
    return inner.is_global and not (inner.is_multicast or inner.is_reserved or inner.is_unspecified)


def embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address carries, as it is what would be reached."""
    if not isinstance(address, IPv6Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & _LOW_32_BITS)
    return address


def literal_address(host: str) -> Address | None:
    """Return the address that a host spells, None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _unscoped(text: str) -> Address:
    return ip_address(text.partition("%")[0])


def _refused(message: str) -> WebhookTargetRefused:
    return WebhookTargetRefused(message)
