"""R21: texts that attack whatever reads them. They are kept as they are or refused, and nothing is done with them."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import quote

import httpx

from tests.support.platform import Account, PlatformUnderTest

SQL: Final = (
    "' OR '1'='1",
    "'; DROP TABLE users; --",
    '" OR ""="',
    "1; SELECT pg_sleep(10)",
    "' UNION SELECT NULL,NULL --",
    "admin'--",
    "1' AND 1=CAST((SELECT version()) AS int)--",
    "') OR ('1'='1",
    "'; ATTACH DATABASE '/tmp/x' AS x; --",
    "\\'; --",
    "%' AND '%'='",
    "1 OR 1=1",
    "'||(SELECT hashed_password FROM users LIMIT 1)||'",
    "'; COPY users TO PROGRAM 'id'; --",
    "x' AND randomblob(1e9)--",
    "%s%s%s%n",
    ":name",
    "$1",
    "?",
    "{0}",
    "{user.password}",
    "'; PRAGMA writable_schema=1; --",
    "1e309",
    "NULL",
    "''''''",
)
PROGRAMS: Final = (
    "; id",
    "| id",
    "`id`",
    "$(id)",
    "&& id",
    "|| id",
    "\n id",
    "%0aid",
    "{{7*7}}",
    "${7*7}",
    "<%= 7*7 %>",
    "#{7*7}",
    "{{config}}",
    "${jndi:ldap://127.0.0.1/x}",
    "__import__('os').system('id')",
    "!!python/object/apply:os.system [id]",
    "() { :;}; id",
)
MARKUP: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg onload=alert(1)>",
    "javascript:alert(1)",
    "<!--#exec cmd='id'-->",
    "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    "]]>",
    "&lt;script&gt;",
    "=cmd|'/c calc'!A1",
    "*)(uid=*))(|(uid=*",
    "' or count(parent::*[position()=1])=0 or 'a'='b",
    "@SUM(1+1)*cmd",
    "<iframe src=//127.0.0.1>",
)
PATHS: Final = (
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/etc/passwd",
    "file:///etc/passwd",
    "....//....//etc/passwd",
    "%2e%2e%2f",
    "..%c0%af..%c0%afetc/passwd",
    "CON",
    "~root",
    "/proc/self/environ",
    "\\\\127.0.0.1\\share",
    "a/../../b",
    ".",
    "..",
    "-rf",
    "--help",
)
TEXTS: Final = (
    "\u202etxt.exe",
    "\u200b",
    "\ufeff",
    "e\u0301",
    "\u0345\u0301" * 20,
    "İstanbul",
    "ﬃ",
    "Ⅷ",
    "𝒶𝒹𝓂𝒾𝓃",
    "🏳️‍🌈",
    "田中さん",
    "الكل",
    "\u2028",
    "\u2029",
    "\x1b[31mred\x1b[0m",
    "a\r\nSet-Cookie: x=1",
    "a\nlevel=error forged",
    "\t",
    "\x7f",
    "\x9b31m",
    "a" * 5_000,
    "undefined",
    "null",
    "true",
    "NaN",
    "Infinity",
    "0x10",
    "1_000",
    "١٢٣",
    "constructor",
    "__proto__",
    "toString",
    "hasOwnProperty",
    "-1",
    "1/0",
)
ATTACKS: Final = (*SQL, *PROGRAMS, *MARKUP, *PATHS, *TEXTS)
FAULT: Final = httpx.codes.INTERNAL_SERVER_ERROR


async def test_what_looks_like_an_attack_is_kept_byte_for_byte_or_refused(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project_id = await platform.given_project(account)
    wrong: list[object] = []
    kept = 0

    for text in ATTACKS:
        answer = await platform.client.put(
            f"/projects/{project_id}", json={"description": text}, headers=account.headers
        )
        if answer.status_code == httpx.codes.OK:
            kept += 1
            shown = (await platform.client.get(f"/projects/{project_id}", headers=account.headers)).json()[
                "description"
            ]
            if shown not in {text, text.strip()}:
                wrong.append(("description", text, shown))
        elif answer.status_code >= FAULT:
            wrong.append(("description", text, answer.text))
        for method, path, body in _elsewhere(text, project_id):
            other = await platform.client.request(method, path, json=body, headers=account.headers)
            if other.status_code >= FAULT or "Traceback" in other.text or "sqlalchemy" in other.text:
                wrong.append((method, path, text, other.text))

    assert wrong == []
    assert kept > len(ATTACKS) * 3 // 4
    assert len(await _projects(platform, account)) >= 1


def _elsewhere(text: str, project_id: str) -> list[tuple[str, str, Any]]:
    url = httpx.QueryParams({"cursor": text, "label_selector": text, "status": text, "search": text, "sort": text})
    machine = {"name": text, "instance_type": text, "image": text, "project_id": text, "labels": {"a": text, text: "b"}}
    quoted = quote(text, safe="")
    return [
        ("GET", f"/vms?{url}", None),
        ("GET", f"/projects/{quoted}", None),
        ("GET", f"/operations/{quoted}", None),
        ("POST", "/vms", machine),
        ("POST", "/templates", {**machine, "user_data": text}),
        ("POST", "/projects", {"name": text, "description": text}),
        ("POST", "/auth/login", {"email": text, "password": text}),
        ("PUT", "/auth/profile", {"name": text}),
        ("POST", "/ssh-keys", {"name": text, "public_key": text}),
        ("PUT", f"/projects/{project_id}", {"name": text}),
    ]


async def _projects(platform: PlatformUnderTest, account: Account) -> list[Any]:
    answer = await platform.client.get("/projects", headers=account.headers)
    return list(answer.json() if isinstance(answer.json(), list) else answer.json()["projects"])


async def test_no_address_in_a_request_is_called(platform: PlatformUnderTest) -> None:
    calls: list[object] = []
    async with await asyncio.start_server(lambda *_: calls.append(1), "127.0.0.1", 0) as sentinel:
        url = f"http://127.0.0.1:{sentinel.sockets[0].getsockname()[1]}/x"
        account = await platform.signup()
        project_id = await platform.given_project(account)
        forged = dict.fromkeys(
            ("Referer", "Origin", "X-Forwarded-Host", "Forwarded", "X-Original-URL", "X-Callback", "From"), url
        )

        for method, path, body in _elsewhere(url, project_id):
            await platform.client.request(method, path, json=body, headers={**account.headers, **forged})
        await platform.given_vm(account, user_data=f"#include\n{url}\n")
        await asyncio.sleep(0)

    assert calls == []


async def test_numbers_beyond_every_column_are_refused(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    statuses = []

    for number in (
        "9223372036854775808",
        "-9223372036854775809",
        "1" + "0" * 400,
        "1e400",
        "-1e400",
        "1E+1000000",
        "NaN",
        "0.1" * 50,
    ):
        for path, name in (("/billing/credits/add", "amount"), ("/templates", "name")):
            content = f'{{"{name}": {number}}}'.encode()
            headers = {**account.headers, "Content-Type": "application/json"}
            statuses.append((await platform.client.post(path, content=content, headers=headers)).status_code)
        queries = (f"/billing/history?page={number}", f"/health/audit?offset={number}", f"/vms?limit={number}")
        answers = [await platform.client.get(query, headers=account.headers) for query in queries]
        statuses += [answer.status_code for answer in answers]

    assert set(statuses) == {400}
