"""What is posted to is public, and is what was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import pytest

from zentry.platform.settings import WebhookSettings
from zentry.webhooks.errors import WebhookTargetRefused
from zentry.webhooks.targets import choose_address, parse_target

STRICT = WebhookSettings()
OPEN = WebhookSettings(allow_http=True, allowed_networks=("127.0.0.0/8", "::1/128"))


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "https://",
        "https:///path",
        "https://user@hooks.example.com/",
        "https://user:word@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hööks.example.com/",
        "https://hooks_example/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://127.1/",
        "https://0.0.0.0/",
        "https://10.1.2.3/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::]/",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://[ff02::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://hooks.example.com/" + "x" * 2000,
    ],
)
def test_what_is_not_a_public_https_url_is_refused(url: str) -> None:
    with pytest.raises(WebhookTargetRefused):
        parse_target(url, STRICT)


@pytest.mark.parametrize(
    "url", ["https://hooks.example.com/x?y=z", "https://8.8.8.8:8443/", "https://[2606:4700:4700::1111]/"]
)
def test_a_public_https_url_is_taken(url: str) -> None:
    assert parse_target(url, STRICT).geturl() == url


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "http://[::1]/", "http://[::ffff:127.0.0.1]/"])
def test_settings_open_networks_and_http(url: str) -> None:
    assert parse_target(url, OPEN).scheme == "http"


@pytest.mark.parametrize(
    ("addresses", "is_refused"),
    [
        (["8.8.8.8", "2606:4700:4700::1111"], False),
        (["8.8.8.8", "127.0.0.1"], True),
        (["fe80::1%eth0"], True),
        (["::ffff:10.0.0.1"], True),
        ([], True),
    ],
)
async def test_a_name_is_resolved_once_and_all_of_its_addresses_must_be_public(
    addresses: Sequence[str], *, is_refused: bool
) -> None:
    asked = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return addresses

    target = urlsplit("https://hooks.example.com/")
    if is_refused:
        with pytest.raises(WebhookTargetRefused):
            await choose_address(target, STRICT, resolve)
    else:
        address, port = await choose_address(target, STRICT, resolve)
        assert (str(address), port) == (addresses[0], 443)
    assert asked == [("hooks.example.com", 443)]
