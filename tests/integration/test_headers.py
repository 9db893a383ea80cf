"""R20: what browsers are told, on every kind of answer, and which origins may read it."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest
import sqlalchemy as sa

from tests.support.document import operations
from tests.support.platform import PlatformUnderTest
from zentry.schema.metadata import metadata

LISTED: Final = "https://console.example.com"
ORIGINS: Final = (
    "null",
    "",
    " ",
    "*",
    "https://console.example.com.evil.example",
    "https://evilconsole.example.com",
    "https://console.example.com:443",
    "https://console.example.com:8443",
    "http://console.example.com",
    "HTTPS://CONSOLE.EXAMPLE.COM",
    "https://Console.example.com",
    "https://console.example.com/",
    "https://console.example.co",
    "https://console.example.com.",
    "https://.console.example.com",
    "https://console.example.com@evil.example",
    "https://evil.example/https://console.example.com",
    "https://evil.example?console.example.com",
    "https://evil.example#https://console.example.com",
    "https://console.example.com%00.evil.example",
    "https://console_example.com",
    "https://console-example.com",
    "https://consoleXexample.com",
    "https://example.com",
    "https://sub.console.example.com",
    "https://localhost",
    "http://127.0.0.1",
    "http://[::1]",
    "file://",
    "data:",
    "about:blank",
    "chrome-extension://abcdefghijklmnop",
    "moz-extension://1234",
    "ws://console.example.com",
    "ftp://console.example.com",
    "https://console.example.com,https://evil.example",
    "https://console.example.com https://evil.example",
    "https://xn--console-example-com",
    "javascript:alert(1)",
    "https://evil.example",
)
REQUIRED: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture(params=["sqlite"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Headers are the same on both databases."""
    return str(request.param)


@pytest.mark.parametrize("overrides", [{"server": {"cors_origins": (LISTED,), "cors_credentials": True}}])
async def test_no_origin_of_forty_is_reflected_but_the_listed(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    reflected = []
    assert len(ORIGINS) == len(set(ORIGINS)) == 40

    for origin in ORIGINS:
        for method, path in (
            ("GET", "/vms"),
            ("GET", "/health"),
            ("GET", "/nowhere"),
            ("POST", "/projects"),
            ("OPTIONS", "/vms"),
        ):
            headers = {**account.headers, "Origin": origin, "Access-Control-Request-Method": "GET"}
            answer = await platform.client.request(method, path, headers=headers)
            if "access-control-allow-origin" in answer.headers:
                reflected.append((origin, method, path))
    listed = await platform.client.get("/vms", headers={**account.headers, "Origin": LISTED})

    assert reflected == []
    assert listed.headers["access-control-allow-origin"] == LISTED
    assert listed.headers["access-control-allow-credentials"] == "true"


async def test_every_answer_has_its_headers_whatever_the_status(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project = {"name": "lab"}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/auth/me", {"headers": account.headers}),
        ("POST", "/projects", {"headers": account.headers, "json": project}),
        ("POST", "/projects", {"headers": account.headers, "json": project}),
        ("POST", "/projects", {"headers": account.headers, "json": {}}),
        ("POST", "/projects", {"headers": account.headers, "content": b"a=b"}),
        ("POST", "/projects", {"headers": account.headers, "json": {"name": "a" * 2_000_000}}),
        ("GET", "/projects", {}),
        ("GET", "/nowhere", {}),
        ("TRACE", "/projects", {}),
        ("POST", "/health/database/optimize", {"headers": account.headers}),
        ("GET", "/docs", {}),
        ("GET", "/openapi.json", {}),
        ("HEAD", "/health", {}),
    ]

    answers = [await platform.client.request(method, path, **rest) for method, path, rest in asked]

    assert {answer.status_code for answer in answers} >= {200, 201, 400, 401, 403, 404, 405, 409, 413, 415}
    for answer in answers:
        assert {name: answer.headers.get(name) for name in REQUIRED} == REQUIRED
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "cache-control" in answer.headers
        kind = answer.headers.get("content-type", "")
        assert "json" in kind or "charset=utf-8" in kind or not answer.content


async def test_trace_and_unknown_methods_are_refused(platform: PlatformUnderTest) -> None:
    methods = ("TRACE", "TRACK", "CONNECT", "DEBUG", "PROPFIND", "MOVE", "get")

    answers = [await platform.client.request(method, "/projects") for method in methods[:-1]]

    assert {answer.status_code for answer in answers} <= {404, 405}


async def test_looking_changes_nothing(platform: PlatformUnderTest) -> None:
    account = await platform.given_admin()
    vm = await platform.given_vm(account)
    ids = {"vm_id": vm["id"], "project_id": vm["project_id"]}
    before = await _rows(platform)

    for operation in operations(platform):
        if operation.method.upper() == "GET" and "/prometheus" not in operation.path:
            path = operation.path
            for name in operation.path_parameters:
                path = path.replace(f"{{{name}}}", ids.get(name, "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"))
            if "events/stream" not in path:
                await _look(platform, path, account.headers)

    assert await _rows(platform) == before


async def _look(platform: PlatformUnderTest, path: str, headers: dict[str, str]) -> None:
    answer = await platform.client.get(path, headers=headers)
    assert answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR, f"{path}: {answer.text}"


async def _rows(platform: PlatformUnderTest) -> dict[str, int]:
    async with platform.database.read() as tx:
        tables = metadata.sorted_tables
        counts = [(await tx.execute(sa.select(sa.func.count()).select_from(table))).scalar_one() for table in tables]
    return {table.name: count for table, count in zip(tables, counts, strict=True)}
