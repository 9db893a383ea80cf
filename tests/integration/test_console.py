"""How the console is served: to whom, under which policy, how it is kept and pressed."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re

import pytest
import zstandard

from tests.support.platform import PlatformUnderTest

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.fixture(params=["sqlite"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Files are the same whatever the database."""
    return str(request.param)


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "application/json, text/plain, */*", "text/html;q=0.5, application/json", ""]
)
async def test_a_client_of_the_api_finds_json_at_the_root(platform: PlatformUnderTest, accept: str) -> None:
    answer = await platform.client.get("/", headers={"Accept": accept})

    assert answer.status_code == 200
    assert answer.json()["message"] == "Zentry Cloud API"


async def test_a_browser_at_the_root_is_led_to_the_console(platform: PlatformUnderTest) -> None:
    answer = await platform.client.get("/", headers={"Accept": BROWSER})

    assert answer.status_code == 303
    assert answer.headers["location"] == "/console"
    assert "accept" in answer.headers["vary"].lower()


@pytest.mark.parametrize("path", ["/console", "/console/", "/console/machines/01a2/metrics", "/v1/console"])
async def test_every_address_below_the_console_is_its_page(platform: PlatformUnderTest, path: str) -> None:
    page = await platform.client.get(path)
    again = await platform.client.get(path, headers={"If-None-Match": page.headers["etag"]})

    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    assert again.status_code == 304
    assert again.content == b""


async def test_the_policy_allows_this_servers_files_and_the_import_map_alone(platform: PlatformUnderTest) -> None:
    page = await platform.client.get("/console")

    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    (inline,) = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert policy["style-src"] == "'self'"
    assert policy["trusted-types"] == "'none'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "<style" not in page.text
    assert " style=" not in page.text
    assert "//" not in page.text


async def test_whatever_the_page_loads_is_there_for_ever_and_pressed(platform: PlatformUnderTest) -> None:
    page = await platform.client.get("/console")
    addresses = set(re.findall(r'"(/console/assets/[^"]+)"', page.text))

    assert len(addresses) > 20
    for address in addresses:
        plain = await platform.client.get(address, headers={"Accept-Encoding": "identity"})
        assert plain.status_code == 200, address
        assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert plain.headers["content-type"].partition(";")[0] in {"text/javascript", "text/css", "image/svg+xml"}
        for coding in ("zstd", "gzip"):
            async with platform.client.stream("GET", address, headers={"Accept-Encoding": coding}) as answer:
                raw = b"".join([piece async for piece in answer.aiter_raw()])
            assert answer.headers["content-encoding"] == coding
            assert _unpressed(raw, coding) == plain.content


@pytest.mark.parametrize("name", ["main.js.map", "../files.py", "..%2Ffiles.py", "vendor/LICENSE", "", "nothing.js"])
async def test_nothing_else_is_served(platform: PlatformUnderTest, name: str) -> None:
    page = await platform.client.get("/console")
    version = re.findall(r"/console/assets/(\w+)/", page.text)[0]

    answers = [await platform.client.get(f"/console/assets/{folder}/{name}") for folder in (version, "0" * 16)]

    assert {answer.headers["content-type"].partition(";")[0] for answer in answers} <= {
        "application/problem+json",
        "text/html",
    }
    assert all(b"import" not in answer.content or b"importmap" in answer.content for answer in answers)


async def test_a_page_of_an_older_version_asks_for_files_that_are_gone(platform: PlatformUnderTest) -> None:
    answer = await platform.client.get("/console/assets/0000000000000000/main.js")

    assert answer.status_code == 404


@pytest.mark.parametrize("overrides", [{"server": {"console": False}}])
async def test_the_console_can_be_turned_off(platform: PlatformUnderTest) -> None:
    root = await platform.client.get("/", headers={"Accept": BROWSER})
    page = await platform.client.get("/console")

    assert root.json()["message"] == "Zentry Cloud API"
    assert page.status_code == 404


def _unpressed(raw: bytes, coding: str) -> bytes:
    return zstandard.ZstdDecompressor().decompress(raw) if coding == "zstd" else gzip.decompress(raw)
